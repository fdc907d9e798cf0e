//! Tokio's async locks, with the tasks that hold them in dumps.
//!
//! ```
//! use sigquit::sync::tokio::Mutex; // where tokio's stood
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(sigquit::task::track(async {
//! let stock = Mutex::new(3);
//! *stock.lock().await += 1;
//! assert_eq!(*stock.lock().await, 4);
//! # }));
//! ```
//!
//! A dump shows a lock when somebody waits for it or ever did: its owner, where it was taken and since
//! when, and the tasks that wait. A task is known as owner or waiter when it is
//! [tracked](crate::task); whoever blocks a thread meanwhile (`blocking_lock`, `block_on`) is the
//! thread.
//!
//! A task that waits for several things at once (`join!`, `select!`, a combinator with wakers of its
//! own) is shown as waiting at the lock; that it cannot go on without it is not claimed.
//!
//! # Limits
//!
//! - Of a lock with readers, 16 owners at least are shown at once, and 64 of a semaphore's; the others
//!   are counted.
//! - `lock_owned` and its like are there for the semaphore only; mapped guards are not.

mod mutex;
mod pending;
mod rwlock;
mod semaphore;

pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

pub use tokio::sync::{AcquireError, TryAcquireError, TryLockError};
