//! Whether a goroutine's lines are the same as in another dump.
//!
//! Behind each function stand the words that were its arguments, some of them stale, and behind each line how far in
//! the function it stands. A goroutine that goes round a loop and waits in the same place again has others mostly:
//! what it works on, and what it left on its stack. One that stays in a call keeps them all, but for its stack being
//! moved, which the runtime does seldom.

use std::hash::{BuildHasher, Hasher};

/// Bytes that are looked at: the innermost calls.
const REACH: usize = 1024;

/// A digest of the lines of a goroutine with which a text begins; 0 when there are none.
pub(super) fn of(text: &str) -> u32 {
    let bytes = &text.as_bytes()[..text.len().min(REACH)];
    let ends =
        memchr::memmem::find_iter(bytes, "\n\n").chain(memchr::memmem::find_iter(bytes, "\n\r"));
    let lines = bytes[..ends.min().unwrap_or(bytes.len())].trim_ascii_end();
    if lines.is_empty() || lines.starts_with(b"\n") || lines.starts_with(b"\r") {
        return 0;
    }
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(lines);
    (hasher.finish() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "main.work(0xc0001, 0x7?)\n\t/srv/main.go:3 +0x25\n";

    #[test]
    fn the_lines_of_one_goroutine_count_and_nothing_else() {
        let alone = of(LINES);
        assert_ne!(alone, 0);
        assert_eq!(of(&format!("{LINES}\ngoroutine 2 [running]:\n")), alone);
        assert_eq!(of(&format!("{LINES}\r\ngoroutine 3 [running]:\r\n")), alone);
        assert_ne!(of(&LINES.replace("0x7?", "0x8?")), alone);
        assert_ne!(of(&LINES.replace("+0x25", "+0x2a")), alone);
    }

    #[test]
    fn without_lines_there_is_no_digest() {
        assert_eq!((of(""), of("\n"), of("\ngoroutine 2 [running]:\n")), (0, 0, 0));
    }
}
