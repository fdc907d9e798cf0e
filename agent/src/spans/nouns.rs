//! What was seen of the spans -> threads and locks of a dump.

use std::collections::HashMap;

use sigquit_dump::{
    Dump, Kind, Location, Lock, LockId, LockKind, Owner, OwnerSource, Spawn, SpawnId, Thread,
    ThreadState, Wait, WaitFor,
};

use super::fields::Place;
use super::seen::{SeenSpans, SeenTask};
use super::store::{Op, Resource};
use crate::task::{Known, clock};

/// Adds to a dump, after its threads, the tasks of which the spans alone tell, and the locks that
/// somebody waits for. Returns what the spans tell of the tasks that are tracked as well, by their
/// places among these; `tracked` are the numbers by which tokio knows them. They follow the dump's
/// own threads in the file.
pub(crate) fn add(
    dump: &mut Dump,
    layers: &[SeenSpans],
    tracked: impl Iterator<Item = Option<u64>>,
) -> HashMap<usize, Known> {
    let tracked: HashMap<u64, usize> =
        (0..).zip(tracked).filter_map(|(place, id)| Some((id?, place))).collect();
    let places: Vec<Places> = layers.iter().map(|seen| add_tasks(dump, seen, &tracked)).collect();
    let mut known = HashMap::new();
    for (seen, places) in layers.iter().zip(&places) {
        let first_tracked = dump.threads.len();
        let mut adding = Adding { seen, places, first_tracked, dump, locks: HashMap::new() };
        adding.waits(&mut known);
        adding.owners();
    }
    known
}

/// Where the tasks of one layer stand, by their spans.
type Places = HashMap<u64, Standing>;

/// Where a task stands.
#[derive(Clone, Copy)]
enum Standing {
    /// Among the dump's own threads.
    Own(usize),
    /// Among the tasks that are tracked.
    Tracked(usize),
}

/// Adds the tasks that nobody tracks.
fn add_tasks(dump: &mut Dump, seen: &SeenSpans, tracked: &HashMap<u64, usize>) -> Places {
    let mut spawns = HashMap::new();
    let mut carried = HashMap::new();
    let mut places = Places::new();
    for task in &seen.tasks {
        let standing = match tracked.get(&task.task.runtime_id) {
            Some(&place) => Standing::Tracked(place),
            None => {
                let spawn = task.task.place.map(|place| add_spawn(dump, place, &mut spawns));
                dump.threads.push(thread(task, spawn));
                Standing::Own(dump.threads.len() - 1)
            }
        };
        if let (Standing::Own(_), Some(tid), true) = (standing, task.runs_on, task.is_carried) {
            carried.insert(u64::from(tid), task.task.number);
        }
        places.insert(task.span, standing);
    }
    for thread in dump.threads.iter_mut().filter(|thread| thread.kind == Kind::Thread) {
        let carries = thread.os_id.and_then(|tid| carried.get(&tid).copied());
        thread.carries = thread.carries.or(carries);
    }
    places
}

fn add_spawn(dump: &mut Dump, place: Place, spawns: &mut HashMap<Place, SpawnId>) -> SpawnId {
    *spawns.entry(place).or_insert_with(|| {
        dump.add_spawn(Spawn { location: Some(location(place)), ..Spawn::default() })
    })
}

/// What the spans of one layer tell, on its way into the dump.
struct Adding<'a> {
    seen: &'a SeenSpans,
    places: &'a Places,
    /// The number, among the threads of the file, of the first task that is tracked.
    first_tracked: usize,
    dump: &'a mut Dump,
    /// The locks that somebody waits for, by their spans.
    locks: HashMap<u64, LockId>,
}

