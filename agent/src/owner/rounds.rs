//! In which order threads are followed, and how far: what is cheap and likely comes first, for a lock whose
//! holders are all known is looked for no more.

use super::leads::Way;

/// For whose sake a thread is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Those that wait for this thread. Who waits for a lock is most often not its owner.
    Others,
    /// The thread itself, which may wait for a lock that it holds.
    Itself,
}

/// One way through all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub whom: For,
    /// Only those are followed that the round before did not follow to their end.
    pub continues: bool,
    /// The least likely way to a lock for which a thread is followed.
    pub way: Way,
    /// How many instructions are followed for one frame.
    pub frame: u32,
    /// How many for one thread.
    pub thread: u32,
    /// Whether outer frames are followed when an inner one was not followed to its end.
    pub goes_on: bool,
}

/// Threads that have the lock's own address; and most owners release their lock soon.
const QUICK: Round = Round {
    whom: For::Others,
    continues: false,
    way: Way::Direct,
    frame: 800,
    thread: 3_000,
    goes_on: false,
};

/// Those of them that have a longer way.
const THOROUGH: Round =
    Round { continues: true, frame: 12_000, thread: 60_000, goes_on: true, ..QUICK };

/// Threads that wait, and may wait for themselves.
const ITSELF: Round =
    Round { whom: For::Itself, frame: 1_500, thread: 6_000, goes_on: true, ..QUICK };

/// Threads that have the address of something that has the lock's: a guard may lie there, but the address of a
/// lock that all share lies behind what every thread has.
const BEHIND: Round = Round { whom: For::Others, way: Way::Behind, ..ITSELF };

/// Threads that have the address of something in which a lock may lie: there are many.
const WIDE: Round = Round { way: Way::Field, ..BEHIND };

/// All once more as far as there is time, also where others were followed in vain.
const AGAIN: Round = Round { frame: 12_000, thread: 60_000, ..WIDE };

pub(super) const ROUNDS: [Round; 6] = [QUICK, THOROUGH, ITSELF, BEHIND, WIDE, AGAIN];
