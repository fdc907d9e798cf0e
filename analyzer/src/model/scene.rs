//! Incidents made by hand, for tests: what a reader would have read, in a notation that can be
//! checked by eye.

use sigquit_dump::{
    Clock, Dump, Frame, Hold, Kind, Location, Lock, LockId, LockKind, Nanos, Notice, NoticeKind,
    OwnerSource, Profile, ProfileBuilder, RegisterSamples, Runtime, Sample, Series, Stack, Symbol,
    Task, Thread, ThreadState, Trace, Wait, WaitFor,
};

use super::{Incident, MemberId, incidents};
use crate::read::Input;

/// One process over some dumps.
pub(crate) struct Scene {
    dumps: Vec<Dump>,
    profiles: Vec<Profile>,
    runtime: Runtime,
}

impl Scene {
    pub fn of(runtime: Runtime) -> Scene {
        Scene { dumps: Vec::new(), profiles: Vec::new(), runtime }
    }

    /// Adds a dump, so many seconds after the start, with its threads.
    pub fn dump(mut self, second: u64, threads: impl FnOnce(&mut Moment)) -> Scene {
        let mut dump =
            Dump { monotonic: Some(Nanos::from_millis(second * 1000)), ..Dump::default() };
        dump.process.runtime = self.runtime;
        dump.process.cpus = Some(2);
        let mut moment = Moment { dump };
        threads(&mut moment);
        self.dumps.push(moment.dump);
        self
    }

    /// A thread is sampled while the dumps are taken: so many samples of each stack.
    pub fn samples(mut self, name: &str, stacks: &[(&[&str], u64)]) -> Scene {
        let incident = "orders-1".to_owned();
        for dump in &mut self.dumps {
            dump.series = Some(Series { incident: incident.clone(), ..Series::default() });
            for thread in dump.threads.iter_mut().filter(|thread| thread.name == name) {
                thread.os_id = Some(7);
            }
        }
        let (incident, clock) = (Some(incident), Clock::Cpu);
        let mut building = ProfileBuilder::new(Profile { incident, clock, ..Profile::default() });
        let thread = building.thread(Some(7), name);
        for &(frames, weight) in stacks {
            let frames: Vec<_> = frames.iter().map(|text| building.frame(frame(text).0)).collect();
            let stack = building.stack(Stack::from(frames));
            building.sample(Sample { thread, task: None, stack, weight, time: Nanos(0) });
        }
        self.profiles.push(building.profile);
        self
    }

    pub fn incident(self) -> Incident {
        let Scene { dumps, profiles, .. } = self;
        let input = Input { dumps, profiles, ..Input::default() };
        incidents(vec![input]).pop().expect("a scene has a dump")
    }
}

/// One dump of a scene.
pub(crate) struct Moment {
    pub dump: Dump,
}

impl Moment {
    /// Adds a runnable thread. Its frames, innermost first: `function:line pc=40 cfa=100`, where
    /// line and addresses may be absent and `a:1 < b:2` says that `a` is inlined into `b`.
    pub fn thread(&mut self, name: &str, frames: &[&str]) -> &mut Thread {
        let (mut stack, mut offsets) = (Vec::new(), Vec::new());
        for text in frames {
            let (frame, frame_address) = frame(text);
            stack.push(self.dump.intern_frame(frame));
            offsets.extend(frame_address.map(|address| address as u32));
        }
        let addresses = !offsets.is_empty() && offsets.len() == stack.len();
        let offsets = if addresses { offsets } else { Vec::new() };
        let stack = Stack { frames: stack, frame_offsets: offsets, truncated: None };
        let stack = self.dump.intern_stack(stack);
        self.dump.threads.push(Thread {
            name: name.into(),
            stack: (!frames.is_empty()).then_some(stack),
            stack_pointer: addresses.then_some(0),
            state: ThreadState::Runnable,
            ..Thread::default()
        });
        self.dump.threads.last_mut().expect("it was just added")
    }

    /// Adds a suspended async task, polled once, a minute ago.
    pub fn task(&mut self, number: u64, name: &str, frames: &[&str]) -> &mut Thread {
        let task = Task {
            polls: 1,
            since_poll: Some(Nanos::from_millis(60_000)),
            trace: Trace::Pending,
            ..Task::default()
        };
        let thread = self.thread(name, frames);
        (thread.kind, thread.number) = (Kind::Task, Some(number));
        thread.task = Some(Box::new(task));
        thread.is(ThreadState::Waiting)
    }

