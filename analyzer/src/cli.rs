//! The command line: arguments in, exit status out.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | done, and no finding at or above `--fail-on` |
//! | 1 | a finding at or above `--fail-on` |
//! | 2 | no input could be understood, the arguments are wrong, or the output cannot be written |

mod arguments;
mod clusters;
mod live;
mod manual;
mod output;
mod profile;
mod progress;
mod reading;
mod surroundings;
mod tui;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use arguments::{Analyze, Arguments, Command, Dump, Explain, OutputFormat, Reading, Saying, Show};
use progress::Progress;
use reading::{read_all, read_these, rules};
use surroundings::Surroundings;

use crate::explain::Report;
use crate::redact::Redaction;
use crate::render::{self, TextOptions};
use crate::{analyze_with, detect, model};

const DONE: u8 = 0;
const FOUND: u8 = 1;
const WRONG: u8 = 2;

/// Runs the command on the process's own streams; returns the exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let surroundings = Surroundings::of_process();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let status = command(arguments, &surroundings, &mut out, &mut io::stderr());
    match out.flush() {
        Ok(()) => status,
        Err(error) => failed_output(&error, status, &mut io::stderr()),
    }
}

/// Runs the command on streams that are no terminal; returns the exit status.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    command(arguments, &Surroundings::default(), out, err)
}

fn command(
    arguments: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, out, err),
    };
    match &arguments.command {
        Command::Analyze(analyze) => run_analyze(analyze, surroundings, out, err),
        Command::Dump(dump) => run_dump(dump, surroundings, out, err),
        Command::Show(show) => run_show(show, surroundings, out, err),
        Command::Clusters(asked) => clusters::run_clusters(asked, surroundings, out, err),
        Command::Tui(browse) => tui::run_tui(browse, surroundings, err),
        Command::Flamegraph(asked) => profile::run_flamegraph(asked, surroundings, out, err),
        Command::Convert(asked) => profile::run_convert(asked, surroundings, out, err),
        Command::Explain(explain) => {
            let written = run_explain(explain, surroundings, out);
            written.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
        }
        Command::Completions(wanted) => {
            let written = manual::write_completions(wanted, out);
            written.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
        }
        Command::Man(wanted) => match manual::write_manual(wanted, out) {
            Ok(true) => DONE,
            Ok(false) => {
                say(err, "there is no such command");
                WRONG
            }
            Err(error) => failed_output(&error, DONE, err),
        },
    }
}

/// Help goes where it was asked for; a mistake is told on standard error.
fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(err, "{text}");
        if let Some(path) = path_for_command(error) {
            say(err, &format!("to read it: sigquit analyze {path}"));
        }
        return WRONG;
    }
    let written = write!(out, "{text}");
    written.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
}

/// What stands where a command should, when that is a file or a folder: the command is forgotten soonest at night.
fn path_for_command(error: &clap::Error) -> Option<String> {
    let named = error.get(ContextKind::InvalidSubcommand)?;
    let ContextValue::String(named) = named else { return None };
    (error.kind() == ErrorKind::InvalidSubcommand && Path::new(named).exists())
        .then(|| named.clone())
}

/// A reader that has seen enough is no failure; a full disk is one.
fn failed_output(error: &io::Error, status: u8, err: &mut dyn Write) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return status;
    }
    say(err, &format!("the output could not be written: {error}"));
    WRONG
}

/// Tells the user; when even that is impossible, the exit status has to do.
fn say(err: &mut dyn Write, message: &str) {
    let _ = writeln!(err, "sigquit: {}", render::plain(message));
}

fn run_analyze(
    analyze: &Analyze,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    read_and_analyze(&analyze.reading, &analyze.saying, surroundings, out, err)
}

