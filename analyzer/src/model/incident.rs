//! The incident: the dumps of one process in time order.

use std::collections::HashMap;
use std::sync::OnceLock;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use sigquit_dump::{
    Dump, Frame, Kind, Nanos, Process, Profile, Stack, StackId, Symbol, Thread, ThreadState,
    WaitFor,
};
use smallvec::SmallVec;

use super::activity::{self, Activity};
use super::asker;
use super::call::{Call, CallId, Origin};
use super::doubt;
use super::hand_run;
use super::idle::{self, Idle, Marks};
use super::kin::are_kin;
use super::known::find_members;
use super::maker;
use super::name::FunctionName;
use super::native_wait;
use super::normalize::normalize;
use super::origin::origin;
use super::owner::{self, Stacks};
use super::peer;
use super::rule::{self, FrameOf, Rules};
use super::samples::Samples;
use super::sorts::Sorts;
use super::statement::beneath_raising;
use super::superclass;
use super::usage::{self, Shares};
use super::wait_for::WaitForGraph;
use crate::read::Input;

/// The dumps of one process, in time order.
#[derive(Debug, Default)]
pub struct Incident {
    /// Names it in reports: `p1`, `p2`, ...
    pub id: String,
    /// The process, by its newest dump.
    pub process: Process,
    /// Its dumps, oldest first.
    pub dumps: Vec<Dump>,
    /// For each dump, the index of the input that it came from.
    pub inputs: Vec<usize>,
    /// Samples of the same process, taken beside the dumps; or instead of them, and then the one
    /// dump shows nobody.
    profile: Option<Profile>,
    /// The same from before the incident, as an incident of nothing but samples: no evidence, but
    /// something to compare with.
    before: Option<Box<Incident>>,
    /// Every thread of control that was seen, once.
    pub members: Vec<Member>,
    /// For each dump: what a table beside it says of its threads' shares of a CPU.
    pub(super) shares: Vec<Shares>,
    pub(super) calls: Vec<Call>,
    /// For each call: what the rules of idleness say of it.
    marks: Vec<Marks>,
    /// For each dump and each of its stacks: the calls, innermost first, each with its frame's
    /// place in the stack. Those of the profile come last.
    stacks: Vec<Vec<Vec<(CallId, u32)>>>,
    /// For each dump and each of its threads: its stack. It is asked for again and again, and found
    /// here sooner than at the thread, of which so much more is known.
    stack_of: Vec<Vec<Option<StackId>>>,
    /// For each dump whether it shows async tasks.
    pub(super) has_tasks: Vec<bool>,
    /// For each dump and each of its threads: the member that it is.
    pub(super) member_of: Vec<Vec<MemberId>>,
    /// For each dump: who waits for whom.
    wait_for: Vec<WaitForGraph>,
    /// For each dump: its threads by their sort.
    sorts: Vec<Sorts>,
    /// For each dump: who is idle.
    idle: Vec<Idleness>,
    /// For each dump and each of its threads: what it is doing.
    activities: Vec<Vec<Activity>>,
    /// Whether nothing moves; several detectors ask.
    pub(super) still: OnceLock<bool>,
}

/// Who is idle in one dump: asked for often, so found once.
#[derive(Debug)]
struct Idleness {
    /// For each thread why it is idle, when it is.
    of_thread: Vec<Option<Idle>>,
    /// How many are not idle.
    busy: usize,
}

/// The number of a member within its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// Kind, stack, state, wait and creator of a thread.
pub type Sort = (Kind, Option<StackId>, ThreadState, Option<WaitFor>, Option<StackId>);

/// One thread of control over the dumps in which it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What kind it is.
    pub kind: Kind,
    /// Its id in reports: a JVM thread's name as printed, a goroutine's or task's number, an OS
    /// thread's tid.
    pub id: CompactString,
    /// Its name; may be empty.
    pub name: CompactString,
    /// For each dump, its index among the dump's threads. Most incidents with many members have one
    /// dump.
    pub seen: SmallVec<[Option<usize>; 1]>,
}

