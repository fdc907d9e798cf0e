//! A mutex that knows who holds it.

use std::panic::Location;
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::record::{Hold, Record};
use super::{How, poison, transparent};

/// [`std::sync::Mutex`], with its owner in dumps.
pub struct Mutex<T: ?Sized> {
    record: Record,
    inner: std::sync::Mutex<T>,
}

/// [`std::sync::MutexGuard`], of a tracked mutex.
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    /// Dropped first: the ledger says less, never more, than there is.
    pub(super) hold: Hold,
    pub(super) inner: std::sync::MutexGuard<'a, T>,
    pub(super) mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// A new mutex. Where this is called is where dumps say that it was made.
    #[inline]
    #[track_caller]
    pub const fn new(value: T) -> Mutex<T> {
        let record = Record::new(Some(Location::caller()));
        Mutex { record, inner: std::sync::Mutex::new(value) }
    }

    /// What [`std::sync::Mutex::into_inner`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the value is in the error.
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// What [`std::sync::Mutex::lock`] does. Where this is called is where dumps say that it was
    /// taken.
    ///
    /// # Errors
    /// When the mutex is poisoned; the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let place = Location::caller();
        match poison::map_tried(self.inner.try_lock(), |inner| self.guard(inner, place)) {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(error)) => Err(error),
            Err(TryLockError::WouldBlock) => self.wait(place),
        }
    }

    /// What [`std::sync::Mutex::try_lock`] does.
    ///
    /// # Errors
    /// When the mutex is held, or poisoned; then the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let place = Location::caller();
        poison::map_tried(self.inner.try_lock(), |inner| self.guard(inner, place))
    }

    /// What [`std::sync::Mutex::is_poisoned`] does.
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// What [`std::sync::Mutex::clear_poison`] does.
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// What [`std::sync::Mutex::get_mut`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the reference is in the error.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    fn wait(&self, place: &'static Location<'static>) -> LockResult<MutexGuard<'_, T>> {
        let waiting = self.record.wait(self.address(), How::Mutex, place);
        let locked = self.inner.lock();
        drop(waiting);
        poison::map(locked, |inner| self.guard(inner, place))
    }

    #[inline]
    pub(super) fn guard<'a>(
        &'a self,
        inner: std::sync::MutexGuard<'a, T>,
        place: &'static Location<'static>,
    ) -> MutexGuard<'a, T> {
        MutexGuard { hold: self.hold(place), inner, mutex: self }
    }

    /// The calling thread has just taken it.
    #[inline]
    pub(super) fn hold(&self, place: &'static Location<'static>) -> Hold {
        self.record.hold(self.address(), How::Mutex, place)
    }

    /// Where the lock lies within the standard library's mutex: it is what comes first there.
    #[inline]
    fn address(&self) -> u64 {
        (&raw const self.inner).addr() as u64
    }
}

transparent::lock!(Mutex);
transparent::guard!(MutexGuard, exclusive);
