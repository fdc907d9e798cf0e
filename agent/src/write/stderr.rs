//! Standard error, without the lock that the program's own threads take.
//!
//! The thread that hangs may hold that lock, and the pipe at the other end may be full because
//! nobody reads it any more. So the descriptor is written to directly, and a wait for room ends.

use std::fmt;
use std::io::{self, Write};

/// How long to wait for room, for each piece.
const PATIENCE_MILLIS: i32 = 1000;
/// A pipe that has any room has room for so much.
const PIECE: usize = 4096;

/// Says one line.
pub(crate) fn say(sentence: fmt::Arguments<'_>) {
    // Where standard error is gone there is nobody to tell.
    let _ = Stderr.write_all(format!("sigquit: {sentence}\n").as_bytes());
}

/// A writer to it; buffer it to keep lines together.
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait_for_room()?;
        let length = bytes.len().min(PIECE);
        // SAFETY: the bytes are readable for that length, which is no more than they are long.
        let written = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), length) };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_for_room() -> io::Result<()> {
    let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one record, ours.
    match unsafe { libc::poll(&mut stderr, 1, PATIENCE_MILLIS) } {
        0 => Err(io::ErrorKind::TimedOut.into()),
        1.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
