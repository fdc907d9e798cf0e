//! Pools of connections, clients, buffers: what a pool tells the agent of itself, dumps show.
//!
//! A pool that is exhausted is exhausted by somebody. Stacks show who waits, and seldom who has what is
//! waited for; a pool that reports through a [`Pool`] has its holders named, with the place where each
//! borrowed.
//!
//! ```
//! use sigquit::pool::{Borrowed, Pool};
//!
//! struct Connections {
//!     reports: Pool,
//!     idle: std::sync::Mutex<Vec<u32>>,
//! }
//!
//! /// A connection; it goes back when it is dropped.
//! struct Connection<'a> {
//!     pool: &'a Connections,
//!     number: u32,
//!     _borrowed: Borrowed,
//! }
//!
//! impl Connections {
//!     #[track_caller]
//!     fn get(&self) -> Connection<'_> {
//!         let waiting = self.reports.wait();
//!         let number = loop {
//!             match self.idle.lock().unwrap().pop() {
//!                 Some(number) => break number,
//!                 None => std::thread::yield_now(),
//!             }
//!         };
//!         drop(waiting);
//!         Connection { pool: self, number, _borrowed: self.reports.borrow() }
//!     }
//! }
//!
//! impl Drop for Connection<'_> {
//!     fn drop(&mut self) {
//!         self.pool.idle.lock().unwrap().push(self.number);
//!     }
//! }
//!
//! let idle = std::sync::Mutex::new(vec![1, 2]);
//! let connections = Connections { reports: Pool::new("orders database", 2), idle };
//! let connection = connections.get();
//! # assert_eq!(connection.number, 2);
//! ```
//!
//! # Around a pool of another crate
//!
//! Nothing of the pool needs to change: wrap the call that borrows, and keep the [`Borrowed`] beside what
//! it returns. With `deadpool`, `bb8` or `sqlx`, all of which are asked by an async `get` or `acquire`:
//!
//! ```ignore
//! let waiting = self.reports.wait();
//! let connection = self.pool.get().await?;
//! drop(waiting);
//! let borrowed = self.reports.borrow();
//! Ok((connection, borrowed))
//! ```
//!
//! `r2d2` is asked in the same way, without `await`. Their hooks alone do not do: they are called when a
//! connection is handed out, and none of them says who waits for one.
//!
//! # What a dump says
//!
//! - How many there are to borrow, how many are borrowed, and who waits for one and since when.
//! - Who has one: the [tracked task](crate::task) that borrowed it, or else the thread; where and since
//!   when. A task that nobody tracks is not known: its loan is counted. A holder that hands its resource
//!   on to another task or thread is still the one that is named.
//!
//! # What it costs
//!
//! Some tens of nanoseconds for each that is borrowed. 256 holders are shown at once, others are
//! counted.

use std::panic::Location;
use std::sync::Arc;

use sigquit_dump::LockKind;

use crate::sync::keeper::{self, About, Book, Holding, Keeper, Places};

/// So many holders are shown at once, at least.
const HOLDERS: Places = Places::Several(256);

const ABOUT: About = About { kind: LockKind::Pool, type_name: "sigquit::pool::Pool" };

/// What a pool reports through, for as long as it exists.
#[derive(Debug)]
pub struct Pool {
    keeper: Keeper,
}

/// Something is borrowed, until this is dropped.
#[must_use = "dropped at once, it says that what was borrowed has come back"]
#[derive(Debug)]
pub struct Borrowed {
    _holding: Holding<Arc<Book>>,
}

/// Somebody waits to borrow, until this is dropped.
#[must_use = "dropped at once, it says that the wait is over"]
#[derive(Debug)]
pub struct Waiting {
    _waiting: keeper::Waiting,
}

impl Pool {
    /// A pool with so many to lend. Dumps call it by that name, and say that it was made where this is
    /// called.
    #[track_caller]
    pub fn new(name: impl Into<String>, capacity: usize) -> Pool {
        let name = Some(name.into().into_boxed_str());
        let capacity = Some(capacity as u64);
        let keeper = Keeper::new(ABOUT, name, HOLDERS, capacity, Location::caller());
        Pool { keeper: keeper.always_shown() }
    }

    /// Changes how many there are to lend.
    pub fn set_capacity(&self, capacity: usize) {
        self.keeper.set_capacity(capacity as u64);
    }

    /// The calling thread, or the task that it polls, begins to wait. To be called before it asks: a
    /// wait that is over at once costs little.
    pub fn wait(&self) -> Waiting {
        Waiting { _waiting: self.keeper.wait(true, 0) }
    }

    /// The calling thread, or the task that it polls, has borrowed one. Where this is called is where
    /// dumps say that it did.
    #[track_caller]
    pub fn borrow(&self) -> Borrowed {
        Borrowed { _holding: self.keeper.hold_owned(Location::caller()) }
    }
}
