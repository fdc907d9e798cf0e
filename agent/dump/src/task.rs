//! Async tasks: what is known of each beside what every thread of control has.

use serde::{Deserialize, Serialize};

use crate::{Location, Nanos, StackId};

/// The number of a [`Spawn`] within its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpawnId(pub u32);

/// What is spawned at one place in the source: its tasks differ in nothing but their data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spawn {
    /// The type of the future, as the compiler names it (`orders::serve::{{closure}}`); empty
    /// when the source does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// Where the program hands the future over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// An async task.
///
/// A task that waits has no stack of its own; its future remembers where it goes on. What stands
/// as its [stack](crate::Thread::stack) are the calls from its outermost async function to the
/// place where it left its waker, seen when it was polled once for the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What was spawned, and where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawn: Option<SpawnId>,
    /// How often it has been polled, without the polls that dumps asked for.
    #[serde(default)]
    pub polls: u64,
    /// Time since its last poll ended, polls that dumps asked for left out; absent while it runs
    /// and when it was never polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_poll: Option<Nanos>,
    /// The OS thread on which it runs, or that polled it last, by tid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polled_by: Option<u64>,
    /// What polling it once for the dump brought.
    #[serde(default, skip_serializing_if = "Trace::is_not_asked")]
    pub trace: Trace,
    /// Where else it left its waker: the further branches of a `join!` or a `select!`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<StackId>,
    /// The runtime that polls it: an index into [`Dump::async_runtimes`](crate::Dump).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<u32>,
    /// The number by which that runtime knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_id: Option<u64>,
}

/// What polling a task once for a dump brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trace {
    /// It was not asked: it ran, was never polled, or tracing was off.
    #[default]
    NotAsked,
    /// It is pending, and left its waker where its stacks show.
    Pending,
    /// It is pending, and left its waker nowhere in that poll: as far as can be seen, nobody will
    /// wake it.
    NoWaker,
    /// It is pending, and has woken itself: it only let others go first.
    Yielded,
    /// That poll was its last: it was done, and nobody had polled it, or it panicked.
    Finished,
    /// That poll had begun when the dump was written, and not ended: the task is in it, as long as
    /// it takes.
    Unfinished,
    /// It was woken for the dump, and no thread polled it before the deadline.
    NotServed,
}

impl Trace {
    fn is_not_asked(&self) -> bool {
        *self == Trace::NotAsked
    }
}

/// How the capture of tasks went: what it cost and whom it did not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCapture {
    /// Tasks that were known.
    pub tracked: u32,
    /// Tasks that were woken, to be polled once.
    pub asked: u32,
    /// Tasks of these that were polled before the deadline.
    pub served: u32,
    /// Tasks that exist and could not be looked at, because another thread held their list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub out_of_reach: u32,
    /// Stacks that were cut or left out, because there was no room to keep them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u32,
    /// From the first task woken to the last answer, in nanoseconds of wall time.
    pub wall: Nanos,
    /// For how long, at most, no task may answer before the others are given up; absent when
    /// tasks were not to be polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Nanos>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
