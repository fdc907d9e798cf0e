//! Tasks in dumps, in one process: the agent is installed once, and every test dumps.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod counted;

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use sigquit::dump::{Dump, Kind, Thread, ThreadState, Trace};
use sigquit::task;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// One test at a time: a dump shows the tasks of all.
fn alone() -> MutexGuard<'static, bool> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(|lock| lock.into_inner());
    if !std::mem::replace(&mut *installed, true) {
        let folder = tempfile::tempdir().unwrap().keep();
        sigquit::builder().directory(folder).install().unwrap();
    }
    installed
}

fn dump() -> Dump {
    let file = sigquit::dump_now().unwrap();
    let (mut dumps, warnings) = sigquit::dump::read(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(warnings, []);
    dumps.remove(0)
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn task<'a>(dump: &'a Dump, name: &str) -> &'a Thread {
    let is_it = |thread: &&Thread| thread.kind == Kind::Task && thread.name == name;
    dump.threads.iter().find(is_it).expect(name)
}

fn trace(dump: &Dump, name: &str) -> Trace {
    task(dump, name).task.as_ref().unwrap().trace
}

fn functions(dump: &Dump, task: &Thread) -> Vec<String> {
    dump.calls(task).map(|(_, _, symbol)| symbol.function.clone()).collect()
}

/// Waits until something is true that the runtime will make true.
fn wait_for(mut what: impl FnMut() -> bool) {
    while !what() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets the runtime come to rest: what it has to do takes microseconds.
fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn a_task_that_sleeps_shows_its_await_chain() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    let line = line!() + 1;
    let spawned = task::spawn_named("sleeper", outer());
    settle();
    let dump = dump();
    let sleeper = task(&dump, "sleeper");
    assert_eq!(sleeper.state, ThreadState::Waiting);
    let facts = sleeper.task.as_ref().unwrap();
    assert_eq!((facts.trace, facts.polls, facts.branches.len()), (Trace::Pending, 1, 0));
    let spawn = dump.spawn(sleeper).unwrap();
    let location = spawn.location.as_ref().unwrap();
    assert!(location.file.ends_with("tests/tasks.rs"));
    assert_eq!((location.line, &*spawn.type_name), (Some(line), "tasks::outer::{{closure}}"));
    let functions = functions(&dump, sleeper);
    let own: Vec<&str> = functions.iter().map(String::as_str).collect();
    let own = &own[own.iter().position(|name| name.starts_with("tasks::")).unwrap()..];
    assert_eq!(own, ["tasks::inner::{{closure}}", "tasks::outer::{{closure}}"]);
    spawned.abort();
}

async fn outer() {
    inner().await;
    unreachable!("nobody sleeps that long");
}

async fn inner() {
    tokio::time::sleep(Duration::from_secs(1000)).await;
    unreachable!("nobody sleeps that long");
}

#[test]
fn every_branch_that_waits_is_shown() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    task::spawn_named("joins", async { tokio::join!(outer(), wait_for_message(), inner()) });
    settle();
    let dump = dump();
    let joins = task(&dump, "joins");
    let facts = joins.task.as_ref().unwrap();
    assert_eq!((facts.trace, facts.branches.len()), (Trace::Pending, 2));
    let stacks = joins.stack.into_iter().chain(facts.branches.iter().copied());
    let calls = |stack| {
        let thread = Thread { stack: Some(stack), ..Thread::default() };
        functions(&dump, &thread)
    };
    let calls: Vec<Vec<String>> = stacks.map(calls).collect();
    for function in ["outer", "wait_for_message", "inner"] {
        let expected = format!("tasks::{function}::{{{{closure}}}}");
        assert!(calls.iter().any(|calls| calls.contains(&expected)), "{expected} in {calls:?}");
    }
}

async fn wait_for_message() {
    let (_sender, receiver) = oneshot::channel::<()>();
    let _ = receiver.await;
}

