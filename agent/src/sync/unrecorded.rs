//! What a tracked lock knows of itself where the agent cannot run: nothing.

use std::panic::Location;

use super::How;

#[derive(Debug)]
pub(super) struct Record(());

impl Record {
    pub const fn new(_: Option<&'static Location<'static>>) -> Record {
        Record(())
    }

    #[inline]
    pub fn hold(&self, _: u64, _: How, _: &'static Location<'static>) -> Hold {
        Hold(())
    }

    #[cfg(feature = "lock_api")]
    #[inline]
    pub fn let_go(&self, _: u64, _: How) {}

    #[inline]
    pub fn wait(&self, _: u64, _: How, _: &'static Location<'static>) -> Waiting {
        Waiting(())
    }
}

/// A lock that the calling thread holds.
#[derive(Debug)]
pub(super) struct Hold(());

#[cfg(feature = "lock_api")]
impl Hold {
    #[inline]
    pub fn keep(self, _: u64) {}
}

impl Drop for Hold {
    fn drop(&mut self) {}
}

/// The calling thread waits for a lock.
pub(super) struct Waiting(());

impl Drop for Waiting {
    fn drop(&mut self) {}
}
