//! Bytes -> dumps, and warnings about what was not understood. The only room that opens files.
//!
//! A format is recognised by content, never by a file's name. [`FORMATS`] is the list; a new
//! format is one file and one line here.

mod art;
mod by_line;
mod call_tree;
mod container;
mod dotnet_stack;
mod encoding;
mod eu_stack;
mod firefox;
mod folded;
mod foreign;
mod gdb;
mod go;
mod go_profile;
mod goroutines;
mod hotspot;
mod intern;
mod jrockit;
mod jvm;
mod kept;
mod limits;
mod lldb;
mod macos_sample;
mod mended;
mod native;
mod node;
mod openj9;
mod other;
mod paths;
mod perf_script;
mod pieces;
mod pprof;
mod profile;
mod py_spy;
mod race_report;
mod rust_panic;
mod sigquit;
mod speedscope;
mod spindump;
mod stream;
mod text;
mod top;
mod transport;
mod visualvm;

use std::{fmt, io};

pub use limits::Limits;
use limits::in_words;
pub use paths::{read_packed, read_paths, read_paths_within, read_text};
use pieces::Pieces;
pub use sigquit_dump::Warning;
use sigquit_dump::{Dump, Profile};
use stream::Division;
pub use text::{Line, Lines, Text};
pub use top::{ThreadUsage, Usage};

/// One input that was read: a file, standard input, or a member of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// Its path as the user gave it, or `-`.
    pub path: String,
    /// The name of its format: one of [`FORMATS`].
    pub format: &'static str,
    /// The dumps in it, in the order in which they stand.
    pub dumps: Vec<Dump>,
    /// The profiles in it.
    pub profiles: Vec<Profile>,
    /// The tables in it that tell of threads' CPU time.
    pub usages: Vec<Usage>,
    /// What was not understood, by line.
    pub warnings: Vec<Warning>,
}

/// An input that could not be read at all.
#[derive(Debug)]
pub struct ReadError {
    /// Its path as the user gave it, or `-`.
    pub path: String,
    /// The line, from 1, when one is to blame.
    pub line: Option<u64>,
    /// What is wrong, and what was expected: a sentence.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl std::error::Error for ReadError {}

/// A format that can be read.
pub struct Format {
    /// Its name in reports and in `--format`.
    pub name: &'static str,
    /// What it looks like, for errors: `a line ...`.
    pub looks_like: &'static str,
    /// Whether a text is of this format, as far as its lines tell.
    pub recognize: fn(&Text) -> Recognition,
    /// Reads a text that is of this format, as far as it can be understood.
    pub read: Read,
}

/// What an input holds of both, and what of it was not understood.
pub type DumpsAndProfiles = (Vec<Dump>, Vec<Profile>, Vec<Warning>);

/// How a format is read.
#[derive(Clone, Copy)]
pub enum Read {
    /// From the whole text at once, which has to fit into memory.
    Whole(fn(&Text) -> (Vec<Dump>, Vec<Warning>)),
    /// The same, where there may be profiles too.
    Samples(fn(&Text) -> DumpsAndProfiles),
    /// No dump, but what belongs to one: tables of threads' CPU time.
    Usages(fn(&Text) -> Vec<Usage>),
    /// Piece by piece: what a text of any length needs is what it holds that is distinct.
    Pieces {
        /// With what a block of lines begins that can be read without those before it. Pieces
        /// end before one, if they can.
        marks: &'static [&'static str],
        /// A reader that has read nothing.
        reader: fn() -> Box<dyn Piecewise>,
    },
}

/// A reader that is given a text piece by piece.
pub trait Piecewise: Send {
    /// Reads the next lines.
    fn piece(&mut self, text: &Text);
    /// Reads the last lines, and gives what was read.
    fn finish(self: Box<Self>, last: &Text) -> (Vec<Dump>, Vec<Warning>);
}

impl Read {
    fn read(self, text: &Text) -> (Vec<Dump>, Vec<Warning>) {
        match self {
            Read::Whole(read) => read(text),
            Read::Samples(read) => {
                let (dumps, _, warnings) = read(text);
                (dumps, warnings)
            }
            Read::Usages(_) => (Vec::new(), Vec::new()),
            Read::Pieces { reader, .. } => reader().finish(text),
        }
    }
}

/// Whether a text is of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recognition {
    /// It is not.
    No,
    /// Something in it looks like it; used when no format is sure.
    Perhaps,
    /// It is.
    Yes,
}

/// Told of an input that claims more threads than are read.
fn too_many_threads(line: u64, most: usize) -> Warning {
    let message =
        format!("more than {most} threads: the rest of the input is left out (--max-threads)");
    Warning { line, message }
}

