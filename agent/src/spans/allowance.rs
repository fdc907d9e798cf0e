//! How much of what happens tokio-console is shown: it keeps tens of kilobytes of each task, while
//! the task lives and for a time afterwards, and has no bound of its own.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use tracing_core::span::{Attributes, Id};
use tracing_core::subscriber::Interest;
use tracing_core::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::filter::Kind;

/// Lets a layer see so many living things of each kind, and so many new ones in each period.
pub(super) struct Allowance {
    begun: Instant,
    period: Duration,
    tasks: Budget,
    resources: Budget,
    ops: Budget,
}

/// What of one kind may be seen.
struct Budget {
    most: usize,
    living: AtomicUsize,
    /// Which period it is, and how many were made in it.
    period: AtomicU64,
    made: AtomicUsize,
}

impl Allowance {
    /// So many tasks, resources and calls that live, and as many new ones in each period.
    pub fn new(tasks: usize, resources: usize, ops: usize, period: Duration) -> Allowance {
        let [tasks, resources, ops] = [tasks, resources, ops].map(Budget::new);
        Allowance { begun: Instant::now(), period, tasks, resources, ops }
    }

    fn budget(&self, metadata: &Metadata<'_>) -> Option<&Budget> {
        Some(match Kind::of(metadata)? {
            Kind::Task => &self.tasks,
            Kind::Resource => &self.resources,
            Kind::Op => &self.ops,
        })
    }

    fn now(&self) -> u64 {
        (self.begun.elapsed().as_millis() / self.period.as_millis().max(1)) as u64
    }
}

impl Budget {
    fn new(most: usize) -> Budget {
        let (living, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Budget { most, living, period: AtomicU64::new(0), made }
    }

    /// Whether there is room for one more. Threads that ask at once may all be let in.
    fn has_room(&self, period: u64) -> bool {
        if self.period.swap(period, Relaxed) != period {
            self.made.store(0, Relaxed);
        }
        self.living.load(Relaxed) < self.most && self.made.load(Relaxed) < self.most
    }
}

impl<S> Filter<S> for Allowance
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        let budget = if metadata.is_span() { self.budget(metadata) } else { None };
        budget.is_none_or(|budget| budget.has_room(self.now()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let counts = metadata.is_span() && self.budget(metadata).is_some();
        if counts { Interest::sometimes() } else { Interest::always() }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if let Some(budget) = self.budget(attributes.metadata()) {
            budget.living.fetch_add(1, Relaxed);
            budget.made.fetch_add(1, Relaxed);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let metadata = context.metadata(&id);
        if let Some(budget) = metadata.and_then(|metadata| self.budget(metadata)) {
            budget.living.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_period_and_so_many_that_live() {
        let budget = Budget::new(2);
        assert!(budget.has_room(1));
        budget.made.store(2, Relaxed);
        assert!(!budget.has_room(1), "two were made");
        assert!(budget.has_room(2), "another period");
        budget.living.store(2, Relaxed);
        assert!(!budget.has_room(3), "two live");
    }
}
