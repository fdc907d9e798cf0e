//! Locks that know who holds them: those of the standard library, with their owners in dumps.
//!
//! ```
//! use sigquit::sync::Mutex; // where std's stood
//!
//! let stock = Mutex::new(vec![1, 2, 3]);
//! stock.lock().unwrap().push(4);
//! assert_eq!(stock.into_inner().unwrap().len(), 4);
//! ```
//!
//! Dumps infer owners of locks that nobody tracks, as far as machine code tells; where certainty
//! is worth some nanoseconds, or the build is not optimised, these say it themselves.
//!
//! For users of parking_lot there are raw locks to be put around its own (feature `lock_api`):
//! `RawMutex` and `RawRwLock`; and for async code `sync::tokio`, whose owners are tasks (feature
//! `tokio`).
//!
//! # What a dump says of a tracked lock
//!
//! - Who holds it, where in the source it was taken, and for how long. Of a read-write lock, every
//!   reader. Locks for which nobody waits are shown, too.
//! - Who waits for it, to do what, and for how long.
//! - Where it was made, how often it had to be waited for, and for how long in all.
//!
//! # What it costs
//!
//! One to three nanoseconds beside a lock of the standard library, or a raw lock, that nobody else wants: the
//! clock and some ten stores. Nothing beside tokio's locks: where one is free its future is not made, which
//! saves more than is spent here. Both were measured on one processor, with others' work on it as without; on another they
//! were three or four, and five or six for tokio's `RwLock` and `Semaphore`. `cargo bench -p sigquit --features
//! lock_api,tokio --bench sync` prints what it is on a machine. A lock is 24 bytes
//! larger. What a thread holds stands in a ledger of its own, of some 1,400 bytes, which it writes without
//! an atomic exchange and without waiting for anyone; it is allocated when a thread takes its first lock,
//! and handed on when that thread ends. A dump reads the ledgers and never the locks.
//!
//! # Limits
//!
//! - A dump shows what lasted while the threads were asked for their stacks. Of a lock that changes
//!   hands all that time, no owner is shown.
//! - Times are those of a coarse clock, whose tick is some milliseconds.
//! - More than 32 locks held by one thread at once are counted, and not shown.
//! - A guard that is forgotten ([`std::mem::forget`]) holds its lock for ever, and is shown so for as long
//!   as its thread lives.
//! - Outside Linux on x86_64 these are the locks of the standard library, and nothing beside.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod atomic {
    pub(super) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
}
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod book;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod booked;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod books;
mod condvar;
mod how;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "unkept.rs")]
pub(crate) mod keeper;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ledger;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod ledgers;
mod mutex;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod nouns;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod place;
mod poison;
#[cfg(feature = "lock_api")]
mod raw;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "unrecorded.rs")]
mod record;
mod rwlock;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod seen;
#[cfg(feature = "tokio")]
pub mod tokio;
mod transparent;

pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult, WaitTimeoutResult};

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
#[cfg(feature = "lock_api")]
pub use raw::{RawMutex, RawRwLock};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use how::How;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use self::{
    book::{Book, Seen as SeenBook},
    booked::add as add_books,
    books::look as look_at_books,
    nouns::add,
    seen::{Lasting, look},
};
