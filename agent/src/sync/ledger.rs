//! What one thread holds and waits for: written by that thread alone, read by dumps.
//!
//! A sequence lock without a lock: the thread that writes waits for nobody, and whoever reads sees
//! all of it as it was at one moment, or tries again. The version is odd while something is put in.
//!
//! ```text
//! version   even | odd: an entry is being written
//! used      one bit for each entry that stands for a lock which is held
//! entries   lock, where it was made and taken, since when and how
//!
//! enter     version + 1;  entry;  used | bit;  version + 2
//! leave     used & !bit
//! ```
//!
//! To leave is one store: what was read before it is true of the moment before it. An entry is written
//! only while its bit is clear, and with the version odd: who has read a torn one reads another
//! version afterwards. `loom` tries the orders of this file's loads and stores in
//! `tests/lock_ledger.rs`.

use std::panic::Location;

use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::atomic::{AtomicU32, AtomicU64, fence};
use super::place::AtomicPlace;

/// Locks that a thread can hold at once and be seen with.
const ENTRIES: u32 = 32;

/// What one thread holds and waits for.
#[derive(Debug)]
pub(crate) struct Ledger {
    version: AtomicU64,
    used: AtomicU32,
    /// Held beyond those that have an entry.
    beyond: AtomicU32,
    entries: [Entry; ENTRIES as usize],
    wait: Entry,
    /// How often, before this wait, somebody had to wait for the lock, and for how long in all.
    waits_before: AtomicU64,
    waited_before: AtomicU64,
}

/// A lock that a thread holds, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Where the lock lies, never 0.
    pub lock: u64,
    /// Where it was made, when that is known.
    pub made: Option<&'static Location<'static>>,
    /// Where it was taken, or is to be.
    pub taken: Option<&'static Location<'static>>,
    /// Since when, in the units of the clock.
    pub since: u64,
    /// What the lock is and how it was taken: a number that only the callers understand.
    pub how: u8,
}

/// A claim, with what tells it from every other of this ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Never the same twice in one ledger.
    pub number: u64,
    /// The claim.
    pub claim: Claim,
}

/// What a ledger said at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What the thread held.
    pub holds: Vec<Numbered>,
    /// How many locks it held beyond these.
    pub beyond: u32,
    /// What it waited for.
    pub wait: Option<Numbered>,
    /// Waits for that lock before this one.
    pub waits_before: u64,
    /// How long those took in all, in the units of the clock.
    pub waited_before: u64,
}

#[derive(Debug)]
struct Entry {
    number: AtomicU64,
    lock: AtomicU64,
    made: AtomicPlace,
    taken: AtomicPlace,
    /// `since`, 56 bits | `how`, 8 bits
    terms: AtomicU64,
}

impl Ledger {
    /// Of a thread that holds nothing.
    pub fn new() -> Ledger {
        Ledger {
            version: AtomicU64::new(0),
            used: AtomicU32::new(0),
            beyond: AtomicU32::new(0),
            entries: std::array::from_fn(|_| Entry::new()),
            wait: Entry::new(),
            waits_before: AtomicU64::new(0),
            waited_before: AtomicU64::new(0),
        }
    }

    /// The thread has taken a lock. Returns the entry to leave with.
    #[inline]
    pub fn enter(&self, claim: &Claim) -> u32 {
        let used = self.used.load(Relaxed);
        let at = used.trailing_ones();
        let Some(entry) = self.entries.get(at as usize) else {
            self.beyond.store(self.beyond.load(Relaxed) + 1, Relaxed);
            return at;
        };
        self.change(|number| {
            entry.put(number, claim);
            self.used.store(used | 1 << at, Relaxed);
        });
        at
    }

    /// The thread is about to give back what it entered there.
    #[inline]
    pub fn leave(&self, at: u32) {
        if at < ENTRIES {
            self.used.store(self.used.load(Relaxed) & !(1 << at), Release);
        } else {
            self.beyond.store(self.beyond.load(Relaxed).saturating_sub(1), Relaxed);
        }
    }

    /// The entry of a lock that the thread holds, taken in that way. Of several, which nothing tells
    /// apart, the one that lies last: mostly the last that was entered.
    #[allow(dead_code, reason = "only raw locks do not remember their entry")]
    #[inline]
    pub fn find(&self, lock: u64, how: u8) -> Option<u32> {
        let mut left = self.used.load(Relaxed);
        while left != 0 {
            let at = left.ilog2();
            let entry = &self.entries[at as usize];
            if entry.lock.load(Relaxed) == lock && entry.terms.load(Relaxed) as u8 == how {
                return Some(at);
            }
            left &= !(1 << at);
        }
        None
    }

    /// Whether there are holds without an entry.
    #[allow(dead_code, reason = "only raw locks do not remember their entry")]
    pub fn has_beyond(&self) -> bool {
        self.beyond.load(Relaxed) > 0
    }

    /// The thread begins to wait for a lock.
    pub fn begin_wait(&self, claim: &Claim, waits_before: u64, waited_before: u64) {
        self.change(|number| {
            self.wait.put(number, claim);
            self.waits_before.store(waits_before, Relaxed);
            self.waited_before.store(waited_before, Relaxed);
        });
    }

