//! A profile -> the file format of speedscope, one profile a thread.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use sigquit_dump::{Frame, Profile, Symbol};

use super::lane::{Lane, lanes};

/// Writes a profile.
///
/// # Errors
/// Those of the writer.
pub fn speedscope(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut frames = Frames::default();
    let profiles: Vec<Value> =
        lanes(profile).iter().map(|lane| sampled(profile, lane, &mut frames)).collect();
    let file = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("sigquit ", env!("CARGO_PKG_VERSION")),
        "name": profile.summary(),
        "shared": {"frames": frames.list},
        "profiles": profiles,
    });
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

/// Frames, each once.
#[derive(Default)]
struct Frames {
    list: Vec<Value>,
    numbers: HashMap<String, usize>,
}

impl Frames {
    fn number(&mut self, profile: &Profile, frame: &Frame, symbol: Option<&Symbol>) -> usize {
        let mut described = match symbol {
            Some(symbol) => json!({"name": symbol.function}),
            None => json!({"name": profile.place(frame)}),
        };
        if let Some(place) = symbol.and_then(|symbol| symbol.location.as_ref()) {
            described["file"] = json!(place.file);
            if let Some(line) = place.line {
                described["line"] = json!(line);
            }
        }
        let next = self.list.len();
        let number = *self.numbers.entry(described.to_string()).or_insert(next);
        if number == next {
            self.list.push(described);
        }
        number
    }
}

/// The samples of one thread.
fn sampled(profile: &Profile, lane: &Lane, frames: &mut Frames) -> Value {
    let period = profile.period();
    let mut stack = |sample| {
        let calls = profile.calls(profile.stack(sample));
        let mut stack: Vec<usize> =
            calls.map(|(frame, symbol)| frames.number(profile, frame, symbol)).collect();
        stack.reverse();
        stack
    };
    let samples: Vec<Vec<usize>> = lane.samples.iter().map(|&sample| stack(sample)).collect();
    let weights =
        lane.samples.iter().map(|sample| sample.weight.saturating_mul(period.unwrap_or(1)));
    let weights: Vec<u64> = weights.collect();
    json!({
        "type": "sampled",
        "name": lane.name,
        "unit": if period.is_some() { "nanoseconds" } else { "none" },
        "startValue": 0,
        "endValue": weights.iter().fold(0_u64, |sum, &weight| sum.saturating_add(weight)),
        "samples": samples,
        "weights": weights,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    fn written(folded: &str) -> Value {
        let input = read("p", folded.as_bytes(), None).unwrap();
        let mut bytes = Vec::new();
        speedscope(&input.profiles[0], &mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// What file-format-schema.json of speedscope demands of a file with sampled profiles.
    #[test]
    fn a_file_keeps_the_rules_of_the_published_schema() {
        let file = written("main;work;step 40\nmain;idle 2\n");
        assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
        let frames = file["shared"]["frames"].as_array().unwrap();
        assert!(frames.iter().all(|frame| frame["name"].is_string()));
        for profile in file["profiles"].as_array().unwrap() {
            assert_eq!(profile["type"], "sampled");
            let units = ["bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"];
            assert!(
                units.contains(&profile["unit"].as_str().unwrap()) && profile["name"].is_string()
            );
            let (samples, weights) = (&profile["samples"], &profile["weights"]);
            let (samples, weights) = (samples.as_array().unwrap(), weights.as_array().unwrap());
            assert_eq!(samples.len(), weights.len());
            let is_frame = |at: &Value| at.as_u64().is_some_and(|at| at < frames.len() as u64);
            assert!(samples.iter().all(|stack| stack.as_array().unwrap().iter().all(is_frame)));
            let sum: u64 = weights.iter().filter_map(Value::as_u64).sum();
            assert_eq!((&profile["startValue"], &profile["endValue"]), (&json!(0), &json!(sum)));
        }
    }

    #[test]
    fn stacks_begin_at_their_roots() {
        let file = written("main;work;step 40\n");
        let names = file["shared"]["frames"].as_array().unwrap();
        let stack = file["profiles"][0]["samples"][0].as_array().unwrap();
        let names = stack.iter().map(|at| &names[at.as_u64().unwrap() as usize]["name"]);
        assert_eq!(names.collect::<Vec<_>>(), ["main", "work", "step"]);
    }
}
