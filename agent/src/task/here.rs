//! The thread that polls: its number, and the task that it is in.

use std::cell::Cell;

use crate::agent::current_thread;

thread_local! {
    /// Plain cells without a destructor: they cost an addition to find, and never fail.
    static TID: Cell<u32> = const { Cell::new(0) };
    static TASK: Cell<u64> = const { Cell::new(0) };
    static TRACING: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread's number. A thread that has none of its own yet asks the kernel, once.
#[inline]
pub(super) fn tid() -> u32 {
    match TID.get() {
        0 => first_tid(),
        tid => tid,
    }
}

#[cold]
fn first_tid() -> u32 {
    let tid = current_thread().unsigned_abs();
    TID.set(tid);
    super::worker::meet(tid);
    tid
}

/// The task that the calling thread is polling, by its id; 0 for none.
#[inline]
pub(super) fn task() -> u64 {
    TASK.get()
}

/// Changes which task this thread is polling, and says which it was before.
#[inline]
pub(super) fn set_task(id: u64) -> u64 {
    TASK.replace(id)
}

/// Whether this thread polls for a dump.
#[inline]
pub(super) fn is_tracing() -> bool {
    TRACING.get()
}

/// Changes whether this thread polls for a dump, and says whether it did before.
pub(super) fn set_tracing(tracing: bool) -> bool {
    TRACING.replace(tracing)
}
