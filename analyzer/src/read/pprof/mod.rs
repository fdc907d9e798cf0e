//! Profiles of pprof: what Go's `/debug/pprof` serves without `debug`, and what other runtimes
//! write in the same form, unpacked. Numbers of fields are those of its `profile.proto`.
//!
//! A profile of time becomes samples, one of contention the time of waiting; a profile of goroutines
//! becomes a dump that counts them, like its text with `debug=1`.

mod wire;

use std::collections::HashMap;

use sigquit_dump::{Clock, Dump, Nanos, Profile, Runtime, Unit, Warning};

use self::wire::{Value, fields};
use super::goroutines::{Call, Goroutines};
use super::profile::{Sampling, Told};
use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "pprof",
    looks_like: "a protobuf profile of pprof",
    recognize,
    read: Read::Samples(read),
};

fn recognize(text: &Text) -> Recognition {
    let bytes = text.bytes();
    // Text has none of these bytes, and a message has some near its beginning.
    if !bytes.iter().take(512).any(|byte| *byte < 9) {
        return Recognition::No;
    }
    match Message::read(bytes) {
        message if message.kinds.is_empty() || message.strings.len() < 2 => Recognition::No,
        message if message.damaged => Recognition::Perhaps,
        _ => Recognition::Yes,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let message = Message::read(text.bytes());
    let mut warnings = Vec::new();
    if message.damaged {
        let message = "the profile is cut or damaged: what follows is left out".into();
        warnings.push(Warning { line: 1, message });
    }
    let kinds: Vec<&str> = message.kinds.iter().map(|&(kind, _)| message.string(kind)).collect();
    let (mut dumps, mut profiles) = (Vec::new(), Vec::new());
    if kinds.iter().any(|kind| matches!(*kind, "goroutine" | "goroutineleak")) {
        dumps.extend(message.goroutines(&mut warnings));
    } else if let Some((place, of)) = sampled(&kinds) {
        profiles.extend(message.profile(place, of));
    } else {
        let message = format!(
            "a profile of {}, and neither of CPU time nor of waiting nor of goroutines: not used",
            kinds.join(", ")
        );
        warnings.push(Warning { line: 1, message });
    }
    for dump in
        dumps.iter_mut().chain(profiles.iter_mut().map(|profile: &mut Profile| &mut profile.dump))
    {
        dump.truncated |= message.damaged;
    }
    (dumps, profiles, warnings)
}

/// Which of a sample's values is used, and what it is of: times before counts.
fn sampled(kinds: &[&str]) -> Option<(usize, Clock)> {
    const KNOWN: [(&str, Clock); 4] = [
        ("cpu", Clock::Cpu),
        ("wall", Clock::Wall),
        ("delay", Clock::Waiting),
        ("samples", Clock::Unknown),
    ];
    KNOWN
        .iter()
        .find_map(|&(name, clock)| Some((kinds.iter().position(|kind| *kind == name)?, clock)))
}

/// A profile as its message has it.
#[derive(Default)]
struct Message<'b> {
    /// Type and unit of each of a sample's values, as places in the strings.
    kinds: Vec<(u64, u64)>,
    samples: Vec<&'b [u8]>,
    locations: HashMap<u64, &'b [u8]>,
    functions: HashMap<u64, &'b [u8]>,
    strings: Vec<&'b [u8]>,
    time: Option<u64>,
    duration: u64,
    /// Type and unit of the period, and the period.
    period_kind: Option<(u64, u64)>,
    period: u64,
    damaged: bool,
}

