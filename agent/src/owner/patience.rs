//! How long owners are searched for.

use std::time::{Duration, Instant};

use crate::facts;

/// CPU time that the search may use, at most.
const WORK: Duration = Duration::from_millis(200);

/// How long it may take on a machine that gives the agent little CPU.
const WAIT: Duration = Duration::from_secs(2);

/// The end of a search.
pub(super) struct Patience {
    /// When the thread's CPU time is this, in nanoseconds.
    work: u128,
    wait: Instant,
}

impl Patience {
    /// A search that begins now.
    pub fn new() -> Patience {
        let work = u128::from(facts::thread_cpu().0) + WORK.as_nanos();
        Patience { work, wait: Instant::now() + WAIT }
    }

    pub fn is_over(&self) -> bool {
        u128::from(facts::thread_cpu().0) >= self.work || Instant::now() >= self.wait
    }
}
