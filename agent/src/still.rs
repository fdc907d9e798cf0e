//! Owners that wait themselves, of locks whose memory names its owner: held against one moment.
//!
//! What a thread waits for is what it waited for when it answered. What a lock's memory says is a little
//! younger: the thread may have got that lock by then, and would seem to wait for itself, or to close a circle
//! that never was. So owners that wait are looked at once more, and what the dump says of them was so at
//! one moment:
//!
//! ```text
//! how often it ran | it sleeps on its futex, and the lock names it | how often it ran: no more often
//! ```
//!
//! Of the other locks of this kind the dump does not say who owns them. Owners that are read from code need no such
//! look: what a thread holds and what it waits for is read from one answer.

use std::collections::HashMap;

use sigquit_dump::{Dump, Thread};

use crate::facts::{self, Tasks};

/// Which of a futex's words is the owner's tid, in a pthread mutex.
const OWNER: usize = 2;

/// A lock whose owner waits.
struct Doubtful {
    /// Its index in the dump.
    lock: usize,
    futex: u64,
    /// By tid.
    owner: u32,
    /// The owner, and those that wait for it and hold something else, each with the futex on which it waits.
    waits: Vec<(i32, u64)>,
}

/// Has locks forget their owners where these wait and did not stand still.
pub(crate) fn settle(dump: &mut Dump, tasks: Option<&mut Tasks>) {
    let doubtful = doubtful(dump);
    let Some(tasks) = tasks.filter(|_| !doubtful.is_empty()) else { return };
    let waits: HashMap<i32, u64> = doubtful.iter().flat_map(|one| one.waits.clone()).collect();

    let ran: HashMap<i32, Option<u64>> = waits.keys().map(|&tid| (tid, tasks.turns(tid))).collect();
    let asleep: HashMap<i32, bool> =
        waits.iter().map(|(&tid, &futex)| (tid, tasks.awaits(tid) == Some(futex))).collect();
    let words: Vec<_> = doubtful.iter().map(|one| facts::futex(one.futex).words).collect();
    let mut stands =
        |tid: i32| asleep[&tid] && ran[&tid].is_some() && tasks.turns(tid) == ran[&tid];

    for (one, words) in doubtful.iter().zip(words) {
        let words = words.filter(|words| words[OWNER] == one.owner);
        let words = words.filter(|_| one.waits.iter().all(|&(tid, _)| stands(tid)));
        dump.locks[one.lock].words = words;
    }
}

fn doubtful(dump: &Dump) -> Vec<Doubtful> {
    let wait = |thread: &Thread| {
        let lock = thread.wait.as_ref()?.lock.0 as usize;
        Some((i32::try_from(thread.os_id?).ok()?, lock, dump.locks.get(lock)?.address?))
    };
    let waits: Vec<(&Thread, (i32, usize, u64))> =
        dump.threads.iter().filter_map(|thread| Some((thread, wait(thread)?))).collect();
    let futexes: HashMap<i32, u64> =
        waits.iter().map(|&(_, (tid, _, futex))| (tid, futex)).collect();
    let doubt = |(lock, futex, owner): (usize, u64, u32)| {
        let tid = i32::try_from(owner).ok()?;
        let owner_waits = (tid, *futexes.get(&tid)?);
        let behind = waits
            .iter()
            .filter(|&&(thread, (_, at, _))| at == lock && !thread.will_release.is_empty());
        let behind = behind.map(|&(_, (tid, _, futex))| (tid, futex));
        Some(Doubtful { lock, futex, owner, waits: behind.chain([owner_waits]).collect() })
    };
    let said = dump.locks.iter().enumerate();
    let said = said.filter_map(|(at, lock)| Some((at, lock.address?, lock.words?[OWNER])));
    said.filter(|&(.., owner)| owner != 0).filter_map(doubt).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::atomic::{AtomicI32, AtomicU32};

    use sigquit_dump::{Lock, LockKind, Wait, WaitFor};

    use super::*;

    /// As a pthread mutex lies in memory.
    #[derive(Default)]
    struct Mutex {
        futex: AtomicU32,
        _count: u32,
        owner: AtomicI32,
        _users: u32,
    }

    impl Mutex {
        fn address(&self) -> u64 {
            self.futex.as_ptr().addr() as u64
        }

        /// Sleeps on the futex.
        fn wait(&self) {
            let futex = self.futex.as_ptr();
            let no_limit = std::ptr::null::<libc::timespec>();
            // SAFETY: the word outlives the call, which changes nothing.
            unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAIT, 0, no_limit) };
        }

        fn wake(&self) {
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_futex, self.futex.as_ptr(), libc::FUTEX_WAKE, 1) };
        }

        /// What remains of a dump that says that its owner waits for it.
        fn settled(&self) -> Option<[u32; 4]> {
            let mut dump = Dump::default();
            let (owner, address) = (self.owner.load(SeqCst), Some(self.address()));
            let words = Some([0, 0, owner.unsigned_abs(), 0]);
            let lock = Lock { address, kind: LockKind::Futex, words, ..Lock::default() };
            let wait = Wait { lock: dump.add_lock(lock), wait_for: WaitFor::Unknown };
            let os_id = Some(u64::from(owner.unsigned_abs()));
            dump.threads.push(Thread { os_id, wait: Some(wait), ..Thread::default() });
            settle(&mut dump, Tasks::open().ok().as_mut());
            dump.locks[0].words
        }
    }

    #[test]
    fn an_owner_that_waits_is_kept_while_it_does() {
        let mutex = Mutex::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                mutex.owner.store(crate::agent::current_thread(), SeqCst);
                mutex.wait();
            });
            let mut tasks = Tasks::open().unwrap();
            let asleep = |tasks: &mut Tasks| tasks.awaits(mutex.owner.load(SeqCst));
            while asleep(&mut tasks) != Some(mutex.address()) {
                std::thread::yield_now();
            }
            let said = mutex.settled().expect("it stands still");
            assert_eq!(said[OWNER], mutex.owner.load(SeqCst).unsigned_abs());
            while !waiter.is_finished() {
                mutex.wake();
            }
        });
        assert_eq!(mutex.settled(), None, "it has gone on");
    }

    #[test]
    fn an_owner_that_runs_again_is_forgotten() {
        let mutex = Mutex::default();
        mutex.owner.store(crate::agent::current_thread(), SeqCst);
        assert_eq!(mutex.settled(), None);
    }
}
