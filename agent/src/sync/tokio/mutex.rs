//! An async mutex that knows which task holds it.

use std::panic::Location;

use sigquit_dump::LockKind;
use tokio::sync::TryLockError;

use super::pending::taken;
use crate::sync::keeper::{About, Book, Holding, Keeper, Places};
use crate::sync::transparent;

const ABOUT: About = About { kind: LockKind::Mutex, type_name: "sigquit::sync::tokio::Mutex" };

/// [`tokio::sync::Mutex`], with its owner in dumps.
pub struct Mutex<T: ?Sized> {
    keeper: Keeper,
    inner: tokio::sync::Mutex<T>,
}

/// [`tokio::sync::MutexGuard`], of a tracked mutex.
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized> {
    /// Dropped first: the book says less, never more, than there is.
    _holding: Holding<&'a Book>,
    inner: tokio::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// A new mutex. Where this is called is where dumps say that it was made.
    #[track_caller]
    pub fn new(value: T) -> Mutex<T> {
        let keeper = Keeper::new(ABOUT, None, Places::One, None, Location::caller());
        Mutex { keeper, inner: tokio::sync::Mutex::new(value) }
    }

    /// What [`tokio::sync::Mutex::into_inner`] does.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// What [`tokio::sync::Mutex::lock`] does. Where this is called is where dumps say that it was
    /// taken.
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        let place = Location::caller();
        async move {
            let inner = &self.inner;
            let at_once = || inner.try_lock().ok();
            let inner = taken(at_once, || inner.lock(), &self.keeper, false).await;
            self.guard(inner, place)
        }
    }

    /// What [`tokio::sync::Mutex::blocking_lock`] does.
    ///
    /// # Panics
    /// When it is called from within an async task, as tokio's does.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        let place = Location::caller();
        if let Ok(guard) = self.try_lock_at(place) {
            return guard;
        }
        let waiting = self.keeper.wait(false, 0);
        let inner = self.inner.blocking_lock();
        drop(waiting);
        self.guard(inner, place)
    }

    /// What [`tokio::sync::Mutex::try_lock`] does.
    ///
    /// # Errors
    /// When the mutex is held.
    #[track_caller]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.try_lock_at(Location::caller())
    }

    /// What [`tokio::sync::Mutex::get_mut`] does.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn try_lock_at(
        &self,
        place: &'static Location<'static>,
    ) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.inner.try_lock().map(|inner| self.guard(inner, place))
    }

    #[inline]
    fn guard<'a>(
        &'a self,
        inner: tokio::sync::MutexGuard<'a, T>,
        place: &'static Location<'static>,
    ) -> MutexGuard<'a, T> {
        MutexGuard { _holding: self.keeper.hold_alone(place), inner }
    }
}

transparent::lock!(Mutex);
transparent::guard!(MutexGuard, exclusive);
