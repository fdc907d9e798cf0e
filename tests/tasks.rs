use std::collections::BTreeSet;

use serde_json::Value;
use sigquit_dump::{Dump, Kind, Thread, ThreadState, Trace};

use crate::end_to_end::assert_healthy;
use crate::incident::{Incident, incident};

fn dumped(victim: &str) -> Incident {
    incident(victim, "ready", |running| running.quit().unwrap())
}

fn tasks(dump: &Dump) -> impl Iterator<Item = &Thread> {
    dump.threads.iter().filter(|thread| thread.kind == Kind::Task)
}

fn task<'a>(dump: &'a Dump, name: &str) -> &'a Thread {
    let mut named = tasks(dump).filter(|task| task.name == name);
    let task = named.next().unwrap_or_else(|| panic!("no task {name}"));
    assert!(named.next().is_none(), "{name} is there twice");
    task
}

fn thread<'a>(dump: &'a Dump, tid: &Value) -> &'a Thread {
    dump.threads.iter().find(|thread| thread.os_id == tid.as_u64()).expect("the thread is there")
}

fn trace(task: &Thread) -> Trace {
    task.task.as_ref().unwrap().trace
}

fn names(names: &Value) -> Vec<&str> {
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// The victim's own functions on a stack, innermost first, without the path of its module.
fn chain<'a>(dump: &'a Dump, thread: &Thread, module: &str) -> Vec<&'a str> {
    let of_module = |function: &'a str| {
        let (_, own) = function.split_once(&format!("victim::{module}::"))?;
        function.starts_with("victim::").then_some(own)
    };
    dump.calls(thread).filter_map(|(_, _, symbol)| of_module(&symbol.function)).collect()
}

/// The task waits, was polled for the dump, and shows this chain.
fn assert_waits(dump: &Dump, name: &str, module: &str, expected: &[&str]) {
    let task = task(dump, name);
    assert_eq!((task.state, trace(task)), (ThreadState::Waiting, Trace::Pending), "{name}");
    assert_eq!(chain(dump, task, module), expected, "{name}");
}

/// The task runs on that thread, and each names the other.
fn assert_runs_on(dump: &Dump, name: &str, tid: &Value) {
    let task = task(dump, name);
    assert_eq!((task.state, trace(task)), (ThreadState::Running, Trace::NotAsked), "{name}");
    assert_eq!(task.task.as_ref().unwrap().polled_by, tid.as_u64(), "{name}");
    assert_eq!(thread(dump, tid).carries, task.number, "{name}");
}

/// Whether a finding is about the task of that name.
fn is_about(finding: &Value, name: &str) -> bool {
    let mut members = finding["members"].as_array().unwrap().iter();
    members.any(|member| member["kind"] == "task" && member["name"] == *name)
}

/// The task could not be polled for the dump, and the dump knows who polled it last.
fn assert_is_not_served(dump: &Dump, name: &str, workers: &BTreeSet<u64>) {
    let task = task(dump, name);
    assert_eq!((task.state, trace(task)), (ThreadState::Waiting, Trace::NotServed), "{name}");
    let facts = task.task.as_ref().unwrap();
    assert_eq!((task.stack, facts.polls), (None, 1), "{name}");
    assert!(workers.contains(&facts.polled_by.unwrap()), "{name}");
    assert!(dump.spawn(task).unwrap().location.is_some(), "{name}");
}

#[test]
fn worker_spins_is_shown_with_its_task_and_the_other_worker_serves_all() {
    let incident = dumped("worker-spins");
    let (dumps, truth) = (incident.dumps(), incident.truth());
    let spinning = &truth["spinning"];
    let finding = incident.report.finding("spin-loop");
    assert!(is_about(finding, spinning["task"].as_str().unwrap()), "{finding}");
    for dump in &dumps {
        let tid = &spinning["worker"]["tid"];
        assert_runs_on(dump, spinning["task"].as_str().unwrap(), tid);
        assert!(chain(dump, thread(dump, tid), "worker_spins").contains(&"root_of"));
        for session in truth["sessions"].as_array().unwrap() {
            let functions = ["next_message::{{closure}}::{{closure}}", "next_message::{{closure}}"];
            let functions = [&functions[..], &["serve_session::{{closure}}"]].concat();
            assert_waits(dump, session["name"].as_str().unwrap(), "worker_spins", &functions);
        }
        let ticker = task(dump, "ticker");
        let served = matches!(trace(ticker), Trace::Pending | Trace::Finished);
        assert!(served || ticker.state == ThreadState::Running, "{ticker:?}");
        let capture = dump.task_capture.as_ref().unwrap();
        assert_eq!((capture.tracked, capture.served), (8, capture.asked));
    }
    // What the sessions counted themselves: one poll at the start, and one for each dump.
    for session in truth["sessions"].as_array().unwrap() {
        assert_eq!(session["polls"].as_u64(), Some(1 + dumps.len() as u64), "{session}");
    }
    assert!(truth["ticks"].as_u64() > incident.before["ticks"].as_u64());
}

