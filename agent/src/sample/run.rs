//! Samples that come in: unwound, put in once, and counted against what is due.

use std::collections::HashMap;
use std::io;

use sigquit_dump::{
    Clock, Delivery, Dump, Frame, Nanos, Profile, ProfileBuilder, RegisterSamples, Sample, Stack,
    StackId,
};

use super::choose;
use super::engine::{Engine, Seen, Taken};
use super::session::Settings;
use super::threads::{self, Threads};
use crate::capture::{self, Maps, digest};
use crate::facts::{self, Tasks};
use crate::slice::{self, Code};
use crate::task;
use crate::unwind::{Registers, StackCopy, Unwinder};

/// Threads of which registers are kept, and samples of each.
const HOTTEST: usize = 16;
const STATES: usize = 256;
/// A thread with fewer samples is not hot.
const HOT: u32 = 20;
/// Tasks among which those that run are looked for.
const MOST_TASKS: usize = 10_000;
/// What is looked at of a stack to tell one state from another.
const STACK_TOP: usize = 1024;

/// A profile under way.
pub(super) struct Run {
    engine: Box<dyn Engine>,
    rate: u32,
    threads: Threads,
    keep: Keep,
    without_timer: Vec<u64>,
}

impl Run {
    /// Opens an engine; nobody is sampled yet.
    ///
    /// # Errors
    /// When no engine can be used.
    pub fn begin(settings: &Settings) -> io::Result<Run> {
        let (engine, refused) = match settings.clock {
            Clock::Wall => choose::open_wall(settings.rate)?,
            _ => choose::open(settings.engine, settings.rate, Tasks::ids().len())?,
        };
        let mut unwinder = Unwinder::default();
        unwinder.refresh(&Maps::read());
        let begun = threads::monotonic();
        let dump = Dump {
            time: Some(facts::now()),
            monotonic: Some(Nanos(begun)),
            process: facts::process(settings.arguments),
            ..Dump::default()
        };
        let profile = Profile {
            dump,
            clock: settings.clock,
            incident: settings.incident.clone(),
            engine: engine.name().to_owned(),
            refused,
            delivery: Delivery { rate: Some(settings.rate), ..Delivery::default() },
            ..Profile::default()
        };
        let keep = Keep {
            unwinder,
            building: ProfileBuilder::new(profile),
            names: Names::default(),
            states: HashMap::new(),
            stacks: HashMap::new(),
            keeps_states: settings.detail && settings.clock == Clock::Cpu,
            tasks: settings.detail.then(Tasked::default),
            begun,
        };
        Ok(Run {
            engine,
            rate: settings.rate,
            threads: Threads::default(),
            keep,
            without_timer: Vec::new(),
        })
    }

    /// New threads are sampled from now on; those that are gone give back what they took.
    pub fn look(&mut self) {
        let (new, gone) = self.threads.look();
        for tid in new {
            self.keep.names.found(tid);
            match self.engine.add(tid) {
                Ok(()) => {}
                // It has ended since.
                Err(_) if threads::cpu(tid).is_none() => {}
                Err(_) => self.without_timer.push(tid as u64),
            }
        }
        gone.into_iter().for_each(|tid| self.engine.remove(tid));
    }

    /// Takes what has come.
    pub fn drain(&mut self) {
        let keep = &mut self.keep;
        if let Some(tasks) = &mut keep.tasks {
            tasks.look();
        }
        self.engine.drain(&mut |taken| keep.sample(&taken));
    }

    /// How many samples there should be by now.
    fn expected(&self) -> f64 {
        let used = self.threads.used_by_all_but(&self.without_timer).as_secs_f64();
        self.engine.due().map_or(used * f64::from(self.rate), |due| due as f64)
    }

    /// Ends it.
    pub fn finish(mut self) -> Profile {
        self.engine.stop();
        self.threads.look();
        self.drain();
        let expected = self.expected();
        let mut profile = self.keep.finish(&self.threads, self.engine.user_mode_only());
        profile.duration =
            Nanos(threads::monotonic()).since(profile.dump.monotonic.unwrap_or_default());
        profile.delivery.expected = Some(expected);
        profile.delivery.lost = self.engine.lost();
        if self.engine.weighs_evenly() {
            weigh_evenly(&mut profile, expected);
        }
        profile.delivery.without_timer = self.without_timer;
        profile
    }
}

/// How far a profile had come at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// On the monotonic clock, in nanoseconds.
    pub time: u64,
    expected: f64,
    lost: u64,
}

// A profile without an end, of which the last part is kept.
impl Run {
    /// How far it has come.
    pub fn mark(&self) -> Mark {
        let (expected, lost) = (self.expected(), self.engine.lost());
        Mark { time: threads::monotonic(), expected, lost }
    }

    /// About how many bytes its samples and stacks take.
    pub fn bytes(&self) -> usize {
        self.keep.bytes()
    }

