//! What the fields of tokio's spans and events say.
//!
//! Tokio promises none of their names. These are those of 1.54, found in its `util/trace.rs`,
//! `sync/`, `time/` and `runtime/task/waker.rs`; a field that goes by another name is not seen.

use std::fmt::{Debug, Write};

use tracing_core::field::{Field, Visit};

use super::text;

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub file: &'static str,
    pub line: u32,
    pub column: u32,
}

/// What a span says of itself when it is made.
#[derive(Debug, Default)]
pub(super) struct SpanFields {
    /// `task.id`: the number by which tokio knows the task.
    pub task_id: u64,
    /// `task.name`; empty when it has none.
    pub task_name: String,
    /// `kind`, of tasks: `task`, `local`, `block_on`.
    pub task_kind: &'static str,
    /// `concrete_type`, of resources: `Mutex`, `Sleep`, `Sender|Receiver`.
    pub concrete_type: &'static str,
    /// `source`, of operations: `Mutex::lock`.
    pub source: &'static str,
    file: Option<&'static str>,
    line: u32,
    column: u32,
}

impl SpanFields {
    /// Where it was made.
    pub fn place(&self) -> Option<Place> {
        Some(Place { file: self.file?, line: self.line, column: self.column })
    }
}

impl Visit for SpanFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "task.id" => self.task_id = value,
            "loc.line" => self.line = u32::try_from(value).unwrap_or(u32::MAX),
            "loc.col" => self.column = u32::try_from(value).unwrap_or(u32::MAX),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "loc.file" => self.file = text::keep(value),
            "source" => self.source = text::keep(value).unwrap_or_default(),
            "concrete_type" => self.concrete_type = text::keep(value).unwrap_or_default(),
            _ => {}
        }
    }

    /// The texts of a task come in this way: it shows them with `%`.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "task.name" => self.task_name = printed(value),
            "kind" => self.task_kind = text::keep(&printed(value)).unwrap_or_default(),
            _ => {}
        }
    }
}

fn printed(value: &dyn Debug) -> String {
    let mut text = String::new();
    // A text grows without fail; what the value itself fails to print is left out.
    let _ = write!(text, "{value:?}");
    text
}

/// What an operation says when it has been polled: `is_ready`.
#[derive(Debug, Default)]
pub(super) struct PollFields {
    pub is_ready: Option<bool>,
}

impl Visit for PollFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "is_ready" {
            self.is_ready = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// What a lock says when it has been left.
#[derive(Debug, Default)]
pub(super) struct LeaveFields {
    /// By who held it alone: `locked`, of a mutex, or `write_locked` has become false.
    pub exclusive: bool,
    /// By a reader: something was subtracted from `current_readers`.
    pub shared: bool,
}

impl Visit for LeaveFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if matches!(field.name(), "locked" | "write_locked") {
            self.exclusive = !value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "current_readers.op" {
            self.shared = value == "sub";
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// What is done with a waker: `waker.clone`, `waker.drop`, `waker.wake`, `waker.wake_by_ref`.
#[derive(Debug, Default)]
pub(super) struct WakerFields {
    /// The span of the task that it wakes.
    pub task: u64,
    pub wakes: bool,
}

impl Visit for WakerFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "task.id" {
            self.task = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "op" {
            self.wakes = value.starts_with("waker.wake");
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
