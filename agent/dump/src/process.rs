//! The process that was dumped.

use serde::{Deserialize, Serialize};

use crate::{Nanos, Socket};

/// One process, and how it stood with the machine's resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Whose threads these are.
    pub runtime: Runtime,
    /// The runtime's own words on its version (`17.0.15+6-Debian-1deb12u1 mixed mode`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_version: Option<String>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u64>,
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path of the executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Arguments, only when the program allowed it: they can hold secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// When it started, in nanoseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Nanos>,
    /// CPU time of all its threads since it started, ended threads included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// CPUs on which it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// The control group's CPU limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<CpuLimit>,
    /// How often the control group was held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
    /// The machine's load averages over 1, 5 and 15 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<[f64; 3]>,
    /// Share of the last ten seconds in which some of the machine's work waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The heap that its runtime collects garbage from, when the source tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap: Option<Heap>,
    /// Its TCP sockets, those that listen first. There may be more than are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<Socket>,
}

/// Whose threads a dump shows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Not known.
    #[default]
    Unknown,
    /// A Rust program with the agent linked in.
    Rust,
    /// A Java virtual machine.
    Jvm,
    /// A Go program.
    Go,
    /// Machine code of any language.
    Native,
}

/// A limit on CPU time: so much in every period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLimit {
    /// CPU time allowed in a period.
    pub quota: Nanos,
    /// The period.
    pub period: Nanos,
}

/// What a control group lost to its CPU limit, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttling {
    /// Periods in which it had work.
    pub periods: u64,
    /// Periods in which it was held back.
    pub throttled: u64,
    /// Time for which it was held back.
    pub time: Nanos,
}

/// Pressure stall figures: percent of the last ten seconds in which some work waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a CPU.
    pub cpu: f64,
    /// For memory.
    pub memory: f64,
    /// For I/O.
    pub io: f64,
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Mapped.
    pub mapped: u64,
    /// The control group's limit, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A garbage-collected heap, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// In use, garbage included.
    pub used: u64,
    /// As large as it may become.
    pub limit: u64,
}