    /// Forgets the samples of before a moment, and the threads that are gone; looks again which
    /// modules are mapped.
    pub fn forget_before(&mut self, mark: &Mark) {
        let after = Nanos(mark.time).since(Nanos(self.keep.begun));
        self.keep.building.retain(|sample| sample.time >= after);
        self.keep.stacks.clear();
        self.threads.forget_gone(&self.without_timer);
        let is_here = |tid: i32| self.threads.used(tid).is_some();
        self.keep.names.retain(is_here);
        self.without_timer.retain(|&tid| is_here(tid as i32));
        self.keep.unwinder.refresh(&Maps::read());
    }

    /// What there is, when all of before a moment has been forgotten.
    pub fn since(&self, from: &Mark) -> Profile {
        let to = self.mark();
        let mut profile = self.keep.building.profile.clone();
        self.keep.add_modules(&mut profile);
        let (begun, length) = (Nanos(self.keep.begun), Nanos(to.time).since(Nanos(from.time)));
        let later = Nanos(from.time).since(begun);
        for sample in &mut profile.samples {
            sample.time = sample.time.since(later);
        }
        profile.dump.time = Some(facts::now().since(length));
        profile.dump.monotonic = Some(Nanos(from.time));
        profile.duration = length;
        let expected = (to.expected - from.expected).max(0.0);
        profile.delivery.expected = Some(expected);
        profile.delivery.lost = to.lost - from.lost;
        profile.delivery.without_timer = self.without_timer.clone();
        if self.engine.weighs_evenly() {
            weigh_evenly(&mut profile, expected);
        }
        profile
    }
}

/// Gives all samples of a profile the same weight, as nearly as whole numbers can: together what was
/// to be expected, less the part of the samples that are lost.
fn weigh_evenly(profile: &mut Profile, expected: f64) {
    let Delivery { taken, lost, .. } = profile.delivery;
    let each = expected / (taken + lost).max(1) as f64;
    let up_to = |count: u64| (count as f64 * each).round() as u64;
    for (before, sample) in (0..).zip(&mut profile.samples) {
        sample.weight = up_to(before + 1) - up_to(before);
    }
    profile.delivery.weight = up_to(taken);
}

/// What has been sampled so far.
struct Keep {
    unwinder: Unwinder,
    building: ProfileBuilder,
    names: Names,
    states: HashMap<i32, States>,
    /// Where each thread was last.
    stacks: HashMap<i32, StackId>,
    /// Who waits is in one state for long, and that means nothing.
    keeps_states: bool,
    tasks: Option<Tasked>,
    begun: u64,
}

/// The names of threads. One that has just started bears its parent's, and has its own when it runs
/// the program's code: so the name at its first sample counts, and the one before only when it has
/// ended by then.
#[derive(Default)]
struct Names {
    when_found: HashMap<i32, String>,
    when_sampled: HashMap<i32, String>,
}

impl Names {
    /// A new thread; one with its number may have been there before.
    fn found(&mut self, tid: i32) {
        self.when_found.insert(tid, threads::name(tid));
        self.when_sampled.remove(&tid);
    }

    /// That of a thread of which there is a sample.
    fn of(&mut self, tid: i32) -> &str {
        let when_found = &self.when_found;
        self.when_sampled.entry(tid).or_insert_with(|| match threads::name(tid) {
            name if name.is_empty() => when_found.get(&tid).cloned().unwrap_or_default(),
            name => name,
        })
    }

    /// Forgets those of the threads that are not here.
    fn retain(&mut self, is_here: impl Fn(i32) -> bool) {
        self.when_found.retain(|&tid, _| is_here(tid));
        self.when_sampled.retain(|&tid, _| is_here(tid));
    }
}

/// States of one thread, from the moment that it is hot.
#[derive(Default)]
struct States {
    seen: u32,
    kept: Vec<capture::Sample>,
    first: u64,
    last: u64,
}

impl Keep {
    fn sample(&mut self, taken: &Taken<'_>) {
        let Some(stack) = self.stack(taken) else { return };
        let building = &mut self.building;
        let name = self.names.of(taken.tid);
        let thread = building.thread(Some(taken.tid as u64), name);
        let task = self.tasks.as_ref().and_then(|tasks| tasks.of(taken.tid));
        let weight = taken.weight;
        let time = Nanos(taken.time).since(Nanos(self.begun));
        building.sample(Sample { thread, task, stack, weight, time });
        if let Seen::Here(registers, stack) = taken.seen {
            self.state(taken, registers, &stack);
        }
    }

