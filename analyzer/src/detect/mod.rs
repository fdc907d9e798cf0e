//! What is wrong. One detector a file: its documentation, its code, its tests; the list is
//! [`all`]. Where a detector rests on several kinds of evidence, each has a file in the folder of its name.
//!
//! ```text
//! deadlock.rs             what the detector says, and in which order it asks
//! deadlock/               one way to see a deadlock a file: hidden_circle, channel_circle, ...
//! cycle, async_lock,      evidence that several detectors rest on
//! forsaken, on_cpu
//! finding, phrase         what is told, and the words for it
//! ```
//!
//! A detector is a function from an incident to findings. It knows no format: what a runtime
//! calls things was made comparable in the model. It claims no more than its [`Grade`] carries.

mod async_lock;
mod avalanche;
mod baseline;
mod busy_wait;
mod concurrent_map_access;
mod connection_pool_exhaustion;
mod cpu_hot;
mod cpu_starvation;
mod cycle;
mod data_race;
mod deadlock;
mod downstream_stall;
mod finding;
mod forsaken;
mod gc_pressure;
mod io_stall;
mod lock_contention;
mod lost_waker;
mod map_corruption;
mod memory_pressure;
mod on_cpu;
mod panic;
mod phrase;
mod queue_length;
mod runaway_recursion;
mod runtime_blocked;
mod self_deadlock;
mod spin_loop;
mod stuck_lock_owner;
mod task_leak;
mod thread_leak;
mod thread_pool_exhaustion;

pub use baseline::Baseline;
pub use finding::{Evidence, Finding, Grade, LockOf, Severity};

use crate::model::{Incident, MemberId};

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

/// Everything that is wrong with an incident, as far as the detectors see. A thread that was in one
/// task all the time stands for that task too: where it is to blame, so is the task.
pub fn detect(incident: &Incident) -> Vec<Finding> {
    let findings = all().iter().flat_map(|detector| (detector.detect)(incident));
    findings.map(|finding| with_tasks(incident, finding)).collect()
}

fn with_tasks(incident: &Incident, mut finding: Finding) -> Finding {
    let carried = finding.members.iter().filter_map(|&id| incident.always_carried(id));
    let carried: Vec<MemberId> = carried.filter(|id| !finding.members.contains(id)).collect();
    finding.members.extend(carried);
    finding
}

/// Every detector.
pub fn all() -> &'static [Detector] {
    &[
        map_corruption::DETECTOR,
        spin_loop::DETECTOR,
        busy_wait::DETECTOR,
        runaway_recursion::DETECTOR,
        concurrent_map_access::DETECTOR,
        data_race::DETECTOR,
        panic::DETECTOR,
        deadlock::DETECTOR,
        self_deadlock::DETECTOR,
        self_deadlock::LOCK_UPGRADE,
        stuck_lock_owner::DETECTOR,
        downstream_stall::DETECTOR,
        io_stall::DETECTOR,
        lock_contention::DETECTOR,
        connection_pool_exhaustion::DETECTOR,
        runtime_blocked::DETECTOR,
        lost_waker::DETECTOR,
        task_leak::DETECTOR,
        thread_leak::DETECTOR,
        thread_pool_exhaustion::DETECTOR,
        avalanche::DETECTOR,
        gc_pressure::DETECTOR,
        memory_pressure::DETECTOR,
        cpu_starvation::DETECTOR,
        cpu_hot::DETECTOR,
    ]
}
