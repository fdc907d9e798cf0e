//! What was seen of the spans -> threads and locks of a dump.

use std::collections::HashMap;

use sigquit_dump::{
    Dump, Kind, Location, Lock, LockId, LockKind, Owner, OwnerSource, Spawn, SpawnId, Thread,
    ThreadState, Wait, WaitFor,
};

use super::fields::Place;
use super::seen::{SeenSpans, SeenTask};
use super::store::{Op, Resource};
use crate::task::clock;

/// Adds to a dump, after its threads and the tasks that are tracked, what was seen of the spans.
/// A task that is both is shown once.
pub(crate) fn add(dump: &mut Dump, seen: &SeenSpans) {
    let mut adding = Adding { seen, places: HashMap::new(), locks: HashMap::new(), dump };
    adding.tasks();
    adding.waits();
    adding.owners();
}

struct Adding<'a> {
    seen: &'a SeenSpans,
    dump: &'a mut Dump,
    /// Where each task stands among the dump's threads, by its span.
    places: HashMap<u64, usize>,
    /// The locks that somebody waits for, by their spans.
    locks: HashMap<u64, LockId>,
}

impl Adding<'_> {
    fn tasks(&mut self) {
        let runtime_id = |thread: &Thread| thread.task.as_ref()?.runtime_id;
        let threads = self.dump.threads.iter().enumerate();
        let known: HashMap<u64, usize> =
            threads.filter_map(|(at, thread)| Some((runtime_id(thread)?, at))).collect();
        let mut spawns = HashMap::new();
        let mut carried = HashMap::new();
        for task in &self.seen.tasks {
            let at = match known.get(&task.task.runtime_id) {
                Some(&at) => at,
                None => {
                    let spawn = task.task.place.map(|place| self.spawn(place, &mut spawns));
                    self.dump.threads.push(thread(task, spawn));
                    self.dump.threads.len() - 1
                }
            };
            if self.dump.threads[at].name.is_empty() {
                self.dump.threads[at].name = name(task);
            }
            if let (Some(tid), true) = (task.runs_on, task.is_carried) {
                carried.insert(u64::from(tid), self.dump.threads[at].number);
            }
            self.places.insert(task.span, at);
        }
        for thread in self.dump.threads.iter_mut().filter(|thread| thread.kind == Kind::Thread) {
            let carries = thread.os_id.and_then(|tid| carried.get(&tid).copied().flatten());
            thread.carries = thread.carries.or(carries);
        }
    }

    fn spawn(&mut self, place: Place, spawns: &mut HashMap<Place, SpawnId>) -> SpawnId {
        *spawns.entry(place).or_insert_with(|| {
            self.dump.add_spawn(Spawn { location: Some(location(place)), ..Spawn::default() })
        })
    }

    fn waits(&mut self) {
        let seen = self.seen;
        for task in seen.tasks.iter().filter(|task| !task.task.is_woken) {
            let at = self.places[&task.span];
            let words: Vec<String> = task.waits.iter().map(|op| self.words(op)).collect();
            let wait = self.wait(task);
            let thread = &mut self.dump.threads[at];
            if thread.state_text.is_empty() {
                thread.state_text = words.join(", ");
            }
            thread.wait = thread.wait.take().or(wait);
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
            let owner = |task: u64| u32::try_from(*self.places.get(&task)?).ok();
            let owners: Vec<u32> = holders.filter_map(owner).collect();
            self.dump.locks[lock.0 as usize].owners = owners
                .into_iter()
                .map(|thread| Owner { thread, source: OwnerSource::Inferred })
                .collect();
        }
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