fn read_and_analyze(
    reading: &Reading,
    saying: &Saying,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let Some(rules) = rules(&saying.rules, err) else { return WRONG };
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let mut read = read_all(reading, &progress);
    let mut healthy = read_these(&saying.baseline, reading, &progress);
    let understood = read.holds_a_dump() && (saying.baseline.is_empty() || healthy.holds_a_dump());
    progress.say("analysing");
    let mut redaction = saying.redact.then(Redaction::default);
    if let Some(redaction) = &mut redaction {
        read.redact(redaction);
        healthy.redact(redaction);
    }
    let sentences: Vec<String> = read.sentences().chain(healthy.sentences()).collect();
    let detail = saying.output.detail();
    let mut report = analyze_with(read.inputs, &read.errors, healthy.inputs, &rules, detail);
    if let Some(redaction) = &mut redaction {
        redaction.redact_report(&mut report);
    }
    drop(progress);
    sentences.iter().for_each(|sentence| say(err, sentence));
    if !understood {
        return WRONG;
    }
    let status = if saying.fail_on.is_met(&report) { FOUND } else { DONE };
    let written = write_report(saying, &report, surroundings, out);
    written.map_or_else(|error| failed_output(&error, status, err), |()| status)
}

fn run_dump(
    dump: &Dump,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let progress = Progress::start(surroundings.stderr_is_terminal, "waiting for the first dump");
    let patience = Duration::from_secs(dump.patience);
    let asked = live::dump(dump.pid, patience, &|doing| progress.say(doing));
    drop(progress);
    let (folder, remark) = match asked {
        Ok(incident) => (incident.folder, incident.remark),
        Err(message) => {
            say(err, &message);
            return WRONG;
        }
    };
    remark.iter().for_each(|remark| say(err, remark));
    match dump.saying.redact {
        true => {
            say(err, "the dumps are where this process keeps them: --redact leaves out the folder")
        }
        false => say(err, &format!("the dumps are in {}", folder.display())),
    }
    read_and_analyze(&Reading::of(folder), &dump.saying, surroundings, out, err)
}

fn run_show(
    show: &Show,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let progress = Progress::start(surroundings.stderr_is_terminal, "reading");
    let read = read_all(&show.reading, &progress);
    drop(progress);
    read.sentences().for_each(|sentence| say(err, &sentence));
    if !read.holds_a_dump() {
        return WRONG;
    }
    let written = render::show(&model::incidents(read.inputs), show.all, out);
    written.map_or_else(|error| failed_output(&error, DONE, err), |()| DONE)
}

fn write_report(
    saying: &Saying,
    report: &Report,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> io::Result<()> {
    match &saying.file {
        Some(path) => output::replace(path, |file| {
            render_report(saying, report, &Surroundings::default(), file)
        }),
        None => render_report(saying, report, surroundings, out),
    }
}

fn render_report(
    saying: &Saying,
    report: &Report,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> io::Result<()> {
    match saying.output {
        OutputFormat::Json => render::json(report, out),
        OutputFormat::Html => render::html(report, out),
        OutputFormat::Markdown => render::markdown(report, saying.top, out),
        OutputFormat::Sarif => render::sarif(report, out),
        OutputFormat::JUnit => render::junit(report, out),
        OutputFormat::OpenMetrics => render::openmetrics(report, out),
        OutputFormat::Dot => render::dot(report, out),
        OutputFormat::Mermaid => render::mermaid(report, out),
        OutputFormat::Text => {
            let options = TextOptions {
                width: surroundings.width,
                color: surroundings.color(saying.color),
                top: saying.top,
            };
            render::text(report, options, out)
        }
    }
}

fn run_explain(
    explain: &Explain,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> io::Result<()> {
    match &explain.detector {
        None => {
            let width = surroundings.stdout_is_terminal.then_some(surroundings.width);
            render::detectors(detect::all(), width.unwrap_or(usize::MAX), out)
        }
        Some(name) => {
            let detectors = detect::all().iter().map(|one| (one.name, one.documentation));
            let rules = [("rules", model::DOCUMENTATION_OF_RULES)].into_iter();
            let mut topics = detectors.chain(rules).chain(model::BUILT_IN_RULES.iter().copied());
            let topic = topics.find(|(topic, _)| topic == name);
            topic.map_or(Ok(()), |(_, text)| writeln!(out, "{}", text.trim()))
        }
    }
}
