//! The same spans and events that tokio makes, made by hand: whether the names are still tokio's is
//! for `tests/unstable` to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sigquit_dump::{Dump, LockKind, OwnerSource, Thread, ThreadState, WaitFor};
use tracing::{Span, trace, trace_span};
use tracing_subscriber::prelude::*;

use super::layer::Recorder;
use super::store::Store;
use super::{SeenSpans, entered, nouns};

/// Runs with a layer of its own, with room for so many.
fn with_room(room: usize, run: impl FnOnce(&Arc<Store>)) {
    let recorder = Recorder::new(room);
    let store = recorder.store.clone();
    let subscriber = tracing_subscriber::registry().with(recorder.filtered());
    tracing::subscriber::with_default(subscriber, || run(&store));
}

fn with_layer(run: impl FnOnce(&Arc<Store>)) {
    with_room(10_000, run);
}

fn seen(store: &Store) -> SeenSpans {
    let copied = store.copy(Instant::now() + Duration::from_secs(10));
    let running = entered::running(store.layer);
    SeenSpans::new(copied, &running, &running)
}

fn add_to(dump: &mut Dump, store: &Store) -> Vec<String> {
    let seen = seen(store);
    let known = nouns::add(dump, std::slice::from_ref(&seen), std::iter::empty());
    assert!(known.is_empty());
    seen.complaints()
}

fn dump(store: &Store) -> Dump {
    let mut dump = Dump::default();
    assert_eq!(add_to(&mut dump, store), [""; 0]);
    dump
}

fn task(id: u64, name: &str) -> Span {
    trace_span!(
        target: "tokio::task",
        parent: None,
        "runtime.spawn",
        kind = %"task",
        task.name = %name,
        task.id = id,
        original_size.bytes = None::<usize>,
        size.bytes = 100usize,
        loc.file = "src/orders.rs",
        loc.line = 7u32,
        loc.col = 5u32,
    )
}

/// What tokio's `async_op` makes of a call.
struct Call {
    resource: Span,
    op: Span,
}

impl Call {
    fn new(resource: &Span, source: &'static str) -> Call {
        let op = resource.in_scope(|| {
            trace_span!("runtime.resource.async_op", source = source, inherits_child_attrs = false)
        });
        Call { resource: resource.clone(), op }
    }

    /// In whichever task this thread is in.
    fn poll(&self, is_ready: bool) {
        let _resource = self.resource.enter();
        let _op = self.op.enter();
        trace!(target: "runtime::resource::poll_op", op_name = "poll", is_ready = is_ready);
    }
}

fn resource(concrete_type: &'static str, line: u32) -> Span {
    trace_span!(
        parent: None,
        "runtime.resource",
        concrete_type = concrete_type,
        kind = "Sync",
        loc.file = "src/main.rs",
        loc.line = line,
        loc.col = 9u32,
    )
}

/// Takes a free mutex, as `Mutex::lock` does.
fn lock(mutex: &Span) {
    Call::new(mutex, "Mutex::lock").poll(true);
    mutex.in_scope(|| {
        trace!(target: "runtime::resource::state_update", locked = true);
    });
}

fn unlock(mutex: &Span) {
    mutex.in_scope(|| {
        trace!(target: "runtime::resource::state_update", locked = false);
    });
}

fn named<'a>(dump: &'a Dump, name: &str) -> &'a Thread {
    dump.threads.iter().find(|thread| thread.name == name).expect(name)
}

/// The lock that a task waits for: kind, line where it was made, what for, and the owners' names.
fn awaited(dump: &Dump, name: &str) -> Option<(LockKind, u32, WaitFor, Vec<String>)> {
    let wait = named(dump, name).wait.as_ref()?;
    let lock = dump.lock(wait.lock);
    let owner = |owner: &sigquit_dump::Owner| {
        assert_eq!(owner.source, OwnerSource::Inferred);
        dump.threads[owner.thread as usize].name.clone()
    };
    let line = lock.made_at.as_ref()?.line?;
    Some((lock.kind, line, wait.wait_for, lock.owners.iter().map(owner).collect()))
}

#[test]
fn a_task_shows_its_name_its_place_and_what_it_does() {
    with_layer(|store| {
        let spans = ["new", "run", "rest", "woken"].map(|name| task(1, name));
        let _running = spans[1].enter();
        spans[2..].iter().for_each(|span| span.in_scope(|| ()));
        trace!(target: "tokio::task::waker", op = "waker.clone", task.id = id(&spans[2]));
        trace!(target: "tokio::task::waker", op = "waker.wake_by_ref", task.id = id(&spans[3]));
        let dump = dump(store);
        let state = |name| named(&dump, name).state;
        assert_eq!(
            ["new", "run", "rest", "woken"].map(state),
            [ThreadState::New, ThreadState::Running, ThreadState::Waiting, ThreadState::Runnable]
        );
        let run = named(&dump, "run");
        let known = run.task.as_ref().unwrap();
        assert_eq!((known.runtime_id, known.polls), (Some(1), 1));
        assert_eq!(known.polled_by, Some(crate::agent::current_thread() as u64));
        let location = dump.spawn(run).unwrap().location.as_ref().unwrap();
        assert_eq!((&*location.file, location.line), ("src/orders.rs", Some(7)));
        assert_eq!(dump.spawns.len(), 1);
    });
}

