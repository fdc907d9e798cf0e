//! Guards in the results of the standard library, poisoned or not.

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// The same result, of another guard.
#[inline]
pub(super) fn map<G, H>(locked: LockResult<G>, guard: impl FnOnce(G) -> H) -> LockResult<H> {
    match locked {
        Ok(inner) => Ok(guard(inner)),
        Err(error) => Err(PoisonError::new(guard(error.into_inner()))),
    }
}

/// The same result, of another guard.
#[inline]
pub(super) fn map_tried<G, H>(
    tried: TryLockResult<G>,
    guard: impl FnOnce(G) -> H,
) -> TryLockResult<H> {
    match tried {
        Ok(inner) => Ok(guard(inner)),
        Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        Err(TryLockError::Poisoned(error)) => {
            Err(PoisonError::new(guard(error.into_inner())).into())
        }
    }
}
