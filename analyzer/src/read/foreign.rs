//! Lines between those of a dump that some other program, or the same one, wrote to the same
//! place.

use sigquit_dump::Warning;

/// Lines among those of a dump that mean nothing to us: counted, and told once.
#[derive(Debug, Default)]
pub(super) struct NotUnderstood {
    count: u64,
    first: u64,
    last: u64,
}

impl NotUnderstood {
    /// Counts a line.
    pub fn note(&mut self, line: u64) {
        self.count += 1;
        self.last = line;
        if self.count == 1 {
            self.first = line;
        }
    }

    /// The line where the input was cut is told as that.
    pub fn forget_cut(&mut self, line: u64) {
        self.count -= u64::from(self.count > 0 && self.last == line);
    }

    /// Tells how many there are.
    pub fn warning(&self) -> Option<Warning> {
        let lines = match self.count {
            0 => return None,
            1 => "a line within the dump was".to_owned(),
            count => format!("{count} lines within the dump, from here on, were"),
        };
        Some(Warning { line: self.first, message: format!("{lines} not understood: left out") })
    }
}

/// Whether a line is the beginning of a log record: a time, a level, an envelope.
///
/// ```text
/// 2026-11-22 21:03:15.131 INFO  [tick-0] ops.dipper.Tick - seq=0
/// {"level":"info","msg":"tick 3"}
/// Nov 22 20:59:30 node-7 shop[4121]: started
/// [INFO] started
/// ```
pub(super) fn is_log_line(line: &str) -> bool {
    let line = line.trim_start();
    let Some(first) = line.split([' ', '|', ':', ']']).next() else { return false };
    let first = first.trim_start_matches('[');
    is_date(first)
        || is_level(first)
        || is_month(line)
        || (line.starts_with('{') && line.ends_with('}'))
        || line.starts_with("```")
}

fn is_date(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    digits(0..4) && digits(5..7) && bytes.get(4).is_some_and(|at| matches!(at, b'-' | b'/' | b'.'))
        || digits(0..2) && (bytes.len() == 2)
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 9] =
        ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "SEVERE"];
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

fn is_month(line: &str) -> bool {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let bytes = line.as_bytes();
    bytes.len() > 6
        && bytes[3] == b' '
        && (bytes[4] == b' ' || bytes[4].is_ascii_digit())
        && bytes[5].is_ascii_digit()
        && line.get(..3).is_some_and(|month| MONTHS.find(month).is_some_and(|at| at % 3 == 0))
}

#[cfg(test)]
mod tests {
    use super::is_log_line;

    #[test]
    fn log_records_are_told_from_dump_lines() {
        for line in [
            "2026-11-22 21:03:15.131 INFO  [tick-0] ops.dipper.Tick - seq=0",
            "2026/11/22 21:02:58 http: panic serving",
            "[2026-11-22T20:59:30Z] up",
            "Nov  2 20:59:30 node-7 shop[4121]: up",
            "21:03:15.131 [main] INFO up",
            "{\"level\":\"info\"}",
            "[WARN] slow",
        ] {
            assert!(is_log_line(line), "{line}");
        }
        for line in ["main.main()", "\tat a.B.c(B.java:1)", "\"main\" #1 prio=5", "Marlin x", ""] {
            assert!(!is_log_line(line), "{line}");
        }
    }
}