/// Every format, the most exact recogniser first.
pub const FORMATS: &[Format] = &[
    sigquit::FORMAT,
    openj9::FORMAT,
    art::FORMAT,
    jrockit::FORMAT,
    visualvm::FORMAT,
    hotspot::FORMAT,
    hotspot::json::FORMAT,
    hotspot::to_file::FORMAT,
    hotspot::thread_info::FORMAT,
    hotspot::actuator::FORMAT,
    race_report::FORMAT,
    go::FORMAT,
    go_profile::FORMAT,
    gdb::FORMAT,
    eu_stack::FORMAT,
    lldb::FORMAT,
    dotnet_stack::FORMAT,
    macos_sample::FORMAT,
    spindump::FORMAT,
    rust_panic::FORMAT,
    py_spy::FORMAT,
    node::FORMAT,
    pprof::FORMAT,
    speedscope::FORMAT,
    firefox::FORMAT,
    perf_script::FORMAT,
    folded::FORMAT,
    top::FORMAT,
];

/// So much of an input is looked at to know what it is. Larger ones may be read piece by piece.
const HEAD: u64 = 8 << 20;

/// How long a piece is: small enough for the processor's cache.
const PIECE: u64 = 1 << 20;

/// Reads the bytes of one input. `format` forces one by name.
///
/// # Errors
/// When no format recognises it, or the forced one is not known; the message says what was
/// expected.
pub fn read(path: &str, bytes: &[u8], format: Option<&str>) -> Result<Input, ReadError> {
    read_source(path, &mut &*bytes, format, &Limits::default())
}

/// Reads one input from where its bytes come from, within limits.
fn read_source(
    path: &str,
    source: &mut dyn io::Read,
    format: Option<&str>,
    limits: &Limits,
) -> Result<Input, ReadError> {
    let error = |line, message| ReadError { path: path.to_owned(), line, message };
    let forced = match format {
        Some(name) => Some(named(name).ok_or_else(|| error(None, no_such_format(name)))?),
        None => None,
    };
    let mut pieces = Pieces::new(source);
    pieces.fill(HEAD);
    if let Some(failure) = pieces.failure().filter(|_| pieces.bytes().is_empty()) {
        return Err(error(None, format!("cannot be read: {failure}")));
    }
    let mut skipped = None;
    let usages;
    let (format, (dumps, mut warnings)) = loop {
        match plan(&pieces, forced, limits) {
            Plan::Stream { format, marks, reader, usages: found } => {
                usages = found;
                let division = Division { marks, length: PIECE, limits };
                break (format, stream::stream(reader, &mut pieces, division));
            }
            Plan::Skip(what) => {
                skipped.get_or_insert(what);
                pieces.take(pieces.end_of_blocks(&[]));
                pieces.fill(HEAD);
            }
            Plan::Whole => {
                pieces.fill(limits.memory);
                let text = whole(&pieces, limits);
                let format = match forced.or_else(|| recognize(&text)) {
                    Some(format) => format,
                    None => {
                        let what = skipped.unwrap_or_else(|| no_dump(&text));
                        return Err(error(None, what));
                    }
                };
                if let Read::Samples(read) = format.read {
                    let (dumps, profiles, mut warnings) = read(&text);
                    warnings.extend(left_out(&pieces, limits));
                    return samples(path, format, (dumps, profiles, warnings));
                }
                usages = top::usages(&text);
                let (dumps, mut warnings) = format.read.read(&text);
                warnings.extend(text.foreign());
                break (format, (dumps, warnings));
            }
        }
    };
    if dumps.is_empty() && usages.is_empty() {
        let message = format!("no dump in it: expected {}", format.looks_like);
        return Err(error(warnings.first().map(|warning| warning.line), message));
    }
    warnings.extend(left_out(&pieces, limits));
    let path = path.to_owned();
    Ok(Input { path, format: format.name, dumps, profiles: Vec::new(), usages, warnings })
}

/// An input that may hold profiles.
fn samples(
    path: &str,
    format: &'static Format,
    (dumps, profiles, warnings): DumpsAndProfiles,
) -> Result<Input, ReadError> {
    let path = path.to_owned();
    if dumps.is_empty() && profiles.is_empty() {
        let line = warnings.first().map(|warning| warning.line);
        let why: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
        let why = if why.is_empty() { "nothing".to_owned() } else { why.join("; ") };
        let message = format!("no dump and no samples in it: {why}");
        return Err(ReadError { path, line, message });
    }
    Ok(Input { path, format: format.name, dumps, profiles, usages: Vec::new(), warnings })
}