impl Incident {
    /// The samples that were taken beside the dumps, or instead of them.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// The samples from before the incident, as an incident of their own.
    pub fn before(&self) -> Option<&Incident> {
        self.before.as_deref()
    }

    /// Whether nothing but samples was taken.
    pub fn is_only_a_profile(&self) -> bool {
        self.profile.is_some() && self.members.is_empty()
    }

    /// Where the samples fell.
    pub fn samples(&self) -> Option<Samples> {
        self.profile.as_ref().map(|profile| Samples::of(self, profile, |_| true))
    }

    /// Every member's number.
    pub fn ids(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.members.len() as u32).map(MemberId)
    }

    /// The member with that number.
    pub fn member(&self, id: MemberId) -> &Member {
        &self.members[id.0 as usize]
    }

    /// A member as one dump shows it.
    pub fn thread(&self, id: MemberId, dump: usize) -> Option<&Thread> {
        let index = (*self.member(id).seen.get(dump)?)?;
        self.dumps[dump].threads.get(index)
    }

    /// Whether every dump shows the member.
    pub fn in_all_dumps(&self, id: MemberId) -> bool {
        self.member(id).seen.iter().all(Option::is_some)
    }

    /// The member that is a dump's thread of that index.
    pub fn member_of(&self, dump: usize, thread: usize) -> Option<MemberId> {
        self.member_of.get(dump)?.get(thread).copied()
    }

    /// Who waits for whom in one dump. It speaks of threads by their index in the dump; see
    /// [`Incident::member_of`].
    pub fn wait_for(&self, dump: usize) -> &WaitForGraph {
        &self.wait_for[dump]
    }

    /// The threads of one dump by their sort.
    pub fn sorts(&self, dump: usize) -> &Sorts {
        &self.sorts[dump]
    }

    /// For each thread of one dump why it is idle, when it is.
    pub fn idle_threads(&self, dump: usize) -> &[Option<Idle>] {
        &self.idle[dump].of_thread
    }

    /// Why a member is idle in one dump, when it is. The idle are never evidence.
    pub fn idle(&self, id: MemberId, dump: usize) -> Option<Idle> {
        let thread = (*self.member(id).seen.get(dump)?)?;
        self.idle.get(dump)?.of_thread[thread]
    }

    fn find_idle(&self, rules: &Rules, id: MemberId, dump: usize) -> Option<Idle> {
        if self.task(id, dump).is_some() {
            return self.task_wait(id, dump)?.idle();
        }
        let marks = self.call_ids(id, dump).iter().map(|&(call, _)| self.marks[call.0 as usize]);
        idle::idle(rules, self.process.runtime, self.thread(id, dump)?, marks)
    }

    /// Whether a member is idle in every dump that shows it.
    pub fn always_idle(&self, id: MemberId) -> bool {
        let mut seen = (0..self.dumps.len()).filter(|&dump| self.thread(id, dump).is_some());
        seen.all(|dump| self.idle(id, dump).is_some())
    }

    /// How many members a dump shows that are not idle: those of whom a share can be said.
    pub fn busy(&self, dump: usize) -> usize {
        self.idle[dump].busy
    }

    /// What a member is doing in one dump.
    pub fn activity(&self, id: MemberId, dump: usize) -> Activity {
        let thread = self.member(id).seen.get(dump).copied().flatten();
        thread.map_or(Activity::Unknown, |thread| self.activities[dump][thread])
    }

    fn find_activity(&self, id: MemberId, dump: usize) -> Activity {
        if let Some(wait) = self.task_wait(id, dump) {
            return wait.activity();
        }
        self.thread(id, dump).map_or(Activity::Unknown, |thread| {
            activity::activity(self.process.runtime, thread, self.calls(id, dump))
        })
    }

    /// What is found of each thread of a dump, where that is the same for all of a sort: one of each is
    /// looked at. Of a task more is known than its sort.
    fn by_sort<'a, T: Copy + 'a>(
        &'a self,
        dump: usize,
        find: impl Fn(MemberId) -> T + 'a,
    ) -> impl Fn(usize) -> T + 'a {
        let (sorts, members) = (&self.sorts[dump], &self.member_of[dump]);
        let threads = &self.dumps[dump].threads;
        let of_first = |&first: &u32| {
            let is_task = threads[first as usize].task.is_some();
            (!is_task).then(|| find(members[first as usize]))
        };
        let of_sort: Vec<Option<T>> = sorts.firsts.iter().map(of_first).collect();
        move |thread| {
            let found = of_sort[sorts.of_thread[thread] as usize];
            found.unwrap_or_else(|| find(members[thread]))
        }
    }

    /// Everyone whom a dump shows and of whom something is found, in ascending order. It has to be the same for all
    /// of a sort: told from stack, state and its words, not from names, numbers or locks.
    pub fn found<'a, T: Copy + 'a>(
        &'a self,
        dump: usize,
        find: impl Fn(MemberId) -> Option<T> + 'a,
    ) -> impl Iterator<Item = (MemberId, T)> + 'a {
        let found = self.by_sort(dump, find);
        self.shown(dump).filter_map(move |id| Some((id, found(self.member(id).seen[dump]?)?)))
    }

    /// A member's calls in one dump that are the program's own code, innermost first.
    pub fn application_calls(&self, id: MemberId, dump: usize) -> impl Iterator<Item = &Call> {
        self.calls(id, dump).filter(|call| call.origin == Origin::Application)
    }

    /// Whether a member is inside of a function.
    pub fn is_inside(&self, id: MemberId, dump: usize, function: &str) -> bool {
        self.calls(id, dump).any(|call| call.function == function)
    }

    /// Whether a member is in the program's own code of a type, or of a module, that is asked for.
    pub fn is_in_code_of(&self, id: MemberId, dump: usize, is_it: impl Fn(&str) -> bool) -> bool {
        let mut own = self.application_calls(id, dump);
        own.any(|call| is_it(FunctionName::of(&call.function).owner))
    }

    /// The call with that number.
    pub fn call(&self, id: CallId) -> &Call {
        &self.calls[id.0 as usize]
    }

    /// The calls of a failing member from where it failed outwards, without those that raised
    /// and reported it.
    pub fn raised_in(&self, id: MemberId, dump: usize) -> Vec<&Call> {
        beneath_raising(self.calls(id, dump)).collect()
    }

    /// The same of a stack that a runtime's statement shows.
    pub fn raised_in_stack(&self, dump: usize, stack: StackId) -> Vec<&Call> {
        let calls = self.calls_of_stack(dump, stack).iter().map(|&(call, _)| self.call(call));
        beneath_raising(calls).collect()
    }

    /// What the rules say of each call of a member in one dump, innermost first.
    pub(super) fn marks(&self, id: MemberId, dump: usize) -> impl Iterator<Item = Marks> {
        self.call_ids(id, dump).iter().map(|&(call, _)| self.marks[call.0 as usize])
    }

    /// What makes members of one dump alike in all that is told from stack and state: detectors
    /// that look at everyone look once at each sort.
    pub fn sort(&self, id: MemberId, dump: usize) -> Option<Sort> {
        let thread = self.thread(id, dump)?;
        let waits = thread.wait.as_ref().map(|wait| wait.wait_for);
        Some((thread.kind, thread.stack, thread.state, waits, thread.created_by))
    }

    /// What the rules say of each call, in the order of its number.
    pub(super) fn all_marks(&self) -> &[Marks] {
        &self.marks
    }

    /// Every call, in the order of its number.
    pub(super) fn all_calls(&self) -> &[Call] {
        &self.calls
    }

    /// Everyone whom a dump shows, in ascending order.
    pub fn shown(&self, dump: usize) -> impl Iterator<Item = MemberId> {
        self.ids().filter(move |&id| self.member(id).seen[dump].is_some())
    }

    /// A member's calls in one dump, innermost first, inlined ones included.
    pub fn calls(
        &self,
        id: MemberId,
        dump: usize,
    ) -> impl DoubleEndedIterator<Item = &Call> + ExactSizeIterator + Clone {
        self.call_ids(id, dump).iter().map(|&(call, _)| self.call(call))
    }

    /// The same by number, each with the place in the stack of the frame that it belongs to.
    pub fn call_ids(&self, id: MemberId, dump: usize) -> &[(CallId, u32)] {
        self.stack_id(id, dump).map_or(&[], |stack| self.calls_of_stack(dump, stack))
    }

    /// The stack of a member in a dump: many may share one.
    pub fn stack_id(&self, id: MemberId, dump: usize) -> Option<StackId> {
        let thread = self.member(id).seen.get(dump).copied().flatten()?;
        self.stack_of.get(dump)?[thread]
    }

    /// The calls on one stack of one dump.
    pub fn calls_of_stack(&self, dump: usize, stack: StackId) -> &[(CallId, u32)] {
        let stacks = self.stacks.get(dump);
        stacks.and_then(|stacks| stacks.get(stack.0 as usize)).map_or(&[], Vec::as_slice)
    }

    /// The calls on one stack of the profile.
    pub(super) fn sampled_calls(&self, stack: StackId) -> &[(CallId, u32)] {
        self.calls_of_stack(self.dumps.len(), stack)
    }

    /// CPU time that a member used between the first and the last dump that say so, and the
    /// time between these.
    pub fn cpu_used(&self, id: MemberId) -> Option<(Nanos, Nanos)> {
        let mut told =
            (0..self.dumps.len()).filter_map(|dump| Some((dump, self.thread(id, dump)?.cpu?)));
        let (first, before) = told.next()?;
        let (last, after) = told.next_back()?;
        Some((after.since(before), self.between(first, last, id)?))
    }

    /// The time between two dumps, by the best clock that both have.
    pub(super) fn between(&self, first: usize, last: usize, id: MemberId) -> Option<Nanos> {
        let elapsed = |dump: usize| self.thread(id, dump).and_then(|thread| thread.elapsed);
        let clock = |pick: fn(&Dump) -> Option<Nanos>| {
            Some(pick(&self.dumps[last])?.since(pick(&self.dumps[first])?))
        };
        clock(|dump| dump.monotonic)
            .or_else(|| Some(elapsed(last)?.since(elapsed(first)?)))
            .or_else(|| clock(|dump| dump.time))
    }
}

