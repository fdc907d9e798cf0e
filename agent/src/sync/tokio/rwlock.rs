//! An async read-write lock that knows which tasks hold it.

use std::panic::Location;

use sigquit_dump::LockKind;
use tokio::sync::TryLockError;

use super::pending::taken;
use crate::sync::keeper::{About, Book, Holding, Keeper, Places};
use crate::sync::transparent;

const ABOUT: About = About { kind: LockKind::RwLock, type_name: "sigquit::sync::tokio::RwLock" };

/// So many readers are shown at once, at least.
const READERS: Places = Places::Several(16);

/// [`tokio::sync::RwLock`], with its owners in dumps.
pub struct RwLock<T: ?Sized> {
    keeper: Keeper,
    inner: tokio::sync::RwLock<T>,
}

/// [`tokio::sync::RwLockReadGuard`], of a tracked lock.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    /// Dropped first: the book says less, never more, than there is.
    _holding: Holding<&'a Book>,
    inner: tokio::sync::RwLockReadGuard<'a, T>,
}

/// [`tokio::sync::RwLockWriteGuard`], of a tracked lock.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    /// Dropped first: the book says less, never more, than there is.
    _holding: Holding<&'a Book>,
    inner: tokio::sync::RwLockWriteGuard<'a, T>,
}

impl<T> RwLock<T> {
    /// A new lock. Where this is called is where dumps say that it was made.
    #[track_caller]
    pub fn new(value: T) -> RwLock<T> {
        let keeper = Keeper::new(ABOUT, None, READERS, None, Location::caller());
        RwLock { keeper, inner: tokio::sync::RwLock::new(value) }
    }

    /// What [`tokio::sync::RwLock::into_inner`] does.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// What [`tokio::sync::RwLock::read`] does. Where this is called is where dumps say that it was
    /// taken.
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        let place = Location::caller();
        async move {
            let inner = &self.inner;
            let at_once = || inner.try_read().ok();
            let inner = taken(at_once, || inner.read(), &self.keeper, true).await;
            RwLockReadGuard { _holding: self.keeper.hold(place), inner }
        }
    }

    /// What [`tokio::sync::RwLock::try_read`] does.
    ///
    /// # Errors
    /// When the lock is held in another way.
    #[track_caller]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        let inner = self.inner.try_read()?;
        Ok(RwLockReadGuard { _holding: self.keeper.hold(Location::caller()), inner })
    }

    /// What [`tokio::sync::RwLock::write`] does. Where this is called is where dumps say that it was
    /// taken.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        let place = Location::caller();
        async move {
            let inner = &self.inner;
            let at_once = || inner.try_write().ok();
            let inner = taken(at_once, || inner.write(), &self.keeper, false).await;
            RwLockWriteGuard { _holding: self.keeper.hold_alone(place), inner }
        }
    }

    /// What [`tokio::sync::RwLock::try_write`] does.
    ///
    /// # Errors
    /// When the lock is held in another way.
    #[track_caller]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        let inner = self.inner.try_write()?;
        Ok(RwLockWriteGuard { _holding: self.keeper.hold_alone(Location::caller()), inner })
    }

    /// What [`tokio::sync::RwLock::get_mut`] does.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

transparent::lock!(RwLock);
transparent::guard!(RwLockReadGuard, shared);
transparent::guard!(RwLockWriteGuard, exclusive);
