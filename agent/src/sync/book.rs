//! Who holds and who waits for something that goes from task to task: an async lock, a semaphore, a
//! pool.
//!
//! Holders have places, each a sequence lock of its own: who takes the lock claims one, and whoever
//! looks sees what a place held at one moment. The threads that came first have a place each that nobody
//! else claims, for an atomic exchange takes longer than all the rest. Taking and giving back waits for nobody. Waiters, who have
//! time, are in a list behind a mutex that is held for some nanoseconds.
//!
//! ```text
//! state   a count of takings, 62 bits | free, being written, held
//!
//! take    free -> being written;  who, where, since when;  held
//! give    held -> free, and one more is counted
//! ```

use std::panic::Location;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sigquit_dump::LockKind;

use super::place::AtomicPlace;
use super::{books, ledgers};
use crate::task::{Who, clock, lock_before, who};

const FREE: u64 = 0;
const WRITING: u64 = 1;
const HELD: u64 = 2;
const STATE_BITS: u32 = 2;

/// Looks at one place of a holder that find it changing, before a dump lets go.
const TRIES: usize = 100;

/// So many threads have a place of their own.
const OWN: u32 = 8;

/// How many can be seen to hold something at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Places {
    /// One, who holds it alone.
    #[cfg_attr(
        not(any(test, feature = "tokio")),
        expect(dead_code, reason = "of async locks only")
    )]
    One,
    /// So many at least.
    Several(usize),
}

/// What the book is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub kind: LockKind,
    pub type_name: &'static str,
}

/// Who holds and who waits for one thing.
#[derive(Debug)]
pub(crate) struct Book {
    pub about: About,
    /// Its name, when the program gave it one.
    pub name: Option<Box<str>>,
    pub made: &'static Location<'static>,
    /// How many may hold it at once; all ones when that is not known.
    capacity: AtomicU64,
    /// How many of the places belong to one thread each, by the numbers of their ledgers.
    own: u32,
    places: Box<[Place]>,
    /// Held by those for whom there was no place.
    beyond: AtomicU64,
    waiting: Mutex<Queue>,
    /// It is among the books that dumps look at.
    pub listed: AtomicBool,
}

#[derive(Debug)]
struct Place {
    state: AtomicU64,
    who: AtomicU64,
    taken: AtomicPlace,
    since: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    waiters: Vec<Waiter>,
    waits: u64,
    /// How long those took that have ended, in the units of the clock.
    waited: u64,
}

/// Who holds it, or some of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Never the same twice at one place.
    number: u64,
    pub who: Who,
    pub taken: Option<&'static Location<'static>>,
    /// In the units of the clock.
    pub since: u64,
}

/// Who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// Never the same twice in one book.
    number: u64,
    pub who: Who,
    /// To share it with others.
    pub shares: bool,
    /// In the units of the clock.
    pub since: u64,
    /// What the waker wakes that it left, as an address; 0 for none.
    pub wakes: usize,
}

/// What a book said at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub holders: Vec<Holder>,
    /// Holders of whom no more is known.
    pub beyond: u64,
    pub waiters: Vec<Waiter>,
    pub waits: u64,
    pub waited: u64,
}

impl Book {
    /// Of something that nobody holds yet.
    pub fn new(
        about: About,
        name: Option<Box<str>>,
        places: Places,
        capacity: Option<u64>,
        made: &'static Location<'static>,
    ) -> Book {
        let (own, others) = match places {
            Places::One => (0, 1),
            Places::Several(others) => (OWN, others),
        };
        Book {
            about,
            name,
            made,
            capacity: AtomicU64::new(capacity.unwrap_or(u64::MAX)),
            own,
            places: (0..own as usize + others).map(|_| Place::new()).collect(),
            beyond: AtomicU64::new(0),
            waiting: Mutex::default(),
            listed: AtomicBool::new(false),
        }
    }

    /// How many may hold it at once, when that is known.
    pub fn capacity(&self) -> Option<u64> {
        Some(self.capacity.load(Relaxed)).filter(|&capacity| capacity != u64::MAX)
    }

    /// Changes how many may hold it at once.
    pub fn set_capacity(&self, capacity: u64) {
        self.capacity.store(capacity, Relaxed);
    }

    /// The caller has taken it, and is the only one that can hold it now.
    #[cfg(any(feature = "tokio", test))]
    #[inline]
    pub fn take_alone(&self, taken: &'static Location<'static>) -> u32 {
        let place = &self.places[0];
        let free = place.state.load(Relaxed);
        place.state.store(free | WRITING, Relaxed);
        place.put(free, taken);
        0
    }

    /// The caller has taken it, or some of it. Returns the place to give back.
    #[inline]
    pub fn take(&self, taken: &'static Location<'static>) -> u32 {
        let own = ledgers::number();
        if own < self.own
            && let Some(place) = self.places.get(own as usize)
            && let Some(free) = place.free()
        {
            // Nobody else claims it: a thread sees of its own place that it is free only when it is.
            place.state.store(free | WRITING, Relaxed);
            place.put(free, taken);
            return own;
        }
        self.take_any(taken)
    }

    fn take_any(&self, taken: &'static Location<'static>) -> u32 {
        for (at, place) in (0..).zip(&self.places).skip(self.own as usize) {
            let Some(free) = place.free() else { continue };
            if place.state.compare_exchange(free, free | WRITING, Acquire, Relaxed).is_ok() {
                place.put(free, taken);
                return at;
            }
        }
        self.beyond.fetch_add(1, Relaxed);
        u32::MAX
    }

    /// What was taken there is about to be given back.
    #[inline]
    pub fn give_back(&self, at: u32) {
        match self.places.get(at as usize) {
            Some(place) => {
                let count = place.state.load(Relaxed) >> STATE_BITS;
                place.state.store((count + 1) << STATE_BITS, Release);
            }
            None => drop(self.beyond.fetch_sub(1, Relaxed)),
        }
    }

