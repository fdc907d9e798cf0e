//! Where threads were followed in vain: others that stand in the same place are not followed again.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::address_map::{AddressHasher, AddressMap};

/// After how many threads a place is given up from which none was followed to its end.
const CUT: u32 = 4;

/// The same when they were.
const WHOLE: u32 = 3;

/// Where a frame goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Site {
    pub pc: u64,
    /// What of the frame leads to locks: whether a thread has a guard there may be all in which it differs from
    /// others.
    pub shape: u64,
}

/// How often threads were followed from a place, and came by no wanted lock.
#[derive(Default)]
pub(super) struct Fruitless {
    /// As far as was allowed, by the pc.
    cut: AddressMap<u32>,
    /// To the end.
    whole: HashMap<Site, Vain, BuildHasherDefault<AddressHasher>>,
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
    pub fn note_cut(&mut self, site: Site) {
        *self.cut.entry(site.pc).or_default() += 1;
    }

    /// Takes note of one that was followed to its end. It may write what outer frames read.
    pub fn note_whole(&mut self, site: Site, writes: bool) {
        let vain = self.whole.entry(site).or_default();
        vain.times += 1;
        vain.writes |= writes;
    }

    /// Whether another frame there is left out. One that writes is not when there is an outer frame to read
    /// it.
    pub fn is_given_up(&self, site: Site, has_outer: impl Fn() -> bool) -> bool {
        let is_vain = |vain: &Vain| vain.times >= WHOLE && !(vain.writes && has_outer());
        self.whole.get(&site).is_some_and(is_vain)
            || self.cut.get(&site.pc).is_some_and(|&times| times >= CUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Site = Site { pc: 0x1000, shape: 1 };
    const OTHERWISE: Site = Site { pc: 0x1000, shape: 2 };

    #[test]
    fn what_a_frame_holds_tells_places_apart_that_were_followed_to_the_end() {
        let mut fruitless = Fruitless::default();
        (0..WHOLE).for_each(|_| fruitless.note_whole(HERE, false));
        assert!(fruitless.is_given_up(HERE, || true));
        assert!(!fruitless.is_given_up(OTHERWISE, || true));
    }

    #[test]
    fn what_outer_frames_read_is_followed_for_them() {
        let mut fruitless = Fruitless::default();
        (0..WHOLE).for_each(|_| fruitless.note_whole(HERE, true));
        assert!(!fruitless.is_given_up(HERE, || true));
        assert!(fruitless.is_given_up(HERE, || false));
    }

    #[test]
    fn what_was_cut_is_tried_again_when_threads_are_followed_further() {
        let mut fruitless = Fruitless::default();
        (0..CUT).for_each(|_| fruitless.note_cut(HERE));
        assert!(fruitless.is_given_up(OTHERWISE, || true));
        fruitless.begin_round(true);
        assert!(!fruitless.is_given_up(OTHERWISE, || true));
    }
}
