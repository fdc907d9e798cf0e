//! What a tracked lock costs when nobody else wants it: `cargo bench -p sigquit --features lock_api,tokio
//! --bench sync`.
//!
//! Each lock is taken and given back in a loop, the lock that is wrapped and the tracked one in turn, many
//! times in one run, so that what disturbs one disturbs the other. A row shows the median, in nanoseconds,
//! of what each takes and of what the second takes more than the first just did, and between which
//! values half of these differences lie.

use std::hint::black_box;
use std::time::Instant;

/// Times that a lock is taken and given back in one turn.
const TIMES: u32 = 10_000;
const TURNS: usize = 1_001;

fn main() {
    println!("                                  wrapped    tracked       more      half of all");
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
    let wrapped = sorted(turns.iter().map(|[wrapped, _]| *wrapped));
    let tracked = sorted(turns.iter().map(|[_, tracked]| *tracked));
    let more = sorted(turns.iter().map(|[wrapped, tracked]| tracked - wrapped));
    let at = |of: &[f64], quarter: usize| of[(TURNS - 1) * quarter / 4];
    println!(
        "{name:<30}  {:>6.1} ns  {:>6.1} ns  {:>6.1} ns  {:>5.1} to {:>5.1}",
        at(&wrapped, 2),
        at(&tracked, 2),
        at(&more, 2),
        at(&more, 1),
        at(&more, 3)
    );
}

/// What one of so many calls takes, in nanoseconds.
fn nanos(once: &mut impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| once());
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
