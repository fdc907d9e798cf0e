//! Which of all spans and events of a program are looked at.
//!
//! What is not looked at by this layer and wanted by no other is switched off where it would be
//! made, and costs next to nothing there: tokio builds each of its locks on a semaphore with spans
//! of its own, which would double the cost and say nothing new.

use tracing_core::Metadata;

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A task: `runtime.spawn`.
    Task = 1,
    /// A lock, a timer, a channel: `runtime.resource`.
    Resource = 2,
    /// One call that waits for a resource: `runtime.resource.async_op`.
    Op = 3,
}

impl Kind {
    /// What a span stands for, by its name.
    pub fn of(metadata: &Metadata<'_>) -> Option<Kind> {
        match metadata.name() {
            "runtime.spawn" => Some(Kind::Task),
            "runtime.resource" => Some(Kind::Resource),
            "runtime.resource.async_op" => Some(Kind::Op),
            _ => None,
        }
    }
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// An operation was polled.
    Polled,
    /// A lock was taken or left.
    Changed,
    /// Something was done with a task's waker.
    Waker,
}

impl Word {
    /// What an event says, by its target.
    pub fn of(metadata: &Metadata<'_>) -> Option<Word> {
        match metadata.target() {
            "runtime::resource::poll_op" => Some(Word::Polled),
            "runtime::resource::state_update" => Some(Word::Changed),
            "tokio::task::waker" => Some(Word::Waker),
            _ => None,
        }
    }
}

/// Whether spans or events of this kind are looked at.
pub(super) fn is_wanted(metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() {
        match Kind::of(metadata) {
            // A closure on a thread for blocking work is no task of a runtime.
            Some(Kind::Task) => metadata.target() != "tokio::task::blocking",
            Some(Kind::Resource) => !has(metadata, "is_internal"),
            Some(Kind::Op) => !is_internal(metadata),
            None => false,
        }
    } else {
        match Word::of(metadata) {
            Some(Word::Polled) => !is_internal(metadata),
            Some(Word::Changed) => {
                ["locked", "write_locked", "current_readers.op"].iter().any(|f| has(metadata, f))
            }
            Some(Word::Waker) => true,
            None => false,
        }
    }
}

fn has(metadata: &Metadata<'_>, field: &str) -> bool {
    metadata.fields().field(field).is_some()
}

/// Whether it comes from the semaphore within each lock.
fn is_internal(metadata: &Metadata<'_>) -> bool {
    metadata.file().is_some_and(|file| file.ends_with("batch_semaphore.rs"))
}
