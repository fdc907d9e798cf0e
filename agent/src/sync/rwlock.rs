//! A read-write lock that knows who holds it.

use std::panic::Location;
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::record::{Hold, Record};
use super::{How, poison, transparent};

/// [`std::sync::RwLock`], with its owners in dumps: the writer, or every reader.
pub struct RwLock<T: ?Sized> {
    record: Record,
    inner: std::sync::RwLock<T>,
}

/// [`std::sync::RwLockReadGuard`], of a tracked lock.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// Dropped first: the ledger says less, never more, than there is.
    _hold: Hold,
    inner: std::sync::RwLockReadGuard<'a, T>,
}

/// [`std::sync::RwLockWriteGuard`], of a tracked lock.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    /// Dropped first: the ledger says less, never more, than there is.
    _hold: Hold,
    inner: std::sync::RwLockWriteGuard<'a, T>,
}

impl<T> RwLock<T> {
    /// A new lock. Where this is called is where dumps say that it was made.
    #[inline]
    #[track_caller]
    pub const fn new(value: T) -> RwLock<T> {
        let record = Record::new(Some(Location::caller()));
        RwLock { record, inner: std::sync::RwLock::new(value) }
    }

    /// What [`std::sync::RwLock::into_inner`] does.
    ///
    /// # Errors
    /// When the lock is poisoned; the value is in the error.
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// What [`std::sync::RwLock::read`] does. Where this is called is where dumps say that it was
    /// taken.
    ///
    /// # Errors
    /// When the lock is poisoned; the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let place = Location::caller();
        match poison::map_tried(self.inner.try_read(), |inner| self.reader(inner, place)) {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(error)) => Err(error),
            Err(TryLockError::WouldBlock) => self.wait_to_read(place),
        }
    }

    /// What [`std::sync::RwLock::try_read`] does.
    ///
    /// # Errors
    /// When the lock is held in another way, or poisoned; then the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let place = Location::caller();
        poison::map_tried(self.inner.try_read(), |inner| self.reader(inner, place))
    }

    /// What [`std::sync::RwLock::write`] does. Where this is called is where dumps say that it was
    /// taken.
    ///
    /// # Errors
    /// When the lock is poisoned; the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let place = Location::caller();
        match poison::map_tried(self.inner.try_write(), |inner| self.writer(inner, place)) {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(error)) => Err(error),
            Err(TryLockError::WouldBlock) => self.wait_to_write(place),
        }
    }

    /// What [`std::sync::RwLock::try_write`] does.
    ///
    /// # Errors
    /// When the lock is held in another way, or poisoned; then the guard is in the error.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let place = Location::caller();
        poison::map_tried(self.inner.try_write(), |inner| self.writer(inner, place))
    }

    /// What [`std::sync::RwLock::is_poisoned`] does.
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// What [`std::sync::RwLock::clear_poison`] does.
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// What [`std::sync::RwLock::get_mut`] does.
    ///
    /// # Errors
    /// When the lock is poisoned; the reference is in the error.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    fn wait_to_read(
        &self,
        place: &'static Location<'static>,
    ) -> LockResult<RwLockReadGuard<'_, T>> {
        let waiting = self.record.wait(self.address(), How::Read, place);
        let locked = self.inner.read();
        drop(waiting);
        poison::map(locked, |inner| self.reader(inner, place))
    }

    #[inline]
    fn reader<'a>(
        &'a self,
        inner: std::sync::RwLockReadGuard<'a, T>,
        place: &'static Location<'static>,
    ) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { _hold: self.record.hold(self.address(), How::Read, place), inner }
    }

    #[cold]
    fn wait_to_write(
        &self,
        place: &'static Location<'static>,
    ) -> LockResult<RwLockWriteGuard<'_, T>> {
        let waiting = self.record.wait(self.address(), How::Write, place);
        let locked = self.inner.write();
        drop(waiting);
        poison::map(locked, |inner| self.writer(inner, place))
    }

    #[inline]
    fn writer<'a>(
        &'a self,
        inner: std::sync::RwLockWriteGuard<'a, T>,
        place: &'static Location<'static>,
    ) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard { _hold: self.record.hold(self.address(), How::Write, place), inner }
    }

    /// Where the lock lies within the standard library's: it is what comes first there.
    #[inline]
    fn address(&self) -> u64 {
        (&raw const self.inner).addr() as u64
    }
}

transparent::lock!(RwLock);
transparent::guard!(RwLockReadGuard, shared);
transparent::guard!(RwLockWriteGuard, exclusive);