    /// The thread waits no longer.
    pub fn end_wait(&self) {
        self.wait.lock.store(0, Release);
    }

    /// Whether the thread holds nothing.
    pub fn is_empty(&self) -> bool {
        self.used.load(Relaxed) == 0 && self.beyond.load(Relaxed) == 0
    }

    /// What the ledger says, at one moment; nothing when it changes in so many tries, every time.
    pub fn read(&self, tries: usize) -> Option<Seen> {
        for _ in 0..tries {
            let version = self.version.load(Acquire);
            let seen = self.read_once();
            fence(Acquire);
            if version.is_multiple_of(2) && self.version.load(Relaxed) == version {
                return Some(seen);
            }
        }
        None
    }

    fn read_once(&self) -> Seen {
        let used = self.used.load(Acquire);
        let held = |&at: &u32| used & 1 << at != 0;
        let holds = (0..ENTRIES).filter(held).map(|at| self.entries[at as usize].get());
        let holds = holds.collect();
        let wait = Some(self.wait.get()).filter(|wait| wait.claim.lock != 0);
        Seen {
            holds,
            beyond: self.beyond.load(Relaxed),
            wait,
            waits_before: self.waits_before.load(Relaxed),
            waited_before: self.waited_before.load(Relaxed),
        }
    }

    /// Puts something in. Its number is the version that it had before.
    #[inline]
    fn change(&self, put: impl FnOnce(u64)) {
        let version = self.version.load(Relaxed);
        self.version.store(version + 1, Relaxed);
        fence(Release);
        put(version);
        self.version.store(version + 2, Release);
    }
}

impl Entry {
    fn new() -> Entry {
        Entry {
            number: AtomicU64::new(0),
            lock: AtomicU64::new(0),
            made: AtomicPlace::new(),
            taken: AtomicPlace::new(),
            terms: AtomicU64::new(0),
        }
    }

    #[inline]
    fn put(&self, number: u64, claim: &Claim) {
        self.number.store(number, Relaxed);
        self.lock.store(claim.lock, Relaxed);
        self.made.store(claim.made);
        self.taken.store(claim.taken);
        self.terms.store(claim.since << 8 | u64::from(claim.how), Relaxed);
    }

    fn get(&self) -> Numbered {
        let terms = self.terms.load(Relaxed);
        let claim = Claim {
            lock: self.lock.load(Relaxed),
            made: self.made.load(),
            taken: self.taken.load(),
            since: terms >> 8,
            how: terms as u8,
        };
        Numbered { number: self.number.load(Relaxed), claim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(lock: u64) -> Claim {
        Claim { lock, made: None, taken: None, since: lock * 2, how: lock as u8 }
    }

    fn held(ledger: &Ledger) -> Vec<u64> {
        let seen = ledger.read(1).expect("nobody writes");
        seen.holds.iter().map(|hold| hold.claim.lock).collect()
    }

    #[test]
    fn locks_may_be_given_back_in_any_order() {
        let ledger = Ledger::new();
        let first = ledger.enter(&claim(1));
        let second = ledger.enter(&claim(2));
        assert_eq!(held(&ledger), [1, 2]);
        ledger.leave(first);
        assert_eq!(held(&ledger), [2]);
        ledger.enter(&claim(3));
        ledger.leave(second);
        assert_eq!(held(&ledger), [3]);
    }

    #[test]
    fn a_lock_that_is_taken_again_is_another_claim() {
        let ledger = Ledger::new();
        let number = |ledger: &Ledger| ledger.read(1).expect("nobody writes").holds[0].number;
        let at = ledger.enter(&claim(1));
        let first = number(&ledger);
        ledger.leave(at);
        ledger.enter(&claim(1));
        assert_ne!(number(&ledger), first);
    }

    #[test]
    fn of_two_holds_of_one_lock_one_is_found_after_the_other() {
        let ledger = Ledger::new();
        let first = ledger.enter(&claim(7));
        let second = ledger.enter(&claim(7));
        assert_eq!(ledger.find(7, 7), Some(second));
        ledger.leave(second);
        assert_eq!(ledger.find(7, 7), Some(first));
        assert_eq!(ledger.find(7, 1), None, "taken in another way");
        assert_eq!(ledger.find(8, 8), None);
    }

    #[test]
    fn more_locks_than_there_is_room_for_are_counted() {
        let ledger = Ledger::new();
        let at: Vec<u32> =
            (1..=u64::from(ENTRIES) + 2).map(|lock| ledger.enter(&claim(lock))).collect();
        let seen = ledger.read(1).expect("nobody writes");
        assert_eq!((seen.holds.len(), seen.beyond), (ENTRIES as usize, 2));
        at.into_iter().for_each(|at| ledger.leave(at));
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_wait_is_seen_with_what_is_held_meanwhile_and_until_it_ends() {
        let ledger = Ledger::new();
        ledger.enter(&claim(1));
        ledger.begin_wait(&claim(2), 5, 60);
        let seen = ledger.read(1).expect("nobody writes");
        assert_eq!(seen.wait.map(|wait| wait.claim), Some(claim(2)));
        assert_eq!((seen.holds.len(), seen.waits_before, seen.waited_before), (1, 5, 60));
        ledger.end_wait();
        assert_eq!(ledger.read(1).expect("nobody writes").wait, None);
    }
}