/// Sorts dumps into incidents, one a process, each in time order.
pub fn incidents(inputs: Vec<Input>) -> Vec<Incident> {
    incidents_by(rule::none(), inputs)
}

/// The same, by the user's own rules too.
pub fn incidents_by(rules: &Rules, inputs: Vec<Input>) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    let mut profiles = Vec::new();
    let mut usages = Vec::new();
    for (index, input) in inputs.into_iter().enumerate() {
        for dump in input.dumps {
            let of_process =
                |known: &Incident| known.dumps.last().is_some_and(|last| are_kin(last, &dump));
            let place = incidents.iter().position(of_process).unwrap_or_else(|| {
                incidents.push(Incident::default());
                incidents.len() - 1
            });
            incidents[place].dumps.push(dump);
            incidents[place].inputs.push(index);
        }
        profiles.extend(input.profiles.into_iter().map(|profile| (index, profile)));
        usages.extend(input.usages.into_iter().map(|usage| (index, usage)));
    }
    for (index, profile) in profiles {
        let beside = incidents.iter_mut().find(|incident| is_of(&profile, incident));
        match beside {
            Some(incident) if profile.before => {
                incident.before = Some(Box::new(finish(rules, 0, alone(index, profile))));
            }
            Some(incident) => incident.profile = Some(profile),
            None => incidents.push(alone(index, profile)),
        }
    }
    let numbered = (1..).zip(incidents);
    let mut incidents: Vec<_> = numbered.map(|(number, one)| finish(rules, number, one)).collect();
    usage::join(&mut incidents, &usages);
    incidents
}

