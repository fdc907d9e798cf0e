//! Workers of tokio's runtimes: met when they first poll a task, remembered with their runtime.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use sigquit_dump::{AsyncRuntime, Nanos, Worker};
use tokio::runtime::{Handle, RuntimeMetrics};

/// Runtimes that are remembered; a handle keeps a little memory of its runtime alive. When there
/// are more, the oldest are forgotten: programs that make many end most of them.
const MOST: usize = 64;

struct Known {
    id: u64,
    metrics: RuntimeMetrics,
    /// For each worker: the thread that it is, once it has polled a task.
    workers: Vec<Option<u32>>,
}

static RUNTIMES: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The number by which tokio knows a task.
#[derive(Default)]
pub(crate) struct TaskNumber(OnceLock<tokio::task::Id>);

impl TaskNumber {
    /// Remembers it, when there is a use for it: tokio's spans call a task by that number. To be
    /// called by the task itself.
    pub fn learn(&self) {
        if cfg!(feature = "tracing")
            && let Some(id) = tokio::task::try_id()
        {
            let _ = self.0.set(id);
        }
    }

    /// The number, when it is known. Tokio gives it as text only.
    pub fn get(&self) -> Option<u64> {
        self.0.get()?.to_string().parse().ok()
    }
}

/// Called once on each thread that polls a task: remembers the runtime, and which worker of it
/// the thread is.
pub(super) fn meet(tid: u32) {
    let Ok(handle) = Handle::try_current() else { return };
    let Ok(id) = handle.id().to_string().parse() else { return };
    let worker = tokio::runtime::worker_index();
    let mut runtimes = RUNTIMES.lock().unwrap_or_else(|lock| lock.into_inner());
    let at = runtimes.iter().position(|known| known.id == id).unwrap_or_else(|| {
        if runtimes.len() == MOST {
            runtimes.remove(0);
        }
        let metrics = handle.metrics();
        let workers = vec![None; metrics.num_workers()];
        runtimes.push(Known { id, metrics, workers });
        runtimes.len() - 1
    });
    let known = worker.and_then(|worker| runtimes[at].workers.get_mut(worker));
    if let Some(known) = known {
        *known = Some(tid);
    }
}

/// Every runtime that is known, with its counters as they stand.
pub(crate) fn runtimes() -> Vec<AsyncRuntime> {
    let runtimes = RUNTIMES.lock().unwrap_or_else(|lock| lock.into_inner());
    runtimes.iter().map(Known::read).collect()
}

impl Known {
    fn read(&self) -> AsyncRuntime {
        let metrics = &self.metrics;
        let nanos = |time: Duration| Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let workers = self.workers.iter().enumerate().map(|(number, tid)| Worker {
            os_id: tid.map(u64::from),
            parks: metrics.worker_park_count(number),
            parks_and_unparks: Some(metrics.worker_park_unpark_count(number)),
            busy: nanos(metrics.worker_total_busy_duration(number)),
        });
        AsyncRuntime {
            name: "tokio".into(),
            id: self.id,
            alive_tasks: Some(metrics.num_alive_tasks() as u64),
            global_queue_depth: Some(metrics.global_queue_depth() as u64),
            workers: workers.collect(),
        }
    }
}
