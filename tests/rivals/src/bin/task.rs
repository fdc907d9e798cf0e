//! What it costs to know async tasks:
//! `cargo run --release --manifest-path tests/rivals/Cargo.toml --bin task`.
//!
//! The same work, plain and as each library wants it written, in turns within one process; the
//! figures are medians over the rounds, of CPU time where it is time. Memory is what the allocator
//! was asked for while a hundred thousand tasks slept.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use async_backtrace::frame;
use await_tree::{Config, InstrumentAwait, Registry};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

const ROUNDS: usize = 15;
const POLLS: u64 = 1_000_000;
const SPAWNS: usize = 20_000;
const SLEEPERS: usize = 100_000;

/// The system's allocator, counted.
struct Counted;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// How a future is made known.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Sigquit,
    AsyncBacktrace,
    AwaitTree,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Plain, "plain"),
    (Way::Sigquit, "sigquit"),
    (Way::AsyncBacktrace, "async-backtrace"),
    (Way::AwaitTree, "await-tree"),
];

/// Calls a function with a future as a way wants it.
macro_rules! in_way {
    ($way:expr, $registry:expr, $future:expr, $then:expr) => {
        match $way {
            Way::Plain => $then($future),
            Way::Sigquit => $then(sigquit::task::track($future)),
            Way::AsyncBacktrace => $then(frame!($future)),
            Way::AwaitTree => {
                let root = $registry.register_anonymous("root");
                $then(root.instrument($future.instrument_await("work")))
            }
        }
    };
}

fn main() {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let registry = Registry::new(Config::default());
    let mut rows: Vec<[Vec<f64>; 3]> = WAYS.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for (row, (way, _)) in rows.iter_mut().zip(WAYS) {
            row[0].push(in_way!(way, registry, polls(), |future| direct(future)));
            row[1].push(in_way!(way, registry, polls(), |future| in_runtime(&runtime, future)));
            row[2].push(spawns(&runtime, &registry, way));
        }
    }
    let plain: [f64; 3] = std::array::from_fn(|column| median(&mut rows[0][column]));
    let plain_bytes = bytes(&runtime, &registry, Way::Plain);
    println!("{:<16} {:>12} {:>12} {:>16} {:>14}", "", "ns a poll", "ns a poll,", "ns a spawn", "bytes a task");
    println!("{:<16} {:>12} {:>12} {:>16} {:>14}", "", "direct", "in tokio", "and join", "");
    for (row, (way, name)) in rows.iter_mut().zip(WAYS) {
        let [direct, tokio, spawn] = std::array::from_fn(|column| median(&mut row[column]));
        let bytes = bytes(&runtime, &registry, way);
        println!("{name:<16} {direct:>12.1} {tokio:>12.1} {spawn:>16.0} {bytes:>14.0}");
        if way != Way::Plain {
            let over = [direct - plain[0], tokio - plain[1], spawn - plain[2]];
            let bytes = bytes - plain_bytes;
            println!(
                "{:<16} {:>+12.1} {:>+12.1} {:>+16.0} {:>+14.0}",
                "  over plain", over[0], over[1], over[2], bytes
            );
        }
    }
}

/// A future that is polled many times.
fn polls() -> impl Future<Output = ()> + Send + 'static {
    let mut left = POLLS;
    poll_fn(move |context| {
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Nanoseconds a poll, by a loop.
fn direct(future: impl Future<Output = ()>) -> f64 {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let begun = cpu();
    while std::hint::black_box(future.as_mut()).poll(&mut context).is_pending() {}
    (cpu() - begun) / POLLS as f64
}

/// Nanoseconds a poll, as a task of its own.
fn in_runtime(runtime: &Runtime, future: impl Future<Output = ()> + Send + 'static) -> f64 {
    let begun = cpu();
    runtime.block_on(async { tokio::spawn(future).await }).expect("it ends");
    (cpu() - begun) / POLLS as f64
}

/// Nanoseconds a task that is spawned, polled once and joined.
fn spawns(runtime: &Runtime, registry: &Registry, way: Way) -> f64 {
    let begun = cpu();
    runtime.block_on(async {
        for _ in 0..SPAWNS {
            let work = async { std::hint::black_box(()) };
            in_way!(way, registry, work, |future| tokio::spawn(future)).await.expect("it ends");
        }
    });
    (cpu() - begun) / SPAWNS as f64
}

/// Bytes that a task takes which sleeps.
fn bytes(runtime: &Runtime, registry: &Registry, way: Way) -> f64 {
    runtime.block_on(async {
        let mut handles: Vec<JoinHandle<()>> = Vec::with_capacity(SLEEPERS);
        let before = ALLOCATED.load(Relaxed);
        for _ in 0..SLEEPERS {
            let work = async { std::future::pending::<()>().await };
            handles.push(in_way!(way, registry, work, |future| tokio::spawn(future)));
        }
        tokio::task::yield_now().await;
        while runtime.metrics().global_queue_depth() > 0 {
            tokio::task::yield_now().await;
        }
        let bytes = (ALLOCATED.load(Relaxed) - before) as f64 / SLEEPERS as f64;
        for handle in &handles {
            handle.abort();
        }
        for handle in handles {
            let _ = handle.await;
        }
        bytes
    })
}

/// CPU time of this thread, in nanoseconds.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
