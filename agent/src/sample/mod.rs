//! Where the threads of this process spend their time: many samples, and what was lost of them.
//!
//! ```text
//! perf           the kernel copies registers and stack into a ring, one a CPU ──┐
//! thread-timers  a signal handler copies them into a ring ──────────────────────┼─> unwind ─> Profile
//! process-timer  the same handler, rung by one timer for all threads ───────────┤
//! rounds         the same handler, rung by the sampler: wall time ──────────────┘
//! ```
//!
//! An [`Engine`] delivers copies; all else is the same for each and happens on the sampler's own
//! thread: unwinding with the same tables as for a dump, putting equal stacks in once, counting.
//! So a handler, where there is one, only copies, under [the contract of
//! capturing](crate::capture); and where the kernel does the copying there is no handler, and no
//! system call of the program is disturbed.
//!
//! The first engine that the process may use is used, in the order above:
//!
//! - `perf`: `perf_event_open`, task clock, of one thread on one CPU, in user mode. Needs no privilege
//!   where `perf_event_paranoid` is 2 or less and no filter forbids it. Takes as many file descriptors
//!   as there are threads times CPUs, and a ring of half a megabyte a CPU: with more CPUs than
//!   [`perf::MOST_CPUS`], or when a quarter of the descriptors would not do, it is not used. Time
//!   in the kernel counts for the code that runs next.
//! - `thread-timers`: `timer_create` on the CPU clock of each thread. The kernel looks at CPU clocks at its
//!   tick only (every 4 ms with 250 a second); what was due meanwhile is reported as an overrun, and
//!   the sample weighs as much.
//! - `process-timer`: `setitimer(ITIMER_PROF)`, one for all: whoever happens to run at the tick. All
//!   samples weigh the same, together what the process has used.
//!
//! In wall time there is one engine, `rounds`: see [`wall`].
//!
//! [The flight recorder](recorder) uses the same, all the time and at a low rate, and pauses while
//! a profile is taken.

mod choose;
mod engine;
mod handler;
mod perf;
#[cfg(feature = "pprof")]
mod pprof;
mod process_timer;
mod recorder;
mod ring;
mod run;
mod session;
mod signal;
mod thread_timers;
mod threads;
mod wall;

pub(crate) use recorder::{Before, before, record};
pub(crate) use session::{Session, Settings, samplers};
