//! Frames and stacks that were met before, for readers whose text goes away piece by piece.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sigquit_dump::{Dump, Frame, FrameId, Stack, StackId, Truncation};

/// The frames of one dump by the two texts that stand for them, and its stacks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    hasher: RandomState,
    frames: HashTable<Met>,
    stacks: HashTable<StackId>,
}

#[derive(Debug)]
struct Met {
    texts: (Box<str>, Box<str>),
    id: FrameId,
}

type Texts<'t> = (&'t str, &'t str);

impl Kept {
    /// The frame of those texts, when it was met.
    pub fn known(&self, texts: Texts) -> Option<FrameId> {
        let met = self.frames.find(hash(&self.hasher, texts), |met| met.is(texts))?;
        Some(met.id)
    }

    /// The frame of those texts; a new one is read only when they are.
    pub fn frame(
        &mut self,
        dump: &mut Dump,
        texts: Texts,
        read: impl FnOnce() -> Frame,
    ) -> FrameId {
        if let Some(known) = self.known(texts) {
            return known;
        }
        let id = dump.intern_frame(read());
        let met = Met { texts: (texts.0.into(), texts.1.into()), id };
        let Kept { hasher, frames, .. } = self;
        let rehash = |met: &Met| hash(hasher, (&met.texts.0, &met.texts.1));
        frames.insert_unique(hash(hasher, texts), met, rehash);
        id
    }

    /// The stack of those frames, leaf first.
    pub fn stack(
        &mut self,
        dump: &mut Dump,
        frames: &[FrameId],
        truncated: Option<Truncation>,
    ) -> StackId {
        let Kept { hasher, stacks, .. } = self;
        let hash = |frames: &[FrameId]| hasher.hash_one(frames);
        let is = |id: &StackId| {
            let stack = &dump.stacks[id.0 as usize];
            stack.frames == frames && stack.truncated == truncated
        };
        if let Some(&known) = stacks.find(hash(frames), is) {
            return known;
        }
        let id = dump.intern_stack(Stack { truncated, ..Stack::from(frames.to_vec()) });
        stacks.insert_unique(hash(frames), id, |id| hash(&dump.stacks[id.0 as usize].frames));
        id
    }
}

impl Met {
    fn is(&self, texts: Texts) -> bool {
        *self.texts.0 == *texts.0 && *self.texts.1 == *texts.1
    }
}

fn hash(hasher: &RandomState, texts: Texts) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(texts.0.as_bytes());
    state.write(texts.1.as_bytes());
    state.finish()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Symbol;

    use super::*;

    #[test]
    fn each_frame_and_each_stack_is_kept_once() {
        let (mut dump, mut kept) = (Dump::default(), Kept::default());
        let mut frame =
            |texts: Texts| kept.frame(&mut dump, texts, || Frame::named(Symbol::function(texts.0)));
        let (a, b) = (frame(("a", "1")), frame(("b", "1")));
        assert_eq!((frame(("a", "1")), frame(("a", "2"))), (a, FrameId(2)));
        assert_eq!((kept.known(("b", "1")), kept.known(("b", ""))), (Some(b), None));
        let whole = kept.stack(&mut dump, &[a, b], None);
        let cut = kept.stack(&mut dump, &[a, b], Some(Truncation::Elided));
        assert_ne!(whole, cut);
        assert_eq!(kept.stack(&mut dump, &[a, b], None), whole);
        assert_eq!((dump.frames.len(), dump.stacks.len()), (3, 2));
    }
}
