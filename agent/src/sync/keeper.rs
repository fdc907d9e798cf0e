//! Who keeps a book: the lock, semaphore or pool that it is about.

use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) use super::book::{About, Book, Places};
use super::books;

/// Keeps a book for as long as what it is about exists.
#[derive(Debug)]
pub(crate) struct Keeper(Arc<Book>);

impl Keeper {
    /// Of something that nobody holds yet.
    pub fn new(
        about: About,
        name: Option<Box<str>>,
        places: Places,
        capacity: Option<u64>,
        made: &'static Location<'static>,
    ) -> Keeper {
        Keeper(Arc::new(Book::new(about, name, places, capacity, made)))
    }

    /// Has dumps show it whether or not anybody waits.
    pub fn always_shown(self) -> Keeper {
        self.0.listed.store(true, Relaxed);
        books::add(&self.0);
        self
    }

    /// Changes how many may hold it at once.
    pub fn set_capacity(&self, capacity: u64) {
        self.0.set_capacity(capacity);
    }

    /// The caller has taken it, and is the only one that can hold it now.
    #[cfg(feature = "tokio")]
    #[inline]
    pub fn hold_alone(&self, taken: &'static Location<'static>) -> Holding<&Book> {
        Holding { at: self.0.take_alone(taken), book: &self.0 }
    }

    /// The caller has taken it, or some of it.
    #[cfg(feature = "tokio")]
    #[inline]
    pub fn hold(&self, taken: &'static Location<'static>) -> Holding<&Book> {
        Holding { at: self.0.take(taken), book: &self.0 }
    }

    /// The same, for as long as it takes.
    pub fn hold_owned(&self, taken: &'static Location<'static>) -> Holding<Arc<Book>> {
        Holding { at: self.0.take(taken), book: self.0.clone() }
    }

    /// The caller begins to wait for it. `wakes` is what its waker wakes, as an address; 0 for none.
    #[cold]
    pub fn wait(&self, shares: bool, wakes: usize) -> Waiting {
        Waiting { number: self.0.begin_wait(shares, wakes), book: self.0.clone() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        books::remove(&self.0);
    }
}

/// Somebody holds it, until this is dropped: before it is given back.
#[derive(Debug)]
pub(crate) struct Holding<B: Deref<Target = Book>> {
    book: B,
    at: u32,
}

impl<B: Deref<Target = Book>> Drop for Holding<B> {
    #[inline]
    fn drop(&mut self) {
        self.book.give_back(self.at);
    }
}

/// Somebody waits for it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    book: Arc<Book>,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.book.end_wait(self.number);
    }
}
