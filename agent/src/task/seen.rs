//! What a dump takes of the tasks, without asking any of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sigquit_dump::{Kind, Location, Nanos, Spawn, Task, Thread, ThreadState};

use super::entry::Entry;
use super::progress::Seen;
use super::{clock, registry};

/// A task as it was seen.
pub(crate) struct SeenTask {
    entry: Arc<Entry>,
    seen: Seen,
}

/// All tasks as they were seen.
#[derive(Default)]
pub(crate) struct SeenTasks {
    /// In the order of their numbers.
    pub tasks: Vec<SeenTask>,
    /// How many could not be reached, at least.
    pub out_of_reach: u32,
    /// When, in the units of [`clock`].
    at: u64,
}

/// Looks at all tasks that live.
pub(crate) fn tasks() -> SeenTasks {
    let (entries, out_of_reach) = registry::all();
    let at = clock::now();
    let live = entries.into_iter().filter(|entry| !entry.waker.is_closed());
    let tasks = live.map(|entry| SeenTask { seen: entry.progress.read(), entry }).collect();
    SeenTasks { tasks, out_of_reach, at }
}

/// Which tasks run: the thread and the count of polls of each, by its number.
pub(crate) fn running() -> HashMap<u64, (u32, u64)> {
    let (entries, _) = registry::all();
    let running = entries.iter().filter_map(|entry| match entry.progress.read() {
        Seen::Running { tid, polls } => Some((entry.id, (tid, polls))),
        _ => None,
    });
    running.collect()
}

impl SeenTasks {
    /// Those that are suspended: they can be polled for a dump. Each with its place among them,
    /// and those that one waker wakes next to each other.
    pub fn suspended(&self) -> (Vec<usize>, Vec<Arc<Entry>>) {
        let suspended = self.tasks.iter().filter(|task| task.is_suspended());
        let mut suspended: Vec<_> = suspended.map(|task| task.entry.clone()).enumerate().collect();
        suspended.sort_by_key(|(_, entry)| entry.wakes.load(Relaxed));
        suspended.into_iter().unzip()
    }

    /// The thread that carries each task which it has been polling since before: by tid, the
    /// innermost task where one polls another.
    pub fn carried(&self, before: &HashMap<u64, (u32, u64)>) -> HashMap<u32, u64> {
        let mut carried: HashMap<u32, u64> = HashMap::new();
        let is_same = |task: &&SeenTask| match task.seen {
            Seen::Running { tid, polls } => before.get(&task.entry.id) == Some(&(tid, polls)),
            _ => false,
        };
        let same: Vec<&SeenTask> = self.tasks.iter().filter(is_same).collect();
        for task in &same {
            let Seen::Running { tid, .. } = task.seen else { continue };
            let polls = |inner: &&&SeenTask| inner.entry.outer.load(Relaxed) == task.entry.id;
            if !same.iter().any(|inner| polls(&inner)) {
                carried.insert(tid, task.entry.id);
            }
        }
        carried
    }

    /// A task in the nouns of a dump, without what it was spawned from.
    pub fn thread(&self, task: &SeenTask) -> Thread {
        let entry = &task.entry;
        let (state, polls, since_poll, polled_by) = match task.seen {
            Seen::New => (ThreadState::New, 0, None, None),
            Seen::Running { tid, polls } => (ThreadState::Running, polls, None, Some(tid)),
            Seen::Suspended { polls, at, tid } => {
                (ThreadState::Waiting, polls, Some(self.since(at)), Some(tid))
            }
            Seen::Moving => (ThreadState::Runnable, 0, None, None),
        };
        let known = Task {
            polls,
            since_poll,
            polled_by: polled_by.map(u64::from),
            runtime_id: entry.runtime_id.get(),
            ..Task::default()
        };
        Thread {
            kind: Kind::Task,
            name: entry.name.as_deref().unwrap_or_default().to_owned(),
            number: Some(entry.id),
            state,
            elapsed: Some(self.since(entry.made)),
            parent: Some(entry.parent).filter(|&parent| parent != 0),
            task: Some(Box::new(known)),
            ..Thread::default()
        }
    }

    /// The place of a task, by its number.
    pub fn place_of(&self, number: u64) -> Option<usize> {
        self.tasks.binary_search_by_key(&number, |task| task.entry.id).ok()
    }

    fn since(&self, at: u64) -> Nanos {
        clock::nanos(self.at.saturating_sub(at))
    }
}

impl SeenTask {
    /// What its waker wakes, as an address.
    pub fn wakes(&self) -> usize {
        self.entry.wakes.load(Relaxed)
    }

    /// Whether it waits, after at least one poll.
    pub fn is_suspended(&self) -> bool {
        matches!(self.seen, Seen::Suspended { .. })
    }

    /// The number by which its runtime knows it.
    #[cfg(feature = "tracing")]
    pub fn runtime_id(&self) -> Option<u64> {
        self.entry.runtime_id.get()
    }

    /// What tells one kind of tasks from another without comparing texts.
    pub fn kind(&self) -> (usize, usize) {
        let location: *const std::panic::Location<'_> = self.entry.location;
        (location.addr(), self.entry.type_name.as_ptr().addr())
    }

    /// What it was spawned from, and where.
    pub fn spawn(&self) -> Spawn {
        let location = self.entry.location;
        Spawn {
            type_name: self.entry.type_name.to_owned(),
            location: Some(Location {
                file: location.file().to_owned(),
                line: Some(location.line()),
                column: Some(location.column()),
            }),
        }
    }
}
