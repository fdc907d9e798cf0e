//! `flamegraph` and `convert`: profiles as pictures, and for other tools.

use std::io::{self, Write};
use std::path::PathBuf;

use sigquit_dump::{Profile, Sample};

use super::arguments::{Convert, Flamegraph, Reading, To};
use super::progress::Progress;
use super::reading::read_all;
use super::surroundings::Surroundings;
use super::{DONE, WRONG, failed_output, output, say};
use crate::model::{merge, profile_of_dump};
use crate::read::Input;
use crate::render::{self, FlamegraphOptions};

pub(super) fn run_flamegraph(
    asked: &Flamegraph,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let Some(profile) = profile(&asked.reading, surroundings, err) else { return WRONG };
    let before = match &asked.diff {
        Some(path) => {
            let reading = Reading { paths: vec![path.clone()], ..asked.reading.clone() };
            match self::profile(&reading, surroundings, err) {
                Some(before) => Some(before),
                None => return WRONG,
            }
        }
        None => None,
    };
    let folded = folded(&profile, asked);
    if folded.is_empty() {
        say(err, "nothing to draw: no sample is of that thread or task");
        return WRONG;
    }
    let mut options =
        FlamegraphOptions { reverse: asked.reverse, ..FlamegraphOptions::of(&profile) };
    if let Some(before) = &before {
        options.subtitle += &format!("; compared with {}", before.summary());
    }
    let before = before.map(|before| self::folded(&before, asked));
    let draw = |out: &mut dyn Write| match &before {
        None => render::flamegraph(&folded, &options, out),
        Some(before) => render::difference(before, &folded, &options, out),
    };
    written(write_to(asked.file.as_ref(), out, draw), err)
}

pub(super) fn run_convert(
    asked: &Convert,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let Some(profile) = profile(&asked.reading, surroundings, err) else { return WRONG };
    let write = |out: &mut dyn Write| convert(&profile, asked.to, out);
    written(write_to(asked.file.as_ref(), out, write), err)
}

fn convert(profile: &Profile, to: To, out: &mut dyn Write) -> io::Result<()> {
    match to {
        To::Folded => profile.folded().iter().try_for_each(|line| writeln!(out, "{line}")),
        To::Pprof => render::pprof(profile, out),
        To::Speedscope => render::speedscope(profile, out),
        To::Firefox => render::firefox(profile, out),
        To::Json => sigquit_dump::write_profile(profile, out),
    }
}

/// The samples that paths name, in one: their profiles, or their dumps when there is no profile.
/// What was before an incident is left out beside what was during one. Nothing, and said, when
/// there is none of these.
fn profile(reading: &Reading, surroundings: &Surroundings, err: &mut dyn Write) -> Option<Profile> {
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let read = read_all(reading, &progress);
    drop(progress);
    read.sentences().for_each(|sentence| say(err, &sentence));
    for input in &read.inputs {
        for warning in &input.warnings {
            say(err, &format!("{}:{}: {}", input.path, warning.line, warning.message));
        }
    }
    if !read.holds_a_dump() {
        return None;
    }
    merge(profiles(read.inputs)).inspect_err(|message| say(err, message)).ok()
}

fn profiles(mut inputs: Vec<Input>) -> Vec<Profile> {
    let profiles = inputs.iter_mut().flat_map(|input| std::mem::take(&mut input.profiles));
    let (before, during): (Vec<Profile>, Vec<Profile>) =
        profiles.partition(|profile| profile.before);
    if let Some(profiles) = [during, before].into_iter().find(|some| !some.is_empty()) {
        return profiles;
    }
    inputs.into_iter().flat_map(|input| input.dumps).map(profile_of_dump).collect()
}

fn folded(profile: &Profile, asked: &Flamegraph) -> Vec<String> {
    profile.folded_where(|sample| is_wanted(profile, sample, asked), asked.reverse)
}

fn is_wanted(profile: &Profile, sample: &Sample, asked: &Flamegraph) -> bool {
    let thread = &profile.threads[sample.thread as usize];
    let is_thread = |wanted: &String| {
        thread.name == *wanted || thread.os_id.is_some_and(|id| id.to_string() == *wanted)
    };
    asked.thread.as_ref().is_none_or(is_thread)
        && asked.task.is_none_or(|task| sample.task == Some(task))
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
