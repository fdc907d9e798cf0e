//! A future that waits for a lock, with its wait in the lock's book.

use std::future::poll_fn;
use std::pin::pin;

use crate::sync::keeper::Keeper;

/// What the future gives. From its first poll that finds it pending, until it is done or dropped, the
/// task is among those that wait.
pub(super) async fn pending<F: Future>(future: F, keeper: &Keeper, shares: bool) -> F::Output {
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
