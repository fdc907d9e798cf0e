//! Which spans each thread is in.
//!
//! A thread writes down the spans that it enters where others can read them: the task that it
//! polls, the lock that it is about to take. Nobody else writes there, so that entering a span
//! costs a few stores to memory that the thread has for itself.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use super::filter::Kind;

/// Spans within spans, at most: a task within `block_on` within a `LocalSet` makes three, and its
/// locks two more. Deeper ones are not seen.
const DEPTH: usize = 24;

/// What one thread is in, outermost first.
#[derive(Default)]
struct Spot {
    tid: u32,
    depth: AtomicUsize,
    /// Entered beyond the depth, and not left.
    deeper: AtomicUsize,
    spans: [Entered; DEPTH],
}

/// One span that was entered.
#[derive(Default)]
struct Entered {
    /// Whose span it is: each layer has numbers of its own.
    layer: AtomicU32,
    kind: AtomicU8,
    span: AtomicU64,
    /// Which poll of the task this is.
    poll: AtomicU64,
}

static SPOTS: Mutex<Vec<Arc<Spot>>> = Mutex::new(Vec::new());

/// Takes the thread's spot off the list when the thread ends.
struct Own(Arc<Spot>);

thread_local! {
    static OWN: Own = Own::new();
}

impl Own {
    fn new() -> Own {
        let tid = crate::agent::current_thread().unsigned_abs();
        let spot = Arc::new(Spot { tid, ..Spot::default() });
        SPOTS.lock().unwrap_or_else(PoisonError::into_inner).push(spot.clone());
        Own(spot)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut spots = SPOTS.lock().unwrap_or_else(PoisonError::into_inner);
        spots.retain(|spot| !Arc::ptr_eq(spot, &self.0));
    }
}

/// Notes that this thread enters a span. A thread that is ending notes nothing.
pub(super) fn enter(layer: u32, kind: Kind, span: u64, poll: u64) {
    let _ = OWN.try_with(|own| own.0.push(layer, kind, span, poll));
}

/// Notes that this thread leaves a span.
pub(super) fn exit(layer: u32, span: u64) {
    let _ = OWN.try_with(|own| own.0.remove(layer, span));
}

/// Where this thread is, by the spans of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Here {
    /// The innermost task, and which poll of it this is.
    pub task: Option<(u64, u64)>,
    /// The outermost operation within that task.
    pub op: Option<u64>,
    /// The innermost span of all.
    pub innermost: Option<(Kind, u64)>,
}

/// Where this thread is.
pub(super) fn here(layer: u32) -> Here {
    OWN.try_with(|own| own.0.here(layer)).unwrap_or_default()
}

/// A task that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub task: u64,
    pub poll: u64,
    pub tid: u32,
}

/// The tasks of one layer that run now: on each thread from the outermost to the innermost.
pub(super) fn running(layer: u32) -> Vec<Running> {
    let spots = SPOTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    spots.iter().flat_map(|spot| spot.running(layer)).collect()
}

impl Spot {
    fn push(&self, layer: u32, kind: Kind, span: u64, poll: u64) {
        let depth = self.depth.load(Relaxed);
        let Some(entered) = self.spans.get(depth) else {
            self.deeper.store(self.deeper.load(Relaxed) + 1, Relaxed);
            return;
        };
        entered.set(layer, kind as u8, span, poll);
        self.depth.store(depth + 1, Release);
    }

    /// Mostly the innermost one; tracing lets others be left, too.
    fn remove(&self, layer: u32, span: u64) {
        let depth = self.depth.load(Relaxed);
        let is_it = |entered: &Entered| {
            entered.span.load(Relaxed) == span && entered.layer.load(Relaxed) == layer
        };
        let Some(at) = self.spans[..depth].iter().rposition(is_it) else {
            self.deeper.store(self.deeper.load(Relaxed).saturating_sub(1), Relaxed);
            return;
        };
        for pair in self.spans[at..depth].windows(2) {
            let next = &pair[1];
            let kind = next.kind.load(Relaxed);
            pair[0].set(next.layer.load(Relaxed), kind, next.span.load(Relaxed), next.poll());
        }
        self.depth.store(depth - 1, Release);
    }

