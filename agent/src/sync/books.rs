//! The books that dumps look at: those of pools, and of all else for which somebody ever waited.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::book::{Book, Seen};
use crate::task::lock_before;

/// How long a dump tries to get at the books: a thread that holds one can be off the CPU.
const PATIENCE: Duration = Duration::from_millis(50);

/// By where they lie.
static BOOKS: Mutex<BTreeMap<usize, Arc<Book>>> = Mutex::new(BTreeMap::new());

/// Has dumps look at a book from now on.
pub(super) fn add(book: &Arc<Book>) {
    let mut books = BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    books.insert(Arc::as_ptr(book).addr(), book.clone());
}

/// Has dumps look at it no more.
pub(super) fn remove(book: &Arc<Book>) {
    if book.listed.load(Relaxed) {
        let mut books = BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        books.remove(&Arc::as_ptr(book).addr());
    }
}

/// What the books say at one moment.
#[derive(Default)]
pub(crate) struct Books(Vec<(Arc<Book>, Seen)>);

/// Looks at all books.
pub(crate) fn look() -> Books {
    let deadline = Instant::now() + PATIENCE;
    let Some(books) = lock_before(&BOOKS, deadline) else { return Books::default() };
    let all: Vec<Arc<Book>> = books.values().cloned().collect();
    drop(books);
    let seen = all.into_iter().filter_map(|book| {
        let seen = book.read(deadline)?;
        Some((book, seen))
    });
    Books(seen.collect())
}

impl Books {
    /// What has been so since, in books that somebody holds or waits for; and pools.
    pub fn lasting(self) -> Vec<(Arc<Book>, Seen)> {
        let Books(now) = look();
        let before: BTreeMap<usize, Seen> =
            self.0.into_iter().map(|(book, seen)| (Arc::as_ptr(&book).addr(), seen)).collect();
        let lasting = now.into_iter().filter_map(|(book, seen)| {
            let lasting = seen.lasting(before.get(&Arc::as_ptr(&book).addr())?);
            Some((book, lasting))
        });
        lasting.collect()
    }
}