/// Whether a profile was taken before the dumps of an incident, or beside those of one that has
/// none yet.
fn is_of(profile: &Profile, incident: &Incident) -> bool {
    let name = |dump: &Dump| dump.series.as_ref().map(|series| series.incident.clone());
    profile.incident.is_some()
        && (profile.before || incident.profile.is_none())
        && incident.dumps.iter().any(|dump| name(dump) == profile.incident)
}

/// An incident of which there is nothing but samples.
fn alone(index: usize, profile: Profile) -> Incident {
    let Dump { time, monotonic, process, truncated, .. } = &profile.dump;
    let dump = Dump {
        time: *time,
        monotonic: *monotonic,
        process: process.clone(),
        truncated: *truncated,
        ..Dump::default()
    };
    Incident {
        dumps: vec![dump],
        inputs: vec![index],
        profile: Some(profile),
        ..Incident::default()
    }
}

fn finish(rules: &Rules, number: usize, mut incident: Incident) -> Incident {
    incident.id = format!("p{number}");
    let mut order: Vec<usize> = (0..incident.dumps.len()).collect();
    order.sort_by_key(|&at| (incident.dumps[at].monotonic, incident.dumps[at].time, at));
    let mut dumps: Vec<Option<Dump>> = incident.dumps.drain(..).map(Some).collect();
    incident.dumps = order.iter().filter_map(|&at| dumps[at].take()).collect();
    incident.inputs = order.iter().map(|&at| incident.inputs[at]).collect();
    incident.shares = vec![Shares::new(); incident.dumps.len()];
    if let Some(newest) = incident.dumps.last() {
        incident.process = newest.process.clone();
    }
    asker::set_aside(&mut incident);
    intern_calls(rules, &mut incident);
    recognize_waits(rules, &mut incident);
    find_members(&mut incident);
    doubt::take_back(&mut incident);
    maker::infer(&mut incident);
    superclass::infer(&mut incident);
    hand_run::infer(&mut incident);
    incident.wait_for = incident.dumps.iter().map(WaitForGraph::new).collect();
    let sorts = |dump| Sorts::of(rules, incident.process.runtime, dump);
    incident.sorts = incident.dumps.iter().map(sorts).collect();
    let dumps = 0..incident.dumps.len();
    incident.idle = dumps.clone().map(|dump| Idleness::of(rules, &incident, dump)).collect();
    let activities = |dump: usize| {
        let find = incident.by_sort(dump, |member| incident.find_activity(member, dump));
        (0..incident.dumps[dump].threads.len()).map(find).collect()
    };
    incident.activities = dumps.map(activities).collect();
    incident
}

