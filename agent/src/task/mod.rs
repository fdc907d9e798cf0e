//! Async tasks: dumps show those that are handed over here, as they show threads.
//!
//! A task that waits has no stack. What is known of it lies in its future, of which no debugger
//! can tell where it is going on; so this room remembers the tasks, and has each polled once when
//! a dump is taken.
//!
//! ```
//! let answer = sigquit::task::track(async { 6 * 7 });
//! # let answer = futures_lite(answer);
//! # assert_eq!(answer, 42);
//! # fn futures_lite<F: Future>(future: F) -> F::Output {
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match std::pin::pin!(future).poll(&mut context) {
//! #         std::task::Poll::Ready(output) => output,
//! #         std::task::Poll::Pending => unreachable!(),
//! #     }
//! # }
//! ```
//!
//! [`track`] wraps a future for any executor: what is handed to `JoinSet::spawn`, to an axum
//! middleware's `next.run`, to a `FuturesUnordered`. With the feature `tokio`, `spawn` stands
//! where tokio's stood.
//!
//! # What a dump says of a task
//!
//! - Its state: never polled, running and on which thread, or suspended; how often it was polled,
//!   how long ago the last poll was, how old it is, its name, the type of its future, and where it
//!   was handed over. For this no task and no runtime has to cooperate: it is known of all of them
//!   while every worker spins.
//! - Where it waits: the calls from its outermost async function down to where it left its waker,
//!   with file and line, and each branch of a `join!` or a `select!`. For this the task is woken,
//!   and polled once by its own executor with a waker that looks, when it is copied, at the stack on
//!   which that happens, and hands out the real one.
//! - A task that runs has its thread's stack; the dump links the two.
//!
//! # What it costs
//!
//! A few nanoseconds a poll, and some 200 ns and 200 bytes a task: `cargo run --release
//! --manifest-path tests/rivals/Cargo.toml --bin task` prints what it is on a machine, beside
//! others that do a part of this. A dump costs each suspended task one poll, which for a hundred
//! thousand of them takes a tenth of a second: `cargo bench -p sigquit --features tokio --bench
//! task`.
//!
//! # What the poll for a dump means for a program
//!
//! - The contract of [`Future`] allows it: an executor may poll at any time. A future that counts
//!   its polls sees one more; one that does work whenever it is polled does it once more.
//!   [`Builder::trace_tasks`](crate::Builder::trace_tasks) and `SIGQUIT_TASKS=0` switch it off.
//! - A panic in it is a panic in any other poll: the executor meets it.
//! - A task whose wake-up was lost goes on when it is polled, and with that the dump heals what it
//!   shows; it says so ([`Trace::Finished`](crate::dump::Trace::Finished), or a task that was not
//!   polled for long and is elsewhere in the next dump).
//! - While a task lives, a copy of its waker is kept. An executor that drops a task together with
//!   its last waker (`async-task` does, for tasks that are detached) keeps such tasks until it is
//!   dropped itself.
//! - A leaf future that takes its executor's own waker apart
//!   ([`Waker::data`](std::task::Waker::data)) finds another one in that poll. Leaves of tokio,
//!   futures and async-channel do not; those of executors for bare machines do.
//!
//! # What is not seen
//!
//! - Futures that a combinator wakes by wakers of its own, and does not poll unless they were
//!   woken: the children of `FuturesUnordered` and of what is made of it (`buffer_unordered`,
//!   `buffered`, a `join_all` of more than thirty), and of `futures::future::Shared`.
//!   The task is shown up to the combinator; children that are tracked themselves are shown.
//! - A `poll` written by hand that ends with the `poll` of another: optimised, it leaves by a jump
//!   and has no frame, so its line is missing between the two others. That of an `async fn`
//!   always has something left to do.
//! - Tasks that libraries spawn by themselves, such as hyper's connections.
//! - The line at which a future waits that never looks at its waker (`std::future::pending`): the
//!   task is said to have [no waker](crate::dump::Trace::NoWaker).
//! - Outside Linux on x86_64 nothing is: the functions are there, and do nothing beside.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod clock;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod dump;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod entry;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod here;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod progress;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod registry;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod seen;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod waker_cell;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod who;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[cfg_attr(feature = "tokio", path = "tokio_worker.rs")]
mod worker;

#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "untracked.rs")]
mod tracked;

#[cfg(feature = "tokio")]
mod spawn;

use std::panic::Location;

#[cfg(feature = "tokio")]
pub use spawn::{spawn, spawn_local, spawn_named, spawn_on};
pub use tracked::Tracked;

#[cfg(all(feature = "tracing", target_os = "linux", target_arch = "x86_64"))]
pub(crate) use self::{dump::Known, entry::next_number};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use self::{
    dump::TaskDump,
    registry::lock_before,
    seen::{running, tasks},
    trace::Tracer,
    who::{Who, who},
    worker::runtimes,
};

/// Makes a future known to the agent: from now until it is dropped, dumps show it as a task.
#[track_caller]
pub fn track<F: Future>(future: F) -> Tracked<F> {
    Tracked::new(future, None, Location::caller())
}

/// The same, under a name by which dumps call it.
#[track_caller]
pub fn track_named<F: Future>(name: impl Into<String>, future: F) -> Tracked<F> {
    Tracked::new(future, Some(name.into().into()), Location::caller())
}
