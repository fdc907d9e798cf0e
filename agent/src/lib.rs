//! `kill -3` for Rust: on SIGQUIT, dump the stacks of every thread, and let the program run on.
//!
//! ```
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sigquit::install()?;
//!     // The rest of the program. Whenever it hangs: kill -QUIT PID
//!     # if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
//!     let file = sigquit::dump_now()?; // or when the program itself has a doubt
//!     let (dumps, warnings) = sigquit::dump::read(&std::fs::read(file)?)?;
//!     assert!(dumps[0].threads.iter().any(|thread| thread.name == "sigquit-agent"));
//!     assert!(warnings.is_empty());
//!     # }
//!     Ok(())
//! }
//! ```
//!
//! # What you must do
//!
//! Call [`install`] once, early in `main`, before threads are started that block signals. There
//! is nothing to keep and nothing to drop: the agent stays for the life of the process. Names in
//! the dumps are as good as the binary's debug information; `debug = "limited"` in the release
//! profile gives functions, inlined ones too, with their paths, files and lines
//! (`"line-tables-only"` leaves out the paths of inlined ones). A stripped binary is
//! unwound just as well; its frames are named later, from the unstripped file, by
//! `sigquit analyze --symbols DIR`.
//!
//! # What it does for you
//!
//! One SIGQUIT takes a series of dumps, five by default and a second apart, because what moves
//! and what does not is seen only between two. Each shows every thread of the process: where it
//! is, what the kernel says it does, how much CPU it has used, on which futex it waits and who
//! waits there with it. Each is a file of its own in the folder of the incident, written whole
//! as soon as it is taken; its path is printed on standard error. `sigquit analyze FOLDER` says
//! what is wrong. A SIGQUIT during a series is noted in the files, and not served again.
//!
//! While the series lasts, a CPU profile is taken: `profile.sigquit` in the same folder says how many
//! samples were to be expected, how many came and what was lost. `sigquit flamegraph FOLDER` draws it;
//! with the feature `flamegraph` the agent leaves `flamegraph.svg` there itself. [`profile`] takes one
//! when the program asks, [`profiler`] one in wall time, at another rate, or by a chosen [`Engine`].
//!
//! With [`Builder::flight_recorder`] CPU time is sampled all the time, at a low rate, and the folder also
//! holds the minute before the signal, as `before.sigquit`:
//! `sigquit flamegraph FOLDER --diff FOLDER/before.sigquit` shows what has changed since.
//!
//! [`dump_now`] takes one dump. With [`Builder::on_panic`], panics are noted in later dumps, or
//! bring one of their own that shows what all other threads were doing.
//!
//! Owners of locks that others wait for are read from machine code. The locks of [`sync`] say it themselves,
//! and so do pools that report through [`pool`].
//!
//! Async tasks that were handed to [`task`] are shown beside the threads: where each waits, as a
//! chain of async functions with their lines, and on which thread it runs.
//!
//! # For operators
//!
//! | variable | overrides |
//! |---|---|
//! | `SIGQUIT_DIR` | [`directory`](Builder::directory) |
//! | `SIGQUIT_DUMPS` | [`dumps`](Builder::dumps) |
//! | `SIGQUIT_INTERVAL` | [`interval`](Builder::interval), in seconds, such as `0.5` |
//! | `SIGQUIT_PROFILE` | [`profile`](Builder::profile), in seconds; `0` for none |
//! | `SIGQUIT_RECORDER` | [`flight_recorder`](Builder::flight_recorder): its samples a second, such as `19`; `0` for none |
//! | `SIGQUIT_STDERR=1` | [`stderr`](Builder::stderr): each dump as text, too |
//! | `SIGQUIT_TASKS=0` | [`trace_tasks`](Builder::trace_tasks): no async task is polled for a dump |
//! | `SIGQUIT_OFF=1` | all: [`install`] does nothing |
//!
//! # What it promises
//!
//! - The process lives. A thread is held up for some microseconds a dump, in which a signal handler
//!   copies its registers and a piece of its stack; that handler allocates nothing and takes no
//!   lock. All else happens on the agent's own thread, called `sigquit-agent`.
//! - Facts first: a dump is on disk before a symbol table is opened. Damaged debug information
//!   costs names.
//! - Nothing that exists is overwritten, and only the owner can read what is written. A disk that
//!   is full or missing turns the dump into text on standard error. Old incidents of the
//!   same prefix are removed, nothing else ever is.
//! - A dump tells the addresses of the process's TCP sockets (of the 4096 lowest descriptors, 512 at
//!   most), so that the analyzer can say whose answer is missing when that process was dumped too.
//! - When nothing happens, it costs one sleeping thread and some hundred kilobytes of memory; a
//!   [tracked](task) task costs some nanoseconds a poll.
//!   There are no timers, unless the flight recorder is on, and no connections.
//! - Other handlers of SIGQUIT in the program go on working. The realtime signal by which the
//!   agent asks threads is one that nobody uses; if all are taken, [`install`] fails.
//!
//! # What it is not for
//!
//! It is no crash handler: a process that dies by a signal leaves no dump. It says what is; what is
//! wrong is for the analyzer to say.
//!
//! # Limitations
//!
//! - It runs on Linux on x86_64. Elsewhere [`install`] returns an error and all else compiles.
//! - A system call with a time limit that a signal interrupts returns `EINTR`, whatever the
//!   handler's flags: `nanosleep`, `usleep`, `poll`, `select`, `epoll_wait`, `sigtimedwait`,
//!   `pause`, a futex wait with a time limit, and `recv` on a socket with a receive timeout. The
//!   standard library begins them again, and so do the async runtimes; code that makes these
//!   calls itself has to, as with any signal. Calls without a time limit are not disturbed.
//! - A thread that blocks all signals, or sleeps in the kernel where no signal reaches it, is
//!   shown without a stack, and with the reason.
//! - A thread that waits for a CPU answers when it gets one. On a machine that is overloaded a
//!   dump takes up to its [`deadline`](Builder::deadline).
//! - Async tasks are shown when they were handed to [`task`].
//! - The name of a thread is what the kernel keeps of it: 15 bytes.
//! - Of functions with the same machine code the compiler may keep one, under one of their names:
//!   that name is shown for all of them. The frames around it tell which it was.
//! - To find names takes tens of megabytes for a moment, more for a binary with full debug
//!   information, and glibc may keep them for later use. Strip the binary where that is too much,
//!   and name the frames later.
//! - The agent's thread allocates when it writes. If a thread hangs inside the allocator and
//!   holds its locks, the dump can hang too; the rest of the process does not.
//! - In a program that aborts on panic, a panic of the libraries that read debug information
//!   would abort it. The dump is on disk then.
//! - A program that takes SIGQUIT with `sigwait` or from a `signalfd` does not get it any more.
//! - A child that is forked off and runs on without `exec` has no agent, and SIGQUIT does nothing
//!   there.
#![cfg_attr(not(target_os = "linux"), forbid(unsafe_code))]

