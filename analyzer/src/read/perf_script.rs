//! What `perf script` prints of recorded samples.
//!
//! ```text
//! multiplier   575  5077.784009:   10101010 cpu-clock:
//!           3a4bd1 victim::multiply+0xa1 (/usr/bin/victim)
//!            891f5 start_thread+0x305 (/usr/lib/x86_64-linux-gnu/libc.so.6)
//! ```

use sigquit_dump::{Runtime, Warning};

use super::foreign::NotUnderstood;
use super::goroutines::Call;
use super::profile::{Profile, Sampled, Sampling, Unit};
use super::{Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "perf-script",
    looks_like: "a line `worker 575 5077.784009: 10101010 cpu-clock:` of perf script",
    recognize,
    read: Read::Samples(|text| {
        let (profile, warnings) = read(text);
        (Vec::new(), profile.into_iter().collect(), warnings)
    }),
};

fn recognize(text: &Text) -> Recognition {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if event(line.text).is_some() {
            let follows = lines.clone().next().is_some_and(|next| call(next.text).is_some());
            return if follows { Recognition::Yes } else { Recognition::Perhaps };
        }
    }
    Recognition::No
}

fn read(text: &Text) -> (Option<Profile>, Vec<Warning>) {
    let mut sampling = Sampling::new(Runtime::Native);
    let mut not_understood = NotUnderstood::default();
    let mut of = None;
    let mut stack: Option<Vec<Call>> = None;
    for line in text.lines() {
        if let Some(event) = event(line.text) {
            sampling.add(stack.take().into_iter().flatten(), 1);
            stack = Some(Vec::new());
            of.get_or_insert(sampled(event));
        } else if let Some(call) = call(line.text) {
            stack.get_or_insert_default().push(call);
        } else if line.text.trim().is_empty() {
            sampling.add(stack.take().into_iter().flatten(), 1);
        } else if !line.text.starts_with('#') {
            not_understood.note(line.number);
        }
    }
    sampling.add(stack.into_iter().flatten(), 1);
    let profile = sampling.finish(of.unwrap_or_default(), Unit::Samples);
    (profile, not_understood.warning().into_iter().collect())
}

/// `multiplier   575/574 [001] 5077.784009:   10101010 cpu-clock:u:` -> `cpu-clock:u`
fn event(text: &str) -> Option<&str> {
    let text = text.trim_end();
    if text.starts_with(char::is_whitespace) {
        return None;
    }
    let (before, after) = text.split_once(": ")?;
    let mut words = before.split_ascii_whitespace().rev();
    let seconds = words.next()?.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_tid = words.clone().take(2).any(|word| word.split('/').all(digits));
    let event = after.trim().strip_suffix(':')?;
    let event = event.rsplit_once(' ').map_or(event, |(_, event)| event);
    (digits(seconds.0) && digits(seconds.1) && has_tid && words.count() >= 2).then_some(event)
}

fn sampled(event: &str) -> Sampled {
    let cpu = ["cpu-clock", "task-clock", "cycles", "cpu-cycles", "instructions", "cpu/"];
    match cpu.iter().any(|known| event.contains(known)) {
        true => Sampled::Cpu,
        false => Sampled::Unknown,
    }
}

/// `          3a4bd1 victim::multiply+0xa1 (/usr/bin/victim)`
fn call(text: &str) -> Option<Call> {
    let body = text.trim_start();
    if body.len() == text.len() {
        return None;
    }
    let (address, rest) = body.split_once(' ')?;
    u64::from_str_radix(address, 16).ok()?;
    let (function, module) = rest.trim_end().rsplit_once(" (").unwrap_or((rest, ""));
    let inlined = module == "inlined)";
    let function = match function.rsplit_once("+0x") {
        Some((name, offset)) if offset.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => function,
    };
    let function = match function {
        "[unknown]" => format!("{}+0x{address}", module.trim_end_matches(')').rsplit('/').next()?),
        _ => function.to_owned(),
    };
    Some(Call { function, inlined, ..Call::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_all_shapes() {
        for text in [
            "multiplier   575  5077.784009:   10101010 cpu-clock: ",
            "my worker 1 575/574 [001] 5077.784009:   10101010 cpu-clock:",
            "a 575 5077.784009: cpu-clock:",
        ] {
            assert_eq!(event(text), Some("cpu-clock"), "{text}");
        }
        for text in ["2026-11-22 10:00:00.123: up:", "a: b:", " x 1 2.3: y:", ""] {
            assert_eq!(event(text), None, "{text}");
        }
    }

    #[test]
    fn samples() {
        let text = "a 5 1.25:  1 cycles:P: \n\t  3a4bd1 <x::A as B>::f+0xa1 (/bin/a)\n\t 891f5 [unknown] (/lib/c.so)\n\n\
                    a 5 1.35:  1 cycles:P: \n\t  3a4bd5 <x::A as B>::f+0xa5 (/bin/a)\n\t 891f5 [unknown] (/lib/c.so)\n";
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (profile, warnings) = read(&text);
        let profile = profile.expect("a profile");
        assert_eq!((profile.of, warnings.len()), (Sampled::Cpu, 0));
        assert_eq!(profile.samples.iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert_eq!(profile.dump.frames[0].symbols[0].function, "<x::A as B>::f");
    }
}
