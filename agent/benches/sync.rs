//! What a tracked lock costs when nobody else wants it: `cargo bench -p sigquit --all-features --bench
//! sync`.
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
    println!("beside these");
    let lock = parking_lot::Mutex::new(0_u64);
    print_one("parking_lot::Mutex", nanos(&mut || *black_box(&lock).lock() += 1));
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
        &mut || drop(black_box(*black_box(&wrapped).read().unwrap())),
        &mut || drop(black_box(*black_box(&tracked).read().unwrap())),
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

fn print(name: &str, wrapped: &mut dyn FnMut(), tracked: &mut dyn FnMut()) {
    let (wrapped, tracked) = (nanos(wrapped), nanos(tracked));
    println!("{name:<26}  {wrapped:>6.1} ns  {tracked:>6.1} ns  {:>6.1} ns", tracked - wrapped);
}

fn print_one(name: &str, nanos: f64) {
    println!("{name:<26}  {nanos:>6.1} ns");
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
