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
//! Outermost frames stand first. It does not say what was sampled. Of a file that is cut, the samples before
//! the cut are kept, if the frames' names and the samples' weights are there: writers differ in what they put
//! first.

use serde::Deserialize;
use sigquit_dump::{Clock, Nanos, Runtime, Unit, Warning};

use super::goroutines::Call;
use super::mended;
use super::profile::{Sampling, Told};
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
    match is_object {
        true if has("speedscope.app/file-format-schema") => Recognition::Yes,
        true if has("\"shared\"") && has("\"profiles\"") && has("\"frames\"") => {
            Recognition::Perhaps
        }
        _ => Recognition::No,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let (file, damage): (File, _) = match mended::json(text) {
        Ok(read) => read,
        Err(warning) => return (Vec::new(), Vec::new(), vec![warning]),
    };
    let mut warnings = Vec::from_iter(damage);
    let mut reader = Reader {
        frames: &file.shared.frames,
        sampling: Sampling::new(Runtime::Unknown, FORMAT.name),
        unknown: 0,
        unweighed: 0,
    };
    let in_time = file.profiles.iter().all(|profile| nanos_a_unit(&profile.unit).is_some());
    for profile in &file.profiles {
        let unit = nanos_a_unit(&profile.unit).filter(|_| in_time).unwrap_or(1.0);
        reader.profile(profile, unit);
    }
    if reader.frames.is_empty() {
        let message = "no names of frames in it: expected {\"shared\": {\"frames\": [...]}}";
        warnings.push(Warning { line: 1, message: message.into() });
    } else if reader.unknown > 0 {
        let message =
            format!("{} frames that the file does not describe: left out", reader.unknown);
        warnings.push(Warning { line: 1, message });
    }
    if reader.unweighed > 0 {
        let message = format!("{} samples without a weight: left out", reader.unweighed);
        warnings.push(Warning { line: 1, message });
    }
    let unit = if in_time { Unit::Nanos } else { Unit::Samples };
    let profile = reader.sampling.finish(Clock::Unknown, unit);
    (Vec::new(), profile.into_iter().collect(), warnings)
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
    /// Samples of which nothing says how much they count.
    unweighed: usize,
}

impl Reader<'_> {
    fn profile(&mut self, profile: &ProfileOfJson, unit: f64) {
        let thread = thread(&profile.name);
        let mut at = 0_u64;
        let mut weights = profile.weights.iter();
        for stack in &profile.samples {
            let Some(weight) = weights.next() else {
                self.unweighed += 1;
                continue;
            };
            let weight = whole(weight * unit);
            self.add(stack, Told { weight, thread, time: Nanos(at), ..Told::default() });
            at = at.saturating_add(weight);
        }
        let mut open: Vec<u64> = Vec::new();
        let mut before: Option<f64> = None;
        for event in &profile.events {
            let (Some(now), Some(frame)) = (event.at, event.frame) else { continue };
            let since = before.map_or(0.0, |before| now - before);
            let weight = whole(since * unit);
            if !open.is_empty() {
                self.add(&open, Told { weight, thread, time: Nanos(at), ..Told::default() });
            }
            at = at.saturating_add(weight);
            before = Some(now);
            match event.kind.as_str() {
                "O" if open.len() < DEEPEST => open.push(frame),
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

/// Every field can be missing, as files are cut.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    shared: Shared,
    profiles: Vec<ProfileOfJson>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shared {
    frames: Vec<FrameOfJson>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProfileOfJson {
    name: String,
    unit: String,
    samples: Vec<Vec<u64>>,
    weights: Vec<f64>,
    events: Vec<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    frame: Option<u64>,
    at: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::Profile;

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

    /// What is kept of the file up to a word, and what is said of that.
    fn cut(at: &str) -> (Vec<String>, Vec<Warning>) {
        let cut = &FILE[..FILE.find(at).expect("it is there")];
        let (_, profiles, warnings) = read(&Text::from_bytes(cut.as_bytes()));
        (profiles.first().map(Profile::folded).unwrap_or_default(), warnings)
    }

    #[test]
    fn a_cut_leaves_the_samples_before_it() {
        let (samples, warnings) = cut("{\"type\": \"C\", \"frame\": 1");
        assert_eq!(samples.first().map(String::as_str), Some("io;main 10000"));
        assert_eq!((samples.len(), warnings[0].line), (3, 7));
        let (samples, warnings) = cut(", 0.01, 0.01");
        assert_eq!((samples.len(), warnings.len()), (0, 2), "{warnings:?}");
        let (samples, warnings) = cut(" 0.01]}");
        assert_eq!(samples, ["report;main 10000000", "report;main;price 20000000"]);
        assert!(warnings[1].message.starts_with("1 samples without a weight"), "{warnings:?}");
    }

    #[test]
    fn without_names_there_is_nothing() {
        let text = FILE.replace("\"frames\"", "\"unknown\"");
        let (_, profiles, warnings) = read(&Text::from_bytes(text.as_bytes()));
        assert_eq!(profiles.len(), 0);
        assert!(warnings[0].message.contains("expected {\"shared\""), "{warnings:?}");
        assert_eq!(recognize(&Text::from_bytes(b"{\"profiles\": []}")), Recognition::No);
    }
}
