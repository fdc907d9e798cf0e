//! The threads of an async runtime for work that blocks (`spawn_blocking`), of which none is left: what
//! `thread-pool-exhaustion` says of them. All are inside of such work and wait, and more tasks wait for work to end than
//! there are threads and other tasks that could be waited for: so some of it has not begun.
//!
//! ```text
//! reader-0 .. reader-8   9 tasks wait for what they gave to spawn_blocking
//! 6 threads              each in the work of one of them, and waits
//! ```
//!
//! Each handle is waited for by one, so nine tasks wait for nine pieces of work: three have no thread. When what the six
//! wait for is such a piece, nobody is left to do it.

use std::collections::BTreeMap;

use sigquit_dump::{Kind, Nanos};

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, thread_pool_exhaustion};
use crate::model::pattern::matches_any;
use crate::model::{Activity, Incident, MemberId, TaskWait};

/// The outermost function of a pool's thread.
const POOL: &[&str] = &["tokio::runtime::blocking::pool::Inner::run"];
/// The workers that poll tasks are begun as work of the same pool.
const POLLS: &[&str] = &["tokio::runtime::scheduler::multi_thread*::worker::*"];
/// A task that waits so long does not take its turn.
const LONG: Nanos = Nanos(1_000_000_000);

/// The finding, when there is one: it takes two dumps to see that nobody goes on.
pub(in crate::detect) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let waiting = waiting(incident)?;
    let threads: Vec<MemberId> =
        incident.shown(newest).filter(|&id| is_of_pool(incident, id, newest)).collect();
    let stays = |&id: &MemberId| waits_in_work(incident, id);
    if threads.is_empty() || !threads.iter().all(stays) {
        return None;
    }
    // What the others do may be what some of these wait for.
    let others = tasks(incident, newest).saturating_sub(waiting.len());
    let not_begun = waiting.len().checked_sub(threads.len() + others).filter(|&count| count > 0)?;
    let first = threads[0];
    let place = phrase::place(incident, first, newest).unwrap_or_else(|| "a wait".into());
    let work = phrase::place(incident, waiting[0], newest).unwrap_or_else(|| "one place".into());
    let all = phrase::number(threads.len(), "thread");
    let fact = |text: String, value: usize| Evidence {
        text,
        dump: Some(newest),
        member: None,
        value: Some(value as f64),
    };
    Some(Finding {
        detector: thread_pool_exhaustion::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.1,
        headline: format!(
            "no thread for blocking work is left: all {} wait within such work, and {not_begun} or more of {} that wait \
             for work to end wait for some that has not begun",
            threads.len(),
            phrase::number(waiting.len(), "task"),
        ),
        detail: format!(
            "The threads stay in their waits in every dump, the first of them in {place}; the tasks were not polled, and \
             wait in {work}. Work that waits for other work of the same threads starves them: it is queued behind them. \
             Whether they wait for that is not in the dumps."
        ),
        next_step: "Restart the process if nothing goes on. In the code, do not wait inside of `spawn_blocking` for what \
                    needs another blocking thread: not for another `spawn_blocking`, nor for files and names that the \
                    runtime looks up with it. Give what is waited for threads of its own, or wait for it in the task. \
                    More threads (`max_blocking_threads`) delay this and change nothing."
            .into(),
        frames: phrase::telling_frames(incident, first, newest),
        evidence: vec![
            fact(format!("{all} for blocking work, none of them idle, each in one wait in every dump"), threads.len()),
            fact(
                format!("{} wait for work to end; other tasks: {others}", phrase::number(waiting.len(), "task")),
                waiting.len(),
            ),
        ],
        victims: waiting,
        members: threads.clone(),
        holders: threads,
        ..Finding::default()
    })
}

fn is_of_pool(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let has = |names| incident.calls(id, dump).any(|call| matches_any(names, &call.function));
    incident.member(id).kind == Kind::Thread && has(POOL) && !has(POLLS)
}

/// Whether a thread of such a pool is inside of work.
pub(in crate::detect) fn works(incident: &Incident, id: MemberId, dump: usize) -> bool {
    is_of_pool(incident, id, dump) && incident.application_calls(id, dump).next().is_some()
}

/// Whether a thread of the pool stays in one wait for others of the program, inside of work.
fn waits_in_work(incident: &Incident, id: MemberId) -> bool {
    let for_others = |dump| matches!(incident.activity(id, dump), Activity::Event | Activity::Lock);
    incident.waits_throughout(id)
        && (0..incident.dumps.len()).all(|dump| for_others(dump) && works(incident, id, dump))
}

