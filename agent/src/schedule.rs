//! When the dumps of a series are due, and what becomes of requests that come meanwhile.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use sigquit_dump::{Series, Trigger};

/// The course of one series.
#[derive(Debug)]
pub(crate) struct Schedule {
    trigger: Trigger,
    of: u32,
    interval: Duration,
    taken: u32,
    next: Instant,
    requests_during: u32,
}

impl Schedule {
    /// A series whose first dump is due now.
    pub fn new(trigger: Trigger, of: u32, interval: Duration, now: Instant) -> Schedule {
        Schedule { trigger, of, interval, taken: 0, next: now, requests_during: 0 }
    }

    /// Notes requests that came while the series runs: they are not served again.
    pub fn note_requests(&mut self, count: u32) {
        self.requests_during = self.requests_during.saturating_add(count);
    }

    /// How long until the next dump.
    pub fn due_in(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// A dump begins now. The next one is due an interval later, give or take 30 %.
    pub fn begin_dump(&mut self, now: Instant) {
        self.begin_dump_with(now, random_share());
    }

    fn begin_dump_with(&mut self, now: Instant, share: f64) {
        self.taken += 1;
        self.next = now + self.interval.mul_f64(0.7 + 0.6 * share);
    }

    /// Whether a dump was begun.
    pub fn has_begun(&self) -> bool {
        self.taken > 0
    }

    /// Whether every dump was begun.
    pub fn is_over(&self) -> bool {
        self.taken >= self.of
    }

    /// What the dump that was begun last says of its series.
    pub fn series(&self, incident: &str) -> Series {
        Series {
            incident: incident.to_owned(),
            index: self.taken,
            of: self.of,
            trigger: self.trigger,
            requests_during: self.requests_during,
        }
    }
}

/// Between 0 and 1, different each time: the standard library's hashers begin with random keys.
fn random_share() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_request_during_the_series_is_noted_in_the_dumps_that_follow() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Trigger::Signal, 3, SECOND, now);
        let mut noted = Vec::new();
        for requests in [0, 2, 1] {
            schedule.note_requests(requests);
            schedule.begin_dump(now);
            let series = schedule.series("orders-1");
            noted.push((series.index, series.of, series.requests_during));
        }
        assert_eq!(noted, [(1, 3, 0), (2, 3, 2), (3, 3, 3)]);
        assert!(schedule.is_over());
    }

    #[test]
    fn the_interval_varies_by_thirty_percent_either_way() {
        let now = Instant::now();
        let due_in = |share| {
            let mut schedule = Schedule::new(Trigger::Call, 2, SECOND, now);
            assert_eq!(schedule.due_in(now), Duration::ZERO);
            schedule.begin_dump_with(now, share);
            assert!(!schedule.is_over());
            schedule.due_in(now).as_secs_f64()
        };
        assert!((due_in(0.0) - 0.7).abs() < 1e-6);
        assert!((due_in(1.0) - 1.3).abs() < 1e-6);
        assert!((0.0..=1.0).contains(&random_share()));
        assert_ne!(random_share(), random_share());
    }

    #[test]
    fn a_late_dump_is_due_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Trigger::Signal, 2, SECOND, now);
        schedule.begin_dump(now);
        assert_eq!(schedule.due_in(now + 5 * SECOND), Duration::ZERO);
    }
}
