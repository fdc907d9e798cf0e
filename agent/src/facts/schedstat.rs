//! `/proc/PID/task/TID/schedstat`: time on a CPU, time in the queue for one, number of turns.
//!
//! ```text
//! 1846023417 20311 514
//! ```

use sigquit_dump::Nanos;

/// CPU time and run-queue delay since the thread started.
pub(super) fn parse(text: &str) -> Option<(Nanos, Nanos)> {
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((Nanos(numbers.next()??), Nanos(numbers.next()??)))
}

/// How often the thread got a CPU since it started.
pub(super) fn turns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_numbers_are_cpu_and_delay() {
        assert_eq!(parse("1846023417 20311 514\n"), Some((Nanos(1_846_023_417), Nanos(20_311))));
        assert_eq!(parse("0 0 0\n"), Some((Nanos(0), Nanos(0))));
        assert_eq!(parse("12\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_third_number_counts_turns() {
        assert_eq!(turns("1846023417 20311 514\n"), Some(514));
        assert_eq!(turns("1846023417 20311\n"), None);
    }
}
