//! What is kept of the spans that live, by their numbers.
//!
//! In shards, each a table behind a lock of its own, held for a look-up and never while anybody
//! else's code runs. Each shard has room for its part of what is kept at most; what does not fit is
//! counted for as long as it lives, and not kept.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fields::Place;
use super::filter::Kind;
use super::holder::Holders;
use crate::task;

/// Enough that threads seldom meet at one.
const SHARDS: usize = 64;

/// A task that lives.
#[derive(Debug)]
pub(super) struct Task {
    /// Its number in dumps.
    pub number: u64,
    /// The number by which tokio knows it.
    pub runtime_id: u64,
    pub name: Box<str>,
    pub kind: &'static str,
    /// Where it was spawned.
    pub place: Option<Place>,
    /// When it was spawned, in the units of [`task::clock`].
    pub made: u64,
    /// How often it has been polled, the poll that goes on now included.
    pub polls: u64,
    /// It was woken and has not been polled since.
    pub is_woken: bool,
}

/// A lock, a timer, a channel that lives.
#[derive(Debug)]
pub(super) struct Resource {
    pub concrete_type: &'static str,
    /// Where it was made.
    pub place: Option<Place>,
    pub holders: Holders,
}

/// A call that waits for a resource, or could.
#[derive(Debug)]
pub(super) struct Op {
    pub source: &'static str,
    pub resource: Option<u64>,
    /// Who found it not ready when polling it last, and in which poll of that task.
    pub pending: Option<(u64, u64)>,
}

#[derive(Debug)]
enum Record {
    Task(Task),
    Resource(Resource),
    Op(Op),
}

/// What is kept of the spans of one layer.
pub(super) struct Store {
    /// Tells this layer's spans from another's.
    pub layer: u32,
    /// Tasks in one shard, at most; and as many resources, and as many operations.
    room: usize,
    shards: Box<[Shard]>,
}

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Table>);

#[derive(Default)]
struct Table {
    records: HashMap<u64, Record, BuildHasherDefault<SpanHasher>>,
    /// How many of each [`Kind`] are kept, and how many did not fit and live.
    kept: [usize; 3],
    left_out: [usize; 3],
}

/// A copy of what was kept, by span.
#[derive(Default)]
pub(super) struct Copied {
    pub tasks: HashMap<u64, Task>,
    pub resources: HashMap<u64, Resource>,
    pub ops: Vec<Op>,
    /// Tasks, resources and operations that live and were not kept.
    pub left_out: [usize; 3],
    /// Shards that another thread held all the time.
    pub out_of_reach: usize,
}

impl Store {
    /// With room for so many tasks, resources and operations each.
    pub fn new(room: usize) -> Store {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Store {
            layer: NEXT.fetch_add(1, Relaxed),
            room: room.div_ceil(SHARDS),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        }
    }

    pub fn add_task(&self, span: u64, task: Task) {
        self.add(span, Kind::Task, Record::Task(task));
    }

    pub fn add_resource(&self, span: u64, resource: Resource) {
        self.add(span, Kind::Resource, Record::Resource(resource));
    }

    pub fn add_op(&self, span: u64, op: Op) {
        self.add(span, Kind::Op, Record::Op(op));
    }

    fn add(&self, span: u64, kind: Kind, record: Record) {
        let mut table = self.table(span);
        let at = kind as usize - 1;
        if table.kept[at] == self.room {
            table.left_out[at] += 1;
        } else {
            table.kept[at] += 1;
            table.records.insert(span, record);
        }
    }

    /// Forgets a span that has ended.
    pub fn remove(&self, span: u64, kind: Kind) {
        let mut table = self.table(span);
        let removed = table.records.remove(&span);
        let of_kind = if removed.is_some() { &mut table.kept } else { &mut table.left_out };
        let count = &mut of_kind[kind as usize - 1];
        *count = count.saturating_sub(1);
        drop(table);
        // What it has allocated is given back when nobody waits for the table.
        drop(removed);
    }

    /// A poll of a task begins. Which one, counted from 1; 0 when the task is not kept.
    pub fn begin_poll(&self, span: u64) -> u64 {
        match self.table(span).records.get_mut(&span) {
            Some(Record::Task(task)) => {
                task.polls += 1;
                task.is_woken = false;
                task.polls
            }
            _ => 0,
        }
    }

    /// A task was woken.
    pub fn woken(&self, span: u64) {
        if let Some(Record::Task(task)) = self.table(span).records.get_mut(&span) {
            task.is_woken = true;
        }
    }