impl<'b> Message<'b> {
    fn read(bytes: &'b [u8]) -> Message<'b> {
        let mut message = Message::default();
        let mut of_message = fields(bytes);
        for field in of_message.by_ref() {
            let bytes = field.value.bytes();
            match field.number {
                1 => message.kinds.push((number(bytes, 1), number(bytes, 2))),
                2 => message.samples.push(bytes),
                4 => drop(message.locations.insert(number(bytes, 1), bytes)),
                5 => drop(message.functions.insert(number(bytes, 1), bytes)),
                6 => message.strings.push(bytes),
                9 => message.time = Some(field.value.number()),
                10 => message.duration = field.value.number(),
                11 => message.period_kind = Some((number(bytes, 1), number(bytes, 2))),
                12 => message.period = field.value.number(),
                _ => {}
            }
        }
        message.damaged = of_message.damaged;
        message
    }

    fn string(&self, place: u64) -> &'b str {
        let bytes = usize::try_from(place).ok().and_then(|place| self.strings.get(place));
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn goroutines(&self, warnings: &mut Vec<Warning>) -> Option<Dump> {
        let mut goroutines = Goroutines::default();
        for &sample in &self.samples {
            let calls: Vec<Call> = self.calls(sample).collect();
            let count = values(sample, 2).next().unwrap_or(0);
            goroutines.add(count, &calls, self.labels(sample), None);
        }
        let mut dump = goroutines.finish(warnings)?;
        dump.time = self.time.map(Nanos);
        Some(dump)
    }

    fn profile(&self, place: usize, clock: Clock) -> Option<Profile> {
        let mut sampling = Sampling::new(self.runtime(), FORMAT.name);
        for &sample in &self.samples {
            let labels = self.labels(sample);
            let thread = labels.iter().find(|(key, _)| key == "thread");
            let told = Told {
                weight: values(sample, 2).nth(place).unwrap_or(0),
                thread: (self.number_label(sample, "tid"), thread.map_or("", |(_, name)| name)),
                task: self.number_label(sample, "task"),
                time: Nanos(0),
            };
            sampling.add(self.calls(sample), told);
        }
        let is_nanos = |kind: Option<&(u64, u64)>| {
            kind.is_some_and(|kind| self.string(kind.1) == "nanoseconds")
        };
        let nanos = is_nanos(self.kinds.get(place));
        let mut profile =
            sampling.finish(clock, if nanos { Unit::Nanos } else { Unit::Samples })?;
        profile.dump.time = self.time.map(Nanos);
        profile.duration = Nanos(self.duration);
        let period = is_nanos(self.period_kind.as_ref()).then_some(self.period);
        let rate = period.and_then(|period| 1_000_000_000_u64.checked_div(period));
        profile.delivery.rate = rate.and_then(|rate| u32::try_from(rate).ok());
        Some(profile)
    }

    /// The number that a sample has under a label.
    fn number_label(&self, sample: &'b [u8], key: &str) -> Option<u64> {
        let labels = fields(sample).filter(|field| field.number == 3);
        let mut labels = labels.map(|field| field.value.bytes());
        let label = labels.find(|label| self.string(number(label, 1)) == key)?;
        Some(number(label, 3))
    }

    /// Go's functions say whose they are.
    fn runtime(&self) -> Runtime {
        let is_go = |string: &&[u8]| {
            [&b"runtime."[..], b"sync.(", b"main.main"].iter().any(|own| string.starts_with(own))
        };
        if self.strings.iter().any(is_go) { Runtime::Go } else { Runtime::Native }
    }

    /// The calls of a sample, innermost first. Of a location with several lines the last one is
    /// the function that the others are inlined into.
    fn calls(&self, sample: &'b [u8]) -> impl Iterator<Item = Call> {
        values(sample, 1).filter_map(|id| self.locations.get(&id)).flat_map(|&location| {
            let lines: Vec<&[u8]> = fields(location)
                .filter(|field| field.number == 4)
                .map(|field| field.value.bytes())
                .collect();
            if lines.is_empty() {
                let function = format!("?+{:#x}", number(location, 3));
                return vec![Call { function, ..Call::default() }];
            }
            let last = lines.len() - 1;
            let call = |(place, line): (usize, &&[u8])| self.call(line, place < last);
            lines.iter().enumerate().map(call).collect()
        })
    }

    fn call(&self, line: &[u8], inlined: bool) -> Call {
        let function = self.functions.get(&number(line, 1)).copied().unwrap_or_default();
        let name = self.string(number(function, 2));
        Call {
            function: if name.is_empty() { "?".to_owned() } else { name.to_owned() },
            file: self.string(number(function, 4)).to_owned(),
            line: u32::try_from(number(line, 2)).ok().filter(|&line| line > 0),
            inlined,
        }
    }

    fn labels(&self, sample: &'b [u8]) -> Vec<(String, String)> {
        let labels =
            fields(sample).filter(|field| field.number == 3).map(|field| field.value.bytes());
        let label = |label: &[u8]| {
            let text = |field| self.string(number(label, field)).to_owned();
            (text(1), text(2))
        };
        labels.map(label).filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// The last value of a numeric field.
fn number(message: &[u8], field: u64) -> u64 {
    let of_field = fields(message).filter(|known| known.number == field).last();
    of_field.map_or(0, |field| field.value.number())
}

/// All values of a repeated numeric field.
fn values(message: &[u8], field: u64) -> impl Iterator<Item = u64> {
    let of_field = fields(message).filter(move |known| known.number == field);
    of_field.map(|field| field.value).flat_map(Value::numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let field = |&(number, bytes): &(u8, &[u8])| {
            [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
        };
        fields.iter().flat_map(field).collect()
    }

    fn profile(kind: &[u8]) -> Vec<u8> {
        let line = [8, 1, 16, 39];
        let location = [&[8, 1][..], &message(&[(4, &line)])].concat();
        message(&[
            (1, &[8, 1, 16, 2]),
            (2, &[8, 1, 16, 25]),
            (4, &location),
            (5, &[8, 1, 16, 3, 32, 4]),
            (6, b""),
            (6, kind),
            (6, b"nanoseconds"),
            (6, b"main.leak"),
            (6, b"/srv/main.go"),
        ])
    }

    #[test]
    fn goroutines_are_counted() {
        let bytes = profile(b"goroutine");
        let text = Text::from_bytes(&bytes);
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, profiles, warnings) = read(&text);
        assert_eq!((dumps[0].threads.len(), profiles.len(), warnings.len()), (25, 0, 0));
        let symbol = &dumps[0].frames[0].symbols[0];
        assert_eq!(
            (symbol.function.as_str(), symbol.location.as_ref().and_then(|at| at.line)),
            ("main.leak", Some(39))
        );
    }

    #[test]
    fn cpu_time_becomes_samples() {
        let bytes = profile(b"cpu");
        let (dumps, profiles, _) = read(&Text::from_bytes(&bytes));
        assert!(dumps.is_empty());
        assert_eq!((profiles[0].clock, profiles[0].unit), (Clock::Cpu, Unit::Nanos));
        assert_eq!(profiles[0].samples[0].weight, 25);
        let (_, profiles, warnings) = read(&Text::from_bytes(&profile(b"alloc_space")));
        assert_eq!((profiles.len(), warnings.len()), (0, 1));
    }

    #[test]
    fn text_is_none() {
        for text in ["\nmain.main()\n", "Z", "", "\n\u{1}\u{1}"] {
            assert_eq!(recognize(&Text::from_bytes(text.as_bytes())), Recognition::No);
        }
    }
}
