//! The processed profile format of the Firefox Profiler, which profiler.firefox.com saves and samply
//! writes.
//!
//! ```text
//! {"meta": {"preprocessedProfileVersion": 48, "product": "shop", ...},
//!  "threads": [{"name": "report", "pid": "4121", "tid": 4130,
//!    "samples": {"stack": [1, 1, null], "time": [0.0, 1.0, 2.0], "weight": [1, 1, 1], ...},
//!    "stackTable": {"frame": [0, 1], "prefix": [null, 0], ...}, "frameTable": {"func": [0, 1], "line": [3, null], ...},
//!    "funcTable": {"name": [0, 1], "fileName": [2, null], ...}, "stringArray": ["main", "price", "orders.rs"]}]}
//! ```
//!
//! Newer versions keep the tables in `shared`, and distances of time in `timeDeltas`. The format does
//! not say whether a thread ran when it was sampled.

use serde::Deserialize;
use sigquit_dump::{Clock, Nanos, Runtime, Unit, Warning};

use super::goroutines::Call;
use super::mended;
use super::profile::{Sampling, Told};
use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "firefox",
    looks_like: "an object {\"meta\": {\"preprocessedProfileVersion\": ...}} of the Firefox Profiler",
    recognize,
    read: Read::Samples(read),
};

