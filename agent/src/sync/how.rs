//! What a lock is, and how it was taken.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use sigquit_dump::{LockKind, WaitFor};

/// What a lock is, and how it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum How {
    Mutex,
    Read,
    Write,
    Condvar,
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
impl How {
    const ALL: [How; 4] = [How::Mutex, How::Read, How::Write, How::Condvar];

    /// What a ledger calls it.
    pub fn from_number(number: u8) -> Option<How> {
        How::ALL.into_iter().find(|&how| how as u8 == number)
    }

    pub fn kind(self) -> LockKind {
        match self {
            How::Mutex => LockKind::Mutex,
            How::Read | How::Write => LockKind::RwLock,
            How::Condvar => LockKind::Condition,
        }
    }

    pub fn type_name(self) -> &'static str {
        match self {
            How::Mutex => "sigquit::sync::Mutex",
            How::Read | How::Write => "sigquit::sync::RwLock",
            How::Condvar => "sigquit::sync::Condvar",
        }
    }

    /// What whoever waits in this way waits for.
    pub fn wait_for(self) -> WaitFor {
        match self {
            How::Mutex | How::Write => WaitFor::Exclusive,
            How::Read => WaitFor::Shared,
            How::Condvar => WaitFor::Notification,
        }
    }
}
