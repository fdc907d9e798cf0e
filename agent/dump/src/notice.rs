//! What a runtime itself said beside the stacks.

use serde::{Deserialize, Serialize};

use crate::{Location, StackId};

/// A statement of the runtime: a deadlock that it found, an error that ended it, a panic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What kind of statement.
    pub kind: NoticeKind,
    /// Its words, without the boilerplate around them. Several for a chain of panics, the first
    /// cause first, one a line.
    pub message: String,
    /// The threads that it names, by index in [`Dump::threads`](crate::Dump::threads). For a
    /// deadlock: the cycle in order, each waiting for the next, the last for the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<u32>,
    /// Where in the source it happened, when said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The stacks that it shows, when they are not those of its threads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackId>,
    /// Line of the input at which it stands, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// What kind of statement a runtime made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A cycle of waits.
    Deadlock,
    /// An error that the runtime cannot survive.
    #[default]
    Fatal,
    /// A panic or an uncaught exception.
    Panic,
    /// An unsynchronised access that a race detector saw.
    DataRace,
    /// Why the dump is missing or incomplete.
    Failure,
}
