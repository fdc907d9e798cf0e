//! A condition variable for tracked mutexes.

use std::panic::Location;
use std::sync::{LockResult, WaitTimeoutResult};
use std::time::Duration;

use super::record::Record;
use super::{How, Mutex, MutexGuard, poison};

/// [`std::sync::Condvar`], to wait with a tracked [`Mutex`].
///
/// While a thread waits it does not hold the mutex, and dumps say so; afterwards it has taken the
/// mutex where it called `wait`.
#[derive(Debug)]
pub struct Condvar {
    record: Record,
    inner: std::sync::Condvar,
}

impl Condvar {
    /// A new condition variable. Where this is called is where dumps say that it was made.
    #[inline]
    #[track_caller]
    pub const fn new() -> Condvar {
        let record = Record::new(Some(Location::caller()));
        Condvar { record, inner: std::sync::Condvar::new() }
    }

    /// What [`std::sync::Condvar::wait`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the guard is in the error.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let place = Location::caller();
        let (inner, mutex) = let_go(guard);
        let waiting = self.record.wait(self.address(), How::Condvar, place);
        let woken = self.inner.wait(inner);
        drop(waiting);
        poison::map(woken, |inner| mutex.guard(inner, place))
    }

    /// What [`std::sync::Condvar::wait_while`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the guard is in the error.
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// What [`std::sync::Condvar::wait_timeout`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the guard is in the error.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let place = Location::caller();
        let (inner, mutex) = let_go(guard);
        let waiting = self.record.wait(self.address(), How::Condvar, place);
        let woken = self.inner.wait_timeout(inner, timeout);
        drop(waiting);
        poison::map(woken, |(inner, result)| (mutex.guard(inner, place), result))
    }

    /// What [`std::sync::Condvar::wait_timeout_while`] does.
    ///
    /// # Errors
    /// When the mutex is poisoned; the guard is in the error.
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let place = Location::caller();
        let (inner, mutex) = let_go(guard);
        let waiting = self.record.wait(self.address(), How::Condvar, place);
        let woken = self.inner.wait_timeout_while(inner, timeout, |value| {
            let _hold = mutex.hold(place);
            condition(value)
        });
        drop(waiting);
        poison::map(woken, |(inner, result)| (mutex.guard(inner, place), result))
    }

    /// What [`std::sync::Condvar::notify_one`] does.
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// What [`std::sync::Condvar::notify_all`] does.
    pub fn notify_all(&self) {
        self.inner.notify_all();
    }

    fn address(&self) -> u64 {
        (&raw const self.inner).addr() as u64
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Condvar {
        Condvar::new()
    }
}

/// Strikes the mutex out of the ledger: it is about to be given back, to wait.
fn let_go<'a, T>(guard: MutexGuard<'a, T>) -> (std::sync::MutexGuard<'a, T>, &'a Mutex<T>) {
    let MutexGuard { hold, inner, mutex } = guard;
    drop(hold);
    (inner, mutex)
}
