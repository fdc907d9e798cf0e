//! Folded stacks: what `stackcollapse` scripts, inferno and async-profiler (`collapsed`) write.
//!
//! ```text
//! victim;start_thread;victim::work;victim::multiply 289
//! ```
//!
//! A line does not say what was sampled.

use sigquit_dump::{Clock, Profile, Runtime, Unit, Warning};

use super::foreign::NotUnderstood;
use super::goroutines::Call;
use super::profile::{Sampling, Told};
use super::{Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "folded",
    looks_like: "lines `main;work;step 42` of folded stacks",
    recognize,
    read: Read::Samples(|text| {
        let (profile, warnings) = read(text);
        (Vec::new(), profile.into_iter().collect(), warnings)
    }),
};

/// Nearly all of the first lines are folded stacks.
fn recognize(text: &Text) -> Recognition {
    const LOOKED_AT: usize = 64;
    let lines = || text.lines().map(|line| line.text).filter(|line| !line.trim().is_empty());
    let looked_at = lines().take(LOOKED_AT).count();
    let folded = lines().take(LOOKED_AT).filter(|line| split(line).is_some()).count();
    let deep = lines()
        .take(LOOKED_AT)
        .any(|line| split(line).is_some_and(|(stack, _)| stack.contains(';')));
    match folded {
        _ if !deep => Recognition::No,
        count if count == looked_at => Recognition::Yes,
        count if count * 10 >= looked_at * 9 => Recognition::Perhaps,
        _ => Recognition::No,
    }
}

fn read(text: &Text) -> (Option<Profile>, Vec<Warning>) {
    let mut sampling = Sampling::new(Runtime::Unknown, FORMAT.name);
    let mut not_understood = NotUnderstood::default();
    for line in text.lines().filter(|line| !line.text.trim().is_empty()) {
        match split(line.text) {
            Some((stack, weight)) => {
                let told = Told { weight, ..Told::default() };
                sampling.add(stack.rsplit(';').filter_map(call), told);
            }
            None => not_understood.note(line.number),
        }
    }
    (sampling.finish(Clock::Unknown, Unit::Samples), not_understood.warning().into_iter().collect())
}

/// `main;work;step 42` -> the stack and the count
fn split(line: &str) -> Option<(&str, u64)> {
    let (stack, count) = line.trim_end().rsplit_once(' ')?;
    let count = count.parse().ok().filter(|_| !stack.trim().is_empty())?;
    Some((stack, count))
}

/// async-profiler marks the kind of a frame: `java/util/HashMap.get_[j]`.
fn call(frame: &str) -> Option<Call> {
    let mark = frame.len().saturating_sub(4);
    let frame = match frame.get(mark..) {
        Some("_[j]" | "_[i]" | "_[k]" | "_[0]" | "_[1]") => &frame[..mark],
        _ => frame,
    };
    (!frame.is_empty()).then(|| Call { function: frame.to_owned(), ..Call::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_counted_once() {
        let text = Text::from_bytes(b"main;work;step 40\nmain;idle 2\nmain;work;step 2\n");
        assert_eq!(recognize(&text), Recognition::Yes);
        let (profile, warnings) = read(&text);
        let profile = profile.expect("a profile");
        assert_eq!((profile.weights_of_stacks(|_| true), warnings.len()), (vec![42, 2], 0));
        assert_eq!(profile.folded(), ["main;idle 2", "main;work;step 42"]);
        let leaf = profile.dump.stacks[0].frames[0];
        assert_eq!(profile.dump.frame(leaf).symbols[0].function, "step");
    }

    #[test]
    fn what_is_not_folded() {
        for text in ["seen 12 errors\nseen 13 errors\n", "a;b\n", "up\n", "42\n", ""] {
            assert_eq!(recognize(&Text::from_bytes(text.as_bytes())), Recognition::No, "{text}");
        }
    }
}
