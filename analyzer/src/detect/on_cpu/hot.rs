//! Who is hot: on a CPU, or would be if there were one, in every interval between dumps.

use crate::model::{Cpu, CpuUse, Incident, MemberId};

use sigquit_dump::ThreadState;

use super::thresholds::{BESIDE_MOST, LEAST_IN_CALLS, LEAST_SHARE, WANTED, WANTED_EACH};
use super::wait_loop::is_yield;

/// That a member is hot, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) enum Hot {
    /// It used a CPU or stood in the run queue nearly all the time.
    Wanted(CpuUse),
    /// It was runnable in every dump and got about as much CPU as the busiest member.
    Beside(CpuUse),
    /// It was runnable in every dump; the source counts no CPU time.
    Runnable,
    /// There is one dump, and a table beside it in which it used this share of a CPU.
    Share(f64),
}

impl Hot {
    /// Whether counters say so, and not only the states.
    pub fn is_counted(self) -> bool {
        !matches!(self, Hot::Runnable)
    }

    /// What it used, where that is counted.
    pub fn used(self) -> Option<CpuUse> {
        match self {
            Hot::Wanted(used) | Hot::Beside(used) => Some(used),
            Hot::Runnable | Hot::Share(_) => None,
        }
    }
}

/// Whether a member is hot. One dump never tells, without a table of CPU time beside it.
pub(super) fn hot(incident: &Incident, cpu: &Cpu, member: MemberId) -> Option<Hot> {
    // Of one dump most is known without a look at the member, and there may be a million.
    if incident.dumps.len() == 1 && incident.cpu_share(member, 0).is_none() {
        return None;
    }
    let seen: Vec<usize> =
        (0..incident.dumps.len()).filter(|&dump| incident.thread(member, dump).is_some()).collect();
    let still_there = seen.last() == incident.dumps.len().checked_sub(1).as_ref();
    let is_helper = |&dump: &usize| incident.thread(member, dump).is_some_and(|t| t.runtime_helper);
    if !still_there || seen.iter().any(is_helper) || cpu.carries_another(member) {
        return None;
    }
    if let [dump] = seen[..] {
        let share = incident.cpu_share(member, dump).filter(|_| incident.dumps.len() == 1)?;
        return (share >= WANTED_EACH).then_some(Hot::Share(share));
    }
    let uses = cpu.uses(member);
    match cpu.whole_use(member) {
        Some(whole) => by_wanted(incident, member, &uses, whole).or_else(|| {
            let comparable = whole.wanted().is_none() && is_runnable(incident, member, &seen);
            // In a call that waits somebody is until something comes, be it the busiest of an idle process.
            let computes = |&dump: &usize| is_computing(incident, member, &[dump]);
            let wants = || seen.iter().any(computes) || whole.share() >= LEAST_IN_CALLS;
            (comparable && is_beside(&uses) && wants()).then_some(Hot::Beside(whole))
        }),
        None => (is_runnable(incident, member, &seen)
            && is_computing(incident, member, &seen)
            && !is_seen_idle(incident, member, &seen))
        .then_some(Hot::Runnable),
    }
}

fn by_wanted(incident: &Incident, member: MemberId, uses: &[CpuUse], whole: CpuUse) -> Option<Hot> {
    let at_least = |used: &CpuUse, share| {
        used.wanted().is_some_and(|wanted| wanted >= share) || never_waited(incident, member, used)
    };
    let throughout = uses.iter().all(|used| at_least(used, WANTED_EACH));
    (at_least(&whole, WANTED) && throughout).then_some(Hot::Wanted(whole))
}

/// Runnable before and after, and it never gave the CPU away in between: then it had one or stood
/// in the queue for one. The kernel counts time in the queue when it is over, so on a starved
/// machine the counter of a thread that still stands there lags behind.
fn never_waited(incident: &Incident, member: MemberId, used: &CpuUse) -> bool {
    used.waits == Some(0)
        && used.share() >= LEAST_SHARE
        && is_runnable(incident, member, &[used.from, used.to])
}

fn is_beside(uses: &[CpuUse]) -> bool {
    !uses.is_empty()
        && uses.iter().all(|used| used.beside_most() >= BESIDE_MOST && used.share() >= LEAST_SHARE)
}

fn is_runnable(incident: &Incident, member: MemberId, dumps: &[usize]) -> bool {
    dumps.iter().all(|&dump| {
        let state = incident.thread(member, dump).map(|thread| thread.state);
        matches!(state, Some(ThreadState::Running | ThreadState::Runnable))
    })
}

/// A table beside one of the dumps shows it next to no CPU time.
fn is_seen_idle(incident: &Incident, member: MemberId, dumps: &[usize]) -> bool {
    dumps
        .iter()
        .filter_map(|&dump| incident.cpu_share(member, dump))
        .any(|share| share < LEAST_SHARE)
}

/// A runtime calls threads runnable that wait in foreign code other than a yield, and the thread that writes the
/// dump; both can be told by their frames.
fn is_computing(incident: &Incident, member: MemberId, dumps: &[usize]) -> bool {
    dumps.iter().all(|&dump| {
        let mut calls = incident.calls(member, dump);
        let leaf = calls.next();
        leaf.is_some_and(|leaf| !leaf.is_foreign() || is_yield(&leaf.function))
            && !incident.activity(member, dump).is_wait()
            && !incident.calls(member, dump).any(|call| WRITES_DUMPS.contains(&&*call.function))
    })
}

/// Functions of a runtime that write the very dump which shows them.
const WRITES_DUMPS: &[&str] = &[
    "runtime.Stack",
    "runtime/debug.Stack",
    "runtime/debug.PrintStack",
    "runtime/pprof.writeGoroutine",
    "runtime/pprof.writeGoroutineStacks",
    "java.lang.Thread.dumpStack",
    "java.lang.Thread.getAllStackTraces",
    "sun.management.ThreadImpl.dumpThreads0",
];
