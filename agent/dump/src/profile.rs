//! The profile: where the threads of one process were, many times in a while.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Dump, Frame, FrameId, Nanos, RegisterSamples, Stack, StackId, Symbol, Truncation};

/// Many samples of one process over some time, and what is known of those that are missing.
///
/// Whoever samples, the noun is the same: the agent, another tool, or a dump, which is one sample
/// of each thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The process, when the profile began, the binaries, frames and stacks; nobody is in it.
    #[serde(skip)]
    pub dump: Dump,
    /// The incident that it belongs to, by name: equal to that of the dumps of the same series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// It shows the time before that incident, up to its first dump, and not that of the dumps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before: bool,
    /// For how long it was taken, in wall time; 0 when that is not known.
    #[serde(default)]
    pub duration: Nanos,
    /// Which time the samples measure.
    #[serde(default)]
    pub clock: Clock,
    /// What the weights of the samples count.
    #[serde(default)]
    pub unit: Unit,
    /// What took the samples: `perf`, `thread-timers`, `process-timer`; of a profile that another
    /// tool made, the format's name.
    #[serde(default)]
    pub engine: String,
    /// Why a better engine was not used, in its own words: one a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What was asked for and what came of it.
    #[serde(default)]
    pub delivery: Delivery,
    /// The threads that were sampled, or were to be.
    #[serde(skip)]
    pub threads: Vec<SampledThread>,
    /// The samples, in the order in which they came out.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// Which time samples measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The source does not say.
    #[default]
    Unknown,
    /// The CPU time of each thread: who sleeps is not seen.
    Cpu,
    /// Wall time: every thread is seen, whether it runs or waits.
    Wall,
    /// The time of waiting for others: who runs is not seen.
    Waiting,
}

impl Clock {
    /// How to call it in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Clock::Unknown => "unknown time",
            Clock::Cpu => "CPU time",
            Clock::Wall => "wall time",
            Clock::Waiting => "time of waiting",
        }
    }
}

/// What the weights of samples count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Samples, each of which stands for a period of the rate.
    #[default]
    Samples,
    /// Nanoseconds.
    Nanos,
    /// Threads and tasks, each once: what dumps show.
    Threads,
}

impl Unit {
    /// Several of them.
    pub fn noun(self) -> &'static str {
        match self {
            Unit::Samples => "samples",
            Unit::Nanos => "ns",
            Unit::Threads => "threads and tasks",
        }
    }
}

/// What was asked of a profile, and what was delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Samples that were asked for, in each second of the clock of each thread. Unknown where the
    /// source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
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
    /// The stack of a sample, innermost frame first.
    pub fn stack(&self, sample: &Sample) -> &Stack {
        &self.dump.stacks[sample.stack.0 as usize]
    }

    /// Nanoseconds for which a weight of one stands, where that is known.
    pub fn period(&self) -> Option<u64> {
        match self.unit {
            Unit::Samples => Some(1_000_000_000 / u64::from(self.delivery.rate?.max(1))),
            Unit::Nanos => Some(1),
            Unit::Threads => None,
        }
    }

    /// The functions of a stack, innermost first, inlined ones included. A frame without a name
    /// gives nothing for its name, once.
    pub fn calls<'a>(
        &'a self,
        stack: &'a Stack,
    ) -> impl Iterator<Item = (&'a Frame, Option<&'a Symbol>)> {
        stack.frames.iter().flat_map(|&id| {
            let frame = self.dump.frame(id);
            let nameless = frame.symbols.is_empty().then_some((frame, None));
            frame.symbols.iter().map(move |symbol| (frame, Some(symbol))).chain(nameless)
        })
    }

    /// What the samples of each thread weigh together.
    pub fn weights(&self) -> Vec<u64> {
        let mut weights = vec![0_u64; self.threads.len()];
        for sample in &self.samples {
            let weight = &mut weights[sample.thread as usize];
            *weight = weight.saturating_add(sample.weight);
        }
        weights
    }

    /// What those samples of each stack weigh together that are wanted.
    pub fn weights_of_stacks(&self, wanted: impl Fn(&Sample) -> bool) -> Vec<u64> {
        let mut weights = vec![0_u64; self.dump.stacks.len()];
        for sample in self.samples.iter().filter(|sample| wanted(sample)) {
            let weight = &mut weights[sample.stack.0 as usize];
            *weight = weight.saturating_add(sample.weight);
        }
        weights
    }

    /// Gives every reference something to refer to. True when anything was missing.
    pub(crate) fn mend(&mut self) -> bool {
        let Dump { modules, frames, stacks, .. } = &mut self.dump;
        let mut missing = false;
        for frame in frames.iter_mut() {
            if frame.module.is_some_and(|id| id.0 as usize >= modules.len()) {
                (frame.module, missing) = (None, true);
            }
        }
        let ids = stacks.iter_mut().flat_map(|stack| &mut stack.frames);
        if clamp(ids.map(|id| &mut id.0), frames.len()) {
            frames.push(Frame::default());
            missing = true;
        }
        if clamp(self.samples.iter_mut().map(|sample| &mut sample.stack.0), stacks.len()) {
            let truncated = Some(Truncation::InputEnded);
            stacks.push(Stack { truncated, ..Stack::default() });
            missing = true;
        }
        let threads = self.threads.len();
        if clamp(self.samples.iter_mut().map(|sample| &mut sample.thread), threads) {
            self.threads.push(SampledThread::default());
            missing = true;
        }
        missing
    }
}

