//! One profile made of several, and of dumps.

use std::collections::HashMap;

use sigquit_dump::{
    Clock, Delivery, Dump, Frame, Kind, Module, ModuleId, Nanos, Profile, ProfileBuilder, Sample,
    SampledThread, Stack, Thread, Unit,
};

/// A dump as a profile: each thread and each task is one sample, whether it runs or waits.
pub fn profile_of_dump(mut dump: Dump) -> Profile {
    let threads = std::mem::take(&mut dump.threads);
    let mut profile = Profile {
        clock: Clock::Wall,
        unit: Unit::Threads,
        engine: "dump".to_owned(),
        ..Profile::default()
    };
    for thread in threads {
        let Some(stack) = thread.stack else { continue };
        let truncated = dump.stacks[stack.0 as usize].truncated.is_some();
        let delivery = &mut profile.delivery;
        (delivery.taken, delivery.weight) = (delivery.taken + 1, delivery.weight + 1);
        delivery.truncated += u64::from(truncated);
        let task = if thread.kind == Kind::Task { thread.number } else { thread.carries };
        let number = profile.threads.len() as u32;
        profile.threads.push(sampled(thread));
        profile.samples.push(Sample { thread: number, task, stack, weight: 1, time: Nanos(0) });
    }
    profile.dump = dump;
    profile
}

fn sampled(thread: Thread) -> SampledThread {
    SampledThread {
        os_id: thread.os_id.or(thread.number),
        name: thread.name,
        cpu: thread.cpu,
        registers: thread.registers,
    }
}

/// Puts profiles into one: of one process at several times, or of several processes.
///
/// # Errors
/// When there is none, or they do not measure the same.
pub fn merge(mut profiles: Vec<Profile>) -> Result<Profile, String> {
    if profiles.len() == 1 {
        return Ok(profiles.remove(0));
    }
    let first = profiles.first().ok_or("no profile")?;
    if let Some(other) = profiles.iter().find(|other| measure(other) != measure(first)) {
        return Err(format!(
            "profiles that do not measure the same cannot be one: {}; {}",
            first.summary(),
            other.summary()
        ));
    }
    let begin = profiles.iter().filter_map(|profile| profile.dump.time).min();
    let mut merged = Merged::new(first, begin);
    profiles.iter().for_each(|profile| merged.add(profile));
    Ok(merged.building.profile)
}

/// What has to be equal, so that weights can be added.
fn measure(profile: &Profile) -> (Clock, Unit, Option<u32>) {
    let rate = profile.delivery.rate.filter(|_| profile.unit == Unit::Samples);
    (profile.clock, profile.unit, rate)
}

struct Merged {
    building: ProfileBuilder,
    modules: HashMap<(String, u64), ModuleId>,
    begin: Option<Nanos>,
}

impl Merged {
    fn new(first: &Profile, begin: Option<Nanos>) -> Merged {
        let process = first.dump.process.clone();
        let dump = Dump { time: begin, process, ..Dump::default() };
        let delivery = Delivery {
            rate: first.delivery.rate,
            expected: first.delivery.expected.map(|_| 0.0),
            ..Delivery::default()
        };
        let (clock, unit, engine) = (first.clock, first.unit, first.engine.clone());
        let profile = Profile { dump, clock, unit, engine, delivery, ..Profile::default() };
        Merged { building: ProfileBuilder::new(profile), modules: HashMap::new(), begin }
    }

    fn add(&mut self, profile: &Profile) {
        let modules: Vec<ModuleId> =
            profile.dump.modules.iter().map(|module| self.module(module)).collect();
        let building = &mut self.building;
        let moved = |frame: &Frame| {
            let module = frame.module.map(|id| modules[id.0 as usize]);
            building.frame(Frame { module, ..frame.clone() })
        };
        let frames: Vec<_> = profile.dump.frames.iter().map(moved).collect();
        let moved = |stack: &Stack| {
            let mut stack = stack.clone();
            stack.frames.iter_mut().for_each(|id| *id = frames[id.0 as usize]);
            building.stack(stack)
        };
        let stacks: Vec<_> = profile.dump.stacks.iter().map(moved).collect();
        let threads = profile.threads.iter();
        let threads: Vec<u32> =
            threads.map(|thread| building.thread(thread.os_id, &thread.name)).collect();
        let later = match (profile.dump.time, self.begin) {
            (Some(time), Some(begin)) => time.since(begin),
            _ => Nanos(0),
        };
        for sample in &profile.samples {
            building.sample(Sample {
                thread: threads[sample.thread as usize],
                stack: stacks[sample.stack.0 as usize],
                time: Nanos(sample.time.0.saturating_add(later.0)),
                ..sample.clone()
            });
        }
        self.count(profile);
    }

    /// Adds what is said of a profile as a whole.
    fn count(&mut self, profile: &Profile) {
        let whole = &mut self.building.profile;
        whole.duration = Nanos(whole.duration.0.saturating_add(profile.duration.0));
        whole.dump.truncated |= profile.dump.truncated;
        let (sum, part) = (&mut whole.delivery, &profile.delivery);
        sum.expected = sum.expected.zip(part.expected).map(|(sum, part)| sum + part);
        sum.lost = sum.lost.saturating_add(part.lost);
        sum.without_timer.extend(&part.without_timer);
    }

    fn module(&mut self, module: &Module) -> ModuleId {
        let list = &mut self.building.profile.dump.modules;
        *self.modules.entry((module.path.clone(), module.start)).or_insert_with(|| {
            list.push(module.clone());
            ModuleId(list.len() as u32 - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    fn folded(text: &str) -> Profile {
        read("p", text.as_bytes(), None).unwrap().profiles.remove(0)
    }

    #[test]
    fn a_dump_is_a_sample_of_each_thread() {
        let text = b"goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:12 +0x1d\n";
        let dump = read("a", text, None).unwrap().dumps.remove(0);
        let profile = profile_of_dump(dump);
        assert_eq!(profile.summary(), "1 threads and tasks");
        assert_eq!(profile.folded(), ["main.main 1"]);
    }

    #[test]
    fn weights_of_equal_stacks_add_up() {
        let merged = merge(vec![folded("a;b 1\na;c 2\n"), folded("a;c 3\n")]).unwrap();
        assert_eq!(
            (merged.folded(), merged.dump.stacks.len()),
            (vec!["a;b 1".into(), "a;c 5".into()], 2)
        );
    }

    #[test]
    fn what_measures_something_else_is_not_added() {
        let waiting = Profile { clock: Clock::Waiting, ..folded("a;b 1\n") };
        assert!(merge(vec![folded("a;b 1\n"), waiting]).is_err());
        assert!(merge(Vec::new()).is_err());
    }
}
