//! The task dump: the tasks of one moment, on their way into a file.
//!
//! A program can have a million tasks. So they are not turned into the nouns of a dump all at
//! once, but one by one as the file is written; what is kept of each meanwhile is small.

use std::collections::HashMap;

use sigquit_dump::{
    Hold, Nanos, SpawnId, StackId, Task, Thread, ThreadState, Trace, Wait, WaitFor,
};

use super::seen::{SeenTask, SeenTasks};
use super::trace::Looked;

/// All tasks of one moment.
#[derive(Default)]
pub(crate) struct TaskDump {
    seen: SeenTasks,
    /// What polling them brought: one for each suspended task in their order, or none at all.
    looked: Vec<Looked<StackId>>,
    /// What each kind of task was spawned from.
    spawns: HashMap<(usize, usize), SpawnId>,
    /// The runtime of each worker, by tid.
    workers: HashMap<u64, u32>,
    /// What another source knows of some of them, by their places.
    known: HashMap<usize, Known>,
    /// What tracked locks say of some of them, by their places.
    booked: HashMap<usize, Booked>,
}

/// What tracked locks say of a task.
#[derive(Default)]
pub(crate) struct Booked {
    /// See [`Thread::wait`].
    pub wait: Option<Wait>,
    /// See [`Thread::waiting_since`].
    pub waiting_since: Option<Nanos>,
    /// See [`Thread::holds`].
    pub holds: Vec<Hold>,
}

/// What another source knows of a task.
#[derive(Default)]
pub(crate) struct Known {
    /// See [`Thread::name`].
    pub name: String,
    /// See [`Thread::state_text`].
    pub state_text: String,
    /// See [`Thread::wait`].
    pub wait: Option<Wait>,
}

impl TaskDump {
    /// Of tasks that were seen. `put` is asked once for the number of each kind that they were
    /// spawned from.
    pub fn new(
        seen: SeenTasks,
        looked: Vec<Looked<StackId>>,
        workers: HashMap<u64, u32>,
        put: &mut dyn FnMut(&SeenTask) -> SpawnId,
    ) -> TaskDump {
        let mut spawns = HashMap::new();
        for task in &seen.tasks {
            spawns.entry(task.kind()).or_insert_with(|| put(task));
        }
        let (known, booked) = (HashMap::new(), HashMap::new());
        TaskDump { seen, looked, spawns, workers, known, booked }
    }

    /// The place of a task in their order, by its number.
    pub fn place_of(&self, number: u64) -> Option<usize> {
        self.seen.place_of(number)
    }

    /// What the waker of the task in that place wakes, as an address.
    pub fn wakes(&self, place: usize) -> usize {
        self.seen.tasks[place].wakes()
    }

    /// What tracked locks say of the task in that place, to be added to.
    pub fn booked(&mut self, place: usize) -> &mut Booked {
        self.booked.entry(place).or_default()
    }

    /// The numbers by which their runtimes know them, in the order of the tasks.
    #[cfg(feature = "tracing")]
    pub fn runtime_ids(&self) -> impl Iterator<Item = Option<u64>> {
        self.seen.tasks.iter().map(SeenTask::runtime_id)
    }

    /// Adds what another source knows, by the tasks' places in their order.
    #[cfg(feature = "tracing")]
    pub fn add(&mut self, known: HashMap<usize, Known>) {
        self.known = known;
    }

    /// The tasks in the nouns of a dump, in the order of their numbers.
    pub fn threads(&self) -> impl Iterator<Item = Thread> {
        let mut looked = self.looked.iter();
        self.seen.tasks.iter().enumerate().map(move |(place, task)| {
            let looked = if task.is_suspended() { looked.next() } else { None };
            let mut thread = self.thread(task, looked);
            if let Some(known) = self.known.get(&place) {
                known.add_to(&mut thread);
            }
            if let Some(booked) = self.booked.get(&place) {
                booked.add_to(&mut thread);
            }
            thread
        })
    }

    fn thread(&self, seen: &SeenTask, looked: Option<&Looked<StackId>>) -> Thread {
        let mut thread = self.seen.thread(seen);
        let task = thread.task.get_or_insert_default();
        task.spawn = self.spawns.get(&seen.kind()).copied();
        task.runtime = task.polled_by.and_then(|tid| self.workers.get(&tid).copied());
        if let Some(looked) = looked {
            task.trace = looked.trace;
            thread.stack = looked.first;
            task.branches = looked.further.to_vec();
            if looked.trace == Trace::Yielded {
                thread.state = ThreadState::Runnable;
            }
        }
        thread
    }
}

impl Booked {
    /// Adds it to a task. One that left its waker elsewhere, too, or was not asked where, may go on
    /// without the lock; one that runs has it by now, or has given up.
    fn add_to(&self, thread: &mut Thread) {
        thread.holds = self.holds.clone();
        let is_only = |task: &Task| task.trace == Trace::Pending && task.branches.is_empty();
        let is_only = thread.task.as_deref().is_some_and(is_only);
        if let Some(wait) = &self.wait
            && thread.state != ThreadState::Running
        {
            let wait_for = match wait.wait_for.needs_owner_to_leave() && !is_only {
                true => WaitFor::Unknown,
                false => wait.wait_for,
            };
            thread.wait = Some(Wait { lock: wait.lock, wait_for });
            thread.waiting_since = self.waiting_since;
        }
    }
}

impl Known {
    /// Adds to a task what is not known of it otherwise.
    fn add_to(&self, thread: &mut Thread) {
        if thread.name.is_empty() {
            thread.name = self.name.clone();
        }
        thread.state_text = self.state_text.clone();
        thread.wait = self.wait.clone();
    }
}