    /// An operation was polled and not ready, in that poll of that task.
    pub fn pending(&self, span: u64, task: (u64, u64)) {
        if let Some(Record::Op(op)) = self.table(span).records.get_mut(&span) {
            op.pending = Some(task);
        }
    }

    /// An operation was polled and ready: what it was, and for which resource.
    pub fn ready(&self, span: u64) -> Option<(&'static str, u64)> {
        match self.table(span).records.get_mut(&span) {
            Some(Record::Op(op)) => {
                op.pending = None;
                Some((op.source, op.resource?))
            }
            _ => None,
        }
    }

    /// Changes who holds a resource.
    pub fn change_holders(&self, span: u64, change: impl FnOnce(&mut Holders)) {
        if let Some(Record::Resource(resource)) = self.table(span).records.get_mut(&span) {
            change(&mut resource.holders);
        }
    }

    /// A copy of all that is kept, one shard after the other, given up at the deadline.
    pub fn copy(&self, deadline: Instant) -> Copied {
        let mut copied = Copied::default();
        for shard in &self.shards {
            match task::lock_before(&shard.0, deadline) {
                Some(table) => table.copy(&mut copied),
                None => copied.out_of_reach += 1,
            }
        }
        copied
    }

    fn table(&self, span: u64) -> MutexGuard<'_, Table> {
        let shard = (mixed(span) >> 32) as usize % SHARDS;
        self.shards[shard].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn copy(&self, to: &mut Copied) {
        for (&span, record) in &self.records {
            match record {
                Record::Task(task) => drop(to.tasks.insert(span, task.copy())),
                Record::Resource(resource) => drop(to.resources.insert(span, resource.copy())),
                Record::Op(op) if op.pending.is_some() => to.ops.push(Op { ..*op }),
                Record::Op(_) => {}
            }
        }
        for (sum, left_out) in to.left_out.iter_mut().zip(self.left_out) {
            *sum += left_out;
        }
    }
}

impl Task {
    fn copy(&self) -> Task {
        Task { name: self.name.clone(), ..*self }
    }
}

impl Resource {
    fn copy(&self) -> Resource {
        Resource { holders: self.holders.clone(), ..*self }
    }
}

/// Spans' numbers are places in a table, and near each other: a multiplication spreads them
/// (Knuth's multiplicative hash).
fn mixed(span: u64) -> u64 {
    span.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[derive(Default)]
struct SpanHasher(u64);

impl Hasher for SpanHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, span: u64) {
        // The table takes its place from the low bits, which a multiplication leaves as they were.
        self.0 = mixed(self.0 ^ span).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn task(number: u64) -> Task {
        Task {
            number,
            runtime_id: number,
            name: "".into(),
            kind: "task",
            place: None,
            made: 0,
            polls: 0,
            is_woken: false,
        }
    }

    fn copy(store: &Store) -> Copied {
        store.copy(Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn what_does_not_fit_is_counted_while_it_lives() {
        let store = Store::new(128);
        (0..1000).for_each(|span| store.add_task(span, task(span)));
        let full = copy(&store);
        assert!(full.tasks.len() <= 128, "{}", full.tasks.len());
        assert_eq!(full.tasks.len() + full.left_out[0], 1000);
        (0..1000).for_each(|span| store.remove(span, Kind::Task));
        let empty = copy(&store);
        assert_eq!((empty.tasks.len(), empty.left_out), (0, [0; 3]));
        store.add_task(7, task(7));
        assert_eq!(copy(&store).tasks[&7].number, 7);
    }

    #[test]
    fn room_for_tasks_is_not_taken_by_operations() {
        let store = Store::new(SHARDS);
        let op = || Op { source: "", resource: None, pending: Some((1, 1)) };
        (0..100).for_each(|span| store.add_op(span, op()));
        store.add_task(100, task(1));
        let copied = copy(&store);
        assert_eq!((copied.tasks.len(), copied.ops.len() + copied.left_out[2]), (1, 100));
    }

    #[test]
    fn spans_that_follow_each_other_are_spread_over_the_shards() {
        let store = Store::new(64_000);
        (0..32_000).for_each(|span| store.add_task(span, task(span)));
        assert_eq!(copy(&store).left_out, [0; 3]);
    }

    #[test]
    fn an_operation_that_became_ready_waits_no_more() {
        let store = Store::new(SHARDS);
        store.add_op(1, Op { source: "Mutex::lock", resource: Some(2), pending: None });
        store.pending(1, (3, 1));
        assert_eq!(copy(&store).ops[0].pending, Some((3, 1)));
        assert_eq!(store.ready(1), Some(("Mutex::lock", 2)));
        assert!(copy(&store).ops.is_empty());
    }
}
