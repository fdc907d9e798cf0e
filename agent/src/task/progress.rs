//! How far a task has come: how often it was polled, by whom it is polled now, and when it was
//! polled last.
//!
//! A sequence lock without a lock: only the thread that polls writes, and holding `&mut` of the
//! future it is alone; any thread reads, and holds nobody up. The word that says whether the task
//! runs also counts its polls, so it is its own sequence number.
//!
//! ```text
//! word   polls, 42 bits | tid of the thread that polls now, or 0, 22 bits
//! last   when the last poll ended, 42 bits | tid of the thread that polled, 22 bits
//!
//! begin  word = polls | tid                       one store
//! end    last = now | tid;  word = polls + 1 | 0  two stores
//! ```
//!
//! Whoever reads the same word before and after `last` has read the `last` that belongs to it: a
//! later poll stores its word before its `last`, and who sees the one sees the other. `loom` tries
//! all orders of this file's loads and stores in `tests/task_progress.rs`.

use super::atomic::AtomicU64;
use super::atomic::Ordering::{Acquire, Relaxed, Release};

/// Linux gives no tid of more bits (`PID_MAX_LIMIT`).
const TID_BITS: u32 = 22;
const TID: u64 = (1 << TID_BITS) - 1;
/// Reads that find the task moving, before a reader lets go.
const TRIES: usize = 1000;

/// How far a task has come.
#[derive(Debug)]
pub(crate) struct Progress {
    word: AtomicU64,
    last: AtomicU64,
}

/// A poll that has begun, for whom ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    word: u64,
}

impl Begun {
    /// Whether nobody has polled before.
    pub fn is_first(self) -> bool {
        self.word <= TID
    }
}

/// How far a task had come at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody has polled it.
    New,
    /// A thread is polling it, after so many polls.
    Running { tid: u32, polls: u64 },
    /// It is suspended, after so many polls. The last ended at `at`, in the clock's own units, and
    /// was `tid`'s.
    Suspended { polls: u64, at: u64, tid: u32 },
    /// It was polled over and over while it was looked at.
    Moving,
}

impl Progress {
    /// Of a task that nobody has polled.
    pub fn new() -> Progress {
        Progress { word: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// This thread begins to poll. The caller is the only one that polls.
    #[inline]
    pub fn begin(&self, tid: u32) -> Begun {
        // Between two polls the tid is 0.
        let word = self.word.load(Relaxed) | u64::from(tid);
        self.word.store(word, Relaxed);
        Begun { word }
    }

    /// The poll has ended, at that time.
    #[inline]
    pub fn end(&self, begun: Begun, at: u64) {
        self.last.store(at << TID_BITS | begun.word & TID, Release);
        self.word.store((begun.word | TID).wrapping_add(1), Release);
    }

    /// The poll has ended, and does not count: it was for a dump.
    pub fn end_uncounted(&self, begun: Begun) {
        self.word.store(begun.word & !TID, Release);
    }

    /// How far the task has come.
    pub fn read(&self) -> Seen {
        for _ in 0..TRIES {
            let word = self.word.load(Acquire);
            let last = self.last.load(Acquire);
            if self.word.load(Relaxed) == word {
                return seen(word, last);
            }
        }
        Seen::Moving
    }
}

fn seen(word: u64, last: u64) -> Seen {
    let (polls, tid) = (word >> TID_BITS, (word & TID) as u32);
    match (tid, polls) {
        (0, 0) => Seen::New,
        (0, polls) => Seen::Suspended { polls, at: last >> TID_BITS, tid: (last & TID) as u32 },
        (tid, polls) => Seen::Running { tid, polls },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_new_runs_and_is_suspended() {
        let progress = Progress::new();
        assert_eq!(progress.read(), Seen::New);
        let poll = progress.begin(7);
        assert_eq!(progress.read(), Seen::Running { tid: 7, polls: 0 });
        progress.end(poll, 100);
        assert_eq!(progress.read(), Seen::Suspended { polls: 1, at: 100, tid: 7 });
        let poll = progress.begin(TID as u32);
        assert_eq!(progress.read(), Seen::Running { tid: TID as u32, polls: 1 });
        progress.end(poll, 101);
        assert_eq!(progress.read(), Seen::Suspended { polls: 2, at: 101, tid: TID as u32 });
    }

    #[test]
    fn a_poll_for_a_dump_leaves_no_trace() {
        let progress = Progress::new();
        progress.end(progress.begin(7), 100);
        progress.end_uncounted(progress.begin(8));
        assert_eq!(progress.read(), Seen::Suspended { polls: 1, at: 100, tid: 7 });
    }

    #[test]
    fn the_count_of_polls_begins_anew_and_touches_nothing_else() {
        let progress = Progress::new();
        progress.word.store(!TID, Relaxed);
        progress.end(progress.begin(3), 5);
        assert_eq!(progress.word.load(Relaxed), 0);
        assert_eq!(progress.last.load(Relaxed), 5 << TID_BITS | 3);
    }

    /// The n-th poll of a task, from 1, is the thread n's and ends at the time n, as far as a tid
    /// can count.
    fn is_untorn(seen: Seen) -> bool {
        let tid_of = |polls: u64| (polls % TID + 1) as u32;
        match seen {
            Seen::New | Seen::Moving => true,
            Seen::Running { tid, polls } => tid == tid_of(polls),
            Seen::Suspended { polls, at, tid } => at == polls && tid == tid_of(polls - 1),
        }
    }

    #[test]
    fn what_is_read_of_tasks_that_are_polled_all_the_time_was_never_torn() {
        const TASKS: usize = 200;
        /// Of tasks that have been polled since the one before.
        const SNAPSHOTS: usize = 100_000;
        let tasks: Vec<Progress> = (0..TASKS).map(|_| Progress::new()).collect();
        let ended = std::sync::atomic::AtomicBool::new(false);
        let poll_all = |tasks: &[Progress]| {
            let mut polls = 0;
            while !ended.load(Relaxed) {
                for task in tasks {
                    task.end(task.begin((polls % TID + 1) as u32), polls + 1);
                }
                polls += 1;
            }
        };
        std::thread::scope(|scope| {
            for half in tasks.chunks(TASKS / 2) {
                scope.spawn(move || poll_all(half));
            }
            let (mut moved, mut torn) = (0, 0);
            let mut before = [Seen::New; TASKS];
            while moved < SNAPSHOTS {
                for (task, before) in tasks.iter().zip(&mut before) {
                    let seen = task.read();
                    moved += usize::from(seen != *before);
                    torn += usize::from(!is_untorn(seen));
                    *before = seen;
                }
            }
            ended.store(true, Relaxed);
            assert_eq!(torn, 0);
        });
    }
}
