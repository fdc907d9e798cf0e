//! How far a task has come, in every order in which loads and stores can happen.
//!
//! `loom` runs the agent's own file with its own atomics in the place of the processor's. A test binary
//! of its own, without the usual harness: the file's unit tests are for the processor's.

#[path = "../agent/src/task/progress.rs"]
#[allow(dead_code, unused_imports)]
mod progress;

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

use loom::sync::Arc;
use loom::thread;
use progress::{Progress, Seen};

/// A thread is interrupted so often, at most, in one order: with more, orders are too many to try.
const INTERRUPTIONS: usize = 2;

fn main() {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(INTERRUPTIONS);
    orders.check(two_polls_and_one_for_a_dump);
    orders.check(a_poll_on_another_thread);
    println!("in no order is a state seen that was not");
}

/// What a task was that is polled at 10 by thread 1, for a dump by thread 2, and at 30 by thread 3.
const STATES: [Seen; 6] = [
    Seen::New,
    Seen::Running { tid: 1, polls: 0 },
    Seen::Suspended { polls: 1, at: 10, tid: 1 },
    Seen::Running { tid: 2, polls: 1 },
    Seen::Running { tid: 3, polls: 1 },
    Seen::Suspended { polls: 2, at: 30, tid: 3 },
];

fn first_polls(progress: &Progress) {
    progress.end(progress.begin(1), 10);
    progress.end_uncounted(progress.begin(2));
}

fn last_poll(progress: &Progress) {
    progress.end(progress.begin(3), 30);
}

/// A read while one thread polls.
fn two_polls_and_one_for_a_dump() {
    let progress = Arc::new(Progress::new());
    let polled = progress.clone();
    let poller = thread::spawn(move || {
        first_polls(&polled);
        last_poll(&polled);
    });
    check(progress.read());
    poller.join().expect("it does not panic");
    assert_eq!(progress.read(), STATES[5]);
}

/// The same, and the last poll is another thread's: the executor hands the task over.
fn a_poll_on_another_thread() {
    let progress = Arc::new(Progress::new());
    let polled = progress.clone();
    let poller = thread::spawn(move || {
        first_polls(&polled);
        thread::spawn(move || last_poll(&polled)).join().expect("it does not panic");
    });
    check(progress.read());
    poller.join().expect("it does not panic");
    assert_eq!(progress.read(), STATES[5]);
}

/// It was, or the reader gave up.
fn check(seen: Seen) {
    assert!(seen == Seen::Moving || STATES.contains(&seen), "{seen:?} never was");
}
