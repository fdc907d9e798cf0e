//! How long owners are searched for.

use std::time::{Duration, Instant};

use crate::facts;

/// How much longer than the CPU time that it may use a search may take, on a machine that gives
/// the agent little CPU.
const WAIT: u32 = 10;

/// The end of a search.
pub(super) struct Patience {
    /// The thread's CPU time when it began, in nanoseconds.
    begun: u64,
    work: Duration,
    wait: Instant,
}

impl Patience {
    /// A search that begins now and may use so much CPU time.
    pub fn new(work: Duration) -> Patience {
        let wait = Instant::now() + work.saturating_mul(WAIT);
        Patience { begun: facts::thread_cpu().0, work, wait }
    }

    /// Whether a part of the time is over, one of so many.
    pub fn is_over(&self, parts: u32) -> bool {
        let used = Duration::from_nanos(facts::thread_cpu().0.saturating_sub(self.begun));
        used.saturating_mul(parts) >= self.work || Instant::now() >= self.wait
    }
}
