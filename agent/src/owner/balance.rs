//! What happened to the wanted locks along one path through the code.

use super::value::{Value, sign_extend};
use super::wanted::{Kind, RWLOCK_HELD};

/// One change of a lock's word, as the instruction says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The word is exchanged for this one.
    Swap(Value),
    /// The word becomes `new` if it was `expected`.
    Exchange { expected: Value, new: Value },
    /// This is added to the word.
    Add(Value),
    /// Something else is done to it.
    Other,
}

/// What a change means for who holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Acquires,
    Releases,
    /// It may be either, or neither.
    Unclear,
}

/// How a path stands to a lock, in the order of how much it forbids to conclude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Standing {
    /// Nothing was done to it yet: who releases it now has held it from the start.
    #[default]
    Untouched,
    /// The path has acquired it: the next release gives back what the path took itself.
    Acquired,
    /// The path may have acquired it, and how often is not known.
    Unclear,
    /// The thread waits for it and the path has not got it yet.
    Waiting,
}

/// The standings of one path, for the locks that it touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Balance {
    /// Sorted by the address of the lock's word; none is [`Standing::Untouched`].
    standings: Vec<(u64, Standing)>,
}

impl Balance {
    /// A thread that waits for these words.
    pub fn waiting_for(words: impl Iterator<Item = u64>) -> Balance {
        let mut balance = Balance::default();
        for word in words {
            balance.set(word, Standing::Waiting);
        }
        balance
    }

    pub fn of(&self, word: u64) -> Standing {
        match self.standings.binary_search_by_key(&word, |&(word, _)| word) {
            Ok(at) => self.standings[at].1,
            Err(_) => Standing::Untouched,
        }
    }

    /// Takes note of a change, and says whether it releases what was held from the start.
    pub fn note(&mut self, word: u64, meaning: Meaning) -> bool {
        use Standing::{Acquired, Unclear, Untouched, Waiting};
        let standing = self.of(word);
        let next = match (standing, meaning) {
            (Untouched, Meaning::Releases) => return true,
            (Untouched | Acquired, Meaning::Acquires) => Acquired,
            (Acquired, Meaning::Releases) => Untouched,
            // Whatever the waiter's code does to the lock that is not a release gets it.
            (Waiting, Meaning::Acquires | Meaning::Unclear) => Acquired,
            (Waiting, Meaning::Releases) => Waiting,
            (_, Meaning::Unclear) | (Unclear, _) => Unclear,
        };
        self.set(word, next);
        false
    }

    /// Takes note that code which was not read may have acquired the lock.
    pub fn suspect(&mut self, word: u64) {
        if self.of(word) == Standing::Untouched {
            self.set(word, Standing::Acquired);
        }
    }

    /// The code has returned that waited for these words and got them: however it got them, they
    /// are held once more than before.
    pub fn obtain(&mut self, words: impl Iterator<Item = u64>) {
        for word in words {
            if self.of(word) >= Standing::Unclear {
                self.set(word, Standing::Acquired);
            }
        }
    }

    /// What both paths may have done.
    pub fn join(&mut self, other: &Balance) {
        for &(word, standing) in &other.standings {
            self.set(word, standing.max(self.of(word)));
        }
    }

    fn set(&mut self, word: u64, standing: Standing) {
        match self.standings.binary_search_by_key(&word, |&(word, _)| word) {
            Ok(at) if standing == Standing::Untouched => drop(self.standings.remove(at)),
            Ok(at) => self.standings[at].1 = standing,
            Err(_) if standing == Standing::Untouched => {}
            Err(at) => self.standings.insert(at, (word, standing)),
        }
    }
}

/// Reads a change as the library that made the lock means it.
pub(super) fn meaning(kind: Kind, change: Change) -> Meaning {
    match kind {
        Kind::Mutex => mutex(change),
        Kind::RwLock => rwlock(change),
        Kind::ParkingMutex => parking_mutex(change),
        Kind::ParkingRwLock => parking_rwlock(change),
    }
}

