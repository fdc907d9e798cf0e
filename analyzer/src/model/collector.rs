//! Garbage collection: what the collector used, and who has to help it.

use sigquit_dump::{Nanos, Thread};

use super::incident::{Incident, MemberId};
use super::pattern::matches_any;

/// Threads that collect. The VM thread does the serial collector's work, and little else.
const COLLECTORS: &[&str] = &[
    "CMS *",
    "Concurrent Mark-Sweep*",
    "G1 *",
    "GC *hread*",
    "GC task thread*",
    "Gang worker*",
    "ParGC *",
    "Parallel GC*",
    "Shenandoah*",
    "VM Thread",
    "XWorker*",
    "ZDriver*",
    "ZGC*",
    "ZWorker*",
];

/// Where Go makes a goroutine that allocates collect first.
const ASSISTS: &[&str] = &["runtime.gcAssistAlloc*", "runtime.gcParkAssist", "runtime.gcDrainN"];

/// Whether a function helps the collector on behalf of one that allocates.
pub(super) fn assists(function: &str) -> bool {
    matches_any(ASSISTS, function)
}

impl Incident {
    /// The runtime's threads that collect garbage.
    pub fn collectors(&self) -> Vec<MemberId> {
        let newest = self.dumps.len().saturating_sub(1);
        let collects =
            |thread: &Thread| thread.runtime_helper && matches_any(COLLECTORS, &thread.name);
        self.shown(newest).filter(|&id| self.thread(id, newest).is_some_and(collects)).collect()
    }

    /// CPU time that members used together from the first dump to the last, and the time
    /// between these; nothing where it is not counted.
    pub fn cpu_of(&self, members: &[MemberId]) -> Option<(Nanos, Nanos)> {
        let used = members.iter().filter_map(|&id| self.cpu_used(id));
        used.reduce(|(sum, longest), (used, over)| {
            (Nanos(sum.0.saturating_add(used.0)), longest.max(over))
        })
    }

    /// Those who have to help the collector before they may allocate.
    pub fn assists(&self, dump: usize) -> Vec<MemberId> {
        let helps = move |id: MemberId| {
            let waits = self
                .thread(id, dump)
                .is_some_and(|thread| thread.state_text.starts_with("GC assist"));
            (waits || self.marks(id, dump).any(|marks| marks.assists)).then_some(())
        };
        self.found(dump, helps).map(|(id, ())| id).collect()
    }
}