fn id(span: &Span) -> u64 {
    span.id().unwrap().into_u64()
}

#[test]
fn two_tasks_that_wait_for_each_others_mutex_own_them() {
    with_layer(|store| {
        let (left, right) = (resource("Mutex", 1), resource("Mutex", 2));
        let (one, other) = (task(1, "one"), task(2, "other"));
        let (wants_right, wants_left) =
            (Call::new(&right, "Mutex::lock"), Call::new(&left, "Mutex::lock"));
        one.in_scope(|| lock(&left));
        other.in_scope(|| lock(&right));
        one.in_scope(|| wants_right.poll(false));
        other.in_scope(|| wants_left.poll(false));
        let dump = dump(store);
        let wait = |line, owner: &str| {
            Some((LockKind::Mutex, line, WaitFor::Exclusive, vec![owner.to_owned()]))
        };
        assert_eq!(awaited(&dump, "one"), wait(2, "other"));
        assert_eq!(awaited(&dump, "other"), wait(1, "one"));
        assert_eq!(named(&dump, "one").state_text, "Mutex::lock (src/main.rs:2:9)");
    });
}

#[test]
fn a_mutex_that_was_left_has_no_owner() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        let (gone, waits) = (task(1, "gone"), task(2, "waits"));
        gone.in_scope(|| lock(&mutex));
        gone.in_scope(|| unlock(&mutex));
        let call = Call::new(&mutex, "Mutex::lock");
        waits.in_scope(|| call.poll(false));
        assert_eq!(awaited(&dump(store), "waits").unwrap().3, [""; 0]);
    });
}

#[test]
fn a_guard_that_can_be_given_away_accuses_nobody() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        let (taker, waits) = (task(1, "taker"), task(2, "waits"));
        taker.in_scope(|| Call::new(&mutex, "Mutex::lock_owned").poll(true));
        let call = Call::new(&mutex, "Mutex::lock");
        waits.in_scope(|| call.poll(false));
        assert_eq!(awaited(&dump(store), "waits").unwrap().3, [""; 0]);
    });
}

#[test]
fn an_owner_that_has_ended_is_none() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        task(1, "gone").in_scope(|| lock(&mutex));
        let waits = task(2, "waits");
        let call = Call::new(&mutex, "Mutex::lock");
        waits.in_scope(|| call.poll(false));
        let dump = dump(store);
        assert_eq!((dump.threads.len(), awaited(&dump, "waits").unwrap().3.len()), (1, 0));
    });
}

#[test]
fn a_branch_that_waits_for_another_of_its_task_needs_nobody_to_leave() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        let joins = task(1, "joins");
        let call = Call::new(&mutex, "Mutex::lock");
        joins.in_scope(|| {
            lock(&mutex);
            call.poll(false);
        });
        let wait = awaited(&dump(store), "joins").unwrap();
        assert_eq!((wait.2, wait.3), (WaitFor::Unknown, vec!["joins".to_owned()]));
    });
}

#[test]
fn a_lock_with_a_time_limit_is_waited_for_and_one_beside_a_channel_perhaps() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        let (timer, channel) = (resource("Sleep", 2), resource("Sender|Receiver", 3));
        let (limited, selects) = (task(1, "limited"), task(2, "selects"));
        let calls = [
            Call::new(&mutex, "Mutex::lock"),
            Call::new(&timer, "Sleep::new_timeout"),
            Call::new(&mutex, "Mutex::lock"),
            Call::new(&channel, "Receiver::await"),
        ];
        limited.in_scope(|| calls[..2].iter().for_each(|call| call.poll(false)));
        selects.in_scope(|| calls[2..].iter().for_each(|call| call.poll(false)));
        let dump = dump(store);
        assert_eq!(awaited(&dump, "limited").unwrap().2, WaitFor::Exclusive);
        let limited = named(&dump, "limited");
        assert_eq!(limited.state, ThreadState::TimedWaiting);
        assert_eq!(
            limited.state_text,
            "Mutex::lock (src/main.rs:1:9), Sleep::new_timeout (src/main.rs:2:9)"
        );
        assert_eq!(awaited(&dump, "selects").unwrap().2, WaitFor::Unknown);
    });
}