/// The tasks of one kind at one place that wait throughout for others, or for work, to end: the most that there are. Those
/// of another kind may be what is waited for.
fn waiting(incident: &Incident) -> Option<Vec<MemberId>> {
    let newest = incident.dumps.len() - 1;
    let waits = |&id: &MemberId| {
        let since = incident.task(id, newest).and_then(|task| task.since_poll);
        let joins = |dump| {
            matches!(incident.task_wait(id, dump), Some(TaskWait::Join | TaskWait::Blocking))
        };
        since >= Some(LONG) && incident.was_not_polled(id) && (0..=newest).all(joins)
    };
    let mut kinds: BTreeMap<_, Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest).filter(waits) {
        let spawn = incident.task(id, newest).and_then(|task| task.spawn);
        let place = incident.application_calls(id, newest).next().map(|call| &call.function);
        kinds.entry((spawn, place)).or_default().push(id);
    }
    kinds.into_values().max_by_key(Vec::len)
}

/// How many tasks there are, tracked or not.
fn tasks(incident: &Incident, dump: usize) -> usize {
    let dump = &incident.dumps[dump];
    let alive: u64 = dump.async_runtimes.iter().filter_map(|runtime| runtime.alive_tasks).sum();
    let tracked = dump.threads.iter().filter(|thread| thread.kind == Kind::Task).count();
    tracked.max(usize::try_from(alive).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAITS: &[&str] = &[
        "std::sys::sync::condvar::futex::Condvar::wait",
        "tokio::runtime::park::Inner::park",
        "tokio::runtime::handle::Handle::block_on",
        "shop::page:4",
        "tokio::runtime::blocking::pool::Inner::run",
    ];
    const IDLE: &[&str] = &[
        "std::sys::sync::condvar::futex::Condvar::wait_timeout",
        "tokio::runtime::blocking::pool::Inner::run",
    ];
    const COMPUTES: &[&str] = &["shop::page:2", "tokio::runtime::blocking::pool::Inner::run"];
    const JOINS: &[&str] =
        &["tokio::runtime::task::join::JoinHandle::poll", "shop::read::{{closure}}:9"];
    const SERVES: &[&str] = &["tokio::sync::mpsc::chan::Rx::recv", "shop::serve::{{closure}}:3"];

    /// Two threads that wait within work, so many tasks that wait for it, and what else there is.
    fn found(dumps: u64, tasks: u64, also: impl Fn(&mut Moment, u64)) -> Option<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for number in 1..=2 {
                    let thread = dump.thread(&format!("worker-{number}"), WAITS);
                    thread.is(ThreadState::Waiting).cpu = Some(Nanos(0));
                }
                (1..=tasks).for_each(|number| _ = dump.task(number, "", JOINS));
                also(dump, second);
            })
        });
        finding(&scene.incident())
    }

    #[test]
    fn more_tasks_wait_for_work_than_there_are_threads() {
        let finding = found(2, 3, |_, _| ()).expect("one has no thread");
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 2));
        assert!(finding.headline.contains("1 or more of 3 tasks"), "{}", finding.headline);
        assert_eq!(found(1, 3, |_, _| ()), None, "one dump shows no time");
    }

    #[test]
    fn threads_that_are_kept_for_long_and_waited_for_are_well() {
        assert_eq!(found(2, 2, |_, _| ()), None, "one task for each");
        let joined = |dump: &mut Moment, _| _ = dump.task(9, "loop", SERVES);
        assert_eq!(found(2, 3, joined), None, "one may wait for another task's end");
    }

    #[test]
    fn a_pool_that_has_an_idle_thread_or_works_is_not_exhausted() {
        let idle = |dump: &mut Moment, _| _ = dump.thread("idle", IDLE).is(ThreadState::Waiting);
        assert_eq!(found(2, 9, idle), None);
        let works = |dump: &mut Moment, _| _ = dump.thread("busy", COMPUTES);
        assert_eq!(found(2, 9, works), None);
    }

    #[test]
    fn tasks_that_go_on_are_served() {
        let moves = |dump: &mut Moment, second| {
            let tasks = dump.dump.threads.iter_mut().filter_map(|thread| thread.task.as_mut());
            tasks.for_each(|task| task.polls = second + 1);
        };
        assert_eq!(found(2, 9, moves), None);
    }
}
