//! A profile -> the file format of speedscope, one profile a thread.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use sigquit_dump::{Frame, Profile, Symbol};

/// Writes a profile.
///
/// # Errors
/// Those of the writer.
pub fn speedscope(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let mut frames = Frames::default();
    let period = 1_000_000_000 / u64::from(profile.delivery.rate.max(1));
    let threads = 0..profile.threads.len() as u32;
    let profiles: Vec<Value> =
        threads.filter_map(|number| thread(profile, number, period, &mut frames)).collect();
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

/// The samples of one thread; nothing when it has none.
fn thread(profile: &Profile, number: u32, period: u64, frames: &mut Frames) -> Option<Value> {
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    for sample in profile.samples.iter().filter(|sample| sample.thread == number) {
        let calls = profile.calls(profile.stack(sample));
        let stack = calls.map(|(frame, symbol)| frames.number(profile, frame, symbol));
        let mut stack: Vec<usize> = stack.collect();
        stack.reverse();
        samples.push(stack);
        weights.push(sample.weight * period);
    }
    let end: u64 = weights.iter().sum();
    let name = &profile.threads[number as usize].name;
    (!samples.is_empty()).then(|| {
        json!({
            "type": "sampled", "name": name, "unit": "nanoseconds",
            "startValue": 0, "endValue": end, "samples": samples, "weights": weights,
        })
    })
}
