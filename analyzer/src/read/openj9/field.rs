//! What the lines of a javacore say, field by field.

use sigquit_dump::{Nanos, ThreadState};

use super::super::hotspot::title;
use super::super::jvm::{Does, Named, number};

/// `Blocked on: java/lang/Object@0xB5666688 Owned by: ...`
pub(super) fn wanted(said: &str) -> Option<(Does, Named)> {
    let (verb, object) = said.split_once(" on: ")?;
    let does = match verb {
        "Blocked" => Does::WaitToLock,
        "Waiting" => Does::WaitOn,
        "Parked" => Does::Park,
        _ => return None,
    };
    let object = object.split(" Owned by:").next().unwrap_or(object);
    Some((does, Named::at(object)?))
}

/// `at shop/Ledger.post(Ledger.java:35(Compiled Code))` -> `shop.Ledger.post(Ledger.java:35)`
pub(super) fn call(said: &str) -> Option<String> {
    let (function, place) = said.strip_prefix("at ")?.split_once('(')?;
    let place = place.split(['(', ')']).next().unwrap_or_default();
    Some(format!("{}({place})", function.replace('/', ".")))
}

/// What the letters mean, by the documents of the VM.
pub(super) fn state(word: &str) -> ThreadState {
    match word {
        "R" => ThreadState::Runnable,
        "B" => ThreadState::Blocked,
        "CW" | "P" => ThreadState::Waiting,
        "CW-T" | "P-T" => ThreadState::TimedWaiting,
        "S" => ThreadState::Stopped,
        "Z" => ThreadState::Ended,
        _ => ThreadState::Unknown,
    }
}

/// `2026/02/10 at 09:30:11:224 (UTC)`
pub(super) fn time(said: &str) -> Option<Nanos> {
    let (date, time) = said.strip_prefix("Date: ")?.split_once(" at ")?;
    let seconds = time.get(..8)?;
    let whole = title::time(&format!("{} {seconds}", date.trim().replace('/', "-")))?;
    let millis = time.get(9..12).and_then(|millis| millis.parse::<u64>().ok()).unwrap_or_default();
    whole.0.checked_add(millis * 1_000_000).map(Nanos)
}

/// `CPU usage total: 0.004365543 secs, user: ...`
pub(super) fn cpu(said: &str) -> Option<Nanos> {
    let (_, rest) = said.split_once("total: ")?;
    let seconds: f64 = rest.split(' ').next()?.parse().ok()?;
    (0.0..1e9).contains(&seconds).then_some(Nanos((seconds * 1e9) as u64))
}

/// `-Xmx512m`
pub(super) fn largest_heap(said: &str) -> Option<u64> {
    let size = said.strip_prefix("-Xmx")?;
    let digits = size.trim_end_matches(|char: char| !char.is_ascii_digit());
    let unit = match size[digits.len()..].to_ascii_lowercase().as_str() {
        "g" => 1 << 30,
        "m" => 1 << 20,
        "k" => 1 << 10,
        _ => 1,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

pub(super) fn hex_after(text: &str, field: &str) -> Option<u64> {
    let (_, rest) = text.split_once(field)?;
    number(rest.split([',', ' ', ')']).next()?)
}

pub(super) fn first_number(text: &str, after: &str) -> Option<u64> {
    let (_, rest) = text.split_once(after)?;
    rest.trim_start().split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// `"Worker 2" (J9VMThread:0x94501D00, java/lang/Thread:0xB56668D0)`, `"Worker 2" (0x94501D00)`
pub(super) fn in_brackets(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once('(')?;
    number(rest.strip_prefix("J9VMThread:").unwrap_or(rest).split([',', ')']).next()?)
}
