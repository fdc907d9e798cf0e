//! The file format of speedscope, which py-spy, rbspy and many others write; samples, and calls that
//! open and close.
//!
//! ```text
//! {"$schema": "https://www.speedscope.app/file-format-schema.json",
//!  "shared": {"frames": [{"name": "price", "file": "orders.py", "line": 4}, ...]},
//!  "profiles": [
//!    {"type": "sampled", "name": "Thread 29438 \"report\"", "unit": "seconds", "samples": [[0, 1], ...], "weights": [0.02, ...]},
//!    {"type": "evented", "name": "main", "unit": "nanoseconds",
//!     "events": [{"type": "O", "frame": 0, "at": 0}, {"type": "C", "frame": 0, "at": 9}]}]}
//! ```
//!
//! Outermost frames stand first. It does not say what was sampled.

use serde::Deserialize;
use sigquit_dump::{Clock, Nanos, Runtime, Unit, Warning};

use super::goroutines::Call;
use super::profile::{Sampling, Told, json};
use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "speedscope",
    looks_like: "an object {\"$schema\": \"https://www.speedscope.app/file-format-schema.json\"}",
    recognize,
    read: Read::Samples(read),
};

fn recognize(text: &Text) -> Recognition {
    let has = |name: &str| text.as_str().contains(name);
    let is_object = text.as_str().trim_start().starts_with('{');
    match is_object && has("\"shared\"") && has("\"profiles\"") && has("\"frames\"") {
        true if has("speedscope.app/file-format-schema") => Recognition::Yes,
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let file: File = match json(text) {
        Ok(file) => file,
        Err(warning) => return (Vec::new(), Vec::new(), vec![warning]),
    };
    let mut reader = Reader {
        frames: &file.shared.frames,
        sampling: Sampling::new(Runtime::Unknown, FORMAT.name),
        unknown: 0,
    };
    let in_time = file.profiles.iter().all(|profile| nanos_a_unit(&profile.unit).is_some());
    for profile in &file.profiles {
        let unit = nanos_a_unit(&profile.unit).filter(|_| in_time).unwrap_or(1.0);
        reader.profile(profile, unit);
    }
    let warning = (reader.unknown > 0).then(|| {
        let message =
            format!("{} frames that the file does not describe: left out", reader.unknown);
        Warning { line: 1, message }
    });
    let unit = if in_time { Unit::Nanos } else { Unit::Samples };
    let profile = reader.sampling.finish(Clock::Unknown, unit);
    (Vec::new(), profile.into_iter().collect(), warning.into_iter().collect())
}

fn nanos_a_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "nanoseconds" => 1.0,
        "microseconds" => 1e3,
        "milliseconds" => 1e6,
        "seconds" => 1e9,
        _ => return None,
    })
}

struct Reader<'f> {
    frames: &'f [FrameOfJson],
    sampling: Sampling,
    /// Frames that are referred to, and are not there.
    unknown: usize,
}

impl Reader<'_> {
    fn profile(&mut self, profile: &ProfileOfJson, unit: f64) {
        let thread = thread(&profile.name);
        let mut at = 0_u64;
        let mut weights = profile.weights.iter();
        for stack in &profile.samples {
            let weight = whole(weights.next().copied().unwrap_or(1.0) * unit);
            self.add(stack, Told { weight, thread, time: Nanos(at), ..Told::default() });
            at = at.saturating_add(weight);
        }
        let mut open: Vec<u64> = Vec::new();
        let mut before: Option<f64> = None;
        for event in &profile.events {
            let since = before.map_or(0.0, |before| event.at - before);
            let weight = whole(since * unit);
            if !open.is_empty() {
                self.add(&open, Told { weight, thread, time: Nanos(at), ..Told::default() });
            }
            at = at.saturating_add(weight);
            before = Some(event.at);
            match event.kind.as_str() {
                "O" if open.len() < DEEPEST => open.push(event.frame),
                "C" => open.truncate(open.len().saturating_sub(1)),
                _ => {}
            }
        }
    }

    fn add(&mut self, stack: &[u64], told: Told) {
        let frames = self.frames;
        let known = |&at: &u64| usize::try_from(at).ok().and_then(|at| frames.get(at));
        let described = stack.iter().filter(|at| known(at).is_some()).count();
        self.unknown += stack.len() - described;
        self.sampling.add(stack.iter().rev().filter_map(known).map(FrameOfJson::call), told);
    }
}

/// Events can open as many calls as there are; each would be told with every one that follows.
const DEEPEST: usize = 1024;

fn whole(weight: f64) -> u64 {
    if weight.is_finite() && weight > 0.0 { (weight.round() as u64).max(1) } else { 0 }
}

/// `Thread 29438 "report"` -> the number and the name; other names are names.
fn thread(name: &str) -> (Option<u64>, &str) {
    let numbered = name.strip_prefix("Thread ").and_then(|rest| {
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Some((number.parse().ok(), rest.trim_matches('"'))).filter(|(number, _)| number.is_some())
    });
    numbered.unwrap_or((None, name))
}

#[derive(Deserialize)]
struct File {
    shared: Shared,
    profiles: Vec<ProfileOfJson>,
}

#[derive(Deserialize)]
struct Shared {
    frames: Vec<FrameOfJson>,
}

#[derive(Deserialize)]
struct FrameOfJson {
    name: String,
    file: Option<String>,
    line: Option<u32>,
}

impl FrameOfJson {
    fn call(&self) -> Call {
        let file = self.file.clone().unwrap_or_default();
        // Brackets mean something else in other languages.
        let function = match file.ends_with(".py") {
            true => self.name.replace("<locals>.", "").replace(['<', '>'], ""),
            false => self.name.clone(),
        };
        Call { function, file, line: self.line, inlined: false }
    }
}

#[derive(Deserialize)]
struct ProfileOfJson {
    #[serde(default)]
    name: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    samples: Vec<Vec<u64>>,
    #[serde(default)]
    weights: Vec<f64>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    frame: u64,
    at: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"$schema": "https://www.speedscope.app/file-format-schema.json",
 "shared": {"frames": [{"name": "main"}, {"name": "price", "file": "orders.py", "line": 4}]},
 "profiles": [
  {"type": "sampled", "name": "Thread 29438 \"report\"", "unit": "seconds", "samples": [[0, 1], [0], [7]], "weights": [0.02, 0.01, 0.01]},
  {"type": "evented", "name": "io", "unit": "microseconds", "events": [
   {"type": "O", "frame": 0, "at": 10}, {"type": "O", "frame": 1, "at": 20},
   {"type": "C", "frame": 1, "at": 50}, {"type": "C", "frame": 0, "at": 50}]}]}"#;

    #[test]
    fn samples_and_events() {
        let text = Text::from_bytes(FILE.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (_, profiles, warnings) = read(&text);
        assert_eq!((profiles.len(), warnings.len(), profiles[0].unit), (1, 1, Unit::Nanos));
        assert_eq!(
            profiles[0].folded(),
            [
                "io;main 10000",
                "io;main;price 30000",
                "report;main 10000000",
                "report;main;price 20000000"
            ]
        );
        let report = &profiles[0].threads[0];
        assert_eq!((report.name.as_str(), profiles[0].threads.len()), ("report", 2));
    }

    #[test]
    fn what_is_damaged_or_other_json() {
        let (_, profiles, warnings) = read(&Text::from_bytes(&FILE.as_bytes()[..300]));
        assert_eq!((profiles.len(), warnings.len()), (0, 1));
        assert_eq!(recognize(&Text::from_bytes(b"{\"profiles\": []}")), Recognition::No);
    }
}
