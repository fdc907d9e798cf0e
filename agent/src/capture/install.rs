//! Choosing a signal that nobody uses, and making it ours.

use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use super::handler;
use super::slot::TABLE;

/// Why threads cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// This process has a capturer already.
    AlreadyInstalled,
    /// Every realtime signal has a handler or is ignored.
    NoFreeSignal,
    /// The kernel refused address space for the slots: its error number.
    NoMemory(i32),
    /// The kernel refused a handler: its error number.
    SignalRefused(i32),
    /// Somebody has replaced our handler since: to send the signal now could kill the process.
    HandlerReplaced,
    /// `/proc/self/task` cannot be read: its error number.
    NoThreadList(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::AlreadyInstalled => f.write_str("this process has a capturer already"),
            Error::NoFreeSignal => f.write_str("every realtime signal is in use"),
            Error::NoMemory(error) => {
                write!(f, "no address space for the threads' answers (error {error})")
            }
            Error::SignalRefused(error) => {
                write!(f, "the kernel refused the signal handler (error {error})")
            }
            Error::HandlerReplaced => f.write_str("another handler has replaced the capture's"),
            Error::NoThreadList(error) => {
                write!(f, "/proc/self/task cannot be read (error {error})")
            }
        }
    }
}

impl std::error::Error for Error {}

/// The right to ask all threads, one capture at a time. There is one in a process.
#[derive(Debug)]
pub(crate) struct Capturer {
    pub(super) signal: i32,
    /// The last request's number.
    pub(super) generation: u32,
    /// Threads that block the signal and have one queued: they are not sent another.
    pub(super) blocked: Vec<i32>,
}

/// Makes a free realtime signal ours, for the life of the process.
///
/// # Errors
/// When there is a capturer already, no free signal, or no memory.
pub(crate) fn install() -> Result<Capturer, Error> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, SeqCst) {
        return Err(Error::AlreadyInstalled);
    }
    let installed = map_and_handle();
    if installed.is_err() {
        INSTALLED.store(false, SeqCst);
    }
    installed
}

fn map_and_handle() -> Result<Capturer, Error> {
    let number = |error: std::io::Error| error.raw_os_error().unwrap_or(0);
    TABLE.map().map_err(|error| Error::NoMemory(number(error)))?;
    let signal = take_free_signal(handler::answer as *const ())?;
    Ok(Capturer { signal, generation: 0, blocked: Vec::new() })
}

/// Makes a free realtime signal that of a handler which keeps the contract of this room.
///
/// # Errors
/// When no signal is free, or the kernel refuses.
pub(crate) fn take_free_signal(handler: *const ()) -> Result<i32, Error> {
    for signal in candidates() {
        if take(signal, handler)? {
            return Ok(signal);
        }
    }
    Err(Error::NoFreeSignal)
}

/// Makes a signal that of such a handler, unless somebody else uses it; whether it now is.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn handle(signal: i32, handler: *const ()) -> Result<bool, Error> {
    let is_ours = action(signal, None)?.sa_sigaction == handler as libc::sighandler_t;
    if is_ours { Ok(true) } else { take(signal, handler) }
}

/// Realtime signals, first those that programs seldom choose: neither the lowest nor the highest.
fn candidates() -> impl Iterator<Item = i32> {
    let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let middle = lowest + (highest - lowest) / 2;
    (middle..=highest).chain(lowest..middle)
}

/// Installs the handler unless the signal has one, or is ignored on purpose.
fn take(signal: i32, handler: *const ()) -> Result<bool, Error> {
    if !is_default(action(signal, None)?) {
        return Ok(false);
    }
    let before = action(signal, Some(&action_of(handler)))?;
    if is_default(before) {
        return Ok(true);
    }
    // Somebody was quicker between the two calls: it is theirs.
    action(signal, Some(&before))?;
    Ok(false)
}

fn is_default(action: libc::sigaction) -> bool {
    action.sa_sigaction == libc::SIG_DFL
}

fn ours() -> libc::sigaction {
    action_of(handler::answer as *const ())
}

fn action_of(handler: *const ()) -> libc::sigaction {
    // SAFETY: zero is a valid sigaction; the mask is filled by the call for it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigfillset(&mut action.sa_mask);
        action
    }
}

/// Reads a signal's action, and sets it when one is given.
fn action(signal: i32, new: Option<&libc::sigaction>) -> Result<libc::sigaction, Error> {
    let new = new.map_or(std::ptr::null(), |new| &raw const *new);
    let mut old = MaybeUninit::uninit();
    // SAFETY: both point to a sigaction or nowhere; our handler keeps the contract of its room.
    if unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) } != 0 {
        let error = std::io::Error::last_os_error();
        return Err(Error::SignalRefused(error.raw_os_error().unwrap_or(0)));
    }
    // SAFETY: a call that succeeded has filled it.
    Ok(unsafe { old.assume_init() })
}

impl Capturer {
    /// Makes sure that the signal still is ours: the default action would end the process.
    pub(super) fn check_handler(&self) -> Result<(), Error> {
        let now = action(self.signal, None)?;
        let same = now.sa_sigaction == ours().sa_sigaction;
        if same { Ok(()) } else { Err(Error::HandlerReplaced) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_has_a_handler_is_refused_and_left_alone() {
        extern "C" fn theirs(_: i32) {}
        let signal = libc::SIGRTMAX();
        let mut action_of_theirs = ours();
        action_of_theirs.sa_sigaction = theirs as *const () as libc::sighandler_t;
        action(signal, Some(&action_of_theirs)).expect("a handler");
        assert_eq!(take(signal, handler::answer as *const ()), Ok(false));
        let now = action(signal, None).expect("it can be read");
        assert_eq!(now.sa_sigaction, action_of_theirs.sa_sigaction);
        let ignored = libc::sigaction { sa_sigaction: libc::SIG_IGN, ..ours() };
        action(signal, Some(&ignored)).expect("ignored");
        assert_eq!(take(signal, handler::answer as *const ()), Ok(false));
    }
}
