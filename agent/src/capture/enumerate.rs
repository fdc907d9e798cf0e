//! The threads of this process: `/proc/self/task`.

use super::install::Error;

/// The ids of all threads, in the kernel's order.
///
/// # Errors
/// When the folder cannot be read: `/proc` is not mounted, or no file may be opened.
pub(super) fn threads() -> Result<Vec<i32>, Error> {
    let number = |error: std::io::Error| Error::NoThreadList(error.raw_os_error().unwrap_or(0));
    let entries = std::fs::read_dir("/proc/self/task").map_err(number)?;
    let names = entries.map_while(Result::ok).map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// The calling thread.
pub(super) fn current() -> i32 {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
