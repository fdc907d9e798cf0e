//! What the rest of the agent gets from a capture.

use sigquit_dump::{Capture, Unanswered};

use crate::unwind::{Registers, StackCopy};

/// One thread's answer, while its stack lies in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The thread, by the number that the kernel knows it by.
    pub tid: i32,
    /// Its registers when the signal reached it.
    pub registers: Registers,
    /// Its stack from the stack pointer upwards; empty when it could not be read.
    pub stack: StackCopy<'a>,
}

/// How a capture went, and whom it did not reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    /// The figures.
    pub capture: Capture,
    /// Threads that exist and did not answer.
    pub unanswered: Vec<(i32, Unanswered)>,
}
