//! What the ledgers say -> threads and locks of a dump.

use std::collections::HashMap;
use std::panic;

use sigquit_dump::{
    Dump, Hold, Location, Lock, LockId, LockKind, Nanos, Owner, OwnerSource, Thread, ThreadState,
    WaitFor,
};

use super::How;
use super::ledger::Claim;
use super::seen::{Lasting, Wait};
use crate::task::clock;

/// Adds to a dump what its threads hold and wait for, after all threads; and says what is missing.
pub(crate) fn add(dump: &mut Dump, lasting: &[Lasting]) -> Option<String> {
    let by_tid = |(at, thread): (usize, &Thread)| Some((u32::try_from(thread.os_id?).ok()?, at));
    let threads: HashMap<u32, usize> = dump.threads.iter().enumerate().filter_map(by_tid).collect();
    let mut adding = Adding { dump, locks: HashMap::new(), now: clock::now() };
    let mut beyond = 0;
    for one in lasting {
        let Some(&thread) = threads.get(&one.thread) else { continue };
        one.holds.iter().for_each(|hold| adding.hold(thread, hold));
        if let Some(wait) = &one.wait {
            adding.wait(thread, wait);
        }
        beyond += one.beyond;
    }
    (beyond > 0).then(|| format!("{beyond} locks are held beyond what is kept for a thread"))
}

/// Tracked locks on their way into a dump.
struct Adding<'a> {
    dump: &'a mut Dump,
    /// By where they lie: a lock, and a lock that is its first field, are two.
    locks: HashMap<(u64, LockKind), LockId>,
    /// In the units of the clock.
    now: u64,
}

impl Adding<'_> {
    fn hold(&mut self, thread: usize, claim: &Claim) {
        let Some(lock) = self.lock(claim) else { return };
        let source = OwnerSource::Tracked;
        let hold = Hold {
            taken_at: claim.taken.map(location),
            held: Some(self.since(claim)),
            ..Hold::new(lock, None, source)
        };
        self.dump.threads[thread].holds.push(hold);
        let owner = Owner { thread: thread as u32, source };
        let owners = &mut self.dump.locks[lock.0 as usize].owners;
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }

    fn wait(&mut self, thread: usize, wait: &Wait) {
        let Some(how) = How::from_number(wait.claim.how) else { return };
        let wait_for = how.wait_for();
        // Whoever waits to be notified may, by now, wait for the mutex again.
        if wait_for == WaitFor::Notification && self.futex(thread) != Some(wait.claim.lock) {
            return;
        }
        let Some(lock) = self.lock(&wait.claim) else { return };
        let counted = &mut self.dump.locks[lock.0 as usize];
        counted.waits = counted.waits.max(Some(wait.waits_before + 1));
        counted.waited = counted.waited.max(Some(clock::nanos(wait.waited_before)));
        let since = self.since(&wait.claim);
        let waiter = &mut self.dump.threads[thread];
        waiter.wait = Some(sigquit_dump::Wait { lock, wait_for });
        waiter.waiting_since = Some(since);
        waiter.state = match (waiter.state, wait_for) {
            (state @ (ThreadState::Running | ThreadState::Uninterruptible), _) => state,
            (state, WaitFor::Notification) => state,
            _ => ThreadState::Blocked,
        };
    }

    /// The futex that a thread waits on.
    fn futex(&self, thread: usize) -> Option<u64> {
        self.dump.lock(self.dump.threads[thread].wait.as_ref()?.lock).address
    }

    fn lock(&mut self, claim: &Claim) -> Option<LockId> {
        let how = How::from_number(claim.how)?;
        let dump = &mut *self.dump;
        let lock = self.locks.entry((claim.lock, how.kind())).or_insert_with(|| {
            dump.add_lock(Lock {
                address: Some(claim.lock),
                kind: how.kind(),
                type_name: Some(how.type_name().to_owned()),
                made_at: claim.made.map(location),
                ..Lock::default()
            })
        });
        Some(*lock)
    }

    fn since(&self, claim: &Claim) -> Nanos {
        clock::nanos(self.now.saturating_sub(claim.since))
    }
}

pub(super) fn location(place: &panic::Location<'_>) -> Location {
    Location {
        file: place.file().to_owned(),
        line: Some(place.line()),
        column: Some(place.column()),
    }
}
