//! Tasks that wait for async locks throughout, where nothing tells which locks these are: what
//! `lock-contention` says of them, and `deadlock` where no other task is in sight. Those that wait for a semaphore's permit are left out: that so
//! many go on at a time and the others wait is what a semaphore is for.

use std::collections::BTreeSet;

use sigquit_dump::{Kind, Nanos, ThreadState};

use super::{Evidence, Finding, Grade, Severity, deadlock, lock_contention, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId, TaskWait};

/// Waiting so long is no turn-taking.
const LONG: Nanos = Nanos(1_000_000_000);
/// One task that waits may have a slow owner. Two can be each other's.
const FEW: usize = 2;
/// Channels for one answer.
const REPLIES: &[&str] = &["*::oneshot::*"];
/// So many are told one by one.
const TOLD: usize = 4;

/// The finding, when there is one: it takes two dumps to see that nobody goes on.
pub(super) fn queue(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut members = wait_throughout(incident, TaskWait::Lock);
    // Whose turn it is takes a look at everyone, and most incidents have nobody who waits so.
    if members.len() >= FEW {
        let turns = turns(incident);
        members.retain(|&id| !takes_turns(incident, id, &turns));
    }
    if members.len() < FEW {
        return None;
    }
    let number = phrase::number(members.len(), "task");
    let runs = |id: MemberId| {
        let of = |dump| incident.thread(id, dump).map(|thread| thread.state);
        (0..=newest).all(|dump| of(dump) == Some(ThreadState::Running))
    };
    let tasks = || incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task);
    let running: Vec<MemberId> = tasks().filter(|&id| runs(id)).collect();
    // Then whoever holds the locks is one of them, as far as tasks are known.
    let alone = tasks().all(|id| members.binary_search(&id).is_ok() || comes_round(incident, id));
    let (detector, holders) = match alone {
        true => (deadlock::DETECTOR.name, "no other task is in sight that could hold them"),
        false => (lock_contention::DETECTOR.name, "owner unknown"),
    };
    let (severity, suspects) = match running.is_empty() {
        true => (Severity::Medium, "no task that runs can hold them".to_owned()),
        false => (Severity::Low, format!("{} may hold them", phrase::those(incident, &running))),
    };
    let dumps = phrase::number(incident.dumps.len(), "dump");
    let evidence = members.iter().take(TOLD).map(|&id| {
        let since = incident.task(id, newest).and_then(|task| task.since_poll).unwrap_or_default();
        let place = phrase::place(incident, id, newest).unwrap_or_default();
        Evidence {
            text: format!(
                "{} waits for a lock in {place}, last polled {} ago",
                phrase::who(incident, id),
                phrase::duration(since),
            ),
            dump: Some(newest),
            member: Some(id),
            value: Some(since.as_secs_f64()),
        }
    });
    Some(Finding {
        detector,
        severity,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.1,
        headline: format!(
            "{number} wait for async locks in all of {dumps}, and nobody polled them; {holders}"
        ),
        detail: format!(
            "Which locks these are is not in the dumps; {suspects}. Tasks that each hold what another \
             one wants look like this."
        ),
        next_step:
            "Look at each place for a lock that is held across another one's await: two tasks \
                    that take the same locks in different orders wait for ever. A build with the \
                    feature `tracing` names the locks and who holds them."
                .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: evidence.collect(),
        members,
        ..Finding::default()
    })
}

/// The functions in which a task waits for work in every dump: those who wait for a lock in the same function wait for
/// their turn to do so, as where workers share a receiver (`receiver.lock().await.recv().await`). Who waits for a reply does
/// not wait for work.
pub(super) fn turns(incident: &Incident) -> BTreeSet<&str> {
    let newest = incident.dumps.len() - 1;
    let for_work = |id: MemberId, dump| {
        let mut calls = incident.calls(id, dump);
        matches!(incident.task_wait(id, dump), Some(TaskWait::Receive | TaskWait::Accept))
            && !calls.any(|call| matches_any(REPLIES, &call.function))
    };
    let works = |&id: &MemberId| (0..=newest).all(|dump| for_work(id, dump));
    let tasks = incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task);
    tasks.filter(works).filter_map(|id| function(incident, id)).collect()
}

/// Whether a task that waits at one place for a time in every dump came by there again and again. Who does so has neither a
/// lock that others want all the time nor what they want to hand over, but for one that it keeps on purpose.
pub(super) fn comes_round(incident: &Incident, id: MemberId) -> bool {
    const ROUNDS: u64 = 2;
    let dumps = || (0..incident.dumps.len()).filter(|&dump| incident.task(id, dump).is_some());
    let place = |dump| incident.application_calls(id, dump).next();
    let mut polls = dumps().filter_map(|dump| Some(incident.task(id, dump)?.polls));
    let first = polls.next().unwrap_or_default();
    polls.last().unwrap_or(first).saturating_sub(first) >= ROUNDS
        && dumps().all(|dump| incident.task_wait(id, dump) == Some(TaskWait::Timer))
        && dumps().zip(dumps().skip(1)).all(|(one, next)| place(one) == place(next))
}

