//! What a dump says of async tasks and of their runtimes, for [`show`](super::show).

use std::collections::HashMap;

use sigquit_dump::{
    AsyncRuntime, Dump, Kind, Nanos, SpawnId, StackId, Task, Thread, Trace, Worker,
};

use super::frame::place;
use super::plain::plain;
use super::show::{distinct, range};

/// So many branches of a task are shown beside the first.
pub(super) const BRANCHES: usize = 8;

/// What tells tasks of one block from those of others, beside the stack.
pub(super) fn key(thread: &Thread) -> Option<(Option<SpawnId>, Trace, &[StackId])> {
    thread.task.as_ref().map(|task| (task.spawn, task.trace, &task.branches[..]))
}

/// How often and when they were polled, to follow the names.
pub(super) fn head(threads: &[&Thread]) -> String {
    let tasks = || threads.iter().filter_map(|thread| thread.task.as_deref());
    let mut head = String::new();
    let polls = tasks().map(|task| task.polls);
    if let Some((least, most)) = polls.clone().min().zip(polls.max()) {
        head += &match least == most {
            true => format!("  polled {least} times"),
            false => format!("  polled {least} to {most} times"),
        };
    }
    if let Some(since) = range(tasks().filter_map(|task| task.since_poll)) {
        head += &format!(", last {since} ago");
    }
    head
}

/// Where they were spawned, what polling them brought, and who should have.
pub(super) fn facts(dump: &Dump, threads: &[&Thread]) -> Vec<String> {
    let mut facts = distinct(threads, |thread| {
        let spawn = dump.spawn(thread);
        let type_name = spawn.map(|spawn| plain(&spawn.type_name)).filter(|name| !name.is_empty());
        let at = spawn.and_then(|spawn| spawn.location.as_ref()).map(place);
        match (type_name, at) {
            (Some(name), Some(at)) => vec![format!("- {name}, spawned at {at}")],
            (name, at) => name.or(at).map(|one| format!("- spawned: {one}")).into_iter().collect(),
        }
    });
    facts.extend(distinct(threads, |thread| {
        let task = thread.task.as_deref();
        task.and_then(|task| outcome(dump, thread, task)).into_iter().collect()
    }));
    facts
}

fn outcome(dump: &Dump, thread: &Thread, task: &Task) -> Option<String> {
    let polled_by = task.polled_by.and_then(|tid| {
        let is_it = |thread: &&Thread| thread.kind == Kind::Thread && thread.os_id == Some(tid);
        dump.threads.iter().find(is_it)
    });
    match task.trace {
        Trace::NotAsked => {
            let by = polled_by.filter(|_| thread.state == sigquit_dump::ThreadState::Running)?;
            Some(format!("- runs on {}", named(by)))
        }
        Trace::Pending => None,
        Trace::NoWaker => {
            Some("- left its waker nowhere when it was polled: who will wake it?".into())
        }
        Trace::Yielded => Some("- has woken itself: it only lets others go first".into()),
        Trace::Finished => {
            Some("- was ready when the dump had it polled, and ended with that".into())
        }
        Trace::Unfinished => Some("- polled for the dump, and still in that poll".into()),
        Trace::NotServed => Some(match polled_by {
            Some(worker) => format!(
                "- woken for the dump and not polled in time; {} polled it last, {}",
                named(worker),
                occupation(worker),
            ),
            None => "- woken for the dump, and not polled in time".into(),
        }),
    }
}

fn named(thread: &Thread) -> String {
    let tid = thread.os_id.unwrap_or_default();
    format!("{} (tid {tid})", plain(&thread.name))
}

fn occupation(worker: &Thread) -> String {
    match worker.carries {
        Some(number) => format!("and is in task {number}"),
        None => format!("and is in state {}", plain(&worker.state_text)),
    }
}

/// What stands in the place of the stack of a task that has none.
pub(super) fn without_stack(thread: &Thread) -> Option<&'static str> {
    let task = thread.task.as_deref()?;
    Some(match (thread.state, task.trace) {
        (sigquit_dump::ThreadState::Running, _) => "its stack is that of its thread",
        (sigquit_dump::ThreadState::New, _) => "no stack: it has never been polled",
        (_, Trace::NotAsked) => "no stack: it was not polled for the dump",
        _ => "no stack",
    })
}

/// How the capture of tasks went, and how the runtimes get on.
pub(super) fn sentences(dump: &Dump) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(capture) = &dump.task_capture {
        let mut sentence = match capture.deadline {
            Some(_) => format!(
                "{} tasks tracked; {} of {} that were suspended were polled for the dump, in {}",
                capture.tracked,
                capture.served,
                capture.asked,
                millis(capture.wall),
            ),
            None => format!("{} tasks tracked, none polled for the dump", capture.tracked),
        };
        if capture.out_of_reach > 0 {
            sentence += &format!("; {} or more out of reach", capture.out_of_reach);
        }
        if capture.cut > 0 {
            sentence += &format!("; {} stacks left out for lack of room", capture.cut);
        }
        sentences.push(sentence);
    }
    let mut names: HashMap<u64, &Thread> = HashMap::new();
    for thread in dump.threads.iter().filter(|thread| thread.kind == Kind::Thread) {
        names.extend(thread.os_id.map(|tid| (tid, thread)));
    }
    sentences.extend(dump.async_runtimes.iter().map(|runtime| runtime_sentence(runtime, &names)));
    sentences
}

