//! Lines that only dumps have, wherever on the line they begin.

use super::super::{go, hotspot};

/// Where on a line the line of a dump begins.
pub(super) fn anchor(line: &str) -> Option<usize> {
    let goroutine = || {
        let at = line.find("goroutine ")?;
        go::is_header(line[at..].trim_end()).then_some(at)
    };
    let title = || {
        let at = line.find("Full thread dump")?;
        (line.contains(" VM (") || line.trim_end().ends_with("dump:")).then_some(at)
    };
    let thread = || {
        let at = line.contains(" tid=0x").then(|| line.find('"'))??;
        hotspot::is_header(&line[at..]).then_some(at)
    };
    goroutine().or_else(title).or_else(thread)
}

/// Whether a line may hold one in whatever escaping: a cheap look before a dear one.
pub(super) fn may_hold(line: &str) -> bool {
    line.contains("goroutine ") || line.contains("Full thread dump") || line.contains(" tid=0x")
}
