//! The ledgers of all threads, and the calling thread's.
//!
//! A chain that only grows: a ledger is never freed, so a dump may read any of them at any time. A
//! thread that ends leaves its ledger to the next that begins.

use std::cell::Cell;
use std::iter::successors;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::ledger::{Ledger, Seen};
use crate::agent::current_thread;

/// Reads that find a ledger changing, before a dump lets go.
const TRIES: usize = 1000;

/// In the place of a tid: a thread that has ended with a lock in its hand, a guard that it forgot. Its
/// tid may soon be another's.
const ENDED: u32 = u32::MAX;

/// In the place of a ledger's number: the thread has none.
const NONE: u32 = u32::MAX;

/// A ledger, with the thread whose it is.
struct Owned {
    /// No other has it.
    number: u32,
    /// By tid; 0 for nobody, who leaves it to the next, or [`ENDED`].
    thread: AtomicU32,
    ledger: Ledger,
    next: OnceLock<&'static Owned>,
}

static FIRST: OnceLock<&'static Owned> = OnceLock::new();

/// How many there are.
static COUNT: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Plain cells without a destructor: they cost an addition to find, and never fail.
    static MINE: Cell<Option<&'static Ledger>> = const { Cell::new(None) };
    static NUMBER: Cell<u32> = const { Cell::new(NONE) };
    /// An allocator may lock, and so may what runs when a thread ends.
    static IS_CLAIMING: Cell<bool> = const { Cell::new(false) };
    static END: End = const { End };
}

/// The calling thread's ledger. None in the few moments in which it cannot have one: while it
/// gets its first, and when it has all but ended.
#[inline]
pub(super) fn mine() -> Option<&'static Ledger> {
    match MINE.get() {
        None => claim(),
        mine => mine,
    }
}

/// The number of the calling thread's ledger, which no other thread has at the same time, nor later
/// without having seen all that this thread did; the first threads have the smallest. The largest of
/// all for none.
#[inline]
pub(super) fn number() -> u32 {
    match NUMBER.get() {
        NONE => claim().map_or(NONE, |_| NUMBER.get()),
        number => number,
    }
}

#[cold]
fn claim() -> Option<&'static Ledger> {
    // Touched, so that the ledger is given back when the thread ends.
    if END.try_with(|_| ()).is_err() || IS_CLAIMING.replace(true) {
        return None;
    }
    let thread = current_thread().unsigned_abs();
    let mine = free(thread).unwrap_or_else(|| append(thread));
    MINE.set(Some(&mine.ledger));
    NUMBER.set(mine.number);
    IS_CLAIMING.set(false);
    Some(&mine.ledger)
}

fn chain() -> impl Iterator<Item = &'static Owned> {
    successors(FIRST.get().copied(), |owned| owned.next.get().copied())
}

/// One that nobody has, which the thread has from now on.
fn free(thread: u32) -> Option<&'static Owned> {
    let mut chain = chain();
    chain.find(|owned| {
        owned.thread.load(Relaxed) == 0
            && owned.thread.compare_exchange(0, thread, Acquire, Relaxed).is_ok()
    })
}

fn append(thread: u32) -> &'static Owned {
    let new: &'static Owned = Box::leak(Box::new(Owned {
        number: COUNT.fetch_add(1, Relaxed),
        thread: AtomicU32::new(thread),
        ledger: Ledger::new(),
        next: OnceLock::new(),
    }));
    let mut end = &FIRST;
    while end.set(new).is_err() {
        if let Some(last) = end.get() {
            end = &last.next;
        }
    }
    new
}

/// The end of the thread.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let Some(mine) = MINE.take() else { return };
        NUMBER.set(NONE);
        if let Some(owned) = chain().find(|owned| std::ptr::eq(&owned.ledger, mine)) {
            owned.thread.store(if mine.is_empty() { 0 } else { ENDED }, Release);
        }
    }
}

/// What the ledgers of all threads say, by tid, those left out that say nothing.
pub(super) fn all() -> Vec<(u32, Option<Seen>)> {
    let seen = chain().filter_map(|owned| {
        let thread = owned.thread.load(Acquire);
        let seen = owned.ledger.read(TRIES);
        let says = seen.as_ref().is_none_or(|seen| !seen.holds.is_empty() || seen.wait.is_some());
        let is_still = owned.thread.load(Acquire) == thread;
        let is_one = thread != 0 && thread != ENDED;
        (is_one && is_still && says).then_some((thread, seen))
    });
    seen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::ledger::Claim;

    const CLAIM: Claim = Claim { lock: 0xabcd, made: None, taken: None, since: 1, how: 3 };

    fn threads_that_hold_it() -> Vec<u32> {
        let holds = |seen: &Seen| seen.holds.iter().any(|hold| hold.claim == CLAIM);
        all()
            .into_iter()
            .filter(|(_, seen)| seen.as_ref().is_some_and(holds))
            .map(|(t, _)| t)
            .collect()
    }

    #[test]
    fn a_thread_is_seen_with_what_it_holds_and_leaves_its_ledger_to_another() {
        let hold = || {
            let ledger = mine().expect("a ledger");
            let at = ledger.enter(&CLAIM);
            let seen = threads_that_hold_it();
            ledger.leave(at);
            (std::ptr::from_ref(ledger).addr(), current_thread().unsigned_abs(), seen)
        };
        let (first, tid, seen) = std::thread::spawn(hold).join().unwrap();
        assert_eq!(seen, [tid]);
        assert!(threads_that_hold_it().is_empty());
        let reused = (0..100).any(|_| std::thread::spawn(hold).join().unwrap().0 == first);
        assert!(reused);
    }
}
