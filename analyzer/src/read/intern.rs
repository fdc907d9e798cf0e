//! Frames and stacks that were met before, so that a dump holds each of them once.

use std::collections::HashMap;
use std::hash::Hash;

use sigquit_dump::{Dump, Frame, FrameId, Stack, StackId};

/// The frames of one dump by the text that stands for them, and its stacks.
#[derive(Debug)]
pub(super) struct Interned<K> {
    frames: HashMap<K, FrameId>,
    stacks: HashMap<Stack, StackId>,
}

impl<K> Default for Interned<K> {
    fn default() -> Interned<K> {
        Interned { frames: HashMap::new(), stacks: HashMap::new() }
    }
}

impl<K: Eq + Hash> Interned<K> {
    /// The frame of that text; a new one is read only when the text is.
    pub fn frame(&mut self, dump: &mut Dump, key: K, read: impl FnOnce() -> Frame) -> FrameId {
        *self.frames.entry(key).or_insert_with(|| dump.intern_frame(read()))
    }

    /// The stack that is equal to that one.
    pub fn stack(&mut self, dump: &mut Dump, stack: Stack) -> StackId {
        if let Some(&known) = self.stacks.get(&stack) {
            return known;
        }
        let id = dump.intern_stack(stack.clone());
        self.stacks.insert(stack, id);
        id
    }
}
