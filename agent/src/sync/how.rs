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
    #[cfg(feature = "lock_api")]
    RawMutex,
    #[cfg(feature = "lock_api")]
    RawRead,
    #[cfg(feature = "lock_api")]
    RawWrite,
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
impl How {
    const ALL: &[How] = &[
        How::Mutex,
        How::Read,
        How::Write,
        How::Condvar,
        #[cfg(feature = "lock_api")]
        How::RawMutex,
        #[cfg(feature = "lock_api")]
        How::RawRead,
        #[cfg(feature = "lock_api")]
        How::RawWrite,
    ];

    /// What a ledger calls it.
    pub fn from_number(number: u8) -> Option<How> {
        How::ALL.iter().copied().find(|&how| how as u8 == number)
    }

    pub fn kind(self) -> LockKind {
        match self {
            How::Mutex => LockKind::Mutex,
            How::Read | How::Write => LockKind::RwLock,
            How::Condvar => LockKind::Condition,
            #[cfg(feature = "lock_api")]
            How::RawMutex => LockKind::Mutex,
            #[cfg(feature = "lock_api")]
            How::RawRead | How::RawWrite => LockKind::RwLock,
        }
    }

    pub fn type_name(self) -> &'static str {
        match self {
            How::Mutex => "sigquit::sync::Mutex",
            How::Read | How::Write => "sigquit::sync::RwLock",
            How::Condvar => "sigquit::sync::Condvar",
            #[cfg(feature = "lock_api")]
            How::RawMutex => "lock_api::Mutex",
            #[cfg(feature = "lock_api")]
            How::RawRead | How::RawWrite => "lock_api::RwLock",
        }
    }

    /// What whoever waits in this way waits for.
    pub fn wait_for(self) -> WaitFor {
        match self {
            How::Mutex | How::Write => WaitFor::Exclusive,
            How::Read => WaitFor::Shared,
            How::Condvar => WaitFor::Notification,
            #[cfg(feature = "lock_api")]
            How::RawMutex | How::RawWrite => WaitFor::Exclusive,
            #[cfg(feature = "lock_api")]
            How::RawRead => WaitFor::Shared,
        }
    }
}
