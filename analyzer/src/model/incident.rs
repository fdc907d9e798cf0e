//! The incident: the dumps of one process in time order.

use std::collections::HashMap;

use sigquit_dump::{Dump, Frame, Kind, Nanos, Process, Runtime, Stack, StackId, Symbol, Thread};

use super::call::{Call, CallId, normalize};
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
    /// Every thread of control that was seen, once.
    pub members: Vec<Member>,
    calls: Vec<Call>,
    /// For each dump and each of its stacks: the calls, innermost first, each with its frame's
    /// place in the stack.
    stacks: Vec<Vec<Vec<(CallId, u32)>>>,
}

/// The number of a member within its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// One thread of control over the dumps in which it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What kind it is.
    pub kind: Kind,
    /// Its id in reports: a JVM thread's name as printed, a goroutine's or task's number, an OS
    /// thread's tid.
    pub id: String,
    /// Its name; may be empty.
    pub name: String,
    /// For each dump, its index among the dump's threads.
    pub seen: Vec<Option<usize>>,
}

impl Incident {
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
        self.ids().find(|&id| self.member(id).seen[dump] == Some(thread))
    }

    /// The call with that number.
    pub fn call(&self, id: CallId) -> &Call {
        &self.calls[id.0 as usize]
    }

    /// A member's calls in one dump, innermost first, inlined ones included.
    pub fn calls(&self, id: MemberId, dump: usize) -> impl Iterator<Item = &Call> {
        self.call_ids(id, dump).iter().map(|&(call, _)| self.call(call))
    }

    /// The same by number, each with the place in the stack of the frame that it belongs to.
    pub fn call_ids(&self, id: MemberId, dump: usize) -> &[(CallId, u32)] {
        let stack = self.thread(id, dump).and_then(|thread| thread.stack);
        stack.map_or(&[], |stack| self.calls_of_stack(dump, stack))
    }

    /// The calls on one stack of one dump.
    pub(super) fn calls_of_stack(&self, dump: usize, stack: StackId) -> &[(CallId, u32)] {
        let stacks = self.stacks.get(dump);
        stacks.and_then(|stacks| stacks.get(stack.0 as usize)).map_or(&[], Vec::as_slice)
    }

    /// CPU time that a member used between the first and the last dump that say so, and the
    /// time between these.
    pub fn cpu_used(&self, id: MemberId) -> Option<(Nanos, Nanos)> {
        let mut told =
            (0..self.dumps.len()).filter_map(|dump| Some((dump, self.thread(id, dump)?.cpu?)));
        let (first, before) = told.next()?;
        let (last, after) = told.last()?;
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
    let mut incidents: Vec<(ProcessKey, Incident)> = Vec::new();
    for (index, input) in inputs.into_iter().enumerate() {
        for dump in input.dumps {
            let key = ProcessKey::of(&dump);
            let place = match incidents.iter().position(|(known, _)| *known == key) {
                Some(place) => place,
                None => {
                    incidents.push((key, Incident::default()));
                    incidents.len() - 1
                }
            };
            incidents[place].1.dumps.push(dump);
            incidents[place].1.inputs.push(index);
        }
    }
    (1..).zip(incidents).map(|(number, (_, incident))| finish(number, incident)).collect()
}

/// What tells processes apart.
#[derive(PartialEq)]
struct ProcessKey {
    runtime: Runtime,
    pid: Option<u64>,
    host: Option<String>,
    started: Option<Nanos>,
}

impl ProcessKey {
    fn of(dump: &Dump) -> ProcessKey {
        let process = &dump.process;
        ProcessKey {
            runtime: process.runtime,
            pid: process.pid,
            host: process.host.clone(),
            started: process.started,
        }
    }
}

fn finish(number: usize, mut incident: Incident) -> Incident {
    incident.id = format!("p{number}");
    let mut order: Vec<usize> = (0..incident.dumps.len()).collect();
    order.sort_by_key(|&at| (incident.dumps[at].monotonic, incident.dumps[at].time, at));
    let mut dumps: Vec<Option<Dump>> = incident.dumps.drain(..).map(Some).collect();
    incident.dumps = order.iter().filter_map(|&at| dumps[at].take()).collect();
    incident.inputs = order.iter().map(|&at| incident.inputs[at]).collect();
    if let Some(newest) = incident.dumps.last() {
        incident.process = newest.process.clone();
    }
    intern_calls(&mut incident);
    find_members(&mut incident);
    incident
}

fn find_members(incident: &mut Incident) {
    let dumps = incident.dumps.len();
    let mut known: HashMap<(Kind, Option<u64>, Option<u64>, String), usize> = HashMap::new();
    for (at, dump) in incident.dumps.iter().enumerate() {
        for (index, thread) in dump.threads.iter().enumerate() {
            let key = (thread.kind, thread.number, thread.os_id, thread.name.clone());
            let place = *known.entry(key).or_insert_with(|| {
                incident.members.push(Member {
                    kind: thread.kind,
                    id: member_id(dump.process.runtime, thread),
                    name: thread.name.clone(),
                    seen: vec![None; dumps],
                });
                incident.members.len() - 1
            });
            incident.members[place].seen[at].get_or_insert(index);
        }
    }
}

fn member_id(runtime: Runtime, thread: &Thread) -> String {
    let number = match thread.kind {
        Kind::Thread if runtime == Runtime::Jvm => None,
        Kind::Thread => thread.os_id.or(thread.number),
        _ => thread.number,
    };
    number.map_or_else(|| thread.name.clone(), |number| number.to_string())
}

fn intern_calls(incident: &mut Incident) {
    let mut known: HashMap<Call, CallId> = HashMap::new();
    for dump in &incident.dumps {
        let mut stacks = Vec::with_capacity(dump.stacks.len());
        for stack in &dump.stacks {
            stacks.push(calls_of(dump, stack, &mut known, &mut incident.calls));
        }
        incident.stacks.push(stacks);
    }
}

fn calls_of(
    dump: &Dump,
    stack: &Stack,
    known: &mut HashMap<Call, CallId>,
    calls: &mut Vec<Call>,
) -> Vec<(CallId, u32)> {
    let mut ids = Vec::with_capacity(stack.frames.len());
    for (depth, &frame) in (0..).zip(&stack.frames) {
        for call in frame_calls(dump, dump.frame(frame)) {
            let id = *known.entry(call).or_insert_with_key(|call| {
                calls.push(call.clone());
                CallId(calls.len() as u32 - 1)
            });
            ids.push((id, depth));
        }
    }
    ids
}

fn frame_calls(dump: &Dump, frame: &Frame) -> Vec<Call> {
    if frame.symbols.is_empty() {
        return vec![nameless(dump, frame)];
    }
    let call = |symbol: &Symbol| Call {
        function: normalize(symbol),
        printed: symbol.function.clone(),
        location: symbol.location.clone(),
        inlined: symbol.inlined,
    };
    frame.symbols.iter().map(call).collect()
}

/// A frame without a name is called by its binary and the offset in it: `libfoo.so+0x1a2b`.
fn nameless(dump: &Dump, frame: &Frame) -> Call {
    let module = frame.module.and_then(|id| dump.modules.get(id.0 as usize));
    let file = module.map_or("?", |module| module.path.rsplit('/').next().unwrap_or("?"));
    let offset = frame.offset.or(frame.address).unwrap_or(0);
    let name = format!("{file}+{offset:#x}");
    Call { function: name.clone(), printed: name, location: None, inlined: false }
}
