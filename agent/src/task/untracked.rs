//! A tracked future where the agent cannot run: the future itself.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that dumps would show as a task, if there were dumps; made by [`track`](super::track).
#[must_use = "futures do nothing unless they are polled"]
pub struct Tracked<F> {
    /// Boxed where it cannot be moved: pinning a part of this would need code of its own.
    future: Pin<Box<F>>,
}

impl<F> Tracked<F> {
    pub(super) fn new(future: F, _: Option<Box<str>>, _: &'static Location<'static>) -> Tracked<F> {
        Tracked { future: Box::pin(future) }
    }

    /// The number of the task in dumps: none, here.
    pub fn id(&self) -> u64 {
        0
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.future.as_mut().poll(context)
    }
}

impl<F> fmt::Debug for Tracked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").finish_non_exhaustive()
    }
}
