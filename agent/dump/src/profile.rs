//! The profile: where the threads of one process were, many times in a while.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    Frame, FrameId, Module, Nanos, Process, RegisterSamples, Stack, StackId, Symbol, Truncation,
};

/// Many samples of one process over some time, and what is known of those that are missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// When it began, in nanoseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Nanos>,
    /// The same moment on the machine's monotonic clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monotonic: Option<Nanos>,
    /// The incident that it belongs to, by name: equal to that of the dumps of the same series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// For how long it was taken, in wall time.
    #[serde(default)]
    pub duration: Nanos,
    /// Which time the samples measure.
    #[serde(default)]
    pub clock: Clock,
    /// What took the samples: `perf`, `thread-timers`, `process-timer`; what another tool calls
    /// itself, for a profile of its own.
    #[serde(default)]
    pub engine: String,
    /// Why a better engine was not used, in its own words: one a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What was asked for and what came of it.
    #[serde(default)]
    pub delivery: Delivery,
    /// The process.
    #[serde(skip)]
    pub process: Process,
    /// The binaries that were mapped.
    #[serde(skip)]
    pub modules: Vec<Module>,
    /// Every distinct frame, referred to by [`FrameId`].
    #[serde(skip)]
    pub frames: Vec<Frame>,
    /// Every distinct stack, referred to by [`StackId`].
    #[serde(skip)]
    pub stacks: Vec<Stack>,
    /// The threads that were sampled, or were to be.
    #[serde(skip)]
    pub threads: Vec<SampledThread>,
    /// The samples, in the order in which they came out.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// The source ended before the profile did; the samples are a lower bound.
    #[serde(skip)]
    pub truncated: bool,
}

/// Which time samples measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The CPU time of each thread: who sleeps is not seen.
    #[default]
    Cpu,
    /// Wall time: every thread is seen, whether it runs or waits.
    Wall,
}

impl Clock {
    /// How to call it in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Clock::Cpu => "CPU time",
            Clock::Wall => "wall time",
        }
    }
}

/// What was asked of a profile, and what was delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Samples that were asked for, in each second of the clock of each thread.
    pub rate: u32,
    /// Samples that there should be: the time that the clock measured, times the rate. Unknown
    /// where nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// Samples that were taken.
    pub taken: u64,
    /// What they weigh together: a sample that stands for several weighs as many.
    pub weight: u64,
    /// Samples that were taken and had no room, or that the kernel says it has lost.
    #[serde(default)]
    pub lost: u64,
    /// Samples whose stack was not followed to its root.
    #[serde(default)]
    pub truncated: u64,
    /// Threads that could not be given a timer or a counter, by number of the operating system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_timer: Vec<u64>,
}

impl Delivery {
    /// What was delivered of what was to be expected; 1 is all.
    pub fn share(&self) -> Option<f64> {
        self.expected.filter(|&expected| expected > 0.0).map(|all| self.weight as f64 / all)
    }
}

/// A thread of a profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampledThread {
    /// The number by which the operating system knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_id: Option<u64>,
    /// Its name; empty when it has none.
    #[serde(default)]
    pub name: String,
    /// The CPU time that it used while it was sampled, when that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// What the registers of its samples show together, for the hottest threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registers: Option<RegisterSamples>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its thread, by its place among [`Profile::threads`].
    pub thread: u32,
    /// The async task that the thread was polling, by number, when one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
    /// Where it was.
    pub stack: StackId,
    /// For how many samples it stands.
    pub weight: u64,
    /// When, since the profile began.
    #[serde(default)]
    pub time: Nanos,
}

impl Profile {
    /// The frame with that number.
    pub fn frame(&self, id: FrameId) -> &Frame {
        &self.frames[id.0 as usize]
    }

    /// The stack of a sample, innermost frame first.
    pub fn stack(&self, sample: &Sample) -> &Stack {
        &self.stacks[sample.stack.0 as usize]
    }

