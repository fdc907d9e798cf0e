//! What `perf script` prints of recorded samples.
//!
//! ```text
//! multiplier   575  5077.784009:   10101010 cpu-clock:
//!           3a4bd1 victim::multiply+0xa1 (/usr/bin/victim)
//!            891f5 start_thread+0x305 (/usr/lib/x86_64-linux-gnu/libc.so.6)
//! ```

use sigquit_dump::{Clock, Nanos, Profile, Runtime, Unit, Warning};

use super::foreign::NotUnderstood;
use super::goroutines::Call;
use super::profile::{Sampling, Told};
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
    let mut sampling = Sampling::new(Runtime::Native, FORMAT.name);
    let mut not_understood = NotUnderstood::default();
    let mut clock = None;
    let mut told = Told { weight: 1, ..Told::default() };
    let mut stack: Option<Vec<Call>> = None;
    for line in text.lines() {
        if let Some(event) = event(line.text) {
            sampling.add(stack.take().into_iter().flatten(), told);
            stack = Some(Vec::new());
            told = Told { thread: (event.tid, event.thread), time: event.time, ..told };
            clock.get_or_insert(sampled(event.name));
        } else if let Some(call) = call(line.text) {
            stack.get_or_insert_default().push(call);
        } else if line.text.trim().is_empty() {
            sampling.add(stack.take().into_iter().flatten(), told);
        } else if !line.text.starts_with('#') {
            not_understood.note(line.number);
        }
    }
    sampling.add(stack.into_iter().flatten(), told);
    let profile = sampling.finish(clock.unwrap_or_default(), Unit::Samples);
    (profile, not_understood.warning().into_iter().collect())
}

/// The line that begins a sample.
#[derive(Debug, PartialEq)]
struct Event<'t> {
    thread: &'t str,
    tid: Option<u64>,
    time: Nanos,
    name: &'t str,
}

/// `multiplier   575/574 [001] 5077.784009:   10101010 cpu-clock:u:` -> a sample by `cpu-clock:u`
/// of thread 574 at that time. Of two numbers the first is the process.
fn event(text: &str) -> Option<Event<'_>> {
    let text = text.trim_end();
    if text.starts_with(char::is_whitespace) {
        return None;
    }
    let (before, after) = text.split_once(": ")?;
    let (before, time) = before.trim_end().rsplit_once(' ')?;
    let time = time_of(time)?;
    let (thread, tid) =
        numbered(before).or_else(|| numbered(before.trim_end().rsplit_once(' ')?.0))?;
    let name = after.trim().strip_suffix(':')?;
    let name = name.rsplit_once(' ').map_or(name, |(_, name)| name);
    Some(Event { thread, tid, time, name })
}

/// `my worker  575/574` -> `my worker`, 574
fn numbered(text: &str) -> Option<(&str, Option<u64>)> {
    let (thread, numbers) = text.trim_end().rsplit_once(' ')?;
    let (pid, tid) = numbers.split_once('/').unwrap_or((numbers, numbers));
    is_number(pid).then_some(())?;
    (is_number(tid) && !thread.trim().is_empty()).then(|| (thread.trim(), tid.parse().ok()))
}

/// `5077.784009`, in seconds
fn time_of(text: &str) -> Option<Nanos> {
    let (seconds, fraction) = text.split_once('.')?;
    if !is_number(seconds) || !is_number(fraction) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(Nanos(seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn sampled(event: &str) -> Clock {
    let cpu = ["cpu-clock", "task-clock", "cycles", "cpu-cycles", "instructions", "cpu/"];
    match cpu.iter().any(|known| event.contains(known)) {
        true => Clock::Cpu,
        false => Clock::Unknown,
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
        for (text, thread, tid) in [
            ("multiplier   575  5077.784009:   10101010 cpu-clock: ", "multiplier", 575),
            ("my worker 1 575/574 [001] 5077.784009:   10101010 cpu-clock:", "my worker 1", 574),
            ("a 575 5077.784009: cpu-clock:", "a", 575),
        ] {
            let (tid, time) = (Some(tid), Nanos(5_077_784_009_000));
            let expected = Event { thread, tid, time, name: "cpu-clock" };
            assert_eq!(event(text), Some(expected), "{text}");
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
        assert_eq!((profile.clock, warnings.len()), (Clock::Cpu, 0));
        assert_eq!((profile.weights(), profile.threads[0].name.as_str()), (vec![2], "a"));
        assert_eq!(profile.samples[1].time, Nanos(100_000_000));
        assert_eq!(profile.dump.frames[0].symbols[0].function, "<x::A as B>::f");
    }
}
