//! Tokio's own spans, as tokio makes them, and what dumps and the analyzer make of them:
//! `cd tests/unstable && cargo test`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use sigquit::dump::{Dump, Kind, LockKind, OwnerSource, Thread, ThreadState, Trace, WaitFor};
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Mutex, RwLock, Semaphore, oneshot};
use tokio::time::{interval, sleep, timeout};
use tracing_subscriber::prelude::*;

const LONG: Duration = Duration::from_secs(1000);

/// The folder for incidents, once the layer and the agent are there.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        tracing_subscriber::registry().with(sigquit::spans::layer()).init();
        let folder = tempfile::tempdir().unwrap();
        sigquit::builder().directory(folder.path()).install().unwrap();
        folder
    });
    folder.path()
}

fn dump() -> Dump {
    read(&sigquit::dump_now().unwrap())
}

fn read(file: &Path) -> Dump {
    let (mut dumps, warnings) = sigquit::dump::read(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(warnings, []);
    dumps.remove(0)
}

fn runtime() -> Runtime {
    folder();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Spawns as a library does: through tokio, and unknown to the agent.
fn spawn<F>(runtime: &Runtime, name: &str, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::task::Builder::new().name(name).spawn_on(future, runtime.handle()).unwrap();
}

fn task<'a>(dump: &'a Dump, name: &str) -> &'a Thread {
    let all: Vec<&Thread> = dump.threads.iter().filter(|thread| thread.name == name).collect();
    let [one] = all[..] else { panic!("{} tasks are called {name}", all.len()) };
    assert_eq!(one.kind, Kind::Task);
    one
}

/// The call that the task is in, without the place.
fn call<'a>(dump: &'a Dump, name: &str) -> &'a str {
    task(dump, name).state_text.split(' ').next().unwrap()
}

fn awaited(dump: &Dump, name: &str) -> Option<(LockKind, WaitFor)> {
    let wait = task(dump, name).wait.as_ref()?;
    Some((dump.lock(wait.lock).kind, wait.wait_for))
}

fn owners<'a>(dump: &'a Dump, waiter: &str) -> Vec<&'a str> {
    let lock = dump.lock(task(dump, waiter).wait.as_ref().unwrap().lock);
    let owners =
        lock.owners.iter().inspect(|owner| assert_eq!(owner.source, OwnerSource::Inferred));
    owners.map(|owner| &*dump.threads[owner.thread as usize].name).collect()
}

/// Lets the runtime come to rest.
fn settle() {
    std::thread::sleep(Duration::from_millis(200));
}

#[test]
fn every_call_that_has_spans_is_named_with_what_it_waits_for() {
    let runtime = runtime();
    let guard = runtime.enter();
    let mutex = Arc::new(Mutex::new(()));
    let rwlock = Arc::new(RwLock::new(()));
    let semaphore = Arc::new(Semaphore::new(0));
    let barrier = Arc::new(Barrier::new(2));
    let (sender, receiver) = oneshot::channel::<()>();
    drop(guard);

    let (lock, rw) = (mutex.clone(), rwlock.clone());
    spawn(&runtime, "holds", async move {
        let _held = (lock.lock().await, rw.write().await);
        sleep(LONG).await;
    });
    settle();
    let lock = mutex.clone();
    spawn(&runtime, "locks", async move { drop(lock.lock().await) });
    let lock = mutex.clone();
    spawn(&runtime, "locks-owned", async move { drop(lock.lock_owned().await) });
    let lock = mutex.clone();
    spawn(&runtime, "hurries", async move { drop(timeout(LONG, lock.lock()).await) });
    let rw = rwlock.clone();
    spawn(&runtime, "reads", async move { drop(rw.read().await) });
    spawn(&runtime, "writes", async move { drop(rwlock.write().await) });
    spawn(&runtime, "permitted", async move { drop(semaphore.acquire().await) });
    spawn(&runtime, "meets", async move { drop(barrier.wait().await) });
    spawn(&runtime, "receives", async move { drop(receiver.await) });
    spawn(&runtime, "sleeps", async move { sleep(LONG).await });
    spawn(&runtime, "ticks", async move {
        let mut interval = interval(LONG);
        loop {
            interval.tick().await;
        }
    });
    settle();
    let dump = dump();
    for (name, source, wait) in [
        ("locks", "Mutex::lock", Some((LockKind::Mutex, WaitFor::Exclusive))),
        ("locks-owned", "Mutex::lock_owned", Some((LockKind::Mutex, WaitFor::Exclusive))),
        ("hurries", "Mutex::lock", Some((LockKind::Mutex, WaitFor::Exclusive))),
        ("reads", "RwLock::read", Some((LockKind::RwLock, WaitFor::Shared))),
        ("writes", "RwLock::write", Some((LockKind::RwLock, WaitFor::Exclusive))),
        ("permitted", "Semaphore::acquire", Some((LockKind::Semaphore, WaitFor::Notification))),
        ("meets", "Barrier::wait", Some((LockKind::Condition, WaitFor::Notification))),
        ("receives", "Receiver::await", Some((LockKind::Channel, WaitFor::Notification))),
        ("sleeps", "Sleep::new_timeout", None),
        ("holds", "Sleep::new_timeout", None),
        ("ticks", "Interval::tick", None),
    ] {
        assert_eq!((call(&dump, name), awaited(&dump, name)), (source, wait), "{name}");
        assert!(task(&dump, name).state_text.contains("tests/spans.rs:"), "{name}");
    }
    for waiter in ["locks", "locks-owned", "hurries", "reads", "writes"] {
        assert_eq!(owners(&dump, waiter), ["holds"], "{waiter}");
    }
    let place = dump.spawn(task(&dump, "locks")).unwrap().location.clone().unwrap();
    assert!(place.file.ends_with("tests/spans.rs"), "{place:?}");
    drop(sender);
}

