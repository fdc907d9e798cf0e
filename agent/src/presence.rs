//! Says to those outside that this process has the agent: `sigquit dump PID` sends no signal to a
//! process that would end by it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, IntoRawFd};

use sigquit_dump::Presence;

use crate::write::Destination;

/// Leaves a file in memory open for as long as the process lives. Nothing is on disk, and programs
/// that this one executes do not inherit it.
pub(crate) fn show(signal: i32, destination: &Destination) -> io::Result<()> {
    let directories = destination.directories().iter();
    let presence = Presence {
        pid: std::process::id(),
        signal,
        directories: directories.map(|folder| folder.to_string_lossy().into_owned()).collect(),
        prefix: destination.prefix.clone(),
    };
    let mut file = file_in_memory()?;
    file.write_all(&presence.to_bytes())?;
    // Kept open: it ends with the process.
    let _ = file.into_raw_fd();
    Ok(())
}

fn file_in_memory() -> io::Result<File> {
    let name = std::ffi::CString::new(Presence::NAME)?;
    // SAFETY: the name is a C string that outlives the call.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above made the descriptor, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}
