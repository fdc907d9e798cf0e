//! `kill -3` for Rust: on SIGQUIT, dump the stacks of every thread, and let the program run on.
#![cfg_attr(not(target_os = "linux"), forbid(unsafe_code))]

pub use sigquit_dump as dump;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(dead_code, unused_imports, reason = "the rooms are furnished one by one")]
mod capture;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[allow(dead_code, unused_imports, reason = "the rooms are furnished one by one")]
mod unwind;
