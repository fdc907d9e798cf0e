//! One profile: from the first thread that is sampled to the last sample that is unwound.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sigquit_dump::{
    Clock, Delivery, Dump, Frame, Nanos, Profile, ProfileBuilder, RegisterSamples, Sample, Stack,
    StackId,
};

use super::choose;
use super::engine::{Engine, Seen, Taken};
use super::threads::{self, Split, Threads};
use crate::capture::{self, Maps, digest, recurrence};
use crate::facts::{self, Tasks};
use crate::profiler::Engine as Kind;
use crate::task;
use crate::unwind::{Registers, StackCopy, Unwinder};

/// How often the ring is emptied: at 1000 samples a second and CPU it holds half as many again.
const DRAIN: Duration = Duration::from_millis(20);
/// How often threads are looked for: every so many times that the ring is emptied.
const LOOK: u32 = 3;
/// The sampler's thread unwinds, which does not nest deeply.
const STACK: usize = 256 << 10;
/// Threads of which registers are kept, and samples of each.
const HOTTEST: usize = 16;
const STATES: usize = 256;
/// A thread with fewer samples is not hot.
const HOT: u32 = 20;
/// Tasks among which those that run are looked for.
const MOST_TASKS: usize = 10_000;
/// What is looked at of a stack to tell one state from another.
const STACK_TOP: usize = 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Samples in each second of a thread's CPU time.
    pub rate: u32,
    /// Which time to sample in: CPU time, or wall time.
    pub clock: Clock,
    /// The one engine to use in CPU time; the best one when none is named.
    pub engine: Option<Kind>,
    /// For how long, unless it is stopped before.
    pub longest: Duration,
    /// The incident to which it belongs.
    pub incident: Option<String>,
    /// Whether the command line is part of it.
    pub arguments: bool,
}

/// A profile that is being taken, on a thread of its own.
pub(crate) struct Session {
    /// Its end is the message.
    stop: Option<SyncSender<()>>,
    thread: JoinHandle<io::Result<Profile>>,
}

impl Session {
    /// Begins to take a profile. When this returns, its thread is [known](sampler): a dump that
    /// follows does not ask it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin(settings: Settings) -> io::Result<Session> {
        let (stop, stopped) = sync_channel(0);
        let (known, awaited) = sync_channel::<()>(0);
        let builder = thread::Builder::new().name("sigquit-sampler".into()).stack_size(STACK);
        let thread = builder.spawn(move || {
            block_signals();
            let turn = Turn::take()?;
            drop(known);
            run(&settings, &stopped, turn)
        })?;
        // The other end is dropped, whatever comes of the thread.
        let _ = awaited.recv();
        Ok(Session { stop: Some(stop), thread })
    }

    /// Ends it now.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits for its end, and gives what it has.
    ///
    /// # Errors
    /// When no engine can be used.
    pub fn finish(self) -> io::Result<Profile> {
        let Session { stop, thread } = self;
        let profile = thread.join();
        drop(stop);
        profile.unwrap_or_else(|_| Err(io::Error::other("the sampler's thread panicked")))
    }
}

/// The sampler is not to be sampled, nor to run the program's handlers.
fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// That a profile is being taken: there is one ring, and one timer of the process.
struct Turn;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The thread that takes it; 0 when none is being taken.
static SAMPLER: AtomicI32 = AtomicI32::new(0);

/// The thread that takes a profile, while one is being taken. It blocks all signals: dumps do not
/// ask it.
pub(crate) fn sampler() -> Option<i32> {
    Some(SAMPLER.load(SeqCst)).filter(|&tid| tid != 0)
}

