//! Frames and stacks.

use serde::{Deserialize, Serialize};

use crate::{ModuleId, Reason, Symbol};

/// The number of a frame within its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub u32);

/// The number of a stack within its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StackId(pub u32);

/// One place in the code where a thread is, or to which it will return: a native address with
/// the functions that it stands for, or just a function where the source gives no addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The lookup address in the process: the pc itself for the leaf frame and for a frame that
    /// a signal interrupted, the return address minus one for every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// The mapped binary that holds the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleId>,
    /// The stated address in that binary's file (SVMA): what its symbol table speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How the frame was found.
    #[serde(default)]
    pub trust: Trust,
    /// The functions at that place, innermost first; every one but the last is inlined into the
    /// next. Empty when no name is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Symbol>,
    /// Why there is no name, when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Frame {
    /// A frame that a runtime printed by name.
    pub fn named(symbol: Symbol) -> Frame {
        Frame { trust: Trust::Runtime, symbols: vec![symbol], ..Frame::default() }
    }
}

/// What produced a frame, and with that how far to trust it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The runtime that owns the stack printed it.
    Runtime,
    /// The registers of the thread itself: the leaf frame.
    #[default]
    Registers,
    /// Call frame information of the binary.
    Cfi,
    /// The linked list of frame pointers, where there was no call frame information.
    FramePointer,
    /// A plausible return address found by searching the stack: may be stale.
    Scan,
}

/// The frames of one thread, innermost first.
///
/// Stacks that differ only in where the stack lies in memory are one stack: the canonical frame
/// addresses are kept as distances from the thread's stack pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stack {
    /// The frames, innermost first.
    pub frames: Vec<FrameId>,
    /// For each frame its canonical frame address minus the thread's
    /// [stack pointer](crate::Thread::stack_pointer), in bytes; empty where the source has no
    /// addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_offsets: Vec<u32>,
    /// Why the stack ends before its root frame, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncation>,
}

impl From<Vec<FrameId>> for Stack {
    fn from(frames: Vec<FrameId>) -> Stack {
        Stack { frames, ..Stack::default() }
    }
}

/// Why a stack was not followed to its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// More frames than the limit.
    TooDeep,
    /// The copied part of the stack ended before the frames did.
    StackCopyEnded,
    /// A return address outside every mapped binary: generated code, or a stack that is damaged.
    UnknownModule,
    /// The binary says nothing of how to unwind this address.
    NoUnwindTable,
    /// The unwind table is damaged or uses a rule that is not supported.
    BadUnwindTable,
    /// The next frame would not lie above the last: damaged, or not a stack.
    DidNotAdvance,
    /// The thread was inside the language's own unwinder, which rewrites the saved registers.
    InsideUnwinder,
    /// The thread did not run on its own stack and that stack could not be read.
    ForeignStack,
    /// The source printed that it left frames out (`...additional frames elided...`).
    Elided,
    /// The source printed its greatest number of frames, and nothing marks a cut.
    PrintLimit,
    /// The input ended here.
    InputEnded,
}
