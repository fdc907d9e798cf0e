//! Log records in JSON, one a line, with the dump in one of their fields; other JSON too, when that
//! field stands on a line of its own.

use serde_json::{Map, Value};

use super::anchor::{anchor, may_hold};
use super::{Text, Unwrapped};

/// Where in a record the text is.
///
/// ```text
/// {"log": "goroutine 19 [running]:\n", "stream": "stderr"}
/// {"msg": "dump", "error": {"stack": "goroutine 19 [running]:\nmain.main()\n"}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The names of the fields, the outer first.
    path: Vec<String>,
    /// A field is a line with its end, so that one without an end goes on in the next record.
    with_ends: bool,
}

/// How deep in a record the text may be.
const DEEPEST: usize = 3;

impl Envelope {
    /// The envelope of a line, when what it holds is of a dump.
    pub fn of(line: &str) -> Option<Envelope> {
        let record = may_hold(line).then(|| record(line))??;
        let mut path = Vec::new();
        let text = find(&record, &mut path)?;
        let with_ends = text.find('\n') == Some(text.len() - 1);
        Some(Envelope { path, with_ends })
    }

    /// Opens the records that have the field, and leaves all other lines as they are.
    pub fn unwrap(&self, text: &Text, unwrapped: &mut Unwrapped) {
        for line in text.lines() {
            let record = record(line.text);
            match record.as_ref().and_then(|record| self.open(record)) {
                Some(inside) if self.with_ends => unwrapped.push(line.number, inside),
                Some(inside) => {
                    unwrapped.push_line(line.number, inside.strip_suffix('\n').unwrap_or(inside));
                }
                None => unwrapped.push_line(line.number, line.text),
            }
        }
    }

    fn open<'r>(&self, record: &'r Map<String, Value>) -> Option<&'r str> {
        let (last, outer) = self.path.split_last()?;
        let inner = outer.iter().try_fold(record, |record, name| record.get(name)?.as_object());
        inner?.get(last)?.as_str()
    }
}

/// A record on a line of its own, or the field that a line holds of a record over several lines,
/// as `jfr print --json` writes it:
///
/// ```text
///         "result": "2026-11-26 15:46:54\nFull thread dump OpenJDK 64-Bit Server VM (...
/// ```
fn record(line: &str) -> Option<Map<String, Value>> {
    let line = line.trim();
    if line.starts_with('{') && line.ends_with('}') {
        return serde_json::from_str(line).ok();
    }
    let field = line.trim_end_matches(',');
    let is_field = field.starts_with('"') && field.ends_with('"');
    is_field.then(|| serde_json::from_str(&format!("{{{field}}}")).ok())?
}

/// The first field with a line of a dump in it.
fn find<'r>(record: &'r Map<String, Value>, path: &mut Vec<String>) -> Option<&'r str> {
    for (name, value) in record {
        path.push(name.clone());
        let found = match value {
            Value::String(text) if text.lines().any(|line| anchor(line).is_some()) => {
                Some(&text[..])
            }
            Value::Object(inner) if path.len() < DEEPEST => find(inner, path),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        path.pop();
    }
    None
}
