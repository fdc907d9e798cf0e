//! What is kept of one task while it lives.

use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use super::progress::Progress;
use super::waker_cell::WakerCell;
use super::{clock, here, worker};

/// One task.
pub(crate) struct Entry {
    /// How far it has come.
    pub progress: Progress,
    /// The visit that a dump wants of it (see [`trace`](super::trace)), or 0.
    pub visit: AtomicU64,
    /// How to have it polled.
    pub waker: WakerCell,
    /// What the waker wakes, as an address: equal for tasks that are polled together.
    pub wakes: AtomicUsize,
    /// Its number: the same in every dump, and no other task's.
    pub id: u64,
    /// The task that made it, by number; 0 for none.
    pub parent: u64,
    /// The task within whose poll it is polled, by number; 0 for none. True while it runs.
    pub outer: AtomicU64,
    /// When it was made, in the units of [`clock`].
    pub made: u64,
    /// Where the program handed it over.
    pub location: &'static Location<'static>,
    /// The type of its future.
    pub type_name: &'static str,
    /// Its name, when the program gave it one.
    pub name: Option<Box<str>>,
    /// The number by which its runtime knows it.
    pub runtime_id: worker::TaskNumber,
    /// Its place in its shard; the shard's lock guards it.
    pub place: AtomicU32,
}

impl Entry {
    /// Of a task that is made now, by the task that the calling thread is in.
    pub fn new(
        type_name: &'static str,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> Entry {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Entry {
            progress: Progress::new(),
            visit: AtomicU64::new(0),
            waker: WakerCell::new(),
            wakes: AtomicUsize::new(0),
            id: NEXT.fetch_add(1, Relaxed),
            parent: here::task(),
            outer: AtomicU64::new(0),
            made: clock::now(),
            location,
            type_name,
            name,
            runtime_id: worker::TaskNumber::default(),
            place: AtomicU32::new(0),
        }
    }
}
