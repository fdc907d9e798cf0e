//! The text of Go's goroutine profiles: `/debug/pprof/goroutine?debug=1`, `goroutineleak?debug=1`,
//! and `pprof.Lookup("goroutine").WriteTo(f, 1)`.
//!
//! ```text
//! goroutine profile: total 102
//! 25 @ 0x48c66a 0x418d5c 0x418957 0x6e0285 0x493561
//! # labels: {"op":"produce item", "tenant":"acme"}
//! #    0x6e0284    main.(*Inventory).produce+0x24    /srv/app/main.go:33
//! ```
//!
//! It counts goroutines by their stacks, without the runtime's innermost functions, and says
//! nothing of numbers and states.

use sigquit_dump::{Dump, Warning};

use super::goroutines::{Call, Goroutines};
use super::text::Lines;
use super::{Format, Line, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "go-profile",
    looks_like: "a line `goroutine profile: total 102` of Go",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| total(line.text).is_some()) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

/// Whether it holds those goroutines alone that the garbage collector found to be beyond reach.
fn is_of_leaks(text: &str) -> bool {
    text.starts_with("goroutineleak ")
}

/// `goroutine profile: total 102`, `goroutineleak profile: total 28`
fn total(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("goroutine")?;
    let rest = rest.strip_prefix("leak").unwrap_or(rest);
    rest.strip_prefix(" profile: total ")?.trim().parse().ok()
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let (mut dumps, mut warnings) = (Vec::new(), Vec::new());
    let mut current: Option<Profile> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(total) = total(line.text) {
            finish(current.take(), &mut dumps, &mut warnings);
            let of_leaks = is_of_leaks(line.text);
            current = Some(Profile { total, of_leaks, ..Profile::default() });
        } else if let (Some(profile), Some(count)) = (&mut current, record(line.text)) {
            profile.record(line, count, &mut lines);
        }
    }
    finish(current, &mut dumps, &mut warnings);
    (dumps, warnings)
}

#[derive(Default)]
struct Profile {
    total: u64,
    of_leaks: bool,
    counted: u64,
    last: u64,
    goroutines: Goroutines,
}

impl Profile {
    fn record(&mut self, line: Line, count: u64, lines: &mut Lines) {
        let (mut calls, mut labels) = (Vec::new(), Vec::new());
        while let Some(next) = lines.clone().next().filter(|next| next.text.starts_with('#')) {
            let body = next.text[1..].trim();
            if let Some(told) = body.strip_prefix("labels: ") {
                labels = self::labels(told);
            } else {
                calls.extend(call(body));
            }
            self.last = next.number;
            lines.next();
        }
        self.last = self.last.max(line.number);
        self.counted = self.counted.saturating_add(count);
        self.goroutines.add(count, &calls, labels, Some(line.number));
    }
}

fn finish(profile: Option<Profile>, dumps: &mut Vec<Dump>, warnings: &mut Vec<Warning>) {
    let Some(Profile { total, of_leaks, counted, last, goroutines }) = profile else { return };
    let Some(mut dump) = goroutines.finish(warnings) else { return };
    if of_leaks {
        // As Go itself writes it where it prints states.
        dump.threads.iter_mut().for_each(|thread| thread.state_text = "(leaked)".into());
    }
    // The leak profile has been seen to count an empty record more than its total.
    if counted < total {
        dump.truncated = true;
        let message = format!("the profile ends early: it shows {counted} of {total} goroutines");
        warnings.push(Warning { line: last, message });
    }
    dumps.push(dump);
}

/// `25 @ 0x48c66a 0x418d5c` -> 25
fn record(text: &str) -> Option<u64> {
    let (count, addresses) = text.split_once(" @")?;
    let is_address = |word: &str| word.starts_with("0x");
    addresses.split_ascii_whitespace().all(is_address).then(|| count.parse().ok())?
}

/// `0x6e0284    main.(*Inventory).produce+0x24    /srv/app/main.go:33`
fn call(body: &str) -> Option<Call> {
    let mut parts = body.split('\t').map(str::trim).filter(|part| !part.is_empty());
    let (_, function, place) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
    let function = function.rsplit_once("+0x").map_or(function, |(function, _)| function);
    let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
    Some(Call {
        function: function.to_owned(),
        file: file.to_owned(),
        line: line.parse().ok(),
        inlined: false,
    })
}

/// `{"op":"produce item", "tenant":"acme"}`
fn labels(text: &str) -> Vec<(String, String)> {
    let read: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(text);
    read.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "goroutine profile: total 30
25 @ 0x48c66a 0x6e013e 0x493561
# labels: {\"op\":\"produce item\", \"tenant\":\"acme\"}
#\t0x6e013d\tmain.leaker.func1+0x1d\t/srv/app/main.go:39

5 @ 0x48c66a 0x48de13
#\t0x497912\tsync.(*Mutex).Lock+0x72\t\t\t/go/src/sync/mutex.go:71
#\t0x6dfacb\tmain.(*Inventory).add+0x2b\t\t/srv/app/main.go:35

";

    #[test]
    fn goroutines_are_counted_with_their_labels_and_locks() {
        let text = Text::from_bytes(PROFILE.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), dumps[0].threads.len(), warnings.len()), (1, 30, 0));
        assert_eq!(dumps[0].threads[0].labels[1], ("tenant".into(), "acme".into()));
        assert_eq!(dumps[0].threads[29].state_text, "sync.Mutex.Lock");
        let location = dumps[0].frames[0].symbols[0].location.clone().expect("a place");
        assert_eq!((location.file.as_str(), location.line), ("/srv/app/main.go", Some(39)));
    }

    #[test]
    fn a_cut_is_said() {
        let (dumps, warnings) = read(&Text::from_bytes(&PROFILE.as_bytes()[..150]));
        assert_eq!((dumps[0].threads.len(), dumps[0].truncated, warnings.len()), (25, true, 1));
    }
}