/// Zero is free; `swap` and `compare_exchange` are all that is used.
fn mutex(change: Change) -> Meaning {
    match change {
        Change::Swap(new) => match new.get(4) {
            Some(0) => Meaning::Releases,
            Some(_) => Meaning::Acquires,
            None => Meaning::Unclear,
        },
        Change::Exchange { expected, new } => match (expected.get(4), new.get(4)) {
            (Some(1..), Some(0)) => Meaning::Releases,
            (Some(0), Some(1..)) => Meaning::Acquires,
            _ => Meaning::Unclear,
        },
        Change::Add(_) | Change::Other => Meaning::Unclear,
    }
}

/// A writer takes all thirty low bits and gives them back by subtraction; readers count by one.
fn rwlock(change: Change) -> Meaning {
    match change {
        Change::Add(by) => match by.get(4).map(|by| sign_extend(by, 4) as i64) {
            Some(-1) => Meaning::Releases,
            Some(by) if by == -(RWLOCK_HELD as i64) => Meaning::Releases,
            _ => Meaning::Unclear,
        },
        Change::Exchange { expected, new } => match (expected.get(4), new.get(4)) {
            (Some(0), Some(RWLOCK_HELD)) => Meaning::Acquires,
            _ => Meaning::Unclear,
        },
        Change::Swap(_) | Change::Other => Meaning::Unclear,
    }
}

/// Bit 0: locked. Released by exchanging 1 for 0; a parked thread makes that fail, and then
/// a function of the library does the rest.
fn parking_mutex(change: Change) -> Meaning {
    match change {
        Change::Exchange { expected, new } => match (expected.get(1), new.get(1)) {
            (Some(1), Some(0)) => Meaning::Releases,
            (Some(0), Some(1)) => Meaning::Acquires,
            _ => Meaning::Unclear,
        },
        _ => Meaning::Unclear,
    }
}

/// Bit 3: a writer. From bit 4 on: the number of readers.
fn parking_rwlock(change: Change) -> Meaning {
    match change {
        Change::Exchange { expected, new } => match (expected.get(8), new.get(8)) {
            (Some(8), Some(0)) => Meaning::Releases,
            (Some(0), Some(8)) => Meaning::Acquires,
            _ => Meaning::Unclear,
        },
        Change::Add(by) if by.get(8) == Some(-16i64 as u64) => Meaning::Releases,
        _ => Meaning::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: u64 = 0x1000;

    #[test]
    fn what_is_released_first_was_held() {
        assert!(Balance::default().note(LOCK, Meaning::Releases));
    }

    #[test]
    fn what_is_acquired_first_was_not() {
        let mut balance = Balance::default();
        assert!(!balance.note(LOCK, Meaning::Acquires));
        assert!(!balance.note(LOCK, Meaning::Releases));
        assert!(balance.note(LOCK, Meaning::Releases), "the second release is of an older hold");
    }

    #[test]
    fn a_waiter_gives_back_what_it_waited_for_before_anything_else() {
        let mut balance = Balance::waiting_for([LOCK].into_iter());
        assert!(!balance.note(LOCK, Meaning::Releases));
        assert!(!balance.note(LOCK, Meaning::Acquires));
        assert!(!balance.note(LOCK, Meaning::Releases));
        assert!(balance.note(LOCK, Meaning::Releases));
    }

    #[test]
    fn doubt_stays() {
        let mut balance = Balance::default();
        balance.note(LOCK, Meaning::Unclear);
        assert!(!balance.note(LOCK, Meaning::Releases));
        assert!(!balance.note(LOCK, Meaning::Releases));
    }

    #[test]
    fn two_paths_forbid_what_either_forbids() {
        let mut balance = Balance::default();
        let mut other = Balance::default();
        other.note(LOCK, Meaning::Acquires);
        balance.join(&other);
        assert_eq!(balance.of(LOCK), Standing::Acquired);
    }
}
