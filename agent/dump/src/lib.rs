//! The nouns of a thread dump, shared by the agent that takes dumps and the analyzer that
//! reads them, and the file format in which the agent leaves them on disk.
//!
//! A [`Dump`] is one process at one moment. It serves every runtime: a Rust program with the
//! agent linked in, a JVM, a Go program. What a source does not say is absent (`None`, an empty
//! list), never made up; what could not be known carries a reason ([`Truncation`], [`Reason`],
//! [`Unanswered`]).
//!
//! Stacks and frames are written once and referred to by number, so that ten thousand threads
//! that wait in the same place stay small:
//!
//! ```
//! use sigquit_dump::{Dump, Frame, Symbol, Thread};
//!
//! let mut dump = Dump::default();
//! let frame = dump.intern_frame(Frame::named(Symbol::function("order::checkout")));
//! let stack = dump.intern_stack(vec![frame].into());
//! dump.threads.push(Thread { name: "request-1".into(), stack: Some(stack), ..Thread::default() });
//!
//! let mut file = Vec::new();
//! sigquit_dump::write(&dump, &mut file)?;
//! let (dumps, warnings) = sigquit_dump::read(&file)?;
//! assert_eq!(dumps, [dump]);
//! assert!(warnings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Profile`] is the same process many times in a while: samples, and what was lost of them.
//!
//! The format itself is described in [`mod@format`].

#![forbid(unsafe_code)]

mod async_runtime;
mod dump;
mod folded;
pub mod format;
mod frame;
mod lock;
mod module;
mod notice;
mod presence;
mod process;
mod profile;
mod profile_file;
mod read;
mod socket;
mod symbol;
mod task;
mod thread;
mod time;
mod write;

pub use async_runtime::{AsyncRuntime, Worker};
pub use dump::{Capture, Dump, Series, Trigger};
pub use format::Names;
pub use frame::{Frame, FrameId, Stack, StackId, Truncation, Trust};
pub use lock::{Hold, Lock, LockId, LockKind, Owner, OwnerSource, Wait, WaitFor};
pub use module::{BuildId, Module, ModuleId};
pub use notice::{Notice, NoticeKind};
pub use presence::Presence;
pub use process::{CpuLimit, Heap, Memory, Pressure, Process, Runtime, Throttling};
pub use profile::{Clock, Delivery, Profile, ProfileBuilder, Sample, SampledThread, Unit};
pub use profile_file::{PROFILE_BEGINS, read_profiles, write_profile};
pub use read::{ReadError, Warning, read};
pub use socket::Socket;
pub use symbol::{Location, Reason, Symbol};
pub use task::{Spawn, SpawnId, Task, TaskCapture, Trace};
pub use thread::{
    Kind, LoopControl, RegisterSamples, Syscall, Thread, ThreadState, Unanswered, UnansweredReason,
};
pub use time::Nanos;
pub use write::{write, write_names, write_with};
