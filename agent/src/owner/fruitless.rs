//! Where threads were followed in vain: others that stand in the same place are not followed again.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::address_map::{AddressHasher, AddressMap};

/// After how many threads a place is given up from which none was followed to its end.
const CUT: u32 = 8;

/// The same when they were.
const WHOLE: u32 = 4;

/// Where a frame goes on, and what of it leads to locks: whether a thread has a guard there may be all in
/// which it differs from others.
pub(super) type Place = (u64, u64);

/// How often threads were followed from a place, and came by no wanted lock.
#[derive(Default)]
pub(super) struct Fruitless {
    /// As far as was allowed, by where the frame goes on.
    cut: AddressMap<u32>,
    /// To the end.
    whole: HashMap<Place, Vain, BuildHasherDefault<AddressHasher>>,
}

/// What came of following frames to their end.
#[derive(Clone, Copy, Default)]
struct Vain {
    times: u32,
    /// One of them writes what outer frames may read.
    writes: bool,
}

impl Fruitless {
    /// Threads are followed for other locks now, or only further.
    pub fn begin_round(&mut self, only_further: bool) {
        self.cut.clear();
        if !only_further {
            self.whole.clear();
        }
    }

    /// Takes note of a frame that was followed as far as was allowed.
    pub fn note_cut(&mut self, place: Place) {
        *self.cut.entry(place.0).or_default() += 1;
    }

    /// Takes note of one that was followed to its end. It may write what outer frames read.
    pub fn note_whole(&mut self, place: Place, writes: bool) {
        let vain = self.whole.entry(place).or_default();
        vain.times += 1;
        vain.writes |= writes;
    }

    /// Whether it is not worth following another: it is for the sake of an outer frame when something is
    /// written.
    pub fn is_given_up(&self, place: Place, has_outer: bool) -> bool {
        let is_vain = |vain: &Vain| vain.times >= WHOLE && !(vain.writes && has_outer);
        self.whole.get(&place).is_some_and(is_vain)
            || self.cut.get(&place.0).is_some_and(|&times| times >= CUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = (0x1000, 1);
    const OTHERWISE: Place = (0x1000, 2);

    #[test]
    fn what_a_frame_holds_tells_places_apart_that_were_followed_to_the_end() {
        let mut fruitless = Fruitless::default();
        (0..WHOLE).for_each(|_| fruitless.note_whole(HERE, false));
        assert!(fruitless.is_given_up(HERE, true));
        assert!(!fruitless.is_given_up(OTHERWISE, true));
    }

    #[test]
    fn what_outer_frames_read_is_followed_for_them() {
        let mut fruitless = Fruitless::default();
        (0..WHOLE).for_each(|_| fruitless.note_whole(HERE, true));
        assert!(!fruitless.is_given_up(HERE, true));
        assert!(fruitless.is_given_up(HERE, false));
    }

    #[test]
    fn what_was_cut_is_tried_again_when_threads_are_followed_further() {
        let mut fruitless = Fruitless::default();
        (0..CUT).for_each(|_| fruitless.note_cut(HERE));
        assert!(fruitless.is_given_up(OTHERWISE, true));
        fruitless.begin_round(true);
        assert!(!fruitless.is_given_up(OTHERWISE, true));
    }
}
