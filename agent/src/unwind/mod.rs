//! Registers and a piece of stack -> frames.

mod x86_64;

pub(crate) use x86_64::Registers;

use sigquit_dump::{Truncation, Trust};

/// A copied piece of a thread's stack: the bytes that lay from `start` upwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackCopy<'a> {
    /// The address of the first byte, at or below the stack pointer of the leaf frame.
    pub start: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl StackCopy<'_> {
    /// The word at an address of the copied stack, when it lies wholly within the copy.
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// One frame of a thread, with the registers as they are in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnwoundFrame {
    /// What to look symbols and unwind rules up by: the pc itself for the leaf frame and for a
    /// frame that a signal interrupted, the return address minus one for every other.
    pub lookup_address: u64,
    /// Where the frame goes on when it is returned to.
    pub pc: u64,
    /// The canonical frame address: the value of the stack pointer before the call.
    pub cfa: u64,
    /// How the frame was found.
    pub trust: Trust,
    /// The registers as they are in this frame; those that its callees did not save are unknown.
    pub registers: Registers,
}

/// The frames of one thread, innermost first, and why there are no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwound {
    /// The frames, innermost first.
    pub frames: Vec<UnwoundFrame>,
    /// Why the root frame was not reached, when it was not.
    pub truncated: Option<Truncation>,
}
