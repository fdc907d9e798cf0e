//! `/proc/PID/task/TID/stat`: the name and the start time.
//!
//! ```text
//! 4713 (request-1) S 1 4711 4711 0 -1 4194368 12 0 0 0 3 1 0 0 20 0 9 0 8174 ...
//! ```
//!
//! The name may hold blanks and brackets of its own; it ends at the last `)`.

use sigquit_dump::Nanos;

/// The name, and when the thread started, in ticks since the machine did.
pub(super) fn parse(text: &str) -> Option<(&str, u64)> {
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(start + 1..end)?;
    let started = text.get(end + 1..)?.split_ascii_whitespace().nth(19)?;
    Some((name, started.parse().ok()?))
}

/// A number of ticks as a time.
pub(super) fn ticks(count: u64, tick: Nanos) -> Nanos {
    Nanos(count.saturating_mul(tick.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_look_like_the_rest() {
        let line = "7 (a) S (b) R) S 1 7 7 0 -1 4194368 12 0 0 0 3 1 0 0 20 0 9 0 8174 5 6\n";
        assert_eq!(parse(line), Some(("a) S (b) R", 8174)));
    }

    #[test]
    fn a_line_that_was_cut_says_nothing() {
        assert_eq!(parse("7 (worker) S 1 7"), None);
        assert_eq!(parse(") ("), None);
        assert_eq!(parse(""), None);
    }
}
