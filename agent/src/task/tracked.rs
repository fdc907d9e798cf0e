//! A future that is known to the agent.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use super::entry::Entry;
use super::progress::Begun;
use super::{clock, here, registry, trace};

/// A future that dumps show as a task; made by [`track`](super::track).
///
/// It does what the future does that was handed over, and is `Send` and `Unpin` when that one is.
#[must_use = "futures do nothing unless they are polled"]
pub struct Tracked<F> {
    /// Dropped first: what the future does when it is dropped is still this task's doing.
    future: F,
    task: Task,
}

impl<F> Tracked<F> {
    pub(super) fn new(
        future: F,
        name: Option<Box<str>>,
        location: &'static Location<'static>,
    ) -> Tracked<F> {
        let entry = Arc::new(Entry::new(std::any::type_name::<F>(), name, location));
        registry::add(&entry);
        Tracked { future, task: Task(entry) }
    }

    /// The number of the task in dumps.
    pub fn id(&self) -> u64 {
        self.task.0.id
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned when this is, is never moved out, and has no Drop here that
        // could; the task is not pinned.
        let (future, entry) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &*this.task.0)
        };
        let is_tracing = here::is_tracing();
        let mut poll = Polling::begin(entry, is_tracing);
        if entry.visit.load(Relaxed) != 0
            && let Some(visit) = trace::accept(&entry.visit)
        {
            poll.counts = false;
            return trace::poll(visit, future, context);
        }
        if !is_tracing {
            // SAFETY: the exclusive reference to the future says that nobody else polls; the cell
            // is closed when this is dropped.
            let is_new = unsafe { entry.waker.keep(context.waker()) };
            if is_new {
                entry.wakes.store(context.waker().data().addr(), Relaxed);
                entry.runtime_id.learn();
            }
        }
        future.poll(context)
    }
}

impl<F> std::fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracked").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The task's entry, in the registry until this is dropped.
struct Task(Arc<Entry>);

impl Drop for Task {
    fn drop(&mut self) {
        registry::remove(&self.0);
        self.0.waker.close();
    }
}

/// One poll; it ends when this is dropped, in a panic too.
struct Polling<'a> {
    entry: &'a Entry,
    begun: Begun,
    /// The task that this thread was in before.
    outer: u64,
    /// It is not one that only a dump wanted, of this task or of one that polls it.
    counts: bool,
}

impl Polling<'_> {
    #[inline]
    fn begin(entry: &Entry, is_tracing: bool) -> Polling<'_> {
        let begun = entry.progress.begin(here::tid());
        let outer = here::set_task(entry.id);
        entry.outer.store(outer, Relaxed);
        // The first poll counts always: a task that has begun is not new.
        Polling { entry, begun, outer, counts: !is_tracing || begun.is_first() }
    }
}

impl Drop for Polling<'_> {
    #[inline]
    fn drop(&mut self) {
        here::set_task(self.outer);
        if self.counts {
            self.entry.progress.end(self.begun, clock::now());
        } else {
            self.entry.progress.end_uncounted(self.begun);
        }
    }
}