#[test]
fn who_leaves_no_waker_is_told_from_who_waits_and_from_who_only_yields() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    task::spawn_named("forgetful", pending::<()>());
    let yields = poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    // On a thread that polls only when it is asked, so that it is suspended when it is seen.
    let yields = task::track_named("yields", yields);
    let woken = Arc::new(Flag::default());
    let polling = std::thread::spawn({
        let woken = woken.clone();
        move || poll_when_woken(yields, &woken)
    });
    settle();
    let dump = dump();
    assert_eq!(trace(&dump, "forgetful"), Trace::NoWaker);
    assert_eq!(task(&dump, "forgetful").stack, None);
    assert_eq!(trace(&dump, "yields"), Trace::Yielded);
    woken.over.store(true, SeqCst);
    polling.join().unwrap();
}

/// A waker that says that it was woken, and an end.
#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    over: AtomicBool,
}

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
    }
}

/// Polls once, and then when a dump wants it; a future's own waking is passed over.
fn poll_when_woken(future: impl Future<Output = ()>, flag: &Arc<Flag>) {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(flag.clone());
    let mut context = std::task::Context::from_waker(&waker);
    while !flag.over.load(SeqCst) {
        let _ = future.as_mut().poll(&mut context);
        flag.woken.store(false, SeqCst);
        wait_for(|| flag.woken.load(SeqCst) || flag.over.load(SeqCst));
    }
}

#[test]
fn a_task_that_was_ready_and_nobody_polled_is_done_by_the_dump() {
    let (_alone, runtime) = (alone(), runtime());
    let ready = Arc::new(AtomicBool::new(false));
    let _guard = runtime.enter();
    let condition = ready.clone();
    let forgets = poll_fn(move |_| match condition.load(SeqCst) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    });
    let spawned = task::spawn_named("forgets", forgets);
    settle();
    ready.store(true, SeqCst);
    assert!(!spawned.is_finished());
    assert_eq!(trace(&dump(), "forgets"), Trace::Finished);
    wait_for(|| spawned.is_finished());
}

#[test]
fn a_running_task_and_its_thread_name_each_other() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    let over = Arc::new(AtomicBool::new(false));
    let (spins, begun) = (over.clone(), Arc::new(AtomicU32::new(0)));
    let tid = begun.clone();
    task::spawn_named("spinner", async move {
        // SAFETY: gettid takes nothing.
        tid.store(unsafe { libc::gettid() }.unsigned_abs(), SeqCst);
        task::track_named("within", async { spin(&spins) }).await;
    });
    wait_for(|| begun.load(SeqCst) != 0);
    task::spawn_named("sleeper", outer());
    settle();
    let dump = dump();
    over.store(true, SeqCst);
    let (spinner, within) = (task(&dump, "spinner"), task(&dump, "within"));
    let tid = Some(u64::from(begun.load(SeqCst)));
    for task in [spinner, within] {
        assert_eq!((task.state, task.stack), (ThreadState::Running, None));
        assert_eq!(task.task.as_ref().unwrap().polled_by, tid);
    }
    assert_eq!(within.parent, spinner.number);
    let worker = dump.threads.iter().find(|thread| thread.os_id == tid).unwrap();
    assert_eq!(worker.carries, within.number, "the innermost");
    assert!(functions(&dump, worker).iter().any(|function| function.ends_with("tasks::spin")));
    assert_eq!(trace(&dump, "sleeper"), Trace::Pending, "the other worker serves it");
    let runtime = within.task.as_ref().unwrap().runtime.unwrap();
    let workers = &dump.async_runtimes[runtime as usize].workers;
    assert!(workers.iter().any(|worker| worker.os_id == tid), "{workers:?}");
}

#[inline(never)]
fn spin(over: &AtomicBool) {
    while !over.load(SeqCst) {
        std::hint::spin_loop();
    }
}