#[test]
fn readers_and_writers_are_told_apart() {
    with_layer(|store| {
        let rwlock = resource("RwLock", 1);
        let (reads, read, writes) = (task(1, "reads"), task(2, "read"), task(3, "writes"));
        for task in [&reads, &read] {
            task.in_scope(|| Call::new(&rwlock, "RwLock::read").poll(true));
        }
        read.in_scope(|| {
            rwlock.in_scope(|| {
                trace!(
                    target: "runtime::resource::state_update",
                    current_readers = 1,
                    current_readers.op = "sub",
                );
            });
        });
        let call = Call::new(&rwlock, "RwLock::write");
        writes.in_scope(|| call.poll(false));
        let expected = (LockKind::RwLock, 1, WaitFor::Exclusive, vec!["reads".to_owned()]);
        assert_eq!(awaited(&dump(store), "writes"), Some(expected));
    });
}

#[test]
fn what_an_earlier_poll_left_behind_holds_nobody_up() {
    with_layer(|store| {
        let timer = resource("Sleep", 1);
        let keeps = task(1, "keeps");
        let call = Call::new(&timer, "Sleep::new_timeout");
        keeps.in_scope(|| call.poll(false));
        assert_eq!(named(&dump(store), "keeps").state, ThreadState::TimedWaiting);
        keeps.in_scope(|| ());
        let dump = dump(store);
        let keeps = named(&dump, "keeps");
        assert_eq!((keeps.state, &*keeps.state_text), (ThreadState::Waiting, ""));
    });
}

#[test]
fn a_call_within_a_call_is_the_outer_ones_business() {
    with_layer(|store| {
        let (interval, sleep) = (resource("Interval", 1), resource("Sleep", 2));
        let tick = Call::new(&interval, "Interval::tick");
        let within = Call::new(&sleep, "Sleep::new_timeout");
        task(1, "ticks").in_scope(|| {
            let _interval = interval.enter();
            let _tick = tick.op.enter();
            within.poll(false);
            trace!(target: "runtime::resource::poll_op", op_name = "poll_tick", is_ready = false);
        });
        let ticks = task(2, "ticks too");
        ticks.in_scope(|| tick.poll(false));
        assert_eq!(named(&dump(store), "ticks too").state_text, "Interval::tick (src/main.rs:1:9)");
    });
}

#[test]
fn a_task_that_is_tracked_too_is_shown_once() {
    with_layer(|store| {
        let mutex = resource("Mutex", 1);
        let call = Call::new(&mutex, "Mutex::lock");
        let (alone, tracked) = (task(10, "alone"), task(11, "tracked"));
        tracked.in_scope(|| lock(&mutex));
        alone.in_scope(|| call.poll(false));
        let mut dump = Dump::default();
        let numbers = [Some(9), None, Some(11)].into_iter();
        let known = nouns::add(&mut dump, &[seen(store)], numbers);
        let [thread] = &dump.threads[..] else { panic!("{:?}", dump.threads) };
        assert_eq!(thread.name, "alone");
        let owner = &dump.lock(thread.wait.as_ref().unwrap().lock).owners[0];
        assert_eq!(owner.thread, 1 + 2, "after the one thread, the third that is tracked");
        assert_eq!((known.len(), &*known[&2].name), (1, "tracked"));
    });
}

#[test]
fn the_thread_that_runs_a_task_carries_it() {
    with_layer(|store| {
        let tid = crate::agent::current_thread() as u64;
        let mut dump = Dump::default();
        dump.threads.push(Thread { os_id: Some(tid), ..Thread::default() });
        let (outer, inner) = (task(1, "outer"), task(2, "inner"));
        let _outer = outer.enter();
        let _inner = inner.enter();
        add_to(&mut dump, store);
        assert_eq!(dump.threads[0].carries, named(&dump, "inner").number);
    });
}

#[test]
fn what_does_not_fit_is_said() {
    with_room(64, |store| {
        let spans: Vec<Span> = (0..1000).map(|id| task(id, "many")).collect();
        let mut dump = Dump::default();
        let complaints = add_to(&mut dump, store);
        let left_out = 1000 - dump.threads.len();
        assert!(left_out >= 936, "{left_out}");
        assert!(complaints[0].contains(&format!("{left_out} tasks")), "{complaints:?}");
        drop(spans);
        assert_eq!(add_to(&mut Dump::default(), store), [""; 0]);
    });
}

#[test]
fn spans_of_others_are_not_looked_at() {
    with_layer(|store| {
        assert!(trace_span!("request", id = 3).is_disabled());
        assert!(!tracing::enabled!(tracing::Level::ERROR));
        let within = trace_span!(
            parent: None,
            "runtime.resource",
            concrete_type = "Semaphore",
            kind = "Sync",
            is_internal = true
        );
        assert!(within.is_disabled());
        let blocking =
            trace_span!(target: "tokio::task::blocking", "runtime.spawn", task.id = 1u64);
        assert!(blocking.is_disabled());
        assert!(dump(store).threads.is_empty());
    });
}
