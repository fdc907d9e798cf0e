//! Tasks in dumps, in one process: the agent is installed once, and every test dumps.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::sync::Once;
use std::time::Duration;

use sigquit::dump::{Dump, Kind, Thread, ThreadState, Trace};
use sigquit::task;
use tokio::runtime::Runtime;

fn dump() -> Dump {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        sigquit::builder().directory(folder).install().unwrap();
    });
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

fn functions(dump: &Dump, task: &Thread) -> Vec<String> {
    dump.calls(task).map(|(_, _, symbol)| symbol.function.clone()).collect()
}

/// Lets the runtime come to rest.
fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn a_task_that_sleeps_shows_its_await_chain() {
    let runtime = runtime();
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
