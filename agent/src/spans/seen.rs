//! What a dump takes of the spans: each task, and what it waits for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::entered::{self, Running};
use super::layer;
use super::store::{Copied, Op, Resource, Store, Task};

/// How long a dump tries to get at what is kept.
const PATIENCE: Duration = Duration::from_millis(50);

/// Which tasks run, by layer.
pub(crate) struct RunningTasks(HashMap<u32, Vec<Running>>);

/// The spans of one layer as they were seen.
pub(crate) struct SeenSpans {
    /// In the order of their numbers.
    pub(super) tasks: Vec<SeenTask>,
    /// Locks, timers and channels by their spans.
    pub(super) resources: HashMap<u64, Resource>,
    /// Tasks, resources and operations that live and did not fit.
    pub(super) left_out: [usize; 3],
    /// Parts of what is kept that could not be reached.
    pub(super) out_of_reach: usize,
}

/// A task as it was seen.
pub(super) struct SeenTask {
    pub(super) span: u64,
    pub(super) task: Task,
    /// The thread that polls it.
    pub(super) runs_on: Option<u32>,
    /// It has run on that thread, in one poll, since before the threads showed their stacks.
    pub(super) is_carried: bool,
    /// What was not ready in its last poll.
    pub(super) waits: Vec<Op>,
}

/// Which tasks run now, by the layer that sees them.
pub(crate) fn running() -> RunningTasks {
    let stores = layer::stores();
    RunningTasks(stores.iter().map(|s| (s.layer, entered::running(s.layer))).collect())
}

/// Looks at what the layers of this process keep. `before` says which tasks ran before the
/// threads were asked for their stacks.
pub(crate) fn all(before: &RunningTasks) -> Vec<SeenSpans> {
    let nobody = Vec::new();
    let seen = |store: &Store| {
        let copied = store.copy(Instant::now() + PATIENCE);
        let before = before.0.get(&store.layer).unwrap_or(&nobody);
        SeenSpans::new(copied, &entered::running(store.layer), before)
    };
    layer::stores().iter().map(|store| seen(store)).collect()
}

impl SeenSpans {
    pub(super) fn new(copied: Copied, running: &[Running], before: &[Running]) -> SeenSpans {
        let mut waits = waits(&copied.tasks, copied.ops);
        let runs: HashMap<u64, &Running> = running.iter().map(|one| (one.task, one)).collect();
        let innermost: HashMap<u32, u64> = running.iter().map(|one| (one.tid, one.task)).collect();
        let seen = copied.tasks.into_iter().map(|(span, task)| {
            let runs = runs.get(&span);
            SeenTask {
                span,
                runs_on: runs.map(|one| one.tid),
                is_carried: runs.is_some_and(|one| {
                    innermost.get(&one.tid) == Some(&span) && before.contains(one)
                }),
                waits: if runs.is_some() { None } else { waits.remove(&span) }.unwrap_or_default(),
                task,
            }
        });
        let mut tasks: Vec<SeenTask> = seen.collect();
        tasks.sort_unstable_by_key(|seen| seen.task.number);
        let Copied { resources, left_out, out_of_reach, .. } = copied;
        SeenSpans { tasks, resources, left_out, out_of_reach }
    }

    /// What of the spans is missing.
    pub fn complaints(&self) -> Vec<String> {
        let [tasks, resources, ops] = self.left_out;
        let parts = self.out_of_reach;
        let left_out = (tasks + resources + ops > 0).then(|| {
            format!(
                "tokio's spans of {tasks} tasks, {resources} locks, timers and channels, and {ops} \
                 calls that can wait did not fit into what is kept"
            )
        });
        let out_of_reach = (parts > 0).then(|| {
            format!(
                "{parts} of the tables of tokio's spans were held by other threads all the time"
            )
        });
        left_out.into_iter().chain(out_of_reach).collect()
    }
}

/// What was not ready in the last poll of each task, in an order that does not depend on chance.
/// What an earlier poll left behind, such as a timer that the task keeps for later, holds nobody up.
fn waits(tasks: &HashMap<u64, Task>, ops: Vec<Op>) -> HashMap<u64, Vec<Op>> {
    let mut waits: HashMap<u64, Vec<Op>> = HashMap::new();
    for op in ops {
        let Some((task, poll)) = op.pending else { continue };
        if tasks.get(&task).is_some_and(|task| task.polls == poll) {
            waits.entry(task).or_default().push(op);
        }
    }
    waits.values_mut().for_each(|ops| ops.sort_by_key(|op| (op.source, op.resource)));
    waits
}
