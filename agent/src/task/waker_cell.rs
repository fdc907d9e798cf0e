//! The waker of a task, kept so that the agent can have the task polled.
//!
//! Two parties, neither of which ever waits for the other: the thread that polls the task, which
//! puts the waker in and takes it out, and the agent, which copies it now and then. Whoever finds
//! the cell held goes without: a poller leaves the waker of the poll before in its place, which
//! wakes too much at worst; the agent leaves the task out.
//!
//! ```text
//!         poller: keep                agent: copy
//!   FREE ──────────────> HELD   FREE ─────────────> HELD
//!   HELD ──────────────> FREE   HELD ─────────────> FREE
//!
//!   poller: close, at the end of the task
//!   FREE ──> CLOSED, and drops the waker;  HELD ──> CLOSING: the agent is at it
//!                                          CLOSING ──> CLOSED, and the agent drops it
//! ```

use std::cell::UnsafeCell;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::task::Waker;

const FREE: u8 = 0;
const HELD: u8 = 1;
const CLOSING: u8 = 2;
const CLOSED: u8 = 3;

/// A place for one waker.
pub(crate) struct WakerCell {
    state: AtomicU8,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker is written only by whom holds the cell, or by the closer once nobody does;
// it is read by whom holds it, and by the poller, which is the only one that writes before the
// end. A waker itself may be used by any thread.
unsafe impl Sync for WakerCell {}

impl WakerCell {
    pub fn new() -> WakerCell {
        WakerCell { state: AtomicU8::new(FREE), waker: UnsafeCell::new(None) }
    }

    /// Keeps the waker of a poll, unless one that does the same is kept. Whether it was another.
    ///
    /// # Safety
    /// The caller polls the task, and nobody else does; the cell has not been closed.
    #[inline]
    pub unsafe fn keep(&self, waker: &Waker) -> bool {
        // SAFETY: the poller alone writes, and that is the caller; the agent only reads.
        let kept = unsafe { &*self.waker.get() };
        let is_new = !kept.as_ref().is_some_and(|kept| kept.will_wake(waker));
        if is_new {
            self.replace(waker);
        }
        is_new
    }

    #[cold]
    fn replace(&self, waker: &Waker) {
        // Foreign code runs before the cell is held, and after.
        let new = waker.clone();
        if self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok() {
            // SAFETY: the cell is held, so the agent does not look.
            let old = unsafe { (*self.waker.get()).replace(new) };
            self.state.store(FREE, Release);
            drop(old);
        }
    }

    /// A copy of the waker; none when there is none, or when the cell is held.
    pub fn copy(&self) -> Option<Waker> {
        self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).ok()?;
        // SAFETY: the cell is held, so the poller does not write.
        let copy = unsafe { (*self.waker.get()).clone() };
        if self.state.compare_exchange(HELD, FREE, Release, Acquire).is_err() {
            // It was closed meanwhile, and what it holds was left to us.
            // SAFETY: the closer does not touch the cell any more, and nobody else can hold it.
            let left = unsafe { (*self.waker.get()).take() };
            self.state.store(CLOSED, Release);
            drop(left);
            return None;
        }
        copy
    }

    /// Whether the task has ended.
    pub fn is_closed(&self) -> bool {
        self.state.load(Acquire) >= CLOSING
    }

    /// Drops the waker, and lets no other in.
    pub fn close(&self) {
        if self.state.swap(CLOSING, AcqRel) == FREE {
            // SAFETY: it was free, and nobody can hold it from now on.
            let left = unsafe { (*self.waker.get()).take() };
            self.state.store(CLOSED, Release);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn keep(cell: &WakerCell, waker: &Waker) {
        // SAFETY: one thread keeps and closes, and closes last.
        unsafe { cell.keep(waker) };
    }

    #[test]
    fn keeps_the_newest_waker_and_lets_go_of_the_others() {
        let (first, second) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let cell = WakerCell::new();
        assert!(cell.copy().is_none());
        keep(&cell, &Waker::from(first.clone()));
        keep(&cell, &Waker::from(second.clone()));
        cell.copy().expect("kept").wake();
        assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
        assert_eq!(Arc::strong_count(&first), 1);
        cell.close();
        assert_eq!(Arc::strong_count(&second), 1);
        assert!(cell.copy().is_none());
    }

    #[test]
    fn an_equal_waker_is_not_copied() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let cell = WakerCell::new();
        keep(&cell, &waker);
        keep(&cell, &waker);
        assert_eq!(Arc::strong_count(&counter), 3, "ours, the waker's, the cell's");
        cell.close();
    }

    #[test]
    fn who_finds_it_held_goes_without() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let cell = WakerCell::new();
        cell.state.store(HELD, SeqCst);
        keep(&cell, &waker);
        assert!(cell.copy().is_none());
        assert_eq!(Arc::strong_count(&counter), 2);
    }

    #[test]
    fn closing_while_the_agent_looks_leaves_the_waker_to_it() {
        let counter = Arc::new(Counter::default());
        let cell = WakerCell::new();
        keep(&cell, &Waker::from(counter.clone()));
        cell.state.store(HELD, SeqCst);
        cell.close();
        assert_eq!(Arc::strong_count(&counter), 2, "the agent is at it");
        assert!(cell.state.compare_exchange(HELD, FREE, Release, Acquire).is_err());
    }

    #[test]
    fn two_threads_lose_no_waker() {
        let counters: Vec<_> = (0..2).map(|_| Arc::new(Counter::default())).collect();
        let wakers: Vec<Waker> = counters.iter().cloned().map(Waker::from).collect();
        for _ in 0..200 {
            let cell = WakerCell::new();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for waker in wakers.iter().cycle().take(50) {
                        keep(&cell, waker);
                    }
                    cell.close();
                });
                scope.spawn(|| (0..50).for_each(|_| drop(cell.copy())));
            });
        }
        for counter in &counters {
            assert_eq!(Arc::strong_count(counter), 2);
        }
    }
}