use std::path::PathBuf;

pub use sigquit_dump as dump;

mod environment;
mod error;
mod options;
mod profiler;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod agent;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod assemble;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod bell;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod busy;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod capture;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod facts;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod incident;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod owner;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod panic;
pub mod pool;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod presence;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sample;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod schedule;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod slice;
#[cfg(all(feature = "tracing", target_os = "linux", target_arch = "x86_64"))]
pub mod spans;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod still;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod symbolize;
pub mod sync;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod take;
pub mod task;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod unwind;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod write;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[path = "unsupported.rs"]
mod agent;

pub use error::Error;
pub use options::{Builder, OnPanic};
pub use profiler::{Engine, Profiler};

/// Starts the agent with options that are right for production. It stays for the life of the
/// process.
///
/// # Errors
/// See [`Builder::install`].
pub fn install() -> Result<(), Error> {
    builder().install()
}

/// Options of the agent, to be changed before it is [installed](Builder::install).
pub fn builder() -> Builder {
    Builder::new()
}

/// Takes one dump now, and returns the path of its file.
///
/// The calling thread waits until the dump is written and its frames are named. Its own stack is
/// part of the dump.
///
/// # Errors
/// When the agent is not installed in this process, or the dump cannot be written; then it goes to
/// standard error as text.
pub fn dump_now() -> Result<PathBuf, Error> {
    agent::dump_now()
}

/// Takes a CPU profile of all threads for so long, 99 samples in each second of CPU time, and
/// names its frames. It needs no [`install`], and disturbs nobody where the kernel's own sampler
/// may be used.
///
/// # Errors
/// See [`Profiler::run`].
pub fn profile(duration: std::time::Duration) -> Result<dump::Profile, Error> {
    profiler().run(duration)
}

/// How a profile is to be taken, to be changed before it [runs](Profiler::run).
pub fn profiler() -> Profiler {
    Profiler::new()
}
