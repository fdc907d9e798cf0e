//! How long owners are searched for.

use std::time::{Duration, Instant};

use crate::facts;

/// What a search may use for each thread, when it is not told: 200 threads may cost 50 milliseconds, and the
/// step that is being taken when time is over ends a little later.
const THREAD: Duration = Duration::from_micros(235);

/// The least: in a small program a single long function may be worth it.
const LEAST: Duration = Duration::from_millis(47);

/// The most, however many threads there are.
const MOST: Duration = Duration::from_millis(200);

/// How much longer than the CPU time that it may use a search may take, on a machine that gives
/// the agent little CPU: two seconds in a program of few threads.
const WAIT: u32 = 40;

/// What following one instruction takes at most, in nanoseconds, in an agent that was built for size: by this a
/// last frame is not followed further than there is time for.
const INSTRUCTION: u64 = 400;

/// A frame of which fewer instructions can be followed is left alone.
const WORTH_IT: u32 = 200;

/// The CPU time that the search of so many threads may use.
pub(super) fn for_threads(threads: usize) -> Duration {
    let threads = u32::try_from(threads).unwrap_or(u32::MAX);
    THREAD.saturating_mul(threads).clamp(LEAST, MOST)
}

/// The end of a search.
pub(super) struct Patience {
    /// The thread's CPU time when it began, in nanoseconds.
    begun: u64,
    /// What it may use, in nanoseconds.
    work: u64,
    wait: Instant,
}

impl Patience {
    /// A search that begins now and may use so much CPU time.
    pub fn new(work: Duration) -> Patience {
        let wait = Instant::now() + work.saturating_mul(WAIT);
        let work = u64::try_from(work.as_nanos()).unwrap_or(u64::MAX);
        Patience { begun: facts::thread_cpu().0, work, wait }
    }

    /// How many instructions can be followed before the time is over; none when it is too few to be worth it.
    pub fn instructions(&self) -> u32 {
        if Instant::now() >= self.wait {
            return 0;
        }
        let used = facts::thread_cpu().0.saturating_sub(self.begun);
        let left = self.work.saturating_sub(used) / INSTRUCTION;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        if left < WORTH_IT { 0 } else { left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_may_cost_more() {
        assert_eq!(for_threads(0), LEAST);
        assert_eq!(for_threads(200), LEAST);
        assert_eq!(for_threads(400), 2 * LEAST);
        assert_eq!(for_threads(usize::MAX), MOST);
    }

    #[test]
    fn without_time_nothing_is_followed() {
        assert_eq!(Patience::new(Duration::ZERO).instructions(), 0);
        assert_eq!(Patience::new(Duration::from_secs(9_000)).instructions(), u32::MAX);
    }
}
