//! A semaphore that knows which tasks have its permits.

use std::panic::Location;
use std::sync::Arc;

use sigquit_dump::LockKind;
use tokio::sync::{AcquireError, TryAcquireError};

use super::pending::taken;
use crate::sync::keeper::{About, Book, Holding, Keeper, Places};

const ABOUT: About =
    About { kind: LockKind::Semaphore, type_name: "sigquit::sync::tokio::Semaphore" };

/// So many holders are shown at once, at least.
const HOLDERS: usize = 64;

/// [`tokio::sync::Semaphore`], with those who have its permits in dumps.
#[derive(Debug)]
pub struct Semaphore {
    keeper: Keeper,
    inner: Arc<tokio::sync::Semaphore>,
}

/// [`tokio::sync::SemaphorePermit`], of a tracked semaphore.
#[must_use]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    /// Dropped first: the book says less, never more, than there is.
    _holding: Holding<&'a Book>,
    inner: tokio::sync::SemaphorePermit<'a>,
}

/// [`tokio::sync::OwnedSemaphorePermit`], of a tracked semaphore.
#[must_use]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    /// Dropped first: the book says less, never more, than there is.
    _holding: Holding<Arc<Book>>,
    inner: tokio::sync::OwnedSemaphorePermit,
}

impl Semaphore {
    /// A new semaphore with so many permits. Where this is called is where dumps say that it was made.
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        let places = Places::Several(permits.clamp(1, HOLDERS));
        let keeper = Keeper::new(ABOUT, None, places, Some(permits as u64), Location::caller());
        Semaphore { keeper, inner: Arc::new(tokio::sync::Semaphore::new(permits)) }
    }

    /// What [`tokio::sync::Semaphore::acquire`] does. Where this is called is where dumps say that the
    /// permit was taken.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let place = Location::caller();
        async move {
            let inner = &self.inner;
            let at_once = || inner.try_acquire().ok().map(Ok);
            let inner = taken(at_once, || inner.acquire(), &self.keeper, true).await?;
            Ok(SemaphorePermit { _holding: self.keeper.hold(place), inner })
        }
    }

    /// What [`tokio::sync::Semaphore::try_acquire`] does.
    ///
    /// # Errors
    /// When there is no permit left, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let inner = self.inner.try_acquire()?;
        Ok(SemaphorePermit { _holding: self.keeper.hold(Location::caller()), inner })
    }

    /// What [`tokio::sync::Semaphore::acquire_owned`] does.
    #[track_caller]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let place = Location::caller();
        async move {
            let inner = &self.inner;
            let at_once = || inner.clone().try_acquire_owned().ok().map(Ok);
            let later = || inner.clone().acquire_owned();
            let inner = taken(at_once, later, &self.keeper, true).await?;
            Ok(OwnedSemaphorePermit { _holding: self.keeper.hold_owned(place), inner })
        }
    }

    /// What [`tokio::sync::Semaphore::try_acquire_owned`] does.
    ///
    /// # Errors
    /// When there is no permit left, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let inner = self.inner.clone().try_acquire_owned()?;
        let holding = self.keeper.hold_owned(Location::caller());
        Ok(OwnedSemaphorePermit { _holding: holding, inner })
    }

    /// What [`tokio::sync::Semaphore::available_permits`] does.
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// What [`tokio::sync::Semaphore::close`] does.
    pub fn close(&self) {
        self.inner.close();
    }

    /// What [`tokio::sync::Semaphore::is_closed`] does.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl SemaphorePermit<'_> {
    /// What [`tokio::sync::SemaphorePermit::forget`] does: there is one permit less, and nobody has it.
    pub fn forget(self) {
        self.inner.forget();
    }
}

impl OwnedSemaphorePermit {
    /// What [`tokio::sync::OwnedSemaphorePermit::forget`] does: there is one permit less, and nobody has
    /// it.
    pub fn forget(self) {
        self.inner.forget();
    }
}
