//! Raw locks that record their owner around those of any library that is built on `lock_api`.

use std::panic::Location;

use lock_api::GuardNoSend;

use super::How;
use super::record::Record;

/// A raw mutex around another, such as parking_lot's.
///
/// ```
/// type Mutex<T> = lock_api::Mutex<sigquit::sync::RawMutex<parking_lot::RawMutex>, T>;
///
/// let stock = Mutex::new(3);
/// *stock.lock() += 1;
/// assert_eq!(*stock.lock(), 4);
/// ```
///
/// Where such a mutex was made is not known: `lock_api` makes it without a word. Its guards stay on
/// their thread. parking_lot's `Condvar` takes guards of parking_lot's own mutex only. Waits with a
/// time limit are not offered.
#[derive(Debug)]
pub struct RawMutex<R> {
    record: Record,
    inner: R,
}

impl<R> RawMutex<R> {
    /// The calling thread has just taken it.
    #[inline]
    fn hold(&self, how: How, place: &'static Location<'static>) {
        self.record.hold(self.address(), how, place).keep(self.address());
    }

    #[inline]
    fn address(&self) -> u64 {
        (&raw const self.inner).addr() as u64
    }
}

// SAFETY: the lock is the inner one, which is held whenever this says that it is.
unsafe impl<R: lock_api::RawMutex> lock_api::RawMutex for RawMutex<R> {
    const INIT: RawMutex<R> = RawMutex { record: Record::new(None), inner: R::INIT };

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        let place = Location::caller();
        if !self.inner.try_lock() {
            let waiting = self.record.wait(self.address(), How::RawMutex, place);
            self.inner.lock();
            drop(waiting);
        }
        self.hold(How::RawMutex, place);
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        let place = Location::caller();
        let taken = self.inner.try_lock();
        if taken {
            self.hold(How::RawMutex, place);
        }
        taken
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.record.let_go(self.address(), How::RawMutex);
        // SAFETY: the caller holds the lock.
        unsafe { self.inner.unlock() };
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }
}

/// A raw read-write lock around another, such as parking_lot's.
///
/// ```
/// type RwLock<T> = lock_api::RwLock<sigquit::sync::RawRwLock<parking_lot::RawRwLock>, T>;
///
/// let prices = RwLock::new(vec![1]);
/// prices.write().push(2);
/// assert_eq!(prices.read().len(), 2);
/// ```
///
/// The same is true of it as of [`RawMutex`]. Upgradable reads are not offered.
#[derive(Debug)]
pub struct RawRwLock<R> {
    record: Record,
    inner: R,
}

impl<R> RawRwLock<R> {
    /// The calling thread has just taken it.
    #[inline]
    fn hold(&self, how: How, place: &'static Location<'static>) {
        self.record.hold(self.address(), how, place).keep(self.address());
    }

    #[inline]
    fn address(&self) -> u64 {
        (&raw const self.inner).addr() as u64
    }
}

// SAFETY: the lock is the inner one, which is held whenever this says that it is, and in that way.
unsafe impl<R: lock_api::RawRwLock> lock_api::RawRwLock for RawRwLock<R> {
    const INIT: RawRwLock<R> = RawRwLock { record: Record::new(None), inner: R::INIT };

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) {
        let place = Location::caller();
        if !self.inner.try_lock_shared() {
            let waiting = self.record.wait(self.address(), How::RawRead, place);
            self.inner.lock_shared();
            drop(waiting);
        }
        self.hold(How::RawRead, place);
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> bool {
        let place = Location::caller();
        let taken = self.inner.try_lock_shared();
        if taken {
            self.hold(How::RawRead, place);
        }
        taken
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.record.let_go(self.address(), How::RawRead);
        // SAFETY: the caller holds the lock for reading.
        unsafe { self.inner.unlock_shared() };
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) {
        let place = Location::caller();
        if !self.inner.try_lock_exclusive() {
            let waiting = self.record.wait(self.address(), How::RawWrite, place);
            self.inner.lock_exclusive();
            drop(waiting);
        }
        self.hold(How::RawWrite, place);
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> bool {
        let place = Location::caller();
        let taken = self.inner.try_lock_exclusive();
        if taken {
            self.hold(How::RawWrite, place);
        }
        taken
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.record.let_go(self.address(), How::RawWrite);
        // SAFETY: the caller holds the lock for writing.
        unsafe { self.inner.unlock_exclusive() };
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        self.inner.is_locked_exclusive()
    }
}
