//! The words of memory that change when a lock is released, for the locks that threads wait for.

use super::address_map::is_near;
use super::memory::{Memory, Pages};

/// A futex on which a thread waits, as the kernel and the memory around it show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Awaited {
    /// The address of the futex.
    pub futex: u64,
    /// The 64-bit word 32 bytes below: where parking_lot keeps the lock's address.
    pub parking_key: Option<u64>,
}

/// How the word of a lock changes hands. The kind is read from the word itself: a lock with
/// waiters says in it that it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `std`'s `Mutex` and `Once`, and most others that are built on a futex: 32 bits that
    /// become zero.
    Mutex,
    /// `std`'s `RwLock`: 32 bits, of which the low thirty count readers or are all set.
    RwLock,
    /// parking_lot's `Mutex`: one byte.
    ParkingMutex,
    /// parking_lot's `RwLock`: one word.
    ParkingRwLock,
}

impl Kind {
    /// How many bytes are changed at once.
    pub fn width(self) -> u32 {
        match self {
            Kind::Mutex | Kind::RwLock => 4,
            Kind::ParkingMutex => 1,
            Kind::ParkingRwLock => 8,
        }
    }

    /// How many hold the lock, by its word.
    fn holders(self, word: u64) -> u32 {
        let readers = match self {
            Kind::Mutex | Kind::ParkingMutex => 1,
            Kind::RwLock if word & RWLOCK_HELD == RWLOCK_HELD => 1,
            Kind::RwLock => word & RWLOCK_HELD,
            // A writer says so in the bit below.
            Kind::ParkingRwLock => word >> 4,
        };
        readers.clamp(1, u32::MAX.into()) as u32
    }
}

/// Where the word of `std`'s `RwLock` says who is in: all set for a writer, or the number of readers.
pub(super) const RWLOCK_HELD: u64 = 0x3fff_ffff;

/// One word that is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub kind: Kind,
    /// The futexes on which threads wait for this word to change.
    pub futexes: Vec<u64>,
    /// How many holders have not been found: the word says how many there are.
    missing: u32,
}

/// All words that are to be watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// By their addresses.
    words: Vec<(u64, Watched)>,
}

impl Wanted {
    /// What to watch for the owners of these futexes to show.
    pub fn new<M: Memory>(awaited: &[Awaited], memory: &mut Pages<M>) -> Wanted {
        let mut wanted = Wanted::default();
        for awaited in awaited {
            // What lies below a futex is a key only if parking_lot put it there: both are watched.
            let mut words = std_words(awaited.futex, memory);
            words.extend(awaited.parking_key.and_then(|key| parking_word(key, memory)));
            for (address, kind) in words {
                let word = memory.number(address, kind.width());
                let holders = word.map_or(1, |word| kind.holders(word));
                wanted.add(address, kind, holders, awaited.futex);
            }
        }
        wanted
    }

    fn add(&mut self, address: u64, kind: Kind, holders: u32, futex: u64) {
        let at = self.index(address);
        if self.at(address).is_none() {
            let fresh = Watched { kind, futexes: Vec::new(), missing: holders };
            self.words.insert(at, (address, fresh));
        }
        let watched = &mut self.words[at].1;
        if watched.kind == kind && !watched.futexes.contains(&futex) {
            watched.futexes.push(futex);
        }
    }

    /// Those of these words that are wanted.
    pub fn only(&self, words: impl Iterator<Item = u64>) -> Wanted {
        let mut some: Vec<u64> = words.collect();
        some.sort_unstable();
        some.dedup();
        let found = some.into_iter().filter_map(|word| Some((word, self.at(word)?.clone())));
        Wanted { words: found.collect() }
    }