fn runtime_sentence(runtime: &AsyncRuntime, names: &HashMap<u64, &Thread>) -> String {
    let mut words = vec![format!("{} runtime {}", plain(&runtime.name), runtime.id)];
    words.extend(runtime.alive_tasks.map(|tasks| format!("{tasks} tasks alive")));
    words.extend(runtime.global_queue_depth.map(|tasks| format!("{tasks} in the shared queue")));
    let workers = runtime.workers.iter().enumerate();
    words.extend(workers.map(|(number, worker)| worker_words(number, worker, names)));
    words.join(", ")
}

fn worker_words(number: usize, worker: &Worker, names: &HashMap<u64, &Thread>) -> String {
    let thread = worker.os_id.and_then(|tid| names.get(&tid));
    let who = thread.map_or(String::new(), |thread| format!(" = {}", named(thread)));
    let asleep = match worker.parks_and_unparks {
        Some(count) if count % 2 == 1 => ", asleep",
        Some(_) => ", awake",
        None => "",
    };
    let task = thread.and_then(|thread| thread.carries);
    let task = task.map_or(String::new(), |task| format!(", in task {task}"));
    let (parks, busy) = (worker.parks, millis(worker.busy));
    format!("worker {number}{who} has slept {parks} times, was busy {busy}{asleep}{task}")
}

fn millis(time: Nanos) -> String {
    format!("{:.1} ms", time.0 as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Location, Spawn, TaskCapture, ThreadState};

    use super::*;

    fn dump() -> Dump {
        let mut dump = Dump::default();
        let location = Some(Location { file: "src/shop.rs".into(), line: Some(7), column: None });
        let spawn = Some(dump.add_spawn(Spawn { type_name: "shop::serve".into(), location }));
        let worker =
            Worker { os_id: Some(5), parks: 3, parks_and_unparks: Some(6), ..Worker::default() };
        dump.async_runtimes.push(AsyncRuntime {
            name: "tokio".into(),
            id: 1,
            alive_tasks: Some(2),
            workers: vec![worker],
            ..AsyncRuntime::default()
        });
        let (asked, tracked, deadline) = (1, 2, Some(Nanos::from_millis(300)));
        dump.task_capture =
            Some(TaskCapture { asked, tracked, deadline, ..TaskCapture::default() });
        let worker =
            Thread { name: "worker".into(), os_id: Some(5), carries: Some(1), ..Thread::default() };
        let task = |number: u64, state, trace, polls| {
            let task = Task { spawn, polled_by: Some(5), trace, polls, ..Task::default() };
            let (kind, task) = (Kind::Task, Some(Box::new(task)));
            Thread { kind, number: Some(number), state, task, ..Thread::default() }
        };
        let running = task(1, ThreadState::Running, Trace::NotAsked, 2);
        let waiting = task(2, ThreadState::Waiting, Trace::NotServed, 3);
        dump.threads = vec![worker, running, waiting];
        dump
    }

    #[test]
    fn a_worker_and_its_task_name_each_other() {
        let dump = dump();
        let facts_of = |at: usize| facts(&dump, &[&dump.threads[at]]);
        let spawned = "- shop::serve, spawned at src/shop.rs:7";
        assert_eq!(facts_of(1), [spawned, "- runs on worker (tid 5)"]);
        let unserved = "- woken for the dump and not polled in time; worker (tid 5) polled it last, \
                        and is in task 1";
        assert_eq!(facts_of(2), [spawned, unserved]);
        assert_eq!(without_stack(&dump.threads[1]), Some("its stack is that of its thread"));
    }

    #[test]
    fn runtimes_and_the_capture_are_told_in_a_line_each() {
        assert_eq!(
            sentences(&dump()),
            [
                "2 tasks tracked; 0 of 1 that were suspended were polled for the dump, in 0.0 ms",
                "tokio runtime 1, 2 tasks alive, worker 0 = worker (tid 5) has slept 3 times, was \
                 busy 0.0 ms, awake, in task 1"
            ]
        );
    }

    #[test]
    fn polls_of_several_tasks_are_a_range() {
        let dump = dump();
        let threads: Vec<&Thread> = dump.threads[1..].iter().collect();
        assert_eq!(head(&threads), "  polled 2 to 3 times");
        assert_eq!(head(&[&dump.threads[0]]), "");
    }
}
