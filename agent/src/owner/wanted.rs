//! The words of memory that change when a lock is released, for the locks that threads wait for.

use std::collections::BTreeMap;

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
}

/// One word that is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub kind: Kind,
    /// The futexes on which threads wait for this word to change.
    pub futexes: Vec<u64>,
}

/// All words that are to be watched, by their addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    words: BTreeMap<u64, Watched>,
    /// The first and the last of their addresses.
    bounds: (u64, u64),
}

fn bounds(words: &BTreeMap<u64, Watched>) -> (u64, u64) {
    let first = words.first_key_value().map_or(u64::MAX, |(&at, _)| at);
    let last = words.last_key_value().map_or(0, |(&at, _)| at);
    (first, last)
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
                wanted.add(address, kind, awaited.futex);
            }
        }
        wanted.bounds = bounds(&wanted.words);
        wanted
    }

    fn add(&mut self, address: u64, kind: Kind, futex: u64) {
        let fresh = || Watched { kind, futexes: Vec::new() };
        let watched = self.words.entry(address).or_insert_with(fresh);
        if watched.kind == kind && !watched.futexes.contains(&futex) {
            watched.futexes.push(futex);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at exactly this address.
    pub fn at(&self, address: u64) -> Option<&Watched> {
        self.words.get(&address)
    }

    /// Takes out the words of these futexes that one thread alone can hold.
    pub fn settle(&mut self, futexes: &[u64]) {
        self.words.retain(|_, watched| {
            let is_exclusive = matches!(watched.kind, Kind::Mutex | Kind::ParkingMutex);
            !is_exclusive || !watched.futexes.iter().any(|futex| futexes.contains(futex))
        });
        self.bounds = bounds(&self.words);
    }

    /// Whether some word lies at `address` or within `reach` bytes above.
    pub fn any_from(&self, address: u64, reach: u64) -> bool {
        let end = address.saturating_add(reach);
        let (first, last) = self.bounds;
        address <= last && end > first && self.words.range(address..end).next().is_some()
    }

    /// The addresses of the words whose change this futex waits for.
    pub fn words_of(&self, futex: u64) -> impl Iterator<Item = u64> {
        let waits = move |watched: &Watched| watched.futexes.contains(&futex);
        self.words.iter().filter(move |(_, watched)| waits(watched)).map(|(&word, _)| word)
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
    state >> 30 != 0 && state & 0x3fff_ffff != 0 && state != 0xffff_ffff
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
