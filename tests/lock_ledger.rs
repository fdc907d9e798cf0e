//! What a thread holds, read while its locks change hands, in every order in which loads and stores can
//! happen.
//!
//! `loom` runs the agent's own file with its own atomics in the place of the processor's. A test binary
//! of its own, without the usual harness: the file's unit tests are for the processor's.

#[path = "../agent/src/sync/ledger.rs"]
#[allow(dead_code, unexpected_cfgs, unused_imports)]
mod ledger;
#[path = "../agent/src/sync/place.rs"]
#[allow(dead_code)]
mod place;

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
}

use ledger::{Claim, Ledger, Seen};
use loom::sync::Arc;
use loom::thread;

/// A thread is interrupted so often, at most, in one order: with more, orders are too many to try.
const INTERRUPTIONS: usize = 2;
/// Reads, at most, of a ledger that changes.
const TRIES: usize = 1;

fn main() {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(INTERRUPTIONS);
    orders.check(a_lock_is_given_back_and_another_taken);
    orders.check(a_wait_follows_a_hold);
    println!("in no order is a ledger seen that was not");
}

/// A claim whose every word follows from one number: a torn one shows.
fn claim(number: u64) -> Claim {
    Claim { lock: number, made: None, taken: None, since: number, how: number as u8 }
}

fn is_untorn(claim: &Claim) -> bool {
    claim.since == claim.lock && u64::from(claim.how) == claim.lock
}

/// The locks that are held, and the one that is waited for.
fn state(seen: &Seen) -> (Vec<u64>, Option<u64>) {
    assert!(seen.holds.iter().chain(&seen.wait).all(|one| is_untorn(&one.claim)), "{seen:?}");
    let holds = seen.holds.iter().map(|hold| hold.claim.lock).collect();
    (holds, seen.wait.map(|wait| wait.claim.lock))
}

/// What is read while a thread does something to its ledger is one of these states, or nothing.
fn check(changes: fn(&Ledger), states: &[(&[u64], Option<u64>)]) {
    let ledger = Arc::new(Ledger::new());
    let theirs = ledger.clone();
    let owner = thread::spawn(move || changes(&theirs));
    if let Some(seen) = ledger.read(TRIES) {
        let (holds, wait) = state(&seen);
        assert!(states.contains(&(&holds, wait)), "{holds:?} and {wait:?} never were");
    }
    owner.join().expect("it does not panic");
    let seen = ledger.read(TRIES).expect("nobody writes");
    let (holds, wait) = state(&seen);
    assert_eq!(states.last(), Some(&(&holds[..], wait)));
}

fn a_lock_is_given_back_and_another_taken() {
    let changes = |ledger: &Ledger| {
        let at = ledger.enter(&claim(1));
        ledger.leave(at);
        ledger.enter(&claim(2));
    };
    check(changes, &[(&[], None), (&[1], None), (&[2], None)]);
}

fn a_wait_follows_a_hold() {
    let changes = |ledger: &Ledger| {
        let at = ledger.enter(&claim(1));
        ledger.begin_wait(&claim(2), 0, 0);
        ledger.end_wait();
        ledger.leave(at);
    };
    let states: [(&[u64], _); 4] = [(&[], None), (&[1], None), (&[1], Some(2)), (&[], None)];
    check(changes, &states);
}