/// Whether a task that waits for a lock does so in one of these functions.
pub(super) fn takes_turns(incident: &Incident, id: MemberId, turns: &BTreeSet<&str>) -> bool {
    function(incident, id).is_some_and(|function| turns.contains(function))
}

/// The function of the program's own in which a member is.
fn function(incident: &Incident, id: MemberId) -> Option<&str> {
    let newest = incident.dumps.len() - 1;
    incident.application_calls(id, newest).next().map(|call| call.function.as_str())
}

/// The tasks that wait for one and the same in every dump and are not polled meanwhile, where nothing tells which lock
/// it is; in ascending order.
pub(super) fn wait_throughout(incident: &Incident, what: TaskWait) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let waits = |&id: &MemberId| {
        let since = incident.task(id, newest).and_then(|task| task.since_poll);
        let nameless = |dump| incident.thread(id, dump).is_some_and(|thread| thread.wait.is_none());
        let is_it = |dump| incident.task_wait(id, dump) == Some(what);
        since.is_some_and(|since| since >= LONG)
            && incident.was_not_polled(id)
            && (0..=newest).all(|dump| is_it(dump) && nameless(dump))
    };
    incident.shown(newest).filter(waits).collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const LOCKED: &[&str] = &["tokio::sync::mutex::Mutex::lock", "shop::transfer::{{closure}}:9"];
    const WAITS: &[&str] = &["tokio::sync::mpsc::chan::Rx::recv", "shop::serve::{{closure}}:3"];

    fn found(dumps: u64, draw: impl Fn(&mut Moment, u64)) -> Option<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| draw(dump, second));
        }
        queue(&scene.incident())
    }

    fn two_wait(dump: &mut Moment) {
        dump.task(1, "a", LOCKED);
        dump.task(2, "b", LOCKED);
        dump.task(3, "c", WAITS);
    }

    #[test]
    fn where_no_other_task_is_in_sight_they_wait_for_each_other() {
        let all = |dump: &mut Moment, _| {
            dump.task(1, "a", LOCKED);
            dump.task(2, "b", LOCKED);
        };
        assert_eq!(found(2, all).map(|found| found.detector), Some("deadlock"));
        assert_eq!(
            found(2, |dump, _| two_wait(dump)).map(|found| found.detector),
            Some("lock-contention")
        );
    }

    #[test]
    fn who_comes_round_by_a_timer_has_none_of_them() {
        let beside = |rounds: u64| {
            found(2, move |dump, second| {
                dump.task(1, "a", LOCKED);
                dump.task(2, "b", LOCKED);
                let ticks = ["tokio::time::sleep::Sleep::poll", "shop::tick::{{closure}}:3"];
                dump.task(3, "c", &ticks).task.as_mut().expect("a task").polls = rounds * second;
            })
        };
        assert_eq!(beside(30).map(|found| found.detector), Some("deadlock"));
        assert_eq!(
            beside(1).map(|found| found.detector),
            Some("lock-contention"),
            "it may sleep with it"
        );
    }

    #[test]
    fn two_tasks_that_wait_for_locks_all_the_time() {
        let finding = found(2, |dump, _| two_wait(dump)).expect("they never go on");
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 2));
        assert_eq!(finding.owner, None);
        assert_eq!(found(1, |dump, _| two_wait(dump)), None, "one dump shows no time");
    }

    #[test]
    fn who_runs_meanwhile_may_be_the_owner() {
        let finding = found(2, |dump, _| {
            two_wait(dump);
            dump.task(4, "d", &[]).is(ThreadState::Running);
        });
        let finding = finding.expect("they never go on");
        assert_eq!(finding.severity, Severity::Low);
        assert!(finding.detail.contains("\"d\" (task 4) may hold them"), "{}", finding.detail);
    }

    #[test]
    fn workers_that_share_a_receiver_take_turns() {
        let share = |has: &'static str| {
            found(2, move |dump, _| {
                let serves = "shop::serve::{{closure}}";
                dump.task(1, "", &["tokio::sync::mutex::Mutex::lock", serves]);
                dump.task(2, "", &["tokio::sync::mutex::Mutex::lock", serves]);
                dump.task(3, "", &[has, serves]);
            })
        };
        assert_eq!(share("tokio::sync::mpsc::bounded::Receiver::recv"), None);
        assert_eq!(share("tokio::net::tcp::listener::TcpListener::accept"), None);
        let reply = share("tokio::sync::oneshot::Receiver::poll").expect("nobody goes on");
        assert_eq!(reply.severity, Severity::Medium);
    }

    #[test]
    fn a_queue_that_moves_and_a_single_waiter_are_everyday_life() {
        let moves = found(2, |dump, second| {
            for number in 1..=5 {
                dump.task(number, "", LOCKED).task.as_mut().expect("a task").polls = second + 1;
            }
        });
        assert_eq!(moves, None);
        assert_eq!(found(2, |dump, _| _ = dump.task(1, "a", LOCKED)), None);
    }
}
