//! Tokio's own spans: dumps show tasks that nobody tracks, and which lock, semaphore or timer each
//! task waits for.
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! tracing_subscriber::registry().with(sigquit::spans::layer()).init();
//! // Then the runtime, the locks and the tasks: what is made before is not seen.
//! ```
//!
//! Tokio makes these spans when the program is built with `RUSTFLAGS="--cfg tokio_unstable"`; the
//! feature `tracing` of this crate switches tokio's feature of that name on. Without the flag the
//! layer is there and sees nothing.
//!
//! # What a dump says, with the layer
//!
//! - Every task of tokio's, also those that libraries spawn for themselves: its name, where it was
//!   spawned, how often it was polled, its age, whether it runs and on which thread, was woken
//!   and waits for a worker, or is suspended. A task that is [tracked](crate::task) as well is
//!   shown once, with what both know.
//! - What it waits for: the call (`Mutex::lock`, `Semaphore::acquire`, `Sleep::new_timeout`) and the
//!   place where the lock, the semaphore or the timer was made.
//! - Who holds a `Mutex` or an `RwLock`: the task that took it last and has not left it. Tokio does
//!   not say so; it is inferred, and so the dump says. A circle of such waits is what `sigquit
//!   analyze` calls a deadlock.
//!
//! # What it costs
//!
//! The flag costs every program that has it, and spans cost more: a registry that keeps them does
//! most of the work. In `tests/unstable`, `cargo run --release --features console --bin spans` measures
//! both, this layer, and tokio-console's; `RUSTFLAGS= cargo run --release --bin spans` tokio as most
//! programs are built. Memory is bounded: [`layer`] keeps
//! 100,000 tasks, as many locks, timers and channels, and as many calls that wait; a dump says how
//! many more there are. What the registry itself keeps of each span that lives is not bounded by
//! this.
//!
//! # What is not seen
//!
//! - Waits for what tokio 1.54 makes no spans for: `mpsc`, `broadcast` and `watch` channels,
//!   `Notify`, `JoinHandle` and `JoinSet`, sockets, files, signals; a `Mutex`, `RwLock` or
//!   `Semaphore` made by `const_new`; `blocking_lock` and its kin. A task that waits for one of
//!   them is shown without what it waits for, and where it waits is seen when it is
//!   [tracked](crate::task). So a task that selects between a lock and, say, a socket seems to wait
//!   for the lock alone.
//! - Children of `FuturesUnordered` and its kin that were not polled in the last poll of their task.
//! - The holder of a guard that can be given away or was taken without waiting in line:
//!   `lock_owned`, `read_owned`, `write_owned`, and all `try_` calls. Who holds permits of a
//!   semaphore. A borrowed guard that is moved to another task, which takes a `'static` lock,
//!   leaves the task that took it as the holder until it is dropped.
//! - A task that waits for a lock that it holds itself: one branch of a `join!` may wait for another
//!   there, and go on. The dump shows both facts, and nothing is concluded from them.
//! - Closures that run on the threads for blocking work.
//! - Anything, when another layer without a filter of its own switches tokio's `trace` level off.
//!   Filters belong to the layer that they are meant for: `fmt::layer().with_filter(...)`.
//!
//! These spans are no promise of tokio's: names change without a new major version. They were read in
//! tokio 1.54; what a later one calls differently is not seen, and nothing else suffers.

#[cfg(feature = "console")]
mod allowance;
#[cfg(feature = "console")]
mod console;
mod entered;
mod fields;
mod filter;
mod holder;
mod layer;
mod nouns;
mod seen;
mod store;
mod text;

use tracing_core::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

#[cfg(feature = "console")]
pub use console::console;
pub(crate) use nouns::add;
pub(crate) use seen::{SeenSpans, all, running};

/// Tasks that are kept unless the program chooses; and as many resources, and as many calls.
const ROOM: usize = 100_000;

/// A layer that reads tokio's spans for dumps, and leaves all others alone.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer_for(ROOM)
}

/// The same with room for so many tasks, as many locks, timers and channels, and as many calls that
/// wait, instead of 100,000. What is kept is spread over 64 tables, and the fullest can be full a
/// little earlier.
pub fn layer_for<S>(room: usize) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    layer::Recorder::new(room).filtered()
}

#[cfg(test)]
mod tests;
