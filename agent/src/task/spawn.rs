//! Where tokio's `spawn` stood.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{track, track_named};

/// Spawns a task on the current tokio runtime, and makes it known to the agent: what
/// [`tokio::spawn`] does, and [`track`].
///
/// # Panics
/// When it is called outside of a tokio runtime, as [`tokio::spawn`] does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(track(future))
}

/// The same, under a name by which dumps call the task.
///
/// # Panics
/// As [`spawn`] does.
#[track_caller]
pub fn spawn_named<F>(name: impl Into<String>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(track_named(name, future))
}

/// The same as [`spawn`], on the runtime of that handle.
#[track_caller]
pub fn spawn_on<F>(handle: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    handle.spawn(track(future))
}

/// Spawns a task that stays on this thread: what [`tokio::task::spawn_local`] does, and
/// [`track`].
///
/// # Panics
/// When it is called outside of a `LocalSet`, as [`tokio::task::spawn_local`] does.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(track(future))
}