impl Idleness {
    fn of(rules: &Rules, incident: &Incident, dump: usize) -> Idleness {
        let find = incident.by_sort(dump, |member| incident.find_idle(rules, member, dump));
        let of_thread: Vec<_> = (0..incident.dumps[dump].threads.len()).map(find).collect();
        let busy = of_thread.iter().filter(|idle| idle.is_none()).count();
        Idleness { of_thread, busy }
    }
}

fn recognize_waits(rules: &Rules, incident: &mut Incident) {
    let Incident { dumps, stacks, calls, marks, stack_of, has_tasks, .. } = incident;
    for (dump, stacks) in dumps.iter_mut().zip(&*stacks) {
        // All threads are gone through once for all that follows: with many that is most of the
        // work.
        let of_thread: Vec<_> = dump.threads.iter().map(|thread| thread.stack).collect();
        let threads = dump.threads.iter().enumerate();
        let waiting: Vec<_> =
            threads.filter(|(_, thread)| thread.wait.is_some()).map(|(index, _)| index).collect();
        native_wait::recognize(dump, &waiting, |thread| {
            let stack = of_thread[thread].and_then(|stack| stacks.get(stack.0 as usize));
            let ids = stack.map_or(&[][..], Vec::as_slice);
            ids.iter().map(|&(call, _)| &calls[call.0 as usize])
        });
        let stacks =
            Stacks { stacks, of_thread: &of_thread, waiting: &waiting, calls, marks, rules };
        owner::infer(dump, stacks);
        has_tasks.push(dump.threads.iter().any(|thread| thread.task.is_some()));
        stack_of.push(of_thread);
    }
}