#[test]
fn locks_that_go_round_leave_no_owner_behind() {
    let runtime = runtime();
    let mutex = Arc::new(Mutex::new(0));
    let rwlock = Arc::new(RwLock::new(0));
    let turns = (0..8).map(|_| {
        let (mutex, rwlock) = (mutex.clone(), rwlock.clone());
        runtime.spawn(async move {
            for _ in 0..2000 {
                *mutex.lock().await += *rwlock.read().await;
                *rwlock.write().await += 1;
            }
        })
    });
    let turns: Vec<_> = turns.collect();
    runtime.block_on(async {
        for turn in turns {
            turn.await.unwrap();
        }
    });
    // Taken without waiting in line: nobody is written down, and whoever is must be left over.
    let (held, read) = (mutex.try_lock().unwrap(), rwlock.try_write().unwrap());
    let (lock, rw) = (mutex.clone(), rwlock.clone());
    spawn(&runtime, "after-lock", async move { drop(lock.lock().await) });
    spawn(&runtime, "after-rwlock", async move { drop(rw.read().await) });
    settle();
    let dump = dump();
    assert_eq!(owners(&dump, "after-lock"), [""; 0]);
    assert_eq!(owners(&dump, "after-rwlock"), [""; 0]);
    drop((held, read));
}

#[test]
fn a_tracked_task_shows_its_stack_and_its_lock_at_once() {
    let runtime = runtime();
    let guard = runtime.enter();
    let semaphore = Arc::new(Semaphore::new(0));
    drop(sigquit::task::spawn_named("both", async move { drop(semaphore.acquire().await) }));
    drop(guard);
    settle();
    let dump = dump();
    let both = task(&dump, "both");
    assert_eq!(awaited(&dump, "both"), Some((LockKind::Semaphore, WaitFor::Notification)));
    assert_eq!(both.task.as_ref().unwrap().trace, Trace::Pending);
    assert!(dump.calls(both).any(|(_, _, symbol)| symbol.function.contains("spans::")));
}

#[test]
fn a_task_that_runs_is_carried_by_its_thread() {
    let runtime = runtime();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    spawn(&runtime, "blocks", async move {
        let _ = stopped.recv();
    });
    settle();
    let dump = dump();
    let blocks = task(&dump, "blocks");
    assert_eq!(blocks.state, ThreadState::Running);
    let tid = blocks.task.as_ref().unwrap().polled_by;
    let carrier = dump.threads.iter().find(|thread| thread.carries == blocks.number).unwrap();
    assert_eq!((carrier.kind, carrier.os_id), (Kind::Thread, tid));
    drop(stop);
}

#[test]
fn two_tasks_that_want_each_others_mutex_are_a_deadlock() {
    let runtime = runtime();
    let guard = runtime.enter();
    let (left, right) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
    drop(guard);
    for (name, mine, yours) in
        [("left-first", left.clone(), right.clone()), ("right-first", right, left)]
    {
        spawn(&runtime, name, async move {
            let _mine = mine.lock().await;
            sleep(Duration::from_millis(100)).await;
            drop(yours.lock().await);
        });
    }
    spawn(&runtime, "bystander", async move { sleep(LONG).await });
    std::thread::sleep(Duration::from_millis(500));
    let own = tempfile::tempdir().unwrap();
    for number in 1..=2 {
        let file = sigquit::dump_now().unwrap();
        std::fs::copy(file, own.path().join(format!("dump-{number}.sigquit"))).unwrap();
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["sigquit", "analyze", "--output", "json"].map(Into::into);
    let arguments = arguments.into_iter().chain([own.path().into()]);
    assert_eq!(sigquit_analyzer::cli::run(arguments, &mut out, &mut err), 0);
    let report: Value = serde_json::from_slice(&out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found: Vec<&Value> =
        findings.iter().filter(|finding| finding["detector"] == "deadlock").collect();
    let [deadlock] = found[..] else { panic!("{report:#}") };
    let members = deadlock["members"].as_array().unwrap();
    let mut names: Vec<&str> =
        members.iter().map(|member| member["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["left-first", "right-first"], "{deadlock:#}");
    assert_eq!(deadlock["owner_source"], "inferred", "{deadlock:#}");
    assert_eq!(deadlock["grade"], "repeat", "{deadlock:#}");
    assert!(members.iter().all(|member| member["kind"] == "task"), "{deadlock:#}");
    if std::env::var_os("SHOW").is_some() {
        println!("{deadlock:#}");
    }
}
