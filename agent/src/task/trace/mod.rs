//! Where a suspended task waits: it is polled once, with a waker that looks.
//!
//! # The contract of this room
//!
//! ```text
//! the agent's thread       sigquit-waker            a thread of the executor
//! opens a log
//! sends a wave of tasks ──> writes the visit to each
//!                          and wakes it ──────────> polls the task, takes the visit
//!                                                   polls its future with the looking waker
//! reads the log      <──────────────────────────────  every clone: registers and stack -> log
//! unwinds what it reads                             Pending, Ready or panic: outcome -> log
//! closes the log
//! ```
//!
//! - A visit is taken once, by exchanging the word in the task's entry for zero. It names a wave;
//!   when the wave's log is closed, the poll is one like any other.
//! - The looking waker hands out copies of the real one. It lives on the stack of the poll, and is
//!   reached through the context alone; what is kept, sent and woken afterwards is the executor's.
//!   Its table is another than the executor's, so a leaf that compares wakers
//!   ([`Waker::will_wake`](std::task::Waker::will_wake)) leaves the new one.
//! - A clone happens inside a leaf's poll, perhaps under its lock. What runs there allocates
//!   nothing, takes no lock and waits for nobody: it copies some registers, and the stack from
//!   there to the traced poll, into the log's own memory, which stays mapped for the life of the
//!   process. When the log is full the look is counted as cut, and the task goes on.
//! - Whoever writes to a log has entered it; a log is used again only when it was closed and all
//!   writers have left.
//! - Waking runs code of the executor, which may take a lock that a stuck thread holds. So a
//!   thread of its own does it, and the agent leaves it alone when it does not come back.

mod log;
#[path = "x86_64.rs"]
mod machine;
mod poll;
mod shape;
mod tracer;
mod wave;

pub(super) use poll::{accept, poll};
pub(crate) use tracer::{Looked, Tracer};

/// Which look at a task a dump wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visit {
    /// The wave, never 0.
    wave: u32,
    /// The task's number within it.
    slot: u32,
}

impl Visit {
    fn to_word(self) -> u64 {
        u64::from(self.wave) << 32 | u64::from(self.slot)
    }

    fn from_word(word: u64) -> Visit {
        Visit { wave: (word >> 32) as u32, slot: word as u32 }
    }
}
