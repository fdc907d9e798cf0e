//! What every tracked lock knows of itself, and how it is entered in the ledger of its thread.

#[cfg(feature = "lock_api")]
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::ledger::{Claim, Ledger};
use super::{How, ledgers};
use crate::task::clock;

#[cfg(feature = "lock_api")]
thread_local! {
    /// The raw lock that this thread took last, by where it lies, with its entry: until it is given
    /// back. A plain cell without a destructor: it costs an addition to find, and never fails.
    static LAST: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// Where a lock was made, and how often it was waited for.
#[derive(Debug)]
pub(super) struct Record {
    made: Option<&'static Location<'static>>,
    /// How often somebody had to wait for it.
    waits: AtomicU64,
    /// For how long in all, in the units of the clock; waits that go on left out.
    waited: AtomicU64,
}

impl Record {
    /// Of a lock that is made at that place.
    pub const fn new(made: Option<&'static Location<'static>>) -> Record {
        Record { made, waits: AtomicU64::new(0), waited: AtomicU64::new(0) }
    }

    /// The calling thread has just taken the lock that lies there.
    #[inline]
    pub fn hold(&self, lock: u64, how: How, taken: &'static Location<'static>) -> Hold {
        let Some(ledger) = ledgers::mine() else { return Hold(None) };
        Hold(Some((ledger, ledger.enter(&self.claim(lock, how, taken)))))
    }

    /// The calling thread is about to give back the lock that lies there.
    #[cfg(feature = "lock_api")]
    #[inline]
    pub fn let_go(&self, lock: u64, how: How) {
        let Some(ledger) = ledgers::mine() else { return };
        // Mostly it is the last that was taken: to look for its entry takes longer.
        if let (last, at) = LAST.get()
            && last == lock
        {
            LAST.set((0, 0));
            return ledger.leave(at);
        }
        match ledger.find(lock, how as u8) {
            Some(at) => ledger.leave(at),
            None if ledger.has_beyond() => ledger.leave(u32::MAX),
            None => {}
        }
    }

    /// The calling thread begins to wait for the lock that lies there.
    #[cold]
    pub fn wait(&self, lock: u64, how: How, taken: &'static Location<'static>) -> Waiting<'_> {
        let claim = self.claim(lock, how, taken);
        let waits_before = self.waits.fetch_add(1, Relaxed);
        let ledger = ledgers::mine();
        if let Some(ledger) = ledger {
            ledger.begin_wait(&claim, waits_before, self.waited.load(Relaxed));
        }
        Waiting { ledger, record: self, since: claim.since }
    }

    #[inline]
    fn claim(&self, lock: u64, how: How, taken: &'static Location<'static>) -> Claim {
        Claim { lock, made: self.made, taken: Some(taken), since: clock::now(), how: how as u8 }
    }
}

/// A lock that the calling thread holds, until this is dropped: before the lock is given back.
#[derive(Debug)]
pub(super) struct Hold(Option<(&'static Ledger, u32)>);

#[cfg(feature = "lock_api")]
impl Hold {
    /// Keeps that of the lock that lies there until it is [let go](Record::let_go).
    #[inline]
    pub fn keep(self, lock: u64) {
        if let Hold(Some((_, at))) = self {
            LAST.set((lock, at));
        }
        std::mem::forget(self);
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        if let Some((ledger, at)) = self.0 {
            ledger.leave(at);
        }
    }
}

/// The calling thread waits for a lock, until this is dropped.
pub(super) struct Waiting<'a> {
    ledger: Option<&'static Ledger>,
    record: &'a Record,
    since: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waited = clock::now().saturating_sub(self.since);
        self.record.waited.fetch_add(waited, Relaxed);
        if let Some(ledger) = self.ledger {
            ledger.end_wait();
        }
    }
}