#[test]
fn who_was_never_polled_is_new_and_not_asked() {
    let _alone = alone();
    let tracked = task::track_named("unborn", outer());
    let dump = dump();
    let unborn = task(&dump, "unborn");
    assert_eq!(unborn.state, ThreadState::New);
    assert_eq!(trace(&dump, "unborn"), Trace::NotAsked);
    assert_eq!((unborn.task.as_ref().unwrap().polls, unborn.number), (0, Some(tracked.id())));
    drop(tracked);
    let dump = self::dump();
    assert!(dump.threads.iter().all(|thread| thread.name != "unborn"));
}

#[test]
fn a_leaf_that_leaves_its_waker_meets_no_allocation() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    let (polls, allocations) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counts = (polls.clone(), allocations.clone());
    let mut kept: Option<Waker> = None;
    let leaf = poll_fn(move |context| {
        let before = counted::allocations();
        let waker = context.waker().clone();
        counts.1.fetch_add((counted::allocations() - before) as u32, SeqCst);
        counts.0.fetch_add(1, SeqCst);
        drop(kept.replace(waker));
        Poll::<()>::Pending
    });
    task::spawn_named("leaf", leaf);
    settle();
    for dumps in 1..=5 {
        assert_eq!(trace(&dump(), "leaf"), Trace::Pending);
        assert_eq!(polls.load(SeqCst), 1 + dumps, "each dump polls it once");
    }
    assert_eq!(allocations.load(SeqCst), 0);
}

#[test]
fn polls_for_a_dump_do_not_count_nor_do_those_of_tasks_within() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    let within = task::track_named("within", outer());
    task::spawn_named("around", async { tokio::join!(within, inner()) });
    settle();
    for _ in 0..3 {
        let dump = dump();
        for name in ["around", "within"] {
            let facts = task(&dump, name).task.as_ref().unwrap();
            assert_eq!((facts.trace, facts.polls), (Trace::Pending, 1), "{name}");
        }
    }
}

#[test]
fn what_finds_no_room_is_counted_and_the_dump_goes_on() {
    let (_alone, runtime) = (alone(), runtime());
    let _guard = runtime.enter();
    let clones = poll_fn(|context| {
        (0..10_000).for_each(|_| drop(context.waker().clone()));
        Poll::<()>::Pending
    });
    task::spawn_named("clones", clones);
    task::spawn_named("sleeper", outer());
    settle();
    let dump = dump();
    assert_eq!(trace(&dump, "clones"), Trace::Pending);
    assert_eq!(trace(&dump, "sleeper"), Trace::Pending);
    let capture = dump.task_capture.as_ref().unwrap();
    assert!(capture.cut > 0);
    assert_eq!((capture.tracked, capture.asked, capture.served), (2, 2, 2));
    let branches = &task(&dump, "clones").task.as_ref().unwrap().branches;
    assert!(branches.len() > 1_000 && dump.stacks.len() < 100, "equal stacks are one");
}

#[test]
fn a_waker_that_does_not_come_back_costs_the_trace_and_not_the_dump() {
    /// Wakes when a lock is free: an executor whose queue a stuck thread has locked.
    struct Stuck(Arc<Mutex<()>>);
    impl std::task::Wake for Stuck {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock());
        }
    }
    let _alone = alone();
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let waker = Waker::from(Arc::new(Stuck(lock.clone())));
    let mut tracked = std::pin::pin!(task::track_named("victim", pending::<()>()));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(tracked.as_mut().poll(&mut context).is_pending());
    let first = dump();
    assert_eq!(task(&first, "victim").state, ThreadState::Waiting);
    assert_eq!(trace(&first, "victim"), Trace::NotServed);
    let second = dump();
    let said = |dump: &Dump| dump.notices.iter().any(|notice| notice.message.contains("wakes"));
    assert!(!said(&first) && said(&second), "{:?}", second.notices);
    assert_eq!(task(&second, "victim").state, ThreadState::Waiting);
    drop(held);
    wait_for(|| !said(&dump()));
}
