//! What is wrong. One detector a file: its documentation, its code, its tests; the list is
//! [`all`].
//!
//! A detector is a function from an incident to findings. It knows no format: what a runtime
//! calls things was made comparable in the model. It claims no more than its [`Grade`] carries.

mod busy_wait;
mod concurrent_map_access;
mod connection_pool_exhaustion;
mod cpu_hot;
mod cycle;
mod data_race;
mod deadlock;
mod finding;
mod lock_contention;
mod map_corruption;
mod on_cpu;
mod panic;
mod phrase;
mod queue_length;
mod sampled;
mod self_deadlock;
mod spin_loop;
mod stuck_lock_owner;
mod thread_pool_exhaustion;

pub use finding::{Evidence, Finding, Grade, LockOf, Severity};

use crate::model::Incident;

/// A detector.
pub struct Detector {
    /// Its stable name.
    pub name: &'static str,
    /// What `sigquit explain NAME` prints, in Markdown: `# name` and what it looks for, then
    /// `## Evidence`, `## Limits` and `## What to do`.
    pub documentation: &'static str,
    /// Looks.
    pub detect: fn(&Incident) -> Vec<Finding>,
}

/// Every detector.
pub fn all() -> &'static [Detector] {
    &[
        map_corruption::DETECTOR,
        spin_loop::DETECTOR,
        busy_wait::DETECTOR,
        concurrent_map_access::DETECTOR,
        data_race::DETECTOR,
        panic::DETECTOR,
        deadlock::DETECTOR,
        self_deadlock::DETECTOR,
        self_deadlock::LOCK_UPGRADE,
        stuck_lock_owner::DETECTOR,
        lock_contention::DETECTOR,
        connection_pool_exhaustion::DETECTOR,
        thread_pool_exhaustion::DETECTOR,
        cpu_hot::DETECTOR,
    ]
}
