//! The locks that are held and waited for, behind one trait so that every scene is compiled for
//! each of them.

use parking_lot::{
    Mutex as PlMutex, MutexGuard as PlMutexGuard, RwLock as PlRwLock,
    RwLockReadGuard as PlRwLockReadGuard, RwLockWriteGuard as PlRwLockWriteGuard,
};
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A lock, and one way to take it.
pub trait Lock: Default + Send + Sync + 'static {
    /// What gives it back when dropped.
    type Guard<'a>: Deref<Target = AtomicU64>;
    /// What gives it back to whom the waiter becomes.
    type Wanted<'a>: Deref<Target = AtomicU64>;
    /// The owner's way.
    fn take(&self) -> Self::Guard<'_>;
    /// The waiter's way, which must wait while there is an owner.
    fn want(&self) -> Self::Wanted<'_>;
    /// Where the word lies that changes hands.
    fn address(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}

macro_rules! lock {
    ($(#[$doc:meta])* $name:ident, $inner:ident, $guard:ident, $take:ident, $want:ident, $wanted:ident $(, $unwrap:ident)?) => {
        $(#[$doc])*
        #[derive(Default)]
        #[repr(transparent)]
        pub struct $name($inner<AtomicU64>);

        impl Lock for $name {
            type Guard<'a> = $guard<'a, AtomicU64>;
            type Wanted<'a> = $wanted<'a, AtomicU64>;

            #[inline(always)]
            fn take(&self) -> Self::Guard<'_> {
                self.0.$take()$(.$unwrap())?
            }

            #[inline(always)]
            fn want(&self) -> Self::Wanted<'_> {
                self.0.$want()$(.$unwrap())?
            }
        }
    };
}

lock!(
    /// `std::sync::Mutex`.
    StdMutex,
    Mutex,
    MutexGuard,
    lock,
    lock,
    MutexGuard,
    unwrap
);

lock!(
    /// `std::sync::RwLock`, held by a writer, wanted by readers.
    StdWriter,
    RwLock,
    RwLockWriteGuard,
    write,
    read,
    RwLockReadGuard,
    unwrap
);

lock!(
    /// `std::sync::RwLock`, held by a reader, wanted by writers.
    StdReader,
    RwLock,
    RwLockReadGuard,
    read,
    write,
    RwLockWriteGuard,
    unwrap
);

lock!(
    /// `parking_lot::Mutex`.
    ParkingMutex,
    PlMutex,
    PlMutexGuard,
    lock,
    lock,
    PlMutexGuard
);

lock!(
    /// `parking_lot::RwLock`, held by a writer, wanted by readers.
    ParkingWriter,
    PlRwLock,
    PlRwLockWriteGuard,
    write,
    read,
    PlRwLockReadGuard
);

lock!(
    /// `parking_lot::RwLock`, held by a reader, wanted by writers.
    ParkingReader,
    PlRwLock,
    PlRwLockReadGuard,
    read,
    write,
    PlRwLockWriteGuard
);