fn intern_calls(rules: &Rules, incident: &mut Incident) {
    let mut known: HashMap<Call, CallId, RandomState> = HashMap::default();
    let sampled = incident.profile.as_ref().map(|profile| &profile.dump);
    for dump in incident.dumps.iter().chain(sampled) {
        let mut number = |call: Call| {
            *known.entry(call).or_insert_with_key(|call| {
                incident.calls.push(call.clone());
                CallId(incident.calls.len() as u32 - 1)
            })
        };
        // A frame is on many stacks.
        let of_frame: Vec<Vec<CallId>> = dump
            .frames
            .iter()
            .map(|frame| frame_calls(rules, dump, frame).into_iter().map(&mut number).collect())
            .collect();
        let calls_of = |stack: &Stack| -> Vec<(CallId, u32)> {
            let frames = (0..).zip(&stack.frames);
            let calls = frames.map(|(depth, &frame)| (depth, &of_frame[frame.0 as usize]));
            calls.flat_map(|(depth, calls)| calls.iter().map(move |&call| (call, depth))).collect()
        };
        incident.stacks.push(dump.stacks.iter().map(calls_of).collect());
    }
    incident.marks = incident.calls.iter().map(Marks::of).collect();
    for call in peer::of_those_who_connect(incident) {
        incident.marks[call].asks = true;
    }
}

fn frame_calls(rules: &Rules, dump: &Dump, frame: &Frame) -> Vec<Call> {
    if frame.symbols.is_empty() {
        return vec![nameless(rules, dump, frame)];
    }
    let runtime = dump.process.runtime;
    let module = module_path(dump, frame);
    let call = |symbol: &Symbol| {
        let file = symbol.location.as_ref().map(|location| location.file.as_str());
        let was = normalize(runtime, &symbol.function);
        let of = FrameOf { function: &was, was: None, module, file };
        let renamed = rules.renamed(runtime, of);
        let seen = FrameOf {
            function: renamed.as_ref().unwrap_or(&was),
            was: renamed.as_ref().map(|_| was.as_str()),
            ..of
        };
        let own = rules.own_origin(runtime, seen);
        let origin = own.unwrap_or_else(|| origin(runtime, seen));
        Call {
            origin,
            ruled: rules.of_frame(runtime, seen, origin),
            function: renamed.unwrap_or(was),
            printed: symbol.function.clone(),
            location: symbol.location.clone(),
            inlined: symbol.inlined,
        }
    };
    frame.symbols.iter().map(call).collect()
}

/// The path of the binary that a frame is in, as far as that is known.
fn module_path<'d>(dump: &'d Dump, frame: &Frame) -> Option<&'d str> {
    let module = dump.modules.get(frame.module?.0 as usize)?;
    Some(&module.path)
}

/// A frame without a name is called by its binary and the offset in it: `libfoo.so+0x1a2b`.
fn nameless(rules: &Rules, dump: &Dump, frame: &Frame) -> Call {
    let module = module_path(dump, frame);
    let file = module.map_or("?", |path| path.rsplit('/').next().unwrap_or("?"));
    let offset = frame.offset.or(frame.address).unwrap_or(0);
    let printed = format!("{file}+{offset:#x}");
    let runtime = dump.process.runtime;
    let of = |function| FrameOf { function, module, ..FrameOf::default() };
    let function = rules.renamed(runtime, of(&printed)).unwrap_or_else(|| printed.clone());
    let own = rules.own_origin(runtime, of(&function));
    let origin = own.unwrap_or_else(|| nameless_origin(dump, module));
    Call {
        origin,
        ruled: rules.of_frame(runtime, of(&function), origin),
        function,
        printed,
        location: None,
        inlined: false,
    }
}

/// Only the executable holds the program's own code, as far as a file name tells.
fn nameless_origin(dump: &Dump, module: Option<&str>) -> Origin {
    match (module, &dump.process.executable) {
        (Some(module), Some(executable)) if module == executable => Origin::Application,
        _ => Origin::Runtime,
    }
}
