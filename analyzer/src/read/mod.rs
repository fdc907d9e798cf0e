//! Bytes -> dumps, and warnings about what was not understood. The only room that opens files.
//!
//! A format is recognised by content, never by a file's name. [`FORMATS`] is the list; a new
//! format is one file and one line here.

mod encoding;
mod foreign;
mod go;
mod hotspot;
mod intern;
mod other;
mod paths;
mod profiles;
mod sigquit;
mod text;
mod transport;

use std::fmt;

pub use paths::read_paths;
pub use profiles::{ProfileInput, profiles_of_dumps, read_profiles};
use sigquit_dump::Dump;
pub use sigquit_dump::Warning;
pub use text::{Line, Lines, Text};

/// One input that was read: a file, standard input, or a member of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// Its path as the user gave it, or `-`.
    pub path: String,
    /// The name of its format: one of [`FORMATS`].
    pub format: &'static str,
    /// The dumps in it, in the order in which they stand.
    pub dumps: Vec<Dump>,
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
    pub read: fn(&Text) -> (Vec<Dump>, Vec<Warning>),
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

/// More threads than any process has: so that an input that claims them cannot fill the memory.
const MOST_THREADS: usize = 1 << 22;

/// Told of an input that claims more.
fn too_many_threads(line: u64) -> Warning {
    let message = format!("more than {MOST_THREADS} threads: the rest of the input is left out");
    Warning { line, message }
}

/// Every format, the most exact recogniser first.
pub const FORMATS: &[Format] = &[sigquit::FORMAT, hotspot::FORMAT, go::FORMAT];

/// Reads the bytes of one input. `format` forces one by name.
///
/// # Errors
/// When no format recognises it, or the forced one is not known; the message says what was
/// expected.
pub fn read(path: &str, bytes: &[u8], format: Option<&str>) -> Result<Input, ReadError> {
    let text = Text::from_bytes(bytes);
    let error = |line, message| ReadError { path: path.to_owned(), line, message };
    let format = match format {
        Some(name) => named(name).ok_or_else(|| error(None, no_such_format(name)))?,
        None => recognize(&text).ok_or_else(|| error(None, no_dump(bytes, &text)))?,
    };
    let (dumps, warnings) = (format.read)(&text);
    if dumps.is_empty() {
        let message = format!("no dump in it: expected {}", format.looks_like);
        return Err(error(warnings.first().map(|warning| warning.line), message));
    }
    Ok(Input { path: path.to_owned(), format: format.name, dumps, warnings })
}

fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn no_such_format(name: &str) -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    format!("no format is named {name:?}: expected one of {}", names.join(", "))
}

fn no_dump(bytes: &[u8], text: &Text) -> String {
    match other::describe(bytes, text) {
        Some(what) => format!("no thread dump in it: {what}"),
        None => {
            let all: Vec<&str> = FORMATS.iter().map(|format| format.looks_like).collect();
            format!("no thread dump in it: expected {}", all.join(", or "))
        }
    }
}

/// The format that is surest of a text; the first of those that are equally sure.
fn recognize(text: &Text) -> Option<&'static Format> {
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
    best.1
}