fn recognize(text: &Text) -> Recognition {
    let has = |name: &str| text.as_str().contains(name);
    let is_object = text.as_str().trim_start().starts_with('{');
    match (is_object && has("\"preprocessedProfileVersion\""), has("\"stackTable\"")) {
        (true, true) => Recognition::Yes,
        (true, false) => Recognition::Perhaps,
        _ => Recognition::No,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let (file, damage): (File, _) = match mended::json(text) {
        Ok(read) => read,
        Err(warning) => return (Vec::new(), Vec::new(), vec![warning]),
    };
    let mut warnings = Vec::from_iter(damage);
    let weighs_time =
        |thread: &ThreadOfJson| thread.samples.weight_type.as_deref() == Some("tracing-ms");
    let in_time = file.threads.iter().any(weighs_time);
    let mut sampling = Sampling::new(Runtime::Unknown, FORMAT.name);
    let mut lost = 0;
    for thread in &file.threads {
        lost += samples(thread, &file.shared, in_time, &mut sampling);
    }
    if lost > 0 {
        let message =
            format!("{lost} samples whose stacks or weights the file does not hold: left out");
        warnings.push(Warning { line: 1, message });
    }
    let unit = if in_time { Unit::Nanos } else { Unit::Samples };
    let profile = sampling.finish(Clock::Unknown, unit);
    (Vec::new(), profile.into_iter().collect(), warnings)
}

/// Adds a thread's samples; how many refer to nothing.
fn samples(
    thread: &ThreadOfJson,
    shared: &Tables,
    in_time: bool,
    sampling: &mut Sampling,
) -> usize {
    let tables = if thread.tables.stack_table.is_empty() { shared } else { &thread.tables };
    let of = &thread.samples;
    let tid =
        thread.tid.as_ref().and_then(|tid| tid.as_u64().or_else(|| tid.as_str()?.parse().ok()));
    let (mut lost, mut since) = (0, 0.0);
    for (at, stack) in of.stack.iter().enumerate() {
        since += of.time_deltas.get(at).copied().unwrap_or_default();
        let Some(stack) = stack else { continue };
        let millis = of.time.get(at).copied().unwrap_or(since);
        let weight = of.weight.as_ref().map_or(Some(1.0), |weights| weights.get(at).copied());
        let (Some(weight), Some(calls)) = (weight, tables.calls(*stack, shared)) else {
            lost += 1;
            continue;
        };
        let weight = if in_time { weight * 1e6 } else { weight };
        let told = Told {
            weight: if weight.is_finite() && weight > 0.0 { weight.round() as u64 } else { 0 },
            thread: (tid, &thread.name),
            time: Nanos(if millis.is_finite() { (millis.max(0.0) * 1e6) as u64 } else { 0 }),
            ..Told::default()
        };
        sampling.add(calls.into_iter(), told);
    }
    lost
}

/// A stack is no deeper than this: one that leads back to itself would have no end.
const DEEPEST: usize = 1 << 12;

impl Tables {
    /// A stack's calls, innermost first; a prefix stands before what is built on it. One of which the
    /// tables do not hold every call would look like another.
    fn calls(&self, stack: u64, shared: &Tables) -> Option<Vec<Call>> {
        let mut calls = Vec::new();
        let mut next = Some(stack);
        while let Some(at) = next.and_then(|at| usize::try_from(at).ok()) {
            let frame = *self.stack_table.frame.get(at)?;
            calls.push(self.call(usize::try_from(frame).ok()?, shared)?);
            next = self
                .stack_table
                .prefix
                .get(at)
                .copied()
                .flatten()
                .filter(|&prefix| prefix < at as u64);
            if calls.len() >= DEEPEST {
                break;
            }
        }
        Some(calls)
    }

    fn call(&self, frame: usize, shared: &Tables) -> Option<Call> {
        let function = usize::try_from(*self.frame_table.func.get(frame)?).ok()?;
        let text = |at: u64| {
            let strings = [&self.string_array, &self.string_table, &shared.string_array];
            let strings = strings.into_iter().find(|strings| !strings.is_empty())?;
            strings.get(usize::try_from(at).ok()?).cloned()
        };
        let name = text(*self.func_table.name.get(function)?)?;
        let file = self.func_table.file_name.get(function).copied().flatten().and_then(text);
        let line = self.frame_table.line.get(frame).copied().flatten();
        let line = line.and_then(|line| u32::try_from(line).ok());
        Some(Call { function: name, file: file.unwrap_or_default(), line, inlined: false })
    }
}

/// Every field can be missing, as files are cut.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    threads: Vec<ThreadOfJson>,
    shared: Tables,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ThreadOfJson {
    name: String,
    tid: Option<serde_json::Value>,
    samples: Samples,
    #[serde(flatten)]
    tables: Tables,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Samples {
    stack: Vec<Option<u64>>,
    time: Vec<f64>,
    time_deltas: Vec<f64>,
    weight: Option<Vec<f64>>,
    weight_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tables {
    stack_table: StackTable,
    frame_table: FrameTable,
    func_table: FuncTable,
    string_array: Vec<String>,
    string_table: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StackTable {
    frame: Vec<u64>,
    prefix: Vec<Option<u64>>,
}

impl StackTable {
    fn is_empty(&self) -> bool {
        self.frame.is_empty()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FrameTable {
    func: Vec<u64>,
    line: Vec<Option<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FuncTable {
    name: Vec<u64>,
    file_name: Vec<Option<u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"meta": {"preprocessedProfileVersion": 48}, "threads": [{"name": "report", "pid": "4121", "tid": "4130",
 "samples": {"stack": [1, 1, null, 0, 9], "time": [0.0, 1.0, 2.0, 3.0, 4.0], "weight": null, "weightType": "samples"},
 "stackTable": {"frame": [0, 1], "prefix": [null, 0]}, "frameTable": {"func": [0, 1], "line": [3, null]},
 "funcTable": {"name": [0, 1], "fileName": [2, null]}, "stringArray": ["main", "price", "orders.rs"]}]}"#;

    fn read_text(text: &str) -> DumpsAndProfiles {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn samples_by_their_tables() {
        let (_, profiles, warnings) = read_text(FILE);
        assert_eq!((profiles.len(), warnings.len()), (1, 1));
        assert_eq!(profiles[0].folded(), ["report;main 1", "report;main;price 2"]);
        assert_eq!(profiles[0].threads[0].os_id, Some(4130));
    }

    #[test]
    fn tables_that_all_threads_share() {
        let text = r#"{"meta": {"preprocessedProfileVersion": 57}, "threads": [{"name": "report", "samples": {"stack": [1, 1], "timeDeltas": [0, 1]}}],
 "shared": {"stackTable": {"frame": [0, 1], "prefix": [null, 0]}, "frameTable": {"func": [0, 1], "line": [3, null]},
 "funcTable": {"name": [0, 1]}, "stringArray": ["main", "price"]}}"#;
        let (_, profiles, warnings) = read_text(text);
        assert_eq!((profiles[0].folded(), warnings.len()), (vec!["report;main;price 2".into()], 0));
    }

    #[test]
    fn a_cut_leaves_the_threads_before_it() {
        let second = ", {\"name\": \"io\", \"samples\": {\"stack\": [0, 0], \"weight\": [1, 1]}, ";
        let cut = FILE.strip_suffix("]}").unwrap().to_owned() + second;
        let (_, profiles, warnings) = read_text(&cut);
        assert_eq!(profiles[0].folded(), ["report;main 1", "report;main;price 2"]);
        assert_eq!((warnings.len(), warnings[0].line), (2, 4));
        let (_, profiles, warnings) = read_text(&FILE[..FILE.find(", \"orders.rs").unwrap() - 9]);
        assert_eq!(profiles[0].folded(), ["report;main 1"]);
        assert!(warnings[1].message.starts_with("3 samples"), "{warnings:?}");
    }

    #[test]
    fn a_stack_that_leads_back_to_itself_ends() {
        let (_, profiles, _) =
            read_text(&FILE.replace("\"prefix\": [null, 0]", "\"prefix\": [1, 1]"));
        assert_eq!(profiles[0].folded(), ["report;main 1", "report;price 2"]);
    }
}
