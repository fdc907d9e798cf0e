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
    /// The texts of all that was met, one after the other: what came one after the other is
    /// compared one after the other.
    texts: String,
    /// The frame that was met last in the stack that is being read.
    last: Option<u32>,
    stacks: HashTable<StackId>,
}

/// A frame, and where its texts lie: the first, and the second with the end of its line.
#[derive(Debug)]
struct Met {
    begin: usize,
    first: u32,
    second: u32,
    id: FrameId,
    /// What came after it when it was met last: most likely it comes again.
    next: Option<u32>,
    /// The stack of which it was the last frame.
    stack: Option<StackId>,
}

pub(super) type Texts<'t> = (&'t str, &'t str);

impl Kept {
    /// Another stack begins.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// The frame that came next when the last one was met before: to compare with is faster than to
    /// look for.
    pub fn guess(&self) -> Option<FrameId> {
        Some(self.met[self.next()? as usize].id)
    }

    /// The second text of the guess, with the end of its line.
    pub fn guessed_text(&self) -> Option<&str> {
        let met = &self.met[self.next()? as usize];
        let begin = met.begin + met.first as usize;
        self.texts.get(begin..=begin + met.second as usize)
    }

    /// The guess was right.
    pub fn take_guess(&mut self) {
        self.last = self.next();
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

    /// The frame of those texts, when it was met; it is on no stack.
    pub fn known_alone(&self, texts: Texts) -> Option<FrameId> {
        self.find(texts).map(|place| self.met[place as usize].id)
    }

    fn find(&self, texts: Texts) -> Option<u32> {
        let is = |&place: &u32| self.met[place as usize].is(&self.texts, texts);
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
        let Kept { hasher, frames, met, texts: all, .. } = self;
        let place = met.len() as u32;
        // Texts that are longer than this can say of themselves are not met again.
        if let Some(new) = Met::new(all.len(), texts, id) {
            [texts.0, texts.1, "\n"].iter().for_each(|text| all.push_str(text));
            met.push(new);
            let rehash = |&place: &u32| hash(hasher, met[place as usize].texts(all));
            frames.insert_unique(hash(hasher, texts), place, rehash);
        }
        id
    }

    /// The stack of those frames, leaf first.
    pub fn stack(
        &mut self,
        dump: &mut Dump,
        frames: &[FrameId],
        truncated: Option<Truncation>,
    ) -> StackId {
        let is = |id: &StackId| {
            let stack = &dump.stacks[id.0 as usize];
            stack.frames == frames && stack.truncated == truncated
        };
        let last = self.last.map(|last| &mut self.met[last as usize].stack);
        if let Some(Some(known)) = last.as_ref().map(|stack| stack.filter(is)) {
            return known;
        }
        let hash = |frames: &[FrameId]| self.hasher.hash_one(frames);
        let id = match self.stacks.find(hash(frames), is) {
            Some(&known) => known,
            None => {
                let id = dump.intern_stack(Stack { truncated, ..Stack::from(frames.to_vec()) });
                let rehash = |id: &StackId| hash(&dump.stacks[id.0 as usize].frames);
                self.stacks.insert_unique(hash(frames), id, rehash);
                id
            }
        };
        last.into_iter().for_each(|stack| *stack = Some(id));
        id
    }
}

impl Met {
    fn new(begin: usize, (first, second): Texts, id: FrameId) -> Option<Met> {
        let length = |text: &str| u32::try_from(text.len()).ok();
        let (first, second) = (length(first)?, length(second)?);
        Some(Met { begin, first, second, id, next: None, stack: None })
    }

    fn texts<'k>(&self, all: &'k str) -> Texts<'k> {
        let second = self.begin + self.first as usize;
        (&all[self.begin..second], &all[second..second + self.second as usize])
    }

    fn is(&self, all: &str, texts: Texts) -> bool {
        self.texts(all) == texts
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
        assert_eq!((kept.known_alone(("a", "1")), kept.known_alone(("a1", ""))), (Some(a), None));
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
            kept.frame(&mut dump, (text, "1"), || Frame::named(Symbol::function(text)));
        }
        for (second, guess) in [("b", None), ("c", Some(FrameId(1))), ("b", Some(FrameId(2)))] {
            kept.begin();
            assert_eq!(kept.guess(), None);
            assert_eq!(kept.known(("a", "1")), Some(FrameId(0)));
            assert_eq!(kept.guess(), guess);
            kept.known((second, "1"));
        }
        kept.begin();
        kept.known(("a", "1"));
        assert_eq!((kept.guess(), kept.guessed_text()), (Some(FrameId(1)), Some("1\n")));
        kept.take_guess();
        assert_eq!(kept.guess(), None);
    }
}
