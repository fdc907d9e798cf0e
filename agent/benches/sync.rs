//! What a tracked lock costs when nobody else wants it: `cargo bench -p sigquit --features lock_api,tokio
//! --bench sync`.
//!
//! Each lock is taken and given back some hundred times in a turn, the lock that is wrapped and the tracked
//! one by turns, with thousands of turns: a turn is over before most interruptions come, and what
//! slows one down for longer slows the other. Two things are shown, in nanoseconds for each time that a lock is
//! taken and given back:
//!
//! - `least`: what each took in its fastest hundredth of turns, and the difference. That is the cost
//!   where nothing else wants the processor, on a machine that is busy, too.
//! - `median`: of what the tracked lock took more than the wrapped one beside it, and where that median lies
//!   with 95 % certainty.

use std::hint::black_box;
use std::time::Instant;

/// Times that a lock is taken and given back in one turn: some microseconds.
const TIMES: u32 = 250;
/// Turns of each.
const TURNS: usize = 20_000;

fn main() {
    println!("{:<34}  least: wrapped  tracked   more   median: more     95 %", "");
    mutex();
    read();
    write();
    #[cfg(feature = "lock_api")]
    parking_lot();
    #[cfg(feature = "tokio")]
    tokio();
}

fn mutex() {
    let (wrapped, tracked) = (std::sync::Mutex::new(0_u64), sigquit::sync::Mutex::new(0_u64));
    print(
        "std::sync::Mutex",
        || *black_box(&wrapped).lock().unwrap() += 1,
        || *black_box(&tracked).lock().unwrap() += 1,
    );
}

fn read() {
    let (wrapped, tracked) = (std::sync::RwLock::new(0_u64), sigquit::sync::RwLock::new(0_u64));
    print(
        "std::sync::RwLock, read",
        || _ = black_box(*black_box(&wrapped).read().unwrap()),
        || _ = black_box(*black_box(&tracked).read().unwrap()),
    );
}

fn write() {
    let (wrapped, tracked) = (std::sync::RwLock::new(0_u64), sigquit::sync::RwLock::new(0_u64));
    print(
        "std::sync::RwLock, write",
        || *black_box(&wrapped).write().unwrap() += 1,
        || *black_box(&tracked).write().unwrap() += 1,
    );
}

#[cfg(feature = "lock_api")]
fn parking_lot() {
    use sigquit::sync::{RawMutex, RawRwLock};

    let wrapped = parking_lot::Mutex::new(0_u64);
    let tracked = lock_api::Mutex::<RawMutex<parking_lot::RawMutex>, _>::new(0_u64);
    print(
        "parking_lot::Mutex",
        || *black_box(&wrapped).lock() += 1,
        || *black_box(&tracked).lock() += 1,
    );
    let wrapped = parking_lot::RwLock::new(0_u64);
    let tracked = lock_api::RwLock::<RawRwLock<parking_lot::RawRwLock>, _>::new(0_u64);
    print(
        "parking_lot::RwLock, read",
        || _ = black_box(*black_box(&wrapped).read()),
        || _ = black_box(*black_box(&tracked).read()),
    );
    print(
        "parking_lot::RwLock, write",
        || *black_box(&wrapped).write() += 1,
        || *black_box(&tracked).write() += 1,
    );
}

/// In a tracked task, and where none is.
#[cfg(feature = "tokio")]
fn tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let task = sigquit::task::track(async { async_locks("") });
    runtime.block_on(tokio::task::unconstrained(task));
    async_locks(", no task");
}

#[cfg(feature = "tokio")]
fn async_locks(place: &str) {
    use sigquit::sync::tokio::{Mutex, RwLock, Semaphore};

    let (wrapped, tracked) = (tokio::sync::Mutex::new(0_u64), Mutex::new(0_u64));
    print(
        &format!("tokio::sync::Mutex{place}"),
        || *in_one_poll(black_box(&wrapped).lock()) += 1,
        || *in_one_poll(black_box(&tracked).lock()) += 1,
    );
    let (wrapped, tracked) = (tokio::sync::RwLock::new(0_u64), RwLock::new(0_u64));
    print(
        &format!("tokio::sync::RwLock, read{place}"),
        || _ = black_box(*in_one_poll(black_box(&wrapped).read())),
        || _ = black_box(*in_one_poll(black_box(&tracked).read())),
    );
    let (wrapped, tracked) = (tokio::sync::Semaphore::new(1), Semaphore::new(1));
    print(
        &format!("tokio::sync::Semaphore{place}"),
        || drop(in_one_poll(black_box(&wrapped).acquire())),
        || drop(in_one_poll(black_box(&tracked).acquire())),
    );
}

/// What a future gives that is ready at once.
#[cfg(feature = "tokio")]
fn in_one_poll<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => unreachable!("nobody else wants it"),
    }
}

fn print(name: &str, mut wrapped: impl FnMut(), mut tracked: impl FnMut()) {
    let mut turns: Vec<[f64; 2]> = Vec::with_capacity(TURNS);
    for turn in 0..TURNS {
        // Each is the first of two as often as the other.
        turns.push(if turn % 2 == 0 {
            let first = nanos(&mut wrapped);
            [first, nanos(&mut tracked)]
        } else {
            let first = nanos(&mut tracked);
            [nanos(&mut wrapped), first]
        });
    }
    let [wrapped, tracked] = [0, 1].map(|which| least(turns.iter().map(|turn| turn[which])));
    let (median, [from, to]) = median(turns.iter().map(|[wrapped, tracked]| tracked - wrapped));
    println!(
        "{name:<34}  {wrapped:>14.1}  {tracked:>7.1}  {:>5.1}  {median:>13.1}  {from:>5.1} to {to:.1}",
        tracked - wrapped,
    );
}

/// What one of so many calls takes, in nanoseconds.
fn nanos(once: &mut impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| once());
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

/// The largest of the smallest hundredth: one alone may be a mistake of the clock.
fn least(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values[values.len() / 100]
}

/// The median of values that do not depend on each other, and between which of them it lies in 95 of 100 such
/// measurements: of the values below it there are half, give or take two times the root of a quarter.
fn median(values: impl Iterator<Item = f64>) -> (f64, [f64; 2]) {
    let values = sorted(values);
    let half = values.len() / 2;
    let around = (values.len() as f64 / 4.0).sqrt() * 2.0;
    let at = [half - around as usize, half + around as usize];
    (values[half], at.map(|at| values[at]))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
