//! The sigquit dump format, version 1.
//!
//! A file is a sequence of lines, each one JSON object with one key that names the record
//! (externally tagged, as serde calls it). Fields that are unknown to a reader are to be
//! ignored; records that are unknown are to be counted and passed over. Fields may be added
//! within a version; none changes its meaning.
//!
//! ```text
//! {"sigquit":{"version":1,...}}           a dump begins: version, times, series, capture
//! {"process":{"runtime":"rust",...}}      the process
//! {"module":[0,{"path":"/srv/orders",...}]}    numbered, and so are the next five
//! {"frame":[0,{"address":93824...,"module":0,"offset":8721,"trust":"cfi"}]}
//! {"stack":[0,{"frames":[0,1,2],"frame_offsets":[16,96,480]}]}
//! {"lock":[0,{"address":93825...,"kind":"futex"}]}
//! {"spawn":[0,{"type_name":"orders::serve::{{closure}}",...}]}     what tasks come from
//! {"async-runtime":{"name":"tokio",...}}    its workers and their counters
//! {"thread":[0,{"name":"request-1","os_id":4711,"stack":0,...}]}
//! {"notice":{"kind":"panic",...}}         what the runtime itself said
//! {"end":{"threads":1}}                   all raw facts are in the file
//! {"names":{"frame":0,"symbols":[{"function":"order::checkout",...}]}}   found afterwards
//! {"names":{"frame":1,"reason":"stripped"}}
//! {"named":{"frames":2}}                  all names that could be found are in the file
//! ```
//!
//! The agent writes the raw facts, up to `end`, before it looks at any symbol table; `names`
//! records follow when they are found. A file that ends early, even within a line, gives what
//! stands before: a reader says what is missing ([`Warning`](crate::Warning)). Several dumps may
//! follow each other in one file; each begins with its `sigquit` record.
//!
//! Numbers are decimal; addresses are 64-bit and need a reader with 64-bit integers. Times are
//! in nanoseconds. The fields of each record are those of the type of the same name in this
//! crate: [`Process`], [`Module`], [`Frame`], [`Stack`], [`Lock`],
//! [`Spawn`], [`AsyncRuntime`], [`Thread`], [`Notice`].

use serde::{Deserialize, Serialize};

use crate::{
    AsyncRuntime, Capture, Frame, FrameId, Lock, LockId, Module, ModuleId, Nanos, Notice, Process,
    Reason, Series, Spawn, SpawnId, Stack, StackId, Symbol, TaskCapture, Thread,
};

/// The version that this crate writes, and the newest that it reads without a warning.
pub const VERSION: u32 = 1;

/// One line of a file, as read.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Record {
    Sigquit(Header),
    Process(Process),
    Module((ModuleId, Module)),
    Frame((FrameId, Frame)),
    Stack((StackId, Stack)),
    Lock((LockId, Lock)),
    Spawn((SpawnId, Spawn)),
    AsyncRuntime(AsyncRuntime),
    Thread((u32, Thread)),
    Notice(Notice),
    End(End),
    Names(Names),
    Named(Named),
}

/// One line of a file, as written: the same, without a copy of the noun.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecordRef<'a> {
    Sigquit(&'a Header),
    Process(&'a Process),
    Module((ModuleId, &'a Module)),
    Frame((FrameId, &'a Frame)),
    Stack((StackId, &'a Stack)),
    Lock((LockId, &'a Lock)),
    Spawn((SpawnId, &'a Spawn)),
    AsyncRuntime(&'a AsyncRuntime),
    Thread((u32, &'a Thread)),
    Notice(&'a Notice),
    End(End),
    Names(&'a Names),
    Named(Named),
}

/// The keys of the records above: to tell a record of a newer version from a damaged one.
pub(crate) const KEYS: &[&str] = &[
    "sigquit",
    "process",
    "module",
    "frame",
    "stack",
    "lock",
    "spawn",
    "async-runtime",
    "thread",
    "notice",
    "end",
    "names",
    "named",
];

#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monotonic: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_capture: Option<TaskCapture>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct End {
    pub threads: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Named {
    pub frames: u64,
}

/// What symbolizing found for one frame, after the frame itself was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Which frame.
    pub frame: FrameId,
    /// Its functions, innermost first; see [`Frame::symbols`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Symbol>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}
