//! The threads that are sampled: who is there, who is new, and the CPU time of each.

use std::collections::HashMap;

use sigquit_dump::Nanos;

use super::session::samplers;
use crate::facts::{self, Tasks};

/// The clock of a thread's CPU time, by the kernel's number of the thread.
pub(super) fn cpu_clock(tid: i32) -> libc::clockid_t {
    /// Of one thread, as the scheduler counts it.
    const PER_THREAD_SCHEDULER: i32 = 4 | 2;
    !tid << 3 | PER_THREAD_SCHEDULER
}

/// The CPU time of a thread of this process; nothing when it is gone.
pub(super) fn cpu(tid: i32) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which is ours.
    let read = unsafe { libc::clock_gettime(cpu_clock(tid), &mut time) };
    (read == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Of one thread: its CPU time when it was first and last seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: u64,
    last: u64,
    here: bool,
}

/// The threads seen so far.
#[derive(Debug, Default)]
pub(super) struct Threads {
    seen: HashMap<i32, Seen>,
    /// What those used that have been forgotten.
    forgotten: u64,
}

impl Threads {
    /// Looks again: who is new, and who is gone. The threads that take samples are left out.
    pub fn look(&mut self) -> (Vec<i32>, Vec<i32>) {
        let samplers = samplers();
        self.seen.values_mut().for_each(|seen| seen.here = false);
        let mut new = Vec::new();
        for tid in Tasks::ids().into_iter().filter(|tid| !samplers.contains(tid)) {
            let Some(now) = cpu(tid) else { continue };
            self.seen
                .entry(tid)
                .and_modify(|seen| (seen.last, seen.here) = (now.max(seen.last), true))
                .or_insert_with(|| {
                    new.push(tid);
                    Seen { first: now, last: now, here: true }
                });
        }
        let gone = self.seen.iter().filter(|(_, seen)| !seen.here).map(|(&tid, _)| tid);
        (new, gone.collect())
    }

    /// What a thread has used since it was first seen.
    pub fn used(&self, tid: i32) -> Option<Nanos> {
        self.seen.get(&tid).map(|seen| Nanos(seen.last - seen.first))
    }

    /// What all but some have used since they were first seen.
    pub fn used_by_all_but(&self, tids: &[u64]) -> Nanos {
        let counts = |tid: &i32| !tids.contains(&(*tid as u64));
        let used = self.seen.iter().filter(|(tid, _)| counts(tid));
        Nanos(self.forgotten + used.map(|(_, seen)| seen.last - seen.first).sum::<u64>())
    }

    /// Forgets those that are gone. What they used still counts, but for some of them.
    pub fn forget_gone(&mut self, but: &[u64]) {
        let forgotten = &mut self.forgotten;
        self.seen.retain(|&tid, seen| {
            if !seen.here && !but.contains(&(tid as u64)) {
                *forgotten += seen.last - seen.first;
            }
            seen.here
        });
    }
}

/// The name of a thread, as long as it lives.
pub(super) fn name(tid: i32) -> String {
    let name = std::fs::read(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// The monotonic clock.
pub(super) fn monotonic() -> u64 {
    facts::monotonic().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_thread_is_that_thread_s() {
        let before = cpu(crate::agent::current_thread()).expect("it lives");
        let own = facts::thread_cpu().0;
        assert!(before <= own, "{before} {own}");
        assert_eq!(cpu(0x3f_fffe), None, "no such thread");
    }

    #[test]
    fn threads_come_and_go() {
        let mut threads = Threads::default();
        threads.look();
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(crate::agent::current_thread()).unwrap();
            let _ = wait.recv();
        });
        let tid = told.recv().unwrap();
        assert!(threads.look().0.contains(&tid));
        assert!(!threads.look().0.contains(&tid), "it is not new any more");
        drop(stop);
        thread.join().unwrap();
        while !threads.look().1.contains(&tid) {}
        assert!(threads.used(tid).is_some());
        let used = threads.used_by_all_but(&[]);
        threads.forget_gone(&[]);
        assert_eq!((threads.used(tid), threads.used_by_all_but(&[])), (None, used));
    }
}
