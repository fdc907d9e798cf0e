//! Tasks that nobody polls although no worker is stuck: what `runtime-blocked` says of them. Their executor is not driven:
//! a runtime of one thread outside of `block_on`, a `LocalSet` that nobody awaits, or futures that lie in another one
//! which waits for something else and does not poll them. Whoever waits for what they hold waits as long.

use sigquit_dump::{Kind, Nanos, ThreadState, Trace};

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, runtime_blocked};
use crate::model::{Incident, MemberId};

/// For so long nobody polls them, at least.
const LONG: Nanos = Nanos(1_000_000_000);
/// So many are told one by one.
const TOLD: usize = 4;

/// The finding, when there is one: it takes two dumps to see that it lasts.
pub(super) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let members: Vec<MemberId> =
        incident.shown(newest).filter(|&id| is_left_alone(incident, id)).collect();
    let time = |dump: usize| incident.dumps[dump].monotonic;
    let over = time(newest)?.since(time(0)?);
    if members.is_empty() || over < LONG || polls_all_the_time(incident) {
        return None;
    }
    let number = phrase::number(members.len(), "task");
    let them = if members.len() == 1 { "it" } else { "them" };
    let evidence = members.iter().take(TOLD).map(|&id| {
        let polls = incident.task(id, newest).map_or(0, |task| task.polls);
        Evidence {
            text: format!(
                "{}: woken for the dumps and not polled, {}",
                phrase::who(incident, id),
                if polls == 0 {
                    "and never before".into()
                } else {
                    format!("{polls} times before")
                },
            ),
            dump: Some(newest),
            member: Some(id),
            value: None,
        }
    });
    Some(Finding {
        detector: runtime_blocked::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: 0.6,
        headline: format!(
            "nobody polled {number} in {}, and no worker is stuck: nothing seems to drive {them}",
            phrase::duration(over)
        ),
        detail: "A runtime of one thread polls its tasks within `block_on` alone, a `LocalSet` while it is awaited, and a \
                 future that lies in another one while that one polls it. When they are meant to go on later, all is \
                 well; when they have a lock or owe an answer, others wait for them."
            .into(),
        next_step: "See where these are spawned, and what is to poll them: keep the runtime in `block_on`, await the \
                    `LocalSet`, or spawn what has to go on while its owner waits for something else."
            .into(),
        evidence: evidence.collect(),
        members,
        ..Finding::default()
    })
}

/// A task that was woken for every dump, or never polled, and that nobody polled in between.
fn is_left_alone(incident: &Incident, id: MemberId) -> bool {
    let waits = |dump| {
        let suspended =
            incident.thread(id, dump).map(|thread| thread.state) != Some(ThreadState::Running);
        let task = incident.task(id, dump).filter(|_| suspended);
        task.is_some_and(|task| match task.trace {
            Trace::NotServed => true,
            Trace::NotAsked => task.polls == 0,
            _ => false,
        })
    };
    incident.member(id).kind == Kind::Task
        && (0..incident.dumps.len()).all(waits)
        && incident.was_not_polled(id)
}

/// Whether a thread that polls tasks wants a CPU in every dump: then it may just have much to do.
fn polls_all_the_time(incident: &Incident) -> bool {
    let pollers = incident.pollers();
    let runs = |id: MemberId, dump| {
        incident.thread(id, dump).is_some_and(|thread| {
            matches!(thread.state, ThreadState::Running | ThreadState::Runnable)
                && thread.os_id.is_some_and(|tid| pollers.contains(&tid))
        })
    };
    incident.ids().any(|id| (0..incident.dumps.len()).all(|dump| runs(id, dump)))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::{Draw, Scene};

    /// A task whose last poll for a dump had that outcome, polled so often a second, beside its worker.
    fn found(dumps: u64, trace: Trace, polls: u64, worker: ThreadState) -> Option<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                let task = dump.task(1, "local", &[]).task.as_mut().expect("a task");
                (task.trace, task.polls, task.polled_by) = (trace, polls * second, Some(7));
                dump.thread("main", &["shop::main:3"]).is(worker).os_id = Some(7);
            })
        });
        finding(&scene.incident())
    }

    #[test]
    fn tasks_that_nobody_polls_while_their_thread_sleeps() {
        let finding = found(3, Trace::NotServed, 0, ThreadState::Waiting).expect("not driven");
        assert_eq!((finding.severity, finding.members.len()), (Severity::Low, 1));
        assert!(found(3, Trace::NotAsked, 0, ThreadState::Waiting).is_some(), "never polled");
        assert_eq!(found(1, Trace::NotServed, 0, ThreadState::Waiting), None);
    }

    #[test]
    fn tasks_that_are_polled_or_whose_thread_has_much_to_do_are_well() {
        assert_eq!(found(3, Trace::NotServed, 1, ThreadState::Waiting), None);
        assert_eq!(found(3, Trace::Pending, 0, ThreadState::Waiting), None);
        assert_eq!(found(3, Trace::NotServed, 0, ThreadState::Running), None);
    }
}