    /// The stack of a sample: unwound, or that of the thread's sample before.
    fn stack(&mut self, taken: &Taken<'_>) -> Option<StackId> {
        let Seen::Here(registers, stack) = taken.seen else {
            return self.stacks.get(&taken.tid).copied();
        };
        let unwound = self.unwinder.unwind(registers, stack);
        let building = &mut self.building;
        let frames = unwound.frames.iter().map(|frame| {
            let (address, trust) = (Some(frame.lookup_address), frame.trust);
            building.frame(Frame { address, trust, ..Frame::default() })
        });
        let frames = frames.collect();
        let truncated = unwound.truncated;
        let stack = building.stack(Stack { frames, truncated, ..Stack::default() });
        self.stacks.insert(taken.tid, stack);
        Some(stack)
    }

    /// Keeps the state of a thread that is hot.
    fn state(&mut self, taken: &Taken<'_>, registers: Registers, stack: &StackCopy<'_>) {
        if !self.keeps_states {
            return;
        }
        let hot = self.states.values().filter(|states| !states.kept.is_empty()).count();
        let states = self.states.entry(taken.tid).or_default();
        states.seen += 1;
        let has_room = !states.kept.is_empty() || hot < HOTTEST;
        if states.seen >= HOT && has_room && states.kept.len() < STATES {
            if states.kept.is_empty() {
                states.first = taken.time;
            }
            states.last = taken.time;
            states.kept.push(capture::Sample { registers, rest: rest(stack, taken.vectors) });
        }
    }

    /// Says in which module each frame lies.
    fn add_modules(&self, profile: &mut Profile) {
        let modules = self.unwinder.modules();
        profile.dump.modules = modules.list().cloned().collect();
        for frame in &mut profile.dump.frames {
            if let Some((module, offset)) = frame.address.and_then(|at| modules.find(at)) {
                (frame.module, frame.offset) = (Some(module), Some(offset));
            }
        }
    }

    fn bytes(&self) -> usize {
        let Profile { samples, dump, .. } = &self.building.profile;
        // Frames and stacks are there twice: in a list, and as keys by which equal ones are found.
        let stack = |stack: &Stack| 2 * (size_of::<Stack>() + size_of_val(&*stack.frames));
        let stacks: usize = dump.stacks.iter().map(stack).sum();
        size_of_val(&**samples) + stacks + 2 * size_of_val(&*dump.frames)
    }

    fn finish(mut self, threads: &Threads, user_mode_only: bool) -> Profile {
        let mut profile = std::mem::take(&mut self.building.profile);
        self.add_modules(&mut profile);
        let maps = Maps::read();
        let mut code = Code::of(&maps);
        for thread in &mut profile.threads {
            let Some(tid) = thread.os_id.map(|tid| tid as i32) else { continue };
            thread.cpu = threads.used(tid);
            // Of what a leaf function keeps below its stack pointer the kernel copies nothing:
            // states could look alike that are not.
            let states = self.states.get(&tid).filter(|_| !user_mode_only);
            thread.registers = states.and_then(|states| condense(states, &maps, &mut code));
        }
        profile
    }
}

fn condense(states: &States, maps: &Maps, code: &mut Code<Maps>) -> Option<RegisterSamples> {
    let over = Nanos(states.last.saturating_sub(states.first));
    (!states.kept.is_empty()).then(|| slice::condense(&states.kept, over, maps, code))
}

fn rest(stack: &StackCopy<'_>, vectors: u64) -> u64 {
    digest(&stack.bytes[..stack.bytes.len().min(STACK_TOP)]) ^ vectors
}

/// Which thread polls which task: known only of a poll that goes on from one look to the next, so
/// that what was sampled in between was sampled in it. With more tasks than [`MOST_TASKS`] nobody
/// looks: it would take too long.
#[derive(Default)]
struct Tasked {
    before: HashMap<u64, (u32, u64)>,
    carried: HashMap<u32, u64>,
    too_many: bool,
}

impl Tasked {
    fn look(&mut self) {
        if self.too_many {
            return;
        }
        let seen = task::tasks();
        self.carried = seen.carried(&self.before);
        self.too_many = seen.tasks.len() > MOST_TASKS;
        self.before = task::running();
    }

    fn of(&self, tid: i32) -> Option<u64> {
        self.carried.get(&(tid as u32)).copied()
    }
}

const _: () = assert!(STATES * size_of::<capture::Sample>() * HOTTEST < 1 << 20);
const _: () = assert!(Registers::COUNT == capture::handling::WORDS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_weights_add_up_to_what_was_expected_of_those_that_are_not_lost() {
        let sample = Sample { thread: 0, task: None, stack: StackId(0), weight: 1, time: Nanos(0) };
        let delivery = Delivery { taken: 6, lost: 2, ..Delivery::default() };
        let mut profile = Profile { samples: vec![sample; 6], delivery, ..Profile::default() };
        weigh_evenly(&mut profile, 20.0);
        let weights: Vec<u64> = profile.samples.iter().map(|sample| sample.weight).collect();
        assert_eq!(weights, [3, 2, 3, 2, 3, 2]);
        assert_eq!(profile.delivery.weight, 15);
    }
}
