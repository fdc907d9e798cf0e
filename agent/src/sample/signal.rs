//! The signal that timers send, and its handler.

use std::io;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;

use super::handler;
use super::ring::RING;
use crate::capture::{Maps, handle, take_free_signal};

/// A realtime signal that is ours for the life of the process, and is chosen when it is first
/// needed: a signal that was sent late must never meet the default action, which ends the process.
pub(super) fn own() -> io::Result<i32> {
    static OWN: AtomicI32 = AtomicI32::new(0);
    prepare()?;
    let signal = OWN.load(SeqCst);
    if signal != 0 {
        return Ok(signal);
    }
    let signal = take_free_signal(handler::sample as *const ()).map_err(io::Error::other)?;
    OWN.store(signal, SeqCst);
    Ok(signal)
}

/// SIGPROF, when nobody uses it.
pub(super) fn prof() -> io::Result<i32> {
    prepare()?;
    match handle(libc::SIGPROF, handler::sample as *const ()).map_err(io::Error::other)? {
        true => Ok(libc::SIGPROF),
        false => Err(io::Error::other("SIGPROF is in use")),
    }
}

/// What the handler needs.
fn prepare() -> io::Result<()> {
    let maps = Maps::read();
    let main = maps.mappings.iter().find(|mapping| mapping.path == "[stack]");
    handler::set_main_stack(main.map_or(0..0, |mapping| mapping.start..mapping.end));
    handler::set_process(std::process::id() as i32);
    RING.map()
}
