//! What takes samples.

use std::io;

use crate::unwind::{Registers, StackCopy};

/// One sample as an engine delivers it.
pub(crate) struct Taken<'a> {
    /// Whose.
    pub tid: i32,
    /// When, on the monotonic clock, in nanoseconds.
    pub time: u64,
    /// For how many samples it stands.
    pub weight: u64,
    /// Its vector registers, condensed; zero from an engine that does not see them.
    pub vectors: u64,
    /// Where the thread was.
    pub seen: Seen<'a>,
}

/// Where a thread was.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// The registers, and a piece of the stack from the stack pointer upwards.
    Here(Registers, StackCopy<'a>),
    /// Where its sample before was.
    Again,
}

/// Something that samples threads at a rate, each in its own CPU time or in wall time.
pub(crate) trait Engine {
    /// Its name in profiles.
    fn name(&self) -> &'static str;
    /// Whether it samples user mode only.
    fn user_mode_only(&self) -> bool;
    /// Whether nobody knows for how many samples one stands, but for all of them alike: the
    /// weights that it delivers mean nothing, and are found at the end.
    fn weighs_evenly(&self) -> bool {
        false
    }
    /// How many samples were due, where the engine itself counts them.
    fn due(&self) -> Option<u64> {
        None
    }
    /// Begins to sample a thread.
    ///
    /// # Errors
    /// When the kernel refuses what that takes.
    fn add(&mut self, tid: i32) -> io::Result<()>;
    /// A thread has ended: what it took is given back.
    fn remove(&mut self, tid: i32);
    /// Samples nobody any more.
    fn stop(&mut self);
    /// Delivers what has come since the last time.
    fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>));
    /// How many samples had no room, or were lost by the kernel.
    fn lost(&self) -> u64;
}