    /// The functions of a stack, innermost first, inlined ones included. A frame without a name
    /// gives nothing for its name, once.
    pub fn calls<'a>(
        &'a self,
        stack: &'a Stack,
    ) -> impl Iterator<Item = (&'a Frame, Option<&'a Symbol>)> {
        stack.frames.iter().flat_map(|&id| {
            let frame = self.frame(id);
            let nameless = frame.symbols.is_empty().then_some((frame, None));
            frame.symbols.iter().map(move |symbol| (frame, Some(symbol))).chain(nameless)
        })
    }

    /// What the samples of each thread weigh together.
    pub fn weights(&self) -> Vec<u64> {
        let mut weights = vec![0; self.threads.len()];
        for sample in &self.samples {
            weights[sample.thread as usize] += sample.weight;
        }
        weights
    }

    /// Gives every reference something to refer to. True when anything was missing.
    pub(crate) fn mend(&mut self) -> bool {
        let before = (self.frames.len(), self.stacks.len(), self.threads.len());
        let modules = self.modules.len() as u32;
        let mut unknown = false;
        for frame in &mut self.frames {
            if frame.module.is_some_and(|id| id.0 >= modules) {
                (frame.module, unknown) = (None, true);
            }
        }
        let frames = self.frames.len() as u32;
        let mut ids = self.stacks.iter_mut().flat_map(|stack| &mut stack.frames);
        if clamp(&mut ids.by_ref().map(|id| &mut id.0), frames) {
            self.frames.push(Frame::default());
        }
        let stacks = self.stacks.len() as u32;
        if clamp(&mut self.samples.iter_mut().map(|sample| &mut sample.stack.0), stacks) {
            let truncated = Some(Truncation::InputEnded);
            self.stacks.push(Stack { truncated, ..Stack::default() });
        }
        let threads = self.threads.len() as u32;
        if clamp(&mut self.samples.iter_mut().map(|sample| &mut sample.thread), threads) {
            self.threads.push(SampledThread::default());
        }
        unknown || before != (self.frames.len(), self.stacks.len(), self.threads.len())
    }
}

/// Makes numbers that lead nowhere those of one that is to be added; whether there were any.
fn clamp(numbers: &mut dyn Iterator<Item = &mut u32>, count: u32) -> bool {
    let mut any = false;
    for number in numbers.filter(|number| **number >= count) {
        (*number, any) = (count, true);
    }
    any
}

/// A profile in the making: equal frames, stacks and threads are put in once.
#[derive(Debug, Default)]
pub struct ProfileBuilder {
    /// What there is so far.
    pub profile: Profile,
    frames: HashMap<Frame, FrameId>,
    stacks: HashMap<Stack, StackId>,
    threads: HashMap<u64, u32>,
}

impl ProfileBuilder {
    /// A profile that begins with what is known without any sample.
    pub fn new(profile: Profile) -> ProfileBuilder {
        ProfileBuilder { profile, ..ProfileBuilder::default() }
    }

    /// The number of a frame.
    pub fn frame(&mut self, frame: Frame) -> FrameId {
        let list = &mut self.profile.frames;
        *self.frames.entry(frame).or_insert_with_key(|frame| {
            list.push(frame.clone());
            FrameId(list.len() as u32 - 1)
        })
    }

    /// The number of a stack.
    pub fn stack(&mut self, stack: Stack) -> StackId {
        let list = &mut self.profile.stacks;
        *self.stacks.entry(stack).or_insert_with_key(|stack| {
            list.push(stack.clone());
            StackId(list.len() as u32 - 1)
        })
    }

    /// The place of the thread with that number of the operating system; a new one is described
    /// by `describe`.
    pub fn thread(&mut self, os_id: u64, describe: impl FnOnce() -> SampledThread) -> u32 {
        let list = &mut self.profile.threads;
        *self.threads.entry(os_id).or_insert_with(|| {
            list.push(describe());
            list.len() as u32 - 1
        })
    }

    /// Adds a sample, and counts it.
    pub fn sample(&mut self, sample: Sample) {
        let delivery = &mut self.profile.delivery;
        delivery.taken += 1;
        delivery.weight += sample.weight;
        let stack = &self.profile.stacks[sample.stack.0 as usize];
        delivery.truncated += u64::from(stack.truncated.is_some());
        self.profile.samples.push(sample);
    }
}
