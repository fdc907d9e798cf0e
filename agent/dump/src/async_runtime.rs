//! Async runtimes: the workers that poll tasks, and how they get on.

use serde::{Deserialize, Serialize};

use crate::Nanos;

/// An async runtime within a process, by its own counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsyncRuntime {
    /// Which library (`tokio`).
    pub name: String,
    /// The number that tells it from others of the process, the same in every dump.
    pub id: u64,
    /// Tasks that have been spawned and have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive_tasks: Option<u64>,
    /// Tasks that are ready and wait for any worker to take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_queue_depth: Option<u64>,
    /// Its workers, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
}

/// A worker of an async runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The thread that it is, by tid, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_id: Option<u64>,
    /// How often it has gone to sleep for lack of work. An odd number of
    /// [`parks_and_unparks`](Worker::parks_and_unparks) says that it sleeps now.
    pub parks: u64,
    /// How often it has gone to sleep or woken up, when the runtime counts both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parks_and_unparks: Option<u64>,
    /// The time it has spent at work since the runtime began, up to when it last went to sleep.
    pub busy: Nanos,
}
