//! A future that takes a lock, with its wait in the lock's book.

use std::future::poll_fn;
use std::pin::pin;

use tokio::task::coop;

use crate::sync::keeper::Keeper;

/// What `at_once` gives, and where it gives nothing, what the future does that comes `later`.
///
/// That future would give the same at once, at the same cost in its task's budget; it has room for a place
/// in a queue, and to make that and to move it takes longer than all that is recorded.
pub(super) async fn taken<T, F: Future<Output = T>>(
    at_once: impl FnOnce() -> Option<T>,
    later: impl FnOnce() -> F,
    keeper: &Keeper,
    shares: bool,
) -> T {
    let budget = poll_fn(coop::poll_proceed).await;
    if let Some(taken) = at_once() {
        budget.made_progress();
        return taken;
    }
    drop(budget);
    pending(later(), keeper, shares).await
}

/// What the future gives. From its first poll that finds it pending, until it is done or dropped, the
/// task is among those that wait.
async fn pending<F: Future>(future: F, keeper: &Keeper, shares: bool) -> F::Output {
    let mut future = pin!(future);
    let mut waiting = None;
    poll_fn(|context| {
        let poll = future.as_mut().poll(context);
        if poll.is_pending() && waiting.is_none() {
            waiting = Some(keeper.wait(shares, context.waker().data().addr()));
        }
        poll
    })
    .await
}
