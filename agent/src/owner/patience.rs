//! How long owners are searched for.

use std::time::{Duration, Instant};

use crate::facts;

/// How much longer than the CPU time that it may use a search may take, on a machine that gives
/// the agent little CPU.
const WAIT: u32 = 10;

/// The end of a search.
pub(super) struct Patience {
    /// When the thread's CPU time is this, in nanoseconds.
    work: u128,
    wait: Instant,
}

impl Patience {
    /// A search that begins now and may use so much CPU time.
    pub fn new(work: Duration) -> Patience {
        let wait = Instant::now() + work.saturating_mul(WAIT);
        Patience { work: u128::from(facts::thread_cpu().0) + work.as_nanos(), wait }
    }

    pub fn is_over(&self) -> bool {
        u128::from(facts::thread_cpu().0) >= self.work || Instant::now() >= self.wait
    }
}
