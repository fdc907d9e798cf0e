//! A log that holds reports of Go's race detector and no goroutines.
//!
//! ```text
//! ==================
//! WARNING: DATA RACE
//! Read at 0x00c000092100 by goroutine 8:
//!   main.main.func2()
//!       /srv/app/main.go:25 +0x9d
//! ```
//!
//! The reports are read by the reader of Go's text, in which they can stand too.

use super::{Format, Recognition, Text, go};

pub(super) const FORMAT: Format = Format {
    name: "race-report",
    looks_like: "a line `WARNING: DATA RACE` of Go's race detector",
    recognize,
    read: go::FORMAT.read,
};

fn recognize(text: &Text) -> Recognition {
    let mut recognition = Recognition::No;
    for line in text.lines() {
        if go::is_header(line.text.trim()) {
            return Recognition::No;
        }
        if line.text.trim() == "WARNING: DATA RACE" {
            recognition = Recognition::Yes;
        }
    }
    recognition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_with_a_report_in_it_is_a_dump() {
        let recognized = |text: &str| recognize(&Text::from_bytes(text.as_bytes()));
        let report = "==================\nWARNING: DATA RACE\nRead at 0x00c0 by goroutine 8:\n";
        assert_eq!(recognized(report), Recognition::Yes);
        let dump = format!("{report}==================\ngoroutine 1 [running]:\nmain.main()\n");
        assert_eq!(recognized(&dump), Recognition::No);
        assert_eq!(recognized("up\n"), Recognition::No);
    }
}
