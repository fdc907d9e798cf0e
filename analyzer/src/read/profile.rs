//! Profiles: many samples of one process over a time.

use std::collections::HashMap;

use sigquit_dump::{Dump, Process, Runtime, Stack, StackId};

use super::goroutines::Call;
use super::intern::Interned;

/// Many samples of one process, each a stack and how much it counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Holds the process, the frames and the stacks, and no threads.
    pub dump: Dump,
    /// What was sampled.
    pub of: Sampled,
    /// What the counts are.
    pub unit: Unit,
    /// The stacks, each once, with its count.
    pub samples: Vec<(StackId, u64)>,
}

/// What the samples of a profile are taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampled {
    /// The source does not say: CPU time, wall time, or anything else.
    #[default]
    Unknown,
    /// Time on a CPU.
    Cpu,
    /// Time of waiting for others.
    Waiting,
}

/// What a profile's counts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Samples.
    #[default]
    Samples,
    /// Nanoseconds.
    Nanos,
}

/// A profile while its samples are read.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    dump: Dump,
    interned: Interned<Call>,
    counts: HashMap<StackId, u64>,
}

impl Sampling {
    /// Of a process of that runtime.
    pub fn new(runtime: Runtime) -> Sampling {
        let process = Process { runtime, ..Process::default() };
        Sampling { dump: Dump { process, ..Dump::default() }, ..Sampling::default() }
    }

    /// Adds a sample, innermost call first.
    pub fn add(&mut self, calls: impl Iterator<Item = Call>, count: u64) {
        let dump = &mut self.dump;
        let frames: Vec<_> =
            calls.map(|call| self.interned.frame(dump, call.clone(), || call.read())).collect();
        if frames.is_empty() || count == 0 {
            return;
        }
        let stack = self.interned.stack(dump, Stack::from(frames));
        let known = self.counts.entry(stack).or_default();
        *known = known.saturating_add(count);
    }

    /// The whole profile, when it holds anything.
    pub fn finish(self, of: Sampled, unit: Unit) -> Option<Profile> {
        let mut samples: Vec<(StackId, u64)> = self.counts.into_iter().collect();
        samples.sort();
        (!samples.is_empty()).then_some(Profile { dump: self.dump, of, unit, samples })
    }
}
