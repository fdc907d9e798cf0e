//! Tokio's spans and events -> what is kept of them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing_core::span::{Attributes, Id};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Filtered};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::entered::{self, Here};
use super::fields::{LeaveFields, PollFields, SpanFields, WakerFields};
use super::filter::{self, Kind, Word};
use super::store::{Op, Resource, Store, Task};
use crate::task;

/// Keeps what tokio's spans say.
pub(super) struct Recorder {
    pub store: Arc<Store>,
}

static STORES: Mutex<Vec<Weak<Store>>> = Mutex::new(Vec::new());

/// What the layers of this process keep, of those that are in use.
pub(super) fn stores() -> Vec<Arc<Store>> {
    let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    stores.iter().filter_map(Weak::upgrade).collect()
}

impl Recorder {
    pub fn new(room: usize) -> Recorder {
        let store = Arc::new(Store::new(room));
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|store| store.strong_count() > 0);
        stores.push(Arc::downgrade(&store));
        Recorder { store }
    }

    /// Looks at nothing but tokio's spans, whatever other layers look at.
    pub fn filtered<S>(self) -> Filtered<Recorder, FilterFn, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.with_filter(FilterFn::new(filter::is_wanted))
    }

    fn here(&self) -> Here {
        entered::here(self.store.layer)
    }

    /// An operation was polled. One within another, such as the timer within an interval, is the
    /// other's business.
    fn polled(&self, event: &Event<'_>) {
        let mut fields = PollFields::default();
        event.record(&mut fields);
        let here = self.here();
        let (Some(is_ready), Some(op)) = (fields.is_ready, here.op) else { return };
        if here.innermost != Some((Kind::Op, op)) {
            return;
        }
        match (is_ready, here.task) {
            (false, Some(task)) => self.store.pending(op, task),
            (false, None) => {}
            (true, task) => self.ready(op, task),
        }
    }

    fn ready(&self, op: u64, task: Option<(u64, u64)>) {
        let Some((source, resource)) = self.store.ready(op) else { return };
        let shared = match source {
            "Mutex::lock" | "RwLock::write" => false,
            "RwLock::read" => true,
            _ => return,
        };
        if let Some((task, _)) = task {
            self.store.change_holders(resource, |holders| holders.take(task, shared));
        }
    }

    /// A lock was left, or taken, of which we know already.
    fn changed(&self, event: &Event<'_>) {
        let mut fields = LeaveFields::default();
        event.record(&mut fields);
        if !fields.exclusive && !fields.shared {
            return;
        }
        let here = self.here();
        if let Some((Kind::Resource, resource)) = here.innermost {
            let task = here.task.map(|(task, _)| task);
            self.store.change_holders(resource, |holders| holders.leave(task, fields.shared));
        }
    }

    fn waker(&self, event: &Event<'_>) {
        let mut fields = WakerFields::default();
        event.record(&mut fields);
        if fields.wakes {
            self.store.woken(fields.task);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, span: &Id, _: Context<'_, S>) {
        let Some(kind) = Kind::of(attributes.metadata()) else { return };
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        let (span, place) = (span.into_u64(), fields.place());
        match kind {
            Kind::Task => {
                let task = Task {
                    number: task::next_number(),
                    runtime_id: fields.task_id,
                    name: fields.task_name.into(),
                    kind: fields.task_kind,
                    place,
                    made: task::clock::now(),
                    polls: 0,
                    is_woken: false,
                };
                self.store.add_task(span, task);
            }
            Kind::Resource => {
                let concrete_type = fields.concrete_type;
                let holders = Default::default();
                self.store.add_resource(span, Resource { concrete_type, place, holders });
            }
            Kind::Op => {
                let innermost = || match self.here().innermost {
                    Some((Kind::Resource, resource)) => Some(resource),
                    _ => None,
                };
                let parent = attributes.parent().map(Id::into_u64);
                let resource = parent.or_else(innermost);
                self.store.add_op(span, Op { source: fields.source, resource, pending: None });
            }
        }
    }

    fn on_enter(&self, span: &Id, context: Context<'_, S>) {
        let Some(kind) = context.metadata(span).and_then(Kind::of) else { return };
        let span = span.into_u64();
        let poll = if kind == Kind::Task { self.store.begin_poll(span) } else { 0 };
        entered::enter(self.store.layer, kind, span, poll);
    }

    fn on_exit(&self, span: &Id, _: Context<'_, S>) {
        entered::exit(self.store.layer, span.into_u64());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match Word::of(event.metadata()) {
            Some(Word::Polled) => self.polled(event),
            Some(Word::Changed) => self.changed(event),
            Some(Word::Waker) => self.waker(event),
            None => {}
        }
    }

    fn on_close(&self, span: Id, context: Context<'_, S>) {
        if let Some(kind) = context.metadata(&span).and_then(Kind::of) {
            self.store.remove(span.into_u64(), kind);
        }
    }
}