    fn here(&self, layer: u32) -> Here {
        let mut here = Here::default();
        if self.deeper.load(Relaxed) > 0 {
            return here;
        }
        for entered in self.of(layer) {
            let span = entered.span.load(Relaxed);
            let Some(kind) = entered.kind() else { continue };
            match kind {
                Kind::Task => (here.task, here.op) = (Some((span, entered.poll())), None),
                Kind::Op => here.op = here.op.or(Some(span)),
                Kind::Resource => {}
            }
            here.innermost = Some((kind, span));
        }
        here
    }

    fn running(&self, layer: u32) -> Vec<Running> {
        let tasks = self.of(layer).filter(|entered| entered.kind() == Some(Kind::Task));
        let task = |entered: &Entered| Running {
            task: entered.span.load(Relaxed),
            poll: entered.poll(),
            tid: self.tid,
        };
        tasks.map(task).collect()
    }

    fn of(&self, layer: u32) -> impl Iterator<Item = &Entered> {
        let depth = self.depth.load(Acquire).min(DEPTH);
        self.spans[..depth].iter().filter(move |entered| entered.layer.load(Relaxed) == layer)
    }
}

impl Entered {
    fn set(&self, layer: u32, kind: u8, span: u64, poll: u64) {
        self.layer.store(layer, Relaxed);
        self.kind.store(kind, Relaxed);
        self.span.store(span, Relaxed);
        self.poll.store(poll, Relaxed);
    }

    fn poll(&self) -> u64 {
        self.poll.load(Relaxed)
    }

    fn kind(&self) -> Option<Kind> {
        [Kind::Task, Kind::Resource, Kind::Op]
            .into_iter()
            .find(|&kind| kind as u8 == self.kind.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: u32 = 4711;

    #[test]
    fn a_thread_is_in_the_innermost_task_and_its_outermost_operation() {
        std::thread::spawn(|| {
            let spans = [(Kind::Task, 1), (Kind::Op, 2), (Kind::Task, 3), (Kind::Resource, 4)];
            for (kind, span) in spans {
                enter(LAYER, kind, span, 7);
            }
            enter(LAYER, Kind::Op, 5, 0);
            enter(LAYER + 1, Kind::Task, 9, 0);
            enter(LAYER, Kind::Resource, 6, 0);
            enter(LAYER, Kind::Op, 8, 0);
            let here = here(LAYER);
            assert_eq!((here.task, here.op), (Some((3, 7)), Some(5)));
            assert_eq!(here.innermost, Some((Kind::Op, 8)));
            let tasks: Vec<u64> = running(LAYER).iter().map(|running| running.task).collect();
            assert_eq!(tasks, [1, 3]);
        })
        .join()
        .unwrap();
        assert_eq!(running(LAYER), [], "its thread has ended");
    }

    #[test]
    fn spans_may_be_left_in_any_order() {
        for span in 1..=3 {
            enter(LAYER + 2, Kind::Task, span, span * 10);
        }
        exit(LAYER + 2, 2);
        exit(LAYER + 2, 99);
        let left: Vec<(u64, u64)> =
            running(LAYER + 2).iter().map(|running| (running.task, running.poll)).collect();
        assert_eq!(left, [(1, 10), (3, 30)]);
    }

    #[test]
    fn what_is_too_deep_is_not_mistaken_for_what_is_not() {
        let spans = 1..=DEPTH as u64 + 2;
        spans.clone().for_each(|span| enter(LAYER + 3, Kind::Task, span, 0));
        assert_eq!(here(LAYER + 3), Here::default());
        spans.clone().skip(DEPTH).for_each(|span| exit(LAYER + 3, span));
        assert_eq!(here(LAYER + 3).task, Some((DEPTH as u64, 0)));
    }
}