impl Turn {
    fn take() -> io::Result<Turn> {
        match TAKEN.swap(true, SeqCst) {
            true => Err(io::Error::other("a profile is being taken already")),
            false => {
                SAMPLER.store(crate::agent::current_thread(), SeqCst);
                Ok(Turn)
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        SAMPLER.store(0, SeqCst);
        TAKEN.store(false, SeqCst);
    }
}

fn run(settings: &Settings, stopped: &Receiver<()>, _turn: Turn) -> io::Result<Profile> {
    let (engine, refused) = match settings.clock {
        Clock::Wall => choose::open_wall(settings.rate)?,
        _ => choose::open(settings.engine, settings.rate, Tasks::ids().len())?,
    };
    let begun = Instant::now();
    let mut run = Run::new(settings, engine, refused);
    let mut round = 0;
    loop {
        if round % LOOK == 0 {
            run.look();
        }
        round += 1;
        let rest = settings.longest.saturating_sub(begun.elapsed());
        let woken = stopped.recv_timeout(DRAIN.min(rest));
        run.drain();
        if woken != Err(RecvTimeoutError::Timeout) || rest <= DRAIN {
            return Ok(run.finish(settings));
        }
    }
}

/// A profile under way.
struct Run {
    engine: Box<dyn Engine>,
    threads: Threads,
    keep: Keep,
    split: io::Result<Split>,
    without_timer: Vec<u64>,
}

impl Run {
    fn new(settings: &Settings, engine: Box<dyn Engine>, refused: Vec<String>) -> Run {
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
            names: HashMap::new(),
            states: HashMap::new(),
            stacks: HashMap::new(),
            keeps_states: settings.clock == Clock::Cpu,
            tasks: Tasked::default(),
            begun,
        };
        let split = Split::now();
        Run { engine, threads: Threads::default(), keep, split, without_timer: Vec::new() }
    }

    /// New threads are sampled from now on; those that are gone give back what they took.
    fn look(&mut self) {
        let (new, gone) = self.threads.look();
        for tid in new {
            self.keep.names.insert(tid, threads::name(tid));
            match self.engine.add(tid) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(_) => self.without_timer.push(tid as u64),
            }
        }
        gone.into_iter().for_each(|tid| self.engine.remove(tid));
    }

    fn drain(&mut self) {
        let keep = &mut self.keep;
        keep.tasks.look();
        self.engine.drain(&mut |taken| keep.sample(&taken));
    }

    fn finish(mut self, settings: &Settings) -> Profile {
        self.engine.stop();
        self.threads.look();
        self.drain();
        let mut profile = self.keep.finish(&self.threads, self.engine.user_mode_only());
        let used = self.threads.used_by_all_but(&self.without_timer).as_secs_f64();
        let share = match self.split {
            Ok(begun) if self.engine.user_mode_only() => {
                Split::now().map_or(1.0, |now| now.user_share_since(&begun))
            }
            _ => 1.0,
        };
        profile.duration =
            Nanos(threads::monotonic()).since(profile.dump.monotonic.unwrap_or_default());
        let by_cpu = used * share * f64::from(settings.rate);
        let expected = self.engine.due().map_or(by_cpu, |due| due as f64);
        profile.delivery.expected = Some(expected);
        profile.delivery.lost = self.engine.lost();
        if self.engine.weighs_evenly() {
            weigh_evenly(&mut profile, expected);
        }
        profile.delivery.without_timer = self.without_timer;
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
    names: HashMap<i32, String>,
    states: HashMap<i32, States>,
    /// Where each thread was last.
    stacks: HashMap<i32, StackId>,
    /// Who waits is in one state for long, and that means nothing.
    keeps_states: bool,
    tasks: Tasked,
    begun: u64,
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
        let name = self.names.get(&taken.tid).map_or("", String::as_str);
        let thread = building.thread(Some(taken.tid as u64), name);
        let (task, weight) = (self.tasks.of(taken.tid), taken.weight);
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
            states.kept.push(capture::Sample { registers, stack_top: top(stack) });
        }
    }

    fn finish(self, threads: &Threads, user_mode_only: bool) -> Profile {
        let mut profile = self.building.profile;
        let modules = self.unwinder.modules();
        profile.dump.modules = modules.list().cloned().collect();
        for frame in &mut profile.dump.frames {
            if let Some((module, offset)) = frame.address.and_then(|at| modules.find(at)) {
                (frame.module, frame.offset) = (Some(module), Some(offset));
            }
        }
        let maps = Maps::read();
        for thread in &mut profile.threads {
            let Some(tid) = thread.os_id.map(|tid| tid as i32) else { continue };
            thread.cpu = threads.used(tid);
            // Of what a leaf function keeps below its stack pointer the kernel copies nothing:
            // states could look alike that are not.
            let states = self.states.get(&tid).filter(|_| !user_mode_only);
            thread.registers = states.and_then(|states| condense(states, &maps));
        }
        profile
    }
}

fn condense(states: &States, maps: &Maps) -> Option<RegisterSamples> {
    let over = Nanos(states.last.saturating_sub(states.first));
    let seen = || recurrence(&states.kept, |address| maps.is_mapped(address));
    (!states.kept.is_empty()).then(|| RegisterSamples { over, ..seen() })
}

fn top(stack: &StackCopy<'_>) -> u64 {
    digest(&stack.bytes[..stack.bytes.len().min(STACK_TOP)])
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