    /// The caller begins to wait. Returns the number with which to end that.
    pub fn begin_wait(self: &Arc<Book>, shares: bool, wakes: usize) -> u64 {
        let (who, since) = (who(), clock::now());
        let number = {
            let mut queue = self.queue();
            queue.waits += 1;
            let number = queue.waits;
            queue.waiters.push(Waiter { number, who, shares, since, wakes });
            number
        };
        if !self.listed.swap(true, Relaxed) {
            books::add(self);
        }
        number
    }

    /// The wait of that number has ended.
    pub fn end_wait(&self, number: u64) {
        let now = clock::now();
        let mut queue = self.queue();
        if let Some(at) = queue.waiters.iter().position(|waiter| waiter.number == number) {
            let ended = queue.waiters.swap_remove(at);
            queue.waited += now.saturating_sub(ended.since);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the book says; nothing when its list of waiters is held until then.
    pub fn read(&self, deadline: Instant) -> Option<Seen> {
        let queue = lock_before(&self.waiting, deadline)?;
        let (waiters, waits, waited) = (queue.waiters.clone(), queue.waits, queue.waited);
        drop(queue);
        let holders = self.places.iter().filter_map(Place::read).collect();
        Some(Seen { holders, beyond: self.beyond.load(Relaxed), waiters, waits, waited })
    }
}

impl Place {
    fn new() -> Place {
        Place {
            state: AtomicU64::new(FREE),
            who: AtomicU64::new(0),
            taken: AtomicPlace::new(),
            since: AtomicU64::new(0),
        }
    }

    /// Its state, when nobody has it.
    #[inline]
    fn free(&self) -> Option<u64> {
        Some(self.state.load(Relaxed)).filter(|state| state & (WRITING | HELD) == FREE)
    }

    /// Puts in who takes it now. The place is being written by the caller, and was `free` before.
    #[inline]
    fn put(&self, free: u64, taken: &'static Location<'static>) {
        fence(Release);
        self.who.store(who().number(), Relaxed);
        self.taken.store(Some(taken));
        self.since.store(clock::now(), Relaxed);
        self.state.store(free | HELD, Release);
    }

    fn read(&self) -> Option<Holder> {
        for _ in 0..TRIES {
            let state = self.state.load(Acquire);
            if state & (WRITING | HELD) == FREE {
                return None;
            }
            let holder = Holder {
                number: state,
                who: Who::from_number(self.who.load(Relaxed)),
                taken: self.taken.load(),
                since: self.since.load(Relaxed),
            };
            fence(Acquire);
            if state & HELD != 0 && self.state.load(Relaxed) == state {
                return Some(holder);
            }
        }
        None
    }
}

impl Seen {
    /// What was so already at an earlier moment.
    pub fn lasting(mut self, before: &Seen) -> Seen {
        self.holders.retain(|holder| before.holders.contains(holder));
        self.waiters.retain(|waiter| before.waiters.contains(waiter));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(places: Places) -> Arc<Book> {
        let about = About { kind: LockKind::Semaphore, type_name: "tests::Permits" };
        Arc::new(Book::new(about, None, places, Some(2), Location::caller()))
    }

    fn seen(book: &Book) -> Seen {
        book.read(Instant::now()).expect("nobody holds its list")
    }

    #[test]
    fn holders_come_and_go_and_those_without_a_place_are_counted() {
        let book = book(Places::Several(2));
        // The first place may be the thread's own.
        let at: Vec<u32> = (0..4).map(|_| book.take(Location::caller())).collect();
        let all = seen(&book);
        assert_eq!(all.holders.len() as u64 + all.beyond, 4);
        assert!((1..=2).contains(&all.beyond), "{all:?}");
        assert!(all.holders.iter().all(|holder| holder.who == who()));
        at.into_iter().for_each(|at| book.give_back(at));
        let none = seen(&book);
        assert_eq!((none.holders.len(), none.beyond), (0, 0));
    }

    #[test]
    fn only_what_was_there_before_has_lasted() {
        let book = book(Places::Several(2));
        let (first, _second) = (book.take(Location::caller()), book.take(Location::caller()));
        let wait = book.begin_wait(false, 0);
        let before = seen(&book);
        book.give_back(first);
        book.take(Location::caller());
        book.end_wait(wait);
        book.begin_wait(false, 0);
        let lasting = seen(&book).lasting(&before);
        assert_eq!((lasting.holders.len(), lasting.waiters.len(), lasting.waits), (1, 0, 2));
        books::remove(&book);
    }

    #[test]
    fn a_place_that_another_thread_gives_back_is_its_thread_s_again() {
        let book = book(Places::Several(1));
        for round in 0..100 {
            let at = book.take(Location::caller());
            assert_eq!(seen(&book).holders.len(), 1, "{round}");
            std::thread::scope(|scope| drop(scope.spawn(|| book.give_back(at)).join()));
            assert_eq!((seen(&book).holders.len(), seen(&book).beyond), (0, 0), "{round}");
        }
    }

    #[test]
    fn what_is_read_while_it_changes_hands_was_never_torn() {
        static HERE: [&Location<'static>; 2] = [Location::caller(), Location::caller()];
        let (book, ended) = (book(Places::One), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    book.give_back(book.take_alone(HERE[0]));
                }
            });
            let mut seen_held = 0;
            while seen_held < 1000 {
                for holder in seen(&book).holders {
                    assert_ne!(holder.who, Who::Unknown);
                    assert_eq!(holder.number & (WRITING | HELD), HELD);
                    seen_held += 1;
                }
            }
            ended.store(true, Relaxed);
        });
    }
}
