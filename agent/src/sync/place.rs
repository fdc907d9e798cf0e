//! A place in the program's source, kept where several threads can reach it.

use std::panic::Location;

use super::atomic::AtomicPtr;
use super::atomic::Ordering::Relaxed;

/// A place, or none yet.
#[derive(Debug)]
pub(crate) struct AtomicPlace(AtomicPtr<Location<'static>>);

impl AtomicPlace {
    /// None yet.
    pub fn new() -> AtomicPlace {
        AtomicPlace(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Puts a place in, or none, in no order with anything else.
    #[inline]
    pub fn store(&self, place: Option<&'static Location<'static>>) {
        let place = place.map_or(std::ptr::null(), std::ptr::from_ref);
        self.0.store(place.cast_mut(), Relaxed);
    }

    /// The place that was put in, in no order with anything else.
    pub fn load(&self) -> Option<&'static Location<'static>> {
        let place = self.0.load(Relaxed);
        // SAFETY: it is null, or what `store` made of a reference that is good for ever; nothing
        // is written through it.
        unsafe { place.as_ref() }
    }
}
