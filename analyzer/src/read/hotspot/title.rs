//! The lines before the threads: when, which process, which JVM.

use sigquit_dump::{Dump, Nanos, Process, Runtime};

/// What was seen of a title so far.
#[derive(Debug, Default)]
pub(super) struct Title {
    time: Option<(u64, Nanos)>,
    pid: Option<(u64, u64)>,
}

/// Whether a line begins a dump.
///
/// ```text
/// Full thread dump Java HotSpot(TM) 64-Bit Server VM (25.212-b10 mixed mode):
/// Full thread dump:
/// Attaching to process ID 16202, please wait...
/// ```
pub(super) fn is_title(body: &str) -> bool {
    body.starts_with("Full thread dump") || body.starts_with("Attaching to process ID ")
}

impl Title {
    /// Takes a line that may stand before the title. True when it is one.
    ///
    /// ```text
    /// 16202:
    /// 2026-11-22 21:04:32
    /// ```
    pub fn precedes(&mut self, line: u64, body: &str) -> bool {
        if let Some(time) = time(body) {
            self.time = Some((line, time));
        } else if let Some(pid) = body.strip_suffix(':').and_then(|pid| pid.parse().ok()) {
            self.pid = Some((line, pid));
        } else {
            return false;
        }
        true
    }

    /// An empty dump of that title.
    pub fn dump(&mut self, line: u64, body: &str) -> Dump {
        Dump { time: self.time(line), process: self.process(line, body), ..Dump::default() }
    }

    /// The moment that stands shortly before a line.
    fn time(&mut self, line: u64) -> Option<Nanos> {
        self.time.take().filter(|(at, _)| line.saturating_sub(*at) <= REACH).map(|(_, time)| time)
    }

    /// The process of a title line.
    fn process(&mut self, line: u64, body: &str) -> Process {
        let before = self.pid.take().filter(|(at, _)| line.saturating_sub(*at) <= REACH);
        let attached = body
            .strip_prefix("Attaching to process ID ")
            .and_then(|rest| rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok());
        Process {
            runtime: Runtime::Jvm,
            runtime_version: version(body),
            pid: attached.or(before.map(|(_, pid)| pid)),
            ..Process::default()
        }
    }
}

/// How far before the title its date can stand, with lines of others in between.
const REACH: u64 = 4;

/// `Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing):`
/// -> `17.0.15+6-Debian-1deb12u1 mixed mode, sharing`
fn version(body: &str) -> Option<String> {
    let (_, version) = body.split_once(" VM (")?;
    let version = version.trim_end_matches(':').strip_suffix(')')?;
    Some(version.to_owned())
}

/// `2026-11-22 21:04:32`: local time, read as if it were UTC.
pub(in crate::read) fn time(body: &str) -> Option<Nanos> {
    let bytes = body.as_bytes();
    let shape = |place: usize, byte: u8| match place {
        4 | 7 => byte == b'-',
        10 => byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if bytes.len() != 19 || !bytes.iter().enumerate().all(|(place, &byte)| shape(place, byte)) {
        return None;
    }
    let number = |from: usize, to: usize| body[from..to].parse::<u64>().ok();
    let days = days_from_epoch(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(Nanos((days * 86_400 + seconds).saturating_mul(1_000_000_000)))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_from_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = BEFORE_MONTH.get(month.checked_sub(1)? as usize)?;
    if year < 1970 || !(1..=31).contains(&day) {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let leap_day = month > 2 && leaps(year) > leaps(year - 1);
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    Some(years + before + u64::from(leap_day) + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let seconds = |text| time(text).map(|time| time.0 / 1_000_000_000);
        assert_eq!(seconds("1970-01-01 00:00:00"), Some(0));
        assert_eq!(seconds("2000-02-29 12:00:00"), Some(951_825_600));
        assert_eq!(seconds("2026-11-22 20:52:40"), Some(1_795_380_760));
        assert_eq!(seconds("2026-13-22 20:52:40"), None);
        assert_eq!(seconds("2026-11-22 20:52:40.1"), None);
        assert_eq!(seconds("2026-11-22T20:52:40"), None);
    }

    #[test]
    fn titles() {
        let mut title = Title::default();
        assert!(title.precedes(1, "16202:"));
        assert!(title.precedes(2, "2026-11-22 21:04:32"));
        assert!(!title.precedes(3, "12: a"));
        assert!(title.time(3).is_some());
        let process = title.process(
            3,
            "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6-Debian-1deb12u1 mixed mode, sharing):",
        );
        assert_eq!(process.pid, Some(16202));
        assert_eq!(
            process.runtime_version.as_deref(),
            Some("17.0.15+6-Debian-1deb12u1 mixed mode, sharing")
        );
        let attached = title.process(9, "Attaching to process ID 21466, please wait...");
        assert_eq!((attached.pid, attached.runtime_version), (Some(21466), None));
    }
}
