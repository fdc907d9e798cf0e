//! The name of an incident's folder: `orders-4711-20260102T030405.678Z`.

use std::fmt;

use sigquit_dump::Nanos;

/// Who had the incident, and when it began. Names of one prefix sort by time once the process
/// id is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IncidentName {
    pub prefix: String,
    pub pid: u32,
    /// Universal time, as it stands in the name.
    pub time: String,
}

impl IncidentName {
    pub fn new(prefix: &str, pid: u32, time: Nanos) -> IncidentName {
        IncidentName { prefix: prefix.to_owned(), pid, time: universal_time(time) }
    }

    /// Reads a folder's name; nothing when it is not of this prefix, or not such a name at all.
    pub fn read(name: &str, prefix: &str) -> Option<IncidentName> {
        let (pid, time) = name.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
        let pid = pid.parse().ok()?;
        is_time(time).then(|| IncidentName { prefix: prefix.to_owned(), pid, time: time.into() })
    }
}

impl fmt::Display for IncidentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.prefix, self.pid, self.time)
    }
}

fn is_time(text: &str) -> bool {
    let shape = "00000000T000000.000Z";
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// `20260102T030405.678Z`
fn universal_time(time: Nanos) -> String {
    let (days, seconds) = (time.0 / 86_400_000_000_000, time.0 / 1_000_000_000 % 86_400);
    let (year, month, day) = date(days);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = time.0 / 1_000_000 % 1000;
    format!("{year:04}{month:02}{day:02}T{hours:02}{minutes:02}{seconds:02}.{millis:03}Z")
}

/// The date of a day since 1 January 1970: years are counted from March, so that the leap day
/// is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day + 2) / 153;
    let day = day - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = IncidentName::new("orders-eu", 4711, Nanos(1_767_323_045_678_000_000));
        assert_eq!(name.to_string(), "orders-eu-4711-20260102T030405.678Z");
        assert_eq!(IncidentName::read(&name.to_string(), "orders-eu"), Some(name));
    }

    #[test]
    fn other_names_are_none_of_ours() {
        for other in [
            "orders-4711-20260102T030405.678Z.bak",
            "orders-4711-20260102",
            "orders-eu-4711-20260102T030405.678Z",
            "orders",
            "",
        ] {
            assert_eq!(IncidentName::read(other, "orders"), None, "{other}");
        }
    }

    #[test]
    fn leap_days_and_ends_of_years() {
        let day = |seconds: u64| universal_time(Nanos(seconds * 1_000_000_000));
        assert_eq!(day(0), "19700101T000000.000Z");
        assert_eq!(day(951_782_400), "20000229T000000.000Z");
        assert_eq!(day(1_709_251_199), "20240229T235959.000Z");
        assert_eq!(day(1_735_689_599), "20241231T235959.000Z");
        assert_eq!(day(4_107_542_400), "21000301T000000.000Z");
    }
}
