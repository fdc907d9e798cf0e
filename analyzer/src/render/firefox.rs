//! A profile -> the processed profile format of the Firefox Profiler (profiler.firefox.com), in its
//! version 48: newer ones of the viewer bring files up to date themselves.
//!
//! Every thread has tables of its own, written as one array a column, which refer to each other by
//! row. A stack is a row with its innermost frame and the row of the rest.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::{self, Write};

use serde_json::{Value, json};
use sigquit_dump::{Frame, Nanos, Profile, Sample, Symbol};

use super::lane::{Lane, lanes};

const FORMAT_VERSION: u32 = 48;
/// The version of Firefox's own format that the columns follow.
const GECKO_VERSION: u32 = 30;
/// The one category, which the format demands to be grey.
const CATEGORY: u32 = 0;

/// Writes a profile.
///
/// # Errors
/// Those of the writer.
pub fn firefox(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let threads: Vec<Value> = lanes(profile).iter().map(|lane| thread(profile, lane)).collect();
    let file = json!({
        "meta": meta(profile),
        "libs": [],
        "threads": threads,
        "pages": [],
        "counters": [],
        "profilerOverhead": [],
    });
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

fn meta(profile: &Profile) -> Value {
    let interval = profile.delivery.rate.map_or(1.0, |rate| 1000.0 / f64::from(rate.max(1)));
    json!({
        "preprocessedProfileVersion": FORMAT_VERSION,
        "version": GECKO_VERSION,
        "interval": interval,
        "startTime": millis(profile.dump.time.unwrap_or_default()),
        "processType": 0,
        "product": profile.dump.process.executable.as_deref().unwrap_or("sigquit"),
        "importedFrom": concat!("sigquit ", env!("CARGO_PKG_VERSION")),
        "arguments": profile.summary(),
        "stackwalk": 1,
        "debug": false,
        "symbolicated": true,
        "usesOnlyOneStackType": true,
        "doesNotUseFrameImplementation": true,
        "sourceCodeIsNotOnSearchfox": true,
        "sampleUnits": {"time": "ms", "eventDelay": "ms", "threadCPUDelta": "ns"},
        "categories": [{"name": "Other", "color": "grey", "subcategories": ["Other"]}],
        "markerSchema": [],
        "extensions": {"length": 0, "baseURL": [], "id": [], "name": []},
    })
}

fn millis(time: Nanos) -> f64 {
    time.0 as f64 / 1e6
}

fn thread(profile: &Profile, lane: &Lane) -> Value {
    let mut tables = Tables::default();
    let mut samples = lane.samples.clone();
    samples.sort_by_key(|sample| sample.time);
    let stacks: Vec<Option<usize>> =
        samples.iter().map(|sample| tables.stack(profile, sample)).collect();
    let process = &profile.dump.process;
    let pid = process.pid.map_or("0".to_owned(), |pid| pid.to_string());
    json!({
        "name": lane.name,
        "isMainThread": process.pid.is_some() && lane.tid == process.pid,
        "pid": pid,
        "tid": lane.tid.unwrap_or(0),
        "processType": "default",
        "processName": process.executable,
        "processStartupTime": 0,
        "processShutdownTime": null,
        "registerTime": 0,
        "unregisterTime": null,
        "pausedRanges": [],
        "samples": {
            "length": samples.len(),
            "stack": stacks,
            "time": samples.iter().map(|sample| millis(sample.time)).collect::<Vec<f64>>(),
            "weight": weights(profile, &samples),
            "weightType": if weighs_time(profile) { "tracing-ms" } else { "samples" },
        },
        "markers": {
            "length": 0, "data": [], "name": [], "startTime": [], "endTime": [], "phase": [],
            "category": [],
        },
        "stackTable": tables.stack_table(),
        "frameTable": tables.frame_table(),
        "funcTable": tables.function_table(),
        "resourceTable": {"length": 0, "lib": [], "name": [], "host": [], "type": []},
        "nativeSymbols": {
            "length": 0, "libIndex": [], "address": [], "name": [], "functionSize": [],
        },
        "stringArray": tables.strings.rows,
    })
}

/// Time is what weights are where the source counts it.
fn weighs_time(profile: &Profile) -> bool {
    profile.unit == sigquit_dump::Unit::Nanos
}

fn weights(profile: &Profile, samples: &[&Sample]) -> Vec<Value> {
    let weight = |sample: &&Sample| match weighs_time(profile) {
        true => json!(millis(Nanos(sample.weight))),
        false => json!(sample.weight),
    };
    samples.iter().map(weight).collect()
}

/// Rows of a table, each once.
struct Rows<T> {
    rows: Vec<T>,
    known: HashMap<T, usize>,
}

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows { rows: Vec::new(), known: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Rows<T> {
    fn row(&mut self, row: T) -> usize {
        *self.known.entry(row).or_insert_with_key(|row| {
            self.rows.push(row.clone());
            self.rows.len() - 1
        })
    }

    fn column<C>(&self, cell: impl Fn(&T) -> C) -> Vec<C> {
        self.rows.iter().map(cell).collect()
    }

    /// A column in which every row has the same.
    fn all(&self, cell: Value) -> Vec<Value> {
        vec![cell; self.rows.len()]
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    function: usize,
    address: Option<u64>,
    line: Option<u32>,
    /// How many functions lie around it in the same machine code.
    inline_depth: usize,
}

/// The tables of a thread.
#[derive(Default)]
struct Tables {
    strings: Rows<String>,
    /// Name and file, by their strings.
    functions: Rows<(usize, Option<usize>)>,
    frames: Rows<Place>,
    /// The row of the rest, and the innermost frame.
    stacks: Rows<(Option<usize>, usize)>,
}

impl Tables {
    fn stack(&mut self, profile: &Profile, sample: &Sample) -> Option<usize> {
        let mut row = None;
        for &id in profile.stack(sample).frames.iter().rev() {
            let frame = profile.dump.frame(id);
            for (depth, symbol) in frame.symbols.iter().rev().enumerate() {
                row = Some(self.push(row, frame, Some(symbol), depth, &symbol.function));
            }
            if frame.symbols.is_empty() {
                row = Some(self.push(row, frame, None, 0, &profile.place(frame)));
            }
        }
        row
    }

    fn push(
        &mut self,
        outer: Option<usize>,
        frame: &Frame,
        symbol: Option<&Symbol>,
        inline_depth: usize,
        name: &str,
    ) -> usize {
        let location = symbol.and_then(|symbol| symbol.location.as_ref());
        let file = location.map(|location| self.strings.row(location.file.clone()));
        let function = (self.strings.row(name.to_owned()), file);
        let place = Place {
            function: self.functions.row(function),
            address: frame.offset,
            line: location.and_then(|location| location.line),
            inline_depth,
        };
        let frame = self.frames.row(place);
        self.stacks.row((outer, frame))
    }

    fn stack_table(&self) -> Value {
        json!({
            "length": self.stacks.rows.len(),
            "prefix": self.stacks.column(|stack| stack.0),
            "frame": self.stacks.column(|stack| stack.1),
            "category": self.stacks.all(json!(CATEGORY)),
            "subcategory": self.stacks.all(json!(0)),
        })
    }

    fn frame_table(&self) -> Value {
        let frames = &self.frames;
        json!({
            "length": frames.rows.len(),
            "func": frames.column(|frame| frame.function),
            "address": frames.column(|frame| frame.address.map_or(json!(-1), |at| json!(at))),
            "line": frames.column(|frame| frame.line),
            "inlineDepth": frames.column(|frame| frame.inline_depth),
            "category": frames.all(json!(CATEGORY)),
            "subcategory": frames.all(json!(0)),
            "nativeSymbol": frames.all(Value::Null),
            "innerWindowID": frames.all(Value::Null),
            "implementation": frames.all(Value::Null),
            "column": frames.all(Value::Null),
        })
    }

    fn function_table(&self) -> Value {
        let functions = &self.functions;
        json!({
            "length": functions.rows.len(),
            "name": functions.column(|function| function.0),
            "fileName": functions.column(|function| function.1),
            "isJS": functions.all(json!(false)),
            "relevantForJS": functions.all(json!(false)),
            "resource": functions.all(json!(-1)),
            "lineNumber": functions.all(Value::Null),
            "columnNumber": functions.all(Value::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    fn written(folded: &str) -> Value {
        let input = read("p", folded.as_bytes(), None).unwrap();
        let mut bytes = Vec::new();
        firefox(&input.profiles[0], &mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn column<'t>(table: &'t Value, name: &str) -> &'t Vec<Value> {
        table[name].as_array().unwrap()
    }

    /// The stack of a row by names, outermost first: as the viewer follows the tables.
    fn names(thread: &Value, row: &Value) -> Vec<String> {
        let Some(row) = row.as_u64().map(|row| row as usize) else { return Vec::new() };
        let frame = column(&thread["stackTable"], "frame")[row].as_u64().unwrap() as usize;
        let function = column(&thread["frameTable"], "func")[frame].as_u64().unwrap() as usize;
        let name = column(&thread["funcTable"], "name")[function].as_u64().unwrap() as usize;
        let mut names = names(thread, &column(&thread["stackTable"], "prefix")[row]);
        names.push(column(thread, "stringArray")[name].as_str().unwrap().to_owned());
        names
    }

    #[test]
    fn stacks_are_found_again_by_following_the_tables() {
        let file = written("main;work;step 40\nmain;idle 2\nmain;work 1\n");
        let thread = &file["threads"][0];
        let samples = &thread["samples"];
        let stacks = column(samples, "stack").iter().map(|row| names(thread, row).join(";"));
        assert_eq!(stacks.collect::<Vec<_>>(), ["main;work;step", "main;idle", "main;work"]);
        assert_eq!(column(samples, "weight"), &vec![json!(40), json!(2), json!(1)]);
        assert_eq!(thread["stackTable"]["length"], 4, "shared as far as they are equal");
    }

    #[test]
    fn every_column_is_as_long_as_its_table() {
        let file = written("main;work;step 40\nmain;idle 2\n");
        let thread = &file["threads"][0];
        for name in ["samples", "stackTable", "frameTable", "funcTable", "markers"] {
            let table = thread[name].as_object().unwrap();
            let columns =
                table.iter().filter_map(|(name, column)| Some((name, column.as_array()?)));
            for (column, cells) in columns {
                assert_eq!(json!(cells.len()), table["length"], "{name}.{column}");
            }
        }
        assert_eq!(file["meta"]["categories"][0]["color"], "grey");
    }
}