    /// The addresses of all.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        self.words.iter().map(|&(word, _)| word)
    }

    /// Where an address is, or would be.
    fn index(&self, address: u64) -> usize {
        self.words.partition_point(|&(word, _)| word < address)
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at exactly this address.
    pub fn at(&self, address: u64) -> Option<&Watched> {
        if !self.is_near(address, 1) {
            return None;
        }
        let (word, watched) = self.words.get(self.index(address))?;
        (*word == address).then_some(watched)
    }

    /// The addresses of the words that lie at `address` or within `reach` bytes above.
    pub fn from(&self, address: u64, reach: u64) -> impl Iterator<Item = u64> {
        let at = if self.is_near(address, reach) { self.index(address) } else { self.words.len() };
        let words = self.words[at..].iter().map(|&(word, _)| word);
        words.take_while(move |&word| word - address < reach)
    }

    /// Whether an address may lie at one of them, or so far before one.
    fn is_near(&self, address: u64, reach: u64) -> bool {
        let address_of = |end: Option<&(u64, Watched)>| end.map(|&(word, _)| word);
        let ends = address_of(self.words.first()).zip(address_of(self.words.last()));
        is_near(ends, address, reach)
    }

    /// Whether there is any.
    pub fn any_from(&self, address: u64, reach: u64) -> bool {
        self.from(address, reach).next().is_some()
    }

    /// Takes note of a thread that holds the lock of this word. When all holders are known, nothing that
    /// its waiters wait for is looked for any more.
    pub fn found(&mut self, word: u64) {
        let at = self.index(word);
        let Some((_, watched)) = self.words.get_mut(at).filter(|(address, _)| *address == word)
        else {
            return;
        };
        watched.missing = watched.missing.saturating_sub(1);
        if watched.missing == 0 {
            let (_, settled) = self.words.remove(at);
            let is_settled = |futex: &u64| settled.futexes.contains(futex);
            self.words.retain(|(_, watched)| !watched.futexes.iter().any(is_settled));
        }
    }

    /// The addresses of the words whose change this futex waits for.
    pub fn words_of(&self, futex: u64) -> impl Iterator<Item = u64> {
        let waits = move |watched: &Watched| watched.futexes.contains(&futex);
        self.words.iter().filter(move |(_, watched)| waits(watched)).map(|&(word, _)| word)
    }
}

/// The lock words of the standard library that a futex can belong to: its own, or, for the
/// futex on which an `RwLock`'s writers wait, the one below. Zero is a lock that is free, or no
/// lock; all ones is a parked thread.
fn std_words<M: Memory>(futex: u64, memory: &mut Pages<M>) -> Vec<(u64, Kind)> {
    let mut words = Vec::new();
    match memory.number(futex, 4) {
        None | Some(0 | 0xffff_ffff) => {}
        Some(state) if is_contended_rwlock(state) => words.push((futex, Kind::RwLock)),
        Some(_) => words.push((futex, Kind::Mutex)),
    }
    let below = futex.wrapping_sub(4);
    if memory.number(below, 4).is_some_and(is_contended_rwlock) {
        words.push((below, Kind::RwLock));
    }
    words
}

/// An `RwLock` of the standard library has in its two highest bits who waits, and below them
/// who is in.
fn is_contended_rwlock(state: u64) -> bool {
    state >> 30 != 0 && state & RWLOCK_HELD != 0 && state != 0xffff_ffff
}

/// What parking_lot's key stands for: a lock that is held and has parked threads. A word that
/// lies by chance where the key would be seldom passes for one.
fn parking_word<M: Memory>(key: u64, memory: &mut Pages<M>) -> Option<(u64, Kind)> {
    if memory.number(key, 1) == Some(3) {
        return Some((key, Kind::ParkingMutex));
    }
    // A writer that waits for the last reader to leave is parked at the address plus one.
    let word = key & !1;
    let held = |state: u64| state & 0b11 != 0 && state >> 3 != 0;
    let found = word.is_multiple_of(8) && memory.number(word, 8).is_some_and(held);
    found.then_some((word, Kind::ParkingRwLock))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory in which these words lie, and nothing else.
    struct Words(&'static [(u64, u32)]);

    impl Memory for Words {
        fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
            into.fill(0);
            for &(at, word) in self.0 {
                if let Some(place) = at.checked_sub(address).map(|at| at as usize)
                    && let Some(bytes) = into.get_mut(place..place + 4)
                {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
            }
            into.len()
        }
    }

    fn wanted(words: &'static [(u64, u32)], futexes: &[u64]) -> Wanted {
        let awaited = futexes.iter().map(|&futex| Awaited { futex, parking_key: None });
        Wanted::new(&awaited.collect::<Vec<_>>(), &mut Pages::new(Words(words)))
    }

    #[test]
    fn a_mutex_has_one_holder() {
        let mut wanted = wanted(&[(0x1_0000, 2), (0x1_0040, 2)], &[0x1_0000, 0x1_0040]);
        wanted.found(0x1_0000);
        assert_eq!(wanted.words().collect::<Vec<_>>(), [0x1_0040]);
    }

    #[test]
    fn a_lock_that_is_read_by_three_is_looked_for_until_three_are_found() {
        const THREE_READERS_AND_A_WAITER: u32 = 1 << 31 | 3;
        let mut wanted = wanted(&[(0x1_0000, THREE_READERS_AND_A_WAITER)], &[0x1_0004]);
        wanted.found(0x1_0000);
        wanted.found(0x1_0000);
        assert!(wanted.at(0x1_0000).is_some());
        wanted.found(0x1_0000);
        assert!(wanted.is_empty());
    }

    #[test]
    fn a_lock_that_is_written_has_one_holder() {
        let mut wanted = wanted(&[(0x1_0000, 1 << 30 | RWLOCK_HELD as u32)], &[0x1_0000]);
        wanted.found(0x1_0000);
        assert!(wanted.is_empty());
    }
}