/// Makes numbers that lead nowhere those of one that is to be added; whether there were any.
fn clamp<'n>(numbers: impl Iterator<Item = &'n mut u32>, count: usize) -> bool {
    let mut any = false;
    for number in numbers.filter(|number| **number as usize >= count) {
        (*number, any) = (count as u32, true);
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
    /// By number of the operating system; those of one number differ in their names.
    threads: HashMap<Option<u64>, Vec<u32>>,
}

impl ProfileBuilder {
    /// A profile that begins with what is known without any sample.
    pub fn new(profile: Profile) -> ProfileBuilder {
        ProfileBuilder { profile, ..ProfileBuilder::default() }
    }

    /// The number of a frame.
    pub fn frame(&mut self, frame: Frame) -> FrameId {
        let dump = &mut self.profile.dump;
        *self.frames.entry(frame).or_insert_with_key(|frame| dump.intern_frame(frame.clone()))
    }

    /// The number of a stack.
    pub fn stack(&mut self, stack: Stack) -> StackId {
        let dump = &mut self.profile.dump;
        *self.stacks.entry(stack).or_insert_with_key(|stack| dump.intern_stack(stack.clone()))
    }

    /// The place of the thread with that number of the operating system and that name; nothing
    /// and an empty name are the one thread of which nothing is known.
    pub fn thread(&mut self, os_id: Option<u64>, name: &str) -> u32 {
        let list = &mut self.profile.threads;
        let known = self.threads.entry(os_id).or_default();
        match known.iter().find(|&&place| list[place as usize].name == name) {
            Some(&place) => place,
            None => {
                let name = name.to_owned();
                list.push(SampledThread { os_id, name, ..SampledThread::default() });
                known.push(list.len() as u32 - 1);
                list.len() as u32 - 1
            }
        }
    }

    /// Adds a sample, and counts it.
    pub fn sample(&mut self, sample: Sample) {
        let delivery = &mut self.profile.delivery;
        delivery.taken += 1;
        delivery.weight = delivery.weight.saturating_add(sample.weight);
        let stack = &self.profile.dump.stacks[sample.stack.0 as usize];
        delivery.truncated += u64::from(stack.truncated.is_some());
        self.profile.samples.push(sample);
    }

    /// Keeps those samples that are wanted, and of all else what they refer to. What was delivered is
    /// counted anew.
    pub fn retain(&mut self, wanted: impl Fn(&Sample) -> bool) {
        let Profile { dump, threads, samples, delivery, .. } = &mut self.profile;
        let (frames, stacks) = (std::mem::take(&mut dump.frames), std::mem::take(&mut dump.stacks));
        let (threads, samples) = (std::mem::take(threads), std::mem::take(samples));
        (delivery.taken, delivery.weight, delivery.truncated) = (0, 0, 0);
        *self = ProfileBuilder::new(std::mem::take(&mut self.profile));
        let mut moved: HashMap<StackId, StackId> = HashMap::new();
        for sample in samples.into_iter().filter(wanted) {
            let stack = *moved.entry(sample.stack).or_insert_with_key(|id| {
                let mut stack = stacks[id.0 as usize].clone();
                for id in &mut stack.frames {
                    *id = self.frame(frames[id.0 as usize].clone());
                }
                self.stack(stack)
            });
            let thread = &threads[sample.thread as usize];
            let thread = self.thread(thread.os_id, &thread.name);
            self.sample(Sample { thread, stack, ..sample });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_sample_that_is_kept_refers_to_is_forgotten() {
        let mut building = ProfileBuilder::default();
        for (time, name, address) in [(0, "old", 1), (1, "old", 2), (2, "new", 3), (3, "new", 3)] {
            let frames = [address, 9].map(|address| {
                building.frame(Frame { address: Some(address), ..Frame::default() })
            });
            let truncated = Some(Truncation::InputEnded);
            let stack = Stack { frames: frames.to_vec(), truncated, ..Stack::default() };
            let (stack, thread) = (building.stack(stack), building.thread(Some(7), name));
            let time = Nanos(time);
            building.sample(Sample { thread, task: None, stack, weight: 2, time });
        }
        building.retain(|sample| sample.time >= Nanos(2));
        let Profile { dump, threads, samples, delivery, .. } = &building.profile;
        let addresses: Vec<_> = dump.frames.iter().map(|frame| frame.address).collect();
        assert_eq!((addresses, dump.stacks.len()), (vec![Some(3), Some(9)], 1));
        assert_eq!((threads.len(), threads[0].name.as_str(), samples.len()), (1, "new", 2));
        assert_eq!((delivery.taken, delivery.weight, delivery.truncated), (2, 4, 2));
        let address = Some(9);
        assert_eq!(building.frame(Frame { address, ..Frame::default() }), FrameId(1), "known");
    }
}