/// How to go on with an input.
enum Plan {
    /// Read it piece by piece.
    Stream {
        format: &'static Format,
        marks: &'static [&'static str],
        reader: fn() -> Box<dyn Piecewise>,
        /// What its beginning tells of CPU time.
        usages: Vec<Usage>,
    },
    /// Nothing in what is there is of a dump; what it is instead.
    Skip(String),
    /// Read it as a whole.
    Whole,
}

fn plan(pieces: &Pieces, forced: Option<&'static Format>, limits: &Limits) -> Plan {
    let bytes = pieces.bytes();
    if pieces.has_ended() || !encoding::has_plain_line_ends(bytes) {
        return Plan::Whole;
    }
    let text = Text::of_piece(bytes, pieces.lines(), *limits);
    if transport::carries(&text) {
        return Plan::Whole;
    }
    match forced.or_else(|| recognize(&text)) {
        Some(format) => match format.read {
            Read::Pieces { marks, reader } => {
                Plan::Stream { format, marks, reader, usages: top::usages(&text) }
            }
            Read::Whole(_) | Read::Samples(_) | Read::Usages(_) => Plan::Whole,
        },
        None if is_one_thing(bytes) => Plan::Whole,
        None => Plan::Skip(no_dump(&text)),
    }
}

/// Whether bytes begin something that means nothing without its end: JSON, markup, no text.
fn is_one_thing(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|first| b"{[<".contains(first)) || memchr::memchr(0, bytes).is_some()
}

fn whole<'p>(pieces: &'p Pieces, limits: &Limits) -> Text<'p> {
    transport::unwrap(Text::of_piece(pieces.bytes(), pieces.lines(), *limits))
}

/// Tells when an input goes on where reading ended.
fn left_out(pieces: &Pieces, limits: &Limits) -> Option<Warning> {
    let message = match pieces.failure() {
        Some(failure) => format!("the input cannot be read further: {failure}"),
        None if pieces.has_ended() => return None,
        None => format!(
            "more than {} that have to be in memory at once: the rest is left out (--max-memory)",
            in_words(limits.memory)
        ),
    };
    let line = pieces.lines() + memchr::memchr_iter(b'\n', pieces.bytes()).count() as u64;
    Some(Warning { line, message })
}

fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn no_such_format(name: &str) -> String {
    format!("no format is named {name:?}: expected one of {}", names())
}

fn names() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    names.join(", ")
}

fn no_dump(text: &Text) -> String {
    match other::describe(text) {
        Some(what) => format!("no thread dump in it: {what}"),
        None => {
            format!("no thread dump in it: none of the formats {} recognises it", names())
        }
    }
}

/// The format that is surest of a text; the first of those that are equally sure. What a long
/// text is, its beginning tells as a rule.
fn recognize(text: &Text) -> Option<&'static Format> {
    const BEGINNING: usize = 1 << 18;
    let beginning = text.beginning(BEGINNING);
    let (sure, format) = surest(&beginning);
    if sure < Recognition::Yes && beginning.as_str().len() < text.as_str().len() {
        return surest(text).1;
    }
    format
}

fn surest(text: &Text) -> (Recognition, Option<&'static Format>) {
    let mut best = (Recognition::No, None);
    for format in FORMATS {
        let sure = (format.recognize)(text);
        if sure > best.0 {
            best = (sure, Some(format));
        }
        if sure == Recognition::Yes {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_deep_in_a_long_log_is_found() {
        let mut log = "2026-11-22 20:59:30 INFO served a request\n".repeat(300_000);
        let lines = log.lines().count() as u64;
        assert!(log.len() as u64 > HEAD);
        log += "goroutine 7 [running]:\nmain.main()\n\t/srv/main.go:1 +0x1\n";
        let input = read("log", log.as_bytes(), None).unwrap();
        assert_eq!(input.dumps[0].threads[0].line, Some(lines + 1));
    }

    #[test]
    fn what_is_beyond_a_limit_is_said_to_be() {
        let text = "goroutine 7 [running]:\nmain.main()\n\t/srv/main.go:1 +0x1\n\n".repeat(3);
        let within = |limits: Limits| {
            let input = read_source("-", &mut text.as_bytes(), None, &limits).unwrap();
            (
                input.dumps.len(),
                input.warnings.iter().map(|warning| warning.message.clone()).collect(),
            )
        };
        let (dumps, said): (usize, Vec<String>) =
            within(Limits { threads: 2, ..Limits::default() });
        assert_eq!(dumps, 2);
        assert!(said[0].contains("--max-threads"), "{said:?}");
    }
}
