//! Profiles of other tools while their samples are read.

use sigquit_dump::{
    Clock, Dump, Nanos, Process, Profile, ProfileBuilder, Runtime, Sample, Stack, Unit,
};

use super::goroutines::Call;

/// A profile while its samples are read.
#[derive(Debug)]
pub(super) struct Sampling {
    building: ProfileBuilder,
}

/// What a source tells of a sample beside its calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told<'t> {
    /// How much it counts.
    pub weight: u64,
    /// The thread's number and name.
    pub thread: (Option<u64>, &'t str),
    /// The async task.
    pub task: Option<u64>,
    /// When, on whichever clock.
    pub time: Nanos,
}

impl Sampling {
    /// Of a process of that runtime, in that format.
    pub fn new(runtime: Runtime, format: &str) -> Sampling {
        let process = Process { runtime, ..Process::default() };
        let dump = Dump { process, ..Dump::default() };
        let engine = format.to_owned();
        let profile = Profile { dump, engine, ..Profile::default() };
        Sampling { building: ProfileBuilder::new(profile) }
    }

    /// Adds a sample, innermost call first.
    pub fn add(&mut self, calls: impl Iterator<Item = Call>, told: Told) {
        let building = &mut self.building;
        let frames: Vec<_> = calls.map(|call| building.frame(call.read())).collect();
        if frames.is_empty() || told.weight == 0 {
            return;
        }
        let stack = building.stack(Stack::from(frames));
        let thread = building.thread(told.thread.0, told.thread.1);
        let Told { weight, task, time, .. } = told;
        building.sample(Sample { thread, task, stack, weight, time });
    }

    /// The whole profile, when it holds anything. Times are counted from the first.
    pub fn finish(self, clock: Clock, unit: Unit) -> Option<Profile> {
        let mut profile = self.building.profile;
        let times = || profile.samples.iter().map(|sample| sample.time);
        let (first, last) = (times().min()?, times().max()?);
        profile.duration = last.since(first);
        (profile.clock, profile.unit) = (clock, unit);
        profile.samples.iter_mut().for_each(|sample| sample.time = sample.time.since(first));
        Some(profile)
    }
}