impl Adding<'_> {
    fn waits(&mut self, known: &mut HashMap<usize, Known>) {
        let seen = self.seen;
        for task in &seen.tasks {
            let awake = task.task.is_woken;
            let words: Vec<String> = task.waits.iter().map(|op| self.words(op)).collect();
            let told = Known {
                name: name(task),
                state_text: if awake { String::new() } else { words.join(", ") },
                wait: if awake { None } else { self.wait(task) },
            };
            match self.places[&task.span] {
                Standing::Own(at) => {
                    let thread = &mut self.dump.threads[at];
                    (thread.name, thread.state_text, thread.wait) =
                        (told.name, told.state_text, told.wait);
                }
                Standing::Tracked(place) => drop(known.insert(place, told)),
            }
        }
    }

    /// In tokio's words: the call, and where what it waits for was made.
    fn words(&self, op: &Op) -> String {
        let resource = op.resource.and_then(|resource| self.seen.resources.get(&resource));
        match resource.and_then(|resource| resource.place) {
            Some(Place { file, line, column }) => {
                format!("{} ({file}:{line}:{column})", op.source)
            }
            None => op.source.to_owned(),
        }
    }

    /// What holds a task up: the lock before what others are to tell it.
    ///
    /// A task that waits at once for something else that is no timer may go on without the lock,
    /// if it selects; and one that holds the lock itself waits in one branch for another branch
    /// that goes its own way. Neither is said to need the owner to leave.
    fn wait(&mut self, task: &SeenTask) -> Option<Wait> {
        let waits = task.waits.iter().filter_map(|op| {
            let span = op.resource?;
            let resource = self.seen.resources.get(&span)?;
            let wait_for = wait_for(op, resource)?;
            Some((span, resource, wait_for))
        });
        let mut waits: Vec<(u64, &Resource, WaitFor)> = waits.collect();
        waits.sort_by_key(|&(span, _, wait_for)| (wait_for, span));
        let &(span, resource, mut wait_for) = waits.first()?;
        let others = waits.iter().any(|(_, _, other)| !other.needs_owner_to_leave());
        if others && wait_for.needs_owner_to_leave() || holds(resource, task.span) {
            wait_for = WaitFor::Unknown;
        }
        Some(Wait { lock: self.lock(span, resource), wait_for })
    }

    fn lock(&mut self, span: u64, resource: &Resource) -> LockId {
        *self.locks.entry(span).or_insert_with(|| {
            let (kind, type_name) = lock_kind(resource.concrete_type);
            self.dump.add_lock(Lock {
                number: Some(span),
                kind,
                type_name: Some(type_name.to_owned()),
                made_at: resource.place.map(location),
                ..Lock::default()
            })
        })
    }

    fn owners(&mut self) {
        for (span, &lock) in &self.locks {
            let holders = self.seen.resources[span].holders.tasks();
            let owners = holders.filter_map(|task| self.owner(task));
            self.dump.locks[lock.0 as usize].owners = owners.collect();
        }
    }

    /// A task as an owner, as long as it lives.
    fn owner(&self, task: u64) -> Option<Owner> {
        let at = match *self.places.get(&task)? {
            Standing::Own(at) => at,
            Standing::Tracked(place) => self.first_tracked + place,
        };
        Some(Owner { thread: u32::try_from(at).ok()?, source: OwnerSource::Inferred })
    }
}

fn holds(resource: &Resource, task: u64) -> bool {
    resource.holders.tasks().any(|holder| holder == task)
}

/// A task of which the spans alone tell.
fn thread(seen: &SeenTask, spawn: Option<SpawnId>) -> Thread {
    let task = &seen.task;
    let known = sigquit_dump::Task {
        spawn,
        polls: task.polls,
        polled_by: seen.runs_on.map(u64::from),
        runtime_id: Some(task.runtime_id),
        ..sigquit_dump::Task::default()
    };
    Thread {
        kind: Kind::Task,
        number: Some(task.number),
        state: state(seen),
        elapsed: Some(clock::nanos(clock::now().saturating_sub(task.made))),
        task: Some(Box::new(known)),
        ..Thread::default()
    }
}

fn name(seen: &SeenTask) -> String {
    match (&*seen.task.name, seen.task.kind) {
        ("", "block_on") => "block_on".to_owned(),
        (name, _) => name.to_owned(),
    }
}

fn state(seen: &SeenTask) -> ThreadState {
    let is_timer = |op: &Op| op.source.starts_with("Sleep") || op.source.starts_with("Interval");
    if seen.runs_on.is_some() {
        ThreadState::Running
    } else if seen.task.polls == 0 {
        ThreadState::New
    } else if seen.task.is_woken {
        ThreadState::Runnable
    } else if seen.waits.iter().any(is_timer) {
        ThreadState::TimedWaiting
    } else {
        ThreadState::Waiting
    }
}

/// What a call wants of its resource; nothing of a timer.
fn wait_for(op: &Op, resource: &Resource) -> Option<WaitFor> {
    match (resource.concrete_type, op.source) {
        ("Sleep" | "Interval", _) => None,
        ("Mutex", _) | ("RwLock", "RwLock::write" | "RwLock::write_owned") => {
            Some(WaitFor::Exclusive)
        }
        ("RwLock", _) => Some(WaitFor::Shared),
        _ => Some(WaitFor::Notification),
    }
}

/// What tokio calls a kind of resource, in our words, and the type that it is.
fn lock_kind(concrete_type: &'static str) -> (LockKind, &'static str) {
    match concrete_type {
        "Mutex" => (LockKind::Mutex, "tokio::sync::Mutex"),
        "RwLock" => (LockKind::RwLock, "tokio::sync::RwLock"),
        "Semaphore" => (LockKind::Semaphore, "tokio::sync::Semaphore"),
        "Barrier" => (LockKind::Condition, "tokio::sync::Barrier"),
        "Sender|Receiver" => (LockKind::Channel, "tokio::sync::oneshot"),
        other => (LockKind::Unknown, other),
    }
}

fn location(place: Place) -> Location {
    Location { file: place.file.to_owned(), line: Some(place.line), column: Some(place.column) }
}