#[test]
fn workers_blocked_leave_every_task_its_state_and_its_worker() {
    let incident = dumped("workers-blocked");
    let finding = incident.report.finding("runtime-blocked");
    assert_eq!(finding["severity"], "critical");
    let truth = incident.truth();
    let waiters = truth["waiters"].as_array().unwrap();
    assert!(is_about(finding, truth["owner"]["task"].as_str().unwrap()), "{finding}");
    let blocked = || waiters.iter().chain([&truth["owner"]]);
    let workers = blocked().map(|task| task["tid"].as_u64().unwrap()).collect();
    for dump in incident.dumps() {
        blocked().for_each(|task| {
            assert_runs_on(&dump, task["task"].as_str().unwrap(), &task["tid"]);
        });
        let owner = thread(&dump, &truth["owner"]["tid"]);
        assert!(chain(&dump, owner, "workers_blocked").contains(&"receive"));
        for waiter in waiters {
            let waiter = thread(&dump, &waiter["tid"]);
            assert!(chain(&dump, waiter, "workers_blocked").contains(&"add_to"));
        }
        for name in names(&truth["suspended"]) {
            assert_is_not_served(&dump, name, &workers);
        }
        let late = task(&dump, truth["new"].as_str().unwrap());
        assert_eq!((late.state, trace(late)), (ThreadState::New, Trace::NotAsked));
        let runtime = &dump.async_runtimes[..];
        assert_eq!(runtime.len(), 1);
        let seen: BTreeSet<u64> =
            runtime[0].workers.iter().filter_map(|worker| worker.os_id).collect();
        assert_eq!(seen, workers);
    }
}

#[test]
fn async_abba_shows_where_each_task_waits() {
    let incident = dumped("async-abba");
    let truth = incident.truth();
    // The dumps do not tell the locks, so that it is not proven.
    let finding = incident.report.finding("deadlock");
    assert_eq!(finding["severity"], "medium");
    for name in names(&truth["cycle"]) {
        assert!(is_about(finding, name), "{finding}");
    }
    assert_eq!(truth["locked"], true);
    for dump in incident.dumps() {
        for name in names(&truth["cycle"]) {
            assert_waits(&dump, name, "async_abba", &["transfer::{{closure}}"]);
        }
        for name in names(&truth["bystanders"]) {
            assert_waits(&dump, name, "async_abba", &["print::{{closure}}"]);
        }
        assert_eq!(tasks(&dump).count(), 5);
    }
}

#[test]
fn task_leak_is_counted_and_grows() {
    let incident = dumped("task-leak");
    let truth = incident.truth();
    let finding = incident.report.finding("task-leak");
    assert!(!is_about(finding, truth["alive"].as_str().unwrap()));
    let functions = ["wait_for_reply::{{closure}}", "handle_request::{{closure}}"];
    let mut least = incident.before["leaked"].as_u64().unwrap();
    for dump in incident.dumps() {
        let leaked: Vec<&Thread> = tasks(&dump).filter(|task| task.name.is_empty()).collect();
        let waits = |task: &&Thread| chain(&dump, task, "task_leak") == functions;
        let waiting = leaked.iter().filter(|task| trace(task) == Trace::Pending);
        assert!(waiting.filter(|task| waits(task)).count() as u64 >= least);
        let place = |task: &&Thread| dump.spawn(task).unwrap().location.clone();
        assert_eq!(leaked.iter().map(place).collect::<std::collections::HashSet<_>>().len(), 1);
        least = leaked.len() as u64;
        assert!(least <= truth["leaked"].as_u64().unwrap());
        task(&dump, truth["alive"].as_str().unwrap());
    }
    assert!(least > incident.before["leaked"].as_u64().unwrap());
}

