//! Workers of async runtimes, in a build that knows no runtime.

use sigquit_dump::AsyncRuntime;

/// The number by which a runtime knows a task.
#[derive(Default)]
pub(crate) struct TaskNumber(());

impl TaskNumber {
    /// Remembers it.
    pub fn learn(&self) {}

    /// The number, when it is known.
    pub fn get(&self) -> Option<u64> {
        None
    }
}

/// Called once on each thread that polls a task.
pub(super) fn meet(_: u32) {}

/// Every runtime that is known.
pub(crate) fn runtimes() -> Vec<AsyncRuntime> {
    Vec::new()
}