    /// Adds a lock.
    pub fn lock(&mut self, kind: LockKind, address: u64) -> LockId {
        self.dump.add_lock(Lock { kind, address: Some(address), ..Lock::default() })
    }

    /// The runtime says something about threads, given by name.
    pub fn notice(&mut self, kind: NoticeKind, message: &str, threads: &[&str]) {
        let index = |name: &&str| self.dump.threads.iter().position(|one| one.name == **name);
        let threads = threads.iter().filter_map(index).map(|at| at as u32).collect();
        let notice = Notice { kind, message: message.into(), threads, ..Notice::default() };
        self.dump.notices.push(notice);
    }
}

/// What a thread of a scene does.
pub(crate) trait Draw {
    /// It is in that state.
    fn is(&mut self, state: ThreadState) -> &mut Self;
    /// It waits.
    fn waits(&mut self, lock: LockId, wait_for: WaitFor) -> &mut Self;
    /// It owns a lock, as its runtime says.
    fn holds(&mut self, lock: LockId) -> &mut Self;
    /// It owns a lock, as far as can be inferred.
    fn seems_to_hold(&mut self, lock: LockId) -> &mut Self;
}

impl Draw for Thread {
    fn is(&mut self, state: ThreadState) -> &mut Thread {
        self.state = state;
        self
    }

    fn waits(&mut self, lock: LockId, wait_for: WaitFor) -> &mut Thread {
        self.wait = Some(Wait { lock, wait_for });
        self.is(match wait_for {
            WaitFor::Notification => ThreadState::Waiting,
            _ => ThreadState::Blocked,
        })
    }

    fn holds(&mut self, lock: LockId) -> &mut Thread {
        self.holds.push(Hold::new(lock, None, OwnerSource::Runtime));
        self
    }

    fn seems_to_hold(&mut self, lock: LockId) -> &mut Thread {
        self.holds.push(Hold::new(lock, None, OwnerSource::Inferred));
        self
    }
}

fn frame(text: &str) -> (Frame, Option<u64>) {
    let mut frame = Frame::default();
    let mut frame_address = None;
    for word in text.split_whitespace().filter(|&word| word != "<") {
        let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
        if let Some(pc) = word.strip_prefix("pc=") {
            frame.address = hexadecimal(pc);
        } else if let Some(cfa) = word.strip_prefix("cfa=") {
            frame_address = hexadecimal(cfa);
        } else {
            frame.symbols.push(symbol(word));
        }
    }
    if let Some((_, inlined)) = frame.symbols.split_last_mut() {
        inlined.iter_mut().for_each(|symbol| symbol.inlined = true);
    }
    (frame, frame_address)
}

fn symbol(word: &str) -> Symbol {
    match word.rsplit_once(':').map(|(function, line)| (function, line.parse::<u32>())) {
        Some((function, Ok(line))) => Symbol {
            location: Some(Location { line: Some(line), ..Location::default() }),
            ..Symbol::function(function)
        },
        _ => Symbol::function(word),
    }
}

/// What a look at the registers of a loop shows that comes by in the same states.
pub(crate) fn recurring(cycling_pointers: u32) -> RegisterSamples {
    RegisterSamples {
        samples: 400,
        distinct_pcs: 3,
        distinct_states: if cycling_pointers == 0 { 3 } else { 9 },
        recurring: 398,
        cycling_pointers,
        at_modal_pc: 200,
        over: Nanos::from_millis(400),
        control: None,
    }
}

/// The same of work that comes by in ever new states.
pub(crate) fn progressing() -> RegisterSamples {
    RegisterSamples {
        samples: 400,
        distinct_pcs: 90,
        distinct_states: 400,
        recurring: 0,
        cycling_pointers: 0,
        at_modal_pc: 30,
        over: Nanos::from_millis(400),
        control: None,
    }
}

impl Incident {
    /// The member of that name.
    pub(crate) fn named(&self, name: &str) -> MemberId {
        self.ids().find(|&id| self.member(id).name == name).expect("the scene has that thread")
    }

    /// The names of members, sorted.
    pub(crate) fn names(&self, members: &[MemberId]) -> Vec<&str> {
        let mut names: Vec<&str> =
            members.iter().map(|&id| self.member(id).name.as_str()).collect();
        names.sort_unstable();
        names
    }
}
