//! `flamegraph` and `convert`: profiles as pictures, and for other tools.

use std::io::{self, Write};
use std::path::PathBuf;

use sigquit_dump::{Profile, Sample};

use super::arguments::{Convert, Flamegraph, To};
use super::{DONE, WRONG, failed_output, output, say};
use crate::read::{ProfileInput, ReadError, profiles_of_dumps, read_paths, read_profiles};
use crate::render::{self, FlamegraphOptions};

pub(super) fn run_flamegraph(asked: &Flamegraph, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let profiles = profiles(&asked.paths, err);
    let before = profiles_before(asked, err);
    if profiles.is_empty() || (before.is_empty() && !asked.diff.is_empty()) {
        return WRONG;
    }
    let (folded, before) = (folded(&profiles, asked), folded(&before, asked));
    if folded.is_empty() {
        say(err, "no sample is of that thread or task");
        return WRONG;
    }
    let subtitles = profiles.iter().map(|input| input.profile.summary());
    let options = FlamegraphOptions {
        subtitle: subtitles.collect::<Vec<_>>().join("; "),
        reverse: asked.reverse,
    };
    let draw = |out: &mut dyn Write| match asked.diff.is_empty() {
        true => render::flamegraph(&folded, &options, out),
        false => render::difference(&before, &folded, &options, out),
    };
    written(write_to(asked.file.as_ref(), out, draw), err)
}

fn profiles_before(asked: &Flamegraph, err: &mut dyn Write) -> Vec<ProfileInput> {
    if asked.diff.is_empty() { Vec::new() } else { profiles(&asked.diff, err) }
}

/// The profiles that paths name; their dumps as such, when there is none.
fn profiles(paths: &[PathBuf], err: &mut dyn Write) -> Vec<ProfileInput> {
    let (mut profiles, mut errors) = read_profiles(paths);
    if profiles.is_empty() {
        let (inputs, of_dumps) = read_paths(paths, None);
        (profiles, errors) = (profiles_of_dumps(inputs), of_dumps);
    }
    errors.iter().for_each(|error: &ReadError| say(err, &error.to_string()));
    for input in &profiles {
        for warning in &input.warnings {
            say(err, &format!("{}:{}: {}", input.path, warning.line, warning.message));
        }
    }
    profiles
}

fn folded(profiles: &[ProfileInput], asked: &Flamegraph) -> Vec<String> {
    let fold = |input: &ProfileInput| {
        let profile = &input.profile;
        profile.folded_where(|sample| is_wanted(profile, sample, asked), asked.reverse)
    };
    profiles.iter().flat_map(fold).collect()
}

fn is_wanted(profile: &Profile, sample: &Sample, asked: &Flamegraph) -> bool {
    let thread = &profile.threads[sample.thread as usize];
    let is_thread = |wanted: &String| {
        thread.name == *wanted || thread.os_id.is_some_and(|id| id.to_string() == *wanted)
    };
    asked.thread.as_ref().is_none_or(is_thread)
        && asked.task.is_none_or(|task| sample.task == Some(task))
}

pub(super) fn run_convert(asked: &Convert, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let profiles = profiles(&asked.paths, err);
    let [input] = &profiles[..] else {
        if !profiles.is_empty() {
            let count = profiles.len();
            say(err, &format!("{count} profiles: one at a time can be converted"));
        }
        return WRONG;
    };
    let write = |out: &mut dyn Write| convert(&input.profile, asked.to, out);
    written(write_to(asked.file.as_ref(), out, write), err)
}

fn convert(profile: &Profile, to: To, out: &mut dyn Write) -> io::Result<()> {
    match to {
        To::Folded => profile.folded().iter().try_for_each(|line| writeln!(out, "{line}")),
        To::Pprof => render::pprof(profile, out),
        To::Speedscope => render::speedscope(profile, out),
        To::Json => sigquit_dump::write_profile(profile, out),
    }
}

fn write_to(
    file: Option<&PathBuf>,
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match file {
        Some(path) => output::replace(path, write),
        None => write(out),
    }
}

fn written(result: io::Result<()>, err: &mut dyn Write) -> u8 {
    result.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
}
