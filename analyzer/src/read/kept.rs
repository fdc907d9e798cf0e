//! Frames and stacks that were met before, for readers whose text goes away piece by piece.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sigquit_dump::{Dump, Frame, FrameId, Stack, StackId, Truncation};

/// The frames of one dump by the two texts that stand for them, and its stacks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    hasher: RandomState,
    /// Places in `met`.
    frames: HashTable<u32>,
    met: Vec<Met>,
    /// The frame that was met last in the stack that is being read.
    last: Option<u32>,
    stacks: HashTable<StackId>,
}

#[derive(Debug)]
struct Met {
    texts: (Box<str>, Box<str>),
    id: FrameId,
    /// What came after it when it was met last: most likely it comes again.
    next: Option<u32>,
}

type Texts<'t> = (&'t str, &'t str);

impl Kept {
    /// Another stack begins.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// The texts of the frame that came next when the last one was met before: to compare with
    /// is faster than to look for.
    pub fn guess(&self) -> Option<Texts<'_>> {
        let met = &self.met[self.next()? as usize];
        Some((&met.texts.0, &met.texts.1))
    }

    /// The guess was right: its frame.
    pub fn take_guess(&mut self) -> Option<FrameId> {
        self.last = self.next();
        Some(self.met[self.last? as usize].id)
    }

    fn next(&self) -> Option<u32> {
        self.met[self.last? as usize].next
    }

    /// The frame of those texts, when it was met, as the next one of the stack.
    pub fn known(&mut self, texts: Texts) -> Option<FrameId> {
        let place = self.find(texts)?;
        if let Some(last) = self.last.replace(place) {
            self.met[last as usize].next = Some(place);
        }
        Some(self.met[place as usize].id)
    }

    fn find(&self, texts: Texts) -> Option<u32> {
        let is = |&place: &u32| self.met[place as usize].is(texts);
        self.frames.find(hash(&self.hasher, texts), is).copied()
    }

    /// The frame of those texts; a new one is read only when they are.
    pub fn frame(
        &mut self,
        dump: &mut Dump,
        texts: Texts,
        read: impl FnOnce() -> Frame,
    ) -> FrameId {
        if let Some(place) = self.find(texts) {
            return self.met[place as usize].id;
        }
        let id = dump.intern_frame(read());
        let Kept { hasher, frames, met, .. } = self;
        let place = met.len() as u32;
        met.push(Met { texts: (texts.0.into(), texts.1.into()), id, next: None });
        let rehash = |&place: &u32| {
            let (first, second) = &met[place as usize].texts;
            hash(hasher, (first, second))
        };
        frames.insert_unique(hash(hasher, texts), place, rehash);
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

    #[test]
    fn what_came_next_is_guessed() {
        let (mut dump, mut kept) = (Dump::default(), Kept::default());
        for text in ["a", "b", "c"] {
            kept.frame(&mut dump, (text, ""), || Frame::named(Symbol::function(text)));
        }
        for (second, guess) in [("b", None), ("c", Some(("b", ""))), ("b", Some(("c", "")))] {
            kept.begin();
            assert_eq!(kept.guess(), None);
            assert_eq!(kept.known(("a", "")), Some(FrameId(0)));
            assert_eq!(kept.guess(), guess);
            kept.known((second, ""));
        }
        kept.begin();
        kept.known(("a", ""));
        assert_eq!((kept.take_guess(), kept.take_guess()), (Some(FrameId(1)), None));
    }
}
