//! Tasks that wait for permits of a semaphore throughout, where nobody is in sight who could give one back: what
//! `connection-pool-exhaustion` says of them. That some go on and others wait is what a semaphore is for; here
//! nobody went on.

use std::collections::BTreeSet;

use sigquit_dump::Kind;

use crate::detect::{
    Evidence, Finding, Grade, Severity, async_lock, connection_pool_exhaustion, phrase,
};
use crate::model::{Incident, MemberId, TaskWait};

/// Fewer may wait for a signal, for which a semaphore can be used as well.
const SOME: usize = 4;
/// So many that stand for what they want to do are more than a hint.
const MANY: usize = 10;

/// The finding, when there is one: it takes two dumps to see that nobody goes on.
pub(super) fn queue(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let members = async_lock::wait_throughout(incident, TaskWait::Permit);
    if members.len() < SOME {
        return None;
    }
    let place = |id| incident.application_calls(id, newest).next().map(|call| &call.function);
    let places: BTreeSet<&String> = members.iter().filter_map(|&id| place(id)).collect();
    let tasks = incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task);
    let others: Vec<MemberId> = tasks.filter(|id| members.binary_search(id).is_err()).collect();
    // One of the same work that goes on gives its permit back.
    let inside = |&&id: &&MemberId| {
        incident.application_calls(id, newest).any(|call| places.contains(&call.function))
    };
    let holders: Vec<MemberId> = others.iter().filter(inside).copied().collect();
    if holders.iter().any(|&id| !incident.was_not_polled(id)) {
        return None;
    }
    let has_none =
        |&id: &MemberId| incident.was_not_polled(id) || async_lock::comes_round(incident, id);
    let severity = match members.len() >= MANY && others.iter().all(has_none) {
        true => Severity::Medium,
        false => Severity::Low,
    };
    let number = phrase::number(members.len(), "task");
    let who = match &holders[..] {
        [] => "no task in sight has one: they were not given back, or those who wait have one"
            .to_owned(),
        some => {
            format!("{} of the same work stay elsewhere in it", phrase::number(some.len(), "task"))
        }
    };
    let dumps = phrase::number(incident.dumps.len(), "dump");
    let since = members.iter().filter_map(|&id| incident.task(id, newest)?.since_poll).min();
    Some(Finding {
        detector: connection_pool_exhaustion::DETECTOR.name,
        severity,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.1,
        headline: format!(
            "{number} wait for permits of a semaphore in all of {dumps}, and nobody polled them; {who}"
        ),
        detail: "How many permits there are is not in the dumps, nor who has them. A permit that is forgotten, or \
                 lies in something that is kept, never comes back, nor do those of tasks that want a second one; where a semaphore is a signal, nothing may be \
                 wrong."
            .into(),
        next_step: "Look for paths that keep a permit: `forget`, a permit in a structure that lives on, a task that \
                    waits for something else meanwhile. `Semaphore::available_permits` tells how many are left; a \
                    build with the feature `tracing` names who has them."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            text: format!(
                "{number} waiting for a permit, last polled at least {} ago",
                phrase::duration(since.unwrap_or_default()),
            ),
            dump: Some(newest),
            member: None,
            value: Some(members.len() as f64),
        }],
        members,
        holders,
        ..Finding::default()
    })
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::{Moment, Scene};

    const WANTS: &[&str] =
        &["tokio::sync::semaphore::Semaphore::acquire", "shop::upload::{{closure}}:9"];
    const HAS: &[&str] = &["tokio::sync::oneshot::Receiver::poll", "shop::upload::{{closure}}:12"];
    const ELSE: &[&str] = &["tokio::sync::mpsc::chan::Rx::recv", "shop::serve::{{closure}}:3"];

    fn found(dumps: u64, draw: impl Fn(&mut Moment, u64)) -> Option<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| draw(dump, second))
        });
        queue(&scene.incident())
    }

    fn want(dump: &mut Moment, tasks: u64) {
        (1..=tasks).for_each(|number| _ = dump.task(number, "", WANTS));
    }

    #[test]
    fn permits_that_nobody_has_were_not_given_back() {
        let leak = found(2, |dump, _| want(dump, 12)).expect("nobody goes on");
        assert_eq!(
            (leak.severity, leak.members.len(), leak.holders.len()),
            (Severity::Medium, 12, 0)
        );
        let few = found(2, |dump, _| want(dump, 4)).expect("nobody goes on");
        assert_eq!(few.severity, Severity::Low, "it may be a signal");
        assert_eq!(found(2, |dump, _| want(dump, 3)), None);
        assert_eq!(found(1, |dump, _| want(dump, 12)), None, "one dump shows no time");
    }

    #[test]
    fn those_of_the_same_work_that_stay_elsewhere_may_have_them() {
        let stuck = found(2, |dump, _| {
            want(dump, 12);
            dump.task(40, "", HAS);
        });
        assert_eq!(stuck.map(|found| found.holders.len()), Some(1));
        let moves = found(2, |dump, second| {
            want(dump, 12);
            dump.task(40, "", HAS).task.as_mut().expect("a task").polls = second + 1;
        });
        assert_eq!(moves, None);
    }

    #[test]
    fn others_that_go_on_may_have_them() {
        let found = found(2, |dump, second| {
            want(dump, 12);
            dump.task(40, "", ELSE).task.as_mut().expect("a task").polls = second + 1;
        });
        assert_eq!(found.map(|found| found.severity), Some(Severity::Low));
    }

    #[test]
    fn who_comes_round_by_a_timer_has_none() {
        let ticks = ["tokio::time::sleep::Sleep::poll", "shop::tick::{{closure}}:3"];
        let found = found(2, |dump, second| {
            want(dump, 12);
            dump.task(40, "", &ticks).task.as_mut().expect("a task").polls = 30 * second;
        });
        assert_eq!(found.map(|found| found.severity), Some(Severity::Medium));
    }
}
