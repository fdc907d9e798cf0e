//! What a tracked lock costs when nobody else wants it: `cargo bench -p sigquit --features lock_api,tokio
//! --bench sync`.
//!
//! Each lock is taken and given back in a loop; a row shows the quickest of several tries, in
//! nanoseconds, for the lock that is wrapped and for the tracked one.

use std::hint::black_box;
use std::time::Instant;

/// Times that a lock is taken and given back in one try.
const ROUNDS: u32 = 1_000_000;
const TRIES: usize = 30;

fn main() {
    println!("                              wrapped    tracked       more");
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
    print("std::sync::Mutex", &mut || *black_box(&wrapped).lock().unwrap() += 1, &mut || {
        *black_box(&tracked).lock().unwrap() += 1
    });
}

fn read() {
    let (wrapped, tracked) = (std::sync::RwLock::new(0_u64), sigquit::sync::RwLock::new(0_u64));
    print(
        "std::sync::RwLock, read",
        &mut || _ = black_box(*black_box(&wrapped).read().unwrap()),
        &mut || _ = black_box(*black_box(&tracked).read().unwrap()),
    );
}

fn write() {
    let (wrapped, tracked) = (std::sync::RwLock::new(0_u64), sigquit::sync::RwLock::new(0_u64));
    print(
        "std::sync::RwLock, write",
        &mut || *black_box(&wrapped).write().unwrap() += 1,
        &mut || *black_box(&tracked).write().unwrap() += 1,
    );
}

#[cfg(feature = "lock_api")]
fn parking_lot() {
    use sigquit::sync::{RawMutex, RawRwLock};

    let wrapped = parking_lot::Mutex::new(0_u64);
    let tracked = lock_api::Mutex::<RawMutex<parking_lot::RawMutex>, _>::new(0_u64);
    print("parking_lot::Mutex", &mut || *black_box(&wrapped).lock() += 1, &mut || {
        *black_box(&tracked).lock() += 1
    });
    let wrapped = parking_lot::RwLock::new(0_u64);
    let tracked = lock_api::RwLock::<RawRwLock<parking_lot::RawRwLock>, _>::new(0_u64);
    print(
        "parking_lot::RwLock, read",
        &mut || _ = black_box(*black_box(&wrapped).read()),
        &mut || _ = black_box(*black_box(&tracked).read()),
    );
}

#[cfg(feature = "tokio")]
fn tokio() {
    use sigquit::sync::tokio::{Mutex, RwLock, Semaphore};

    let (wrapped, tracked) = (tokio::sync::Mutex::new(0_u64), Mutex::new(0_u64));
    print("tokio::sync::Mutex", &mut || *in_one_poll(black_box(&wrapped).lock()) += 1, &mut || {
        *in_one_poll(black_box(&tracked).lock()) += 1
    });
    let (wrapped, tracked) = (tokio::sync::RwLock::new(0_u64), RwLock::new(0_u64));
    print(
        "tokio::sync::RwLock, read",
        &mut || _ = black_box(*in_one_poll(black_box(&wrapped).read())),
        &mut || _ = black_box(*in_one_poll(black_box(&tracked).read())),
    );
    let (wrapped, tracked) = (tokio::sync::Semaphore::new(1), Semaphore::new(1));
    print(
        "tokio::sync::Semaphore",
        &mut || drop(in_one_poll(black_box(&wrapped).acquire())),
        &mut || drop(in_one_poll(black_box(&tracked).acquire())),
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

fn print(name: &str, wrapped: &mut dyn FnMut(), tracked: &mut dyn FnMut()) {
    let (wrapped, tracked) = (nanos(wrapped), nanos(tracked));
    println!("{name:<26}  {wrapped:>6.1} ns  {tracked:>6.1} ns  {:>6.1} ns", tracked - wrapped);
}

/// What one call takes: the quickest of several tries, in nanoseconds.
fn nanos(once: &mut dyn FnMut()) -> f64 {
    let mut one_try = || {
        let begun = Instant::now();
        (0..ROUNDS).for_each(|_| once());
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..TRIES).map(|_| one_try()).fold(f64::INFINITY, f64::min)
}