#[test]
fn lost_waker_is_told_from_a_wait_and_who_was_ready_is_done_by_the_dump() {
    let incident = dumped("lost-waker");
    let (dumps, truth) = (incident.dumps(), incident.truth());
    let findings = incident.report.findings("lost-waker");
    let never = truth["never"]["name"].as_str().unwrap();
    assert!(findings.iter().any(|finding| is_about(finding, never)), "{}", incident.report);
    let waits = truth["waits"].as_str().unwrap();
    assert!(!findings.iter().any(|finding| is_about(finding, waits)));
    for dump in &dumps {
        let never = task(dump, truth["never"]["name"].as_str().unwrap());
        assert_eq!((never.state, trace(never)), (ThreadState::Waiting, Trace::NoWaker));
        assert_eq!((never.stack, never.task.as_ref().unwrap().polls), (None, 1));
        let waits = truth["waits"].as_str().unwrap();
        assert_waits(dump, waits, "lost_waker", &["wait_for_shutdown::{{closure}}"]);
    }
    let arrived = truth["arrived"]["name"].as_str().unwrap();
    assert_eq!(trace(task(&dumps[0], arrived)), Trace::Finished);
    assert!(dumps[1..].iter().all(|dump| tasks(dump).all(|task| task.name != arrived)));
    let none = Value::from([false; 3].as_slice());
    assert_eq!((&incident.before["finished"], &truth["never"]["looks"]), (&none, &4.into()));
    assert_eq!(truth["finished"], Value::from([false, true, false].as_slice()));
    assert_eq!(truth["arrived"]["looks"], 2, "once at the start, once for the first dump");
}

#[test]
fn idle_connections_are_all_shown_and_all_alike() {
    let incident = dumped("idle-connections");
    assert_healthy(&incident.report);
    let truth = incident.truth();
    let functions = ["read_request::{{closure}}", "serve::{{closure}}"];
    let idle = truth["idle"].as_u64().unwrap();
    for dump in incident.dumps() {
        let is_idle = |task: &&Thread| {
            trace(task) == Trace::Pending
                && dump
                    .calls(task)
                    .map(|(_, _, symbol)| &*symbol.function)
                    .any(|function| function.starts_with("victim::idle_connections::read_request"))
        };
        let waiting: Vec<&Thread> = tasks(&dump).filter(is_idle).collect();
        // One more when the connection with talk waits too.
        assert!((idle..=idle + 1).contains(&(waiting.len() as u64)), "{}", waiting.len());
        let stacks: BTreeSet<_> = waiting.iter().map(|task| task.stack).collect();
        assert!(stacks.len() <= 4, "{} stacks of tasks that wait alike", stacks.len());
        for stack in stacks {
            let one = Thread { stack, ..Thread::default() };
            let generic = chain(&dump, &one, "idle_connections");
            let plain: Vec<String> = generic.iter().map(|name| without_types(name)).collect();
            assert_eq!(plain, functions);
        }
        let capture = dump.task_capture.as_ref().unwrap();
        assert_eq!((capture.served, capture.cut), (capture.asked, 0));
    }
    assert!(truth["echoed"].as_u64() > incident.before["echoed"].as_u64(), "it serves on");
}

/// A function's name without what it is generic over.
fn without_types(name: &str) -> String {
    match (name.find("::<"), name.rfind('>')) {
        (Some(from), Some(to)) => format!("{}{}", &name[..from], &name[to + 1..]),
        _ => name.to_owned(),
    }
}

#[test]
fn current_thread_names_the_local_task_that_blocks_and_all_whom_it_keeps() {
    let incident = dumped("current-thread");
    incident.report.finding("runtime-blocked");
    let truth = incident.truth();
    let tid = &truth["thread"]["tid"];
    let only = BTreeSet::from([tid.as_u64().unwrap()]);
    for dump in incident.dumps() {
        assert_runs_on(&dump, truth["blocking"].as_str().unwrap(), tid);
        assert!(chain(&dump, thread(&dump, tid), "current_thread").contains(&"receive"));
        for name in names(&truth["suspended"]) {
            assert_is_not_served(&dump, name, &only);
        }
    }
    assert_eq!(truth["drawn"], incident.before["drawn"], "nobody was polled after all");
}

#[test]
fn middleware_shows_requests_in_a_server_that_spawns_by_itself() {
    let incident = dumped("middleware");
    let truth = incident.truth();
    let stuck = names(&truth["stuck"]);
    for dump in incident.dumps() {
        let mut asking = 0;
        for name in &stuck {
            let request = task(&dump, name);
            let asks = chain(&dump, request, "middleware").contains(&"Warehouse::ask::{{closure}}");
            asking += u64::from(asks);
            let ask = if asks { &["Warehouse::ask::{{closure}}"][..] } else { &[] };
            let functions = ["Warehouse::stock::{{closure}}", "show_order::{{closure}}"];
            assert_waits(&dump, name, "middleware", &[ask, &functions].concat());
        }
        assert_eq!(Some(asking), truth["asked"].as_u64());
    }
    assert!(truth["visits"].as_u64() > incident.before["visits"].as_u64(), "others are served");
}
