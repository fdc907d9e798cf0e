//! `kill -3` for Rust: on SIGQUIT, dump the stacks of every thread, and let the program run on.
#![cfg_attr(not(target_os = "linux"), forbid(unsafe_code))]

use std::path::PathBuf;

pub use sigquit_dump as dump;

mod environment;
mod error;
mod options;

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
mod panic;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod schedule;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod symbolize;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod take;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(dead_code, reason = "the rooms are furnished one by one")]
mod unwind;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod write;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[path = "unsupported.rs"]
mod agent;

pub use error::Error;
pub use options::{Builder, OnPanic};

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
