//! Tasks that wait throughout in the function of a pool, by its name, in which things are taken out: what
//! `connection-pool-exhaustion` says of a pool of the program's own, whatever it is made of.
//!
//! ```text
//! Mutex::lock < LinePool::acquire < order_cloth       twenty-one, whose turn it is not
//! Receiver::recv < LinePool::acquire < order_cloth    and one, whose turn it is
//! ```
//!
//! A pool that keeps what it lends in a channel lets one at a time wait at it. Where nobody gets anything in any dump, and
//! no other task goes on but by a timer, what was lent does not come back.

use std::collections::BTreeMap;

use sigquit_dump::Kind;

use crate::detect::{
    Evidence, Finding, Grade, Severity, async_lock, connection_pool_exhaustion, phrase,
};
use crate::model::{Incident, MemberId, TaskWait};

/// Fewer may wait for a slow one.
const SOME: usize = 4;
/// So many are more than a hint.
const MANY: usize = 10;

/// One finding for each such function.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for what in [TaskWait::Lock, TaskWait::Receive, TaskWait::Notification] {
        for id in async_lock::wait_throughout(incident, what) {
            if let Some(call) = incident.takes_out_of_pool(id, newest) {
                places.entry(&call.function).or_default().push(id);
            }
        }
    }
    places.retain(|_, members| newest > 0 && members.len() >= SOME);
    places.into_iter().map(|(place, members)| finding(incident, place, members)).collect()
}

fn finding(incident: &Incident, place: &str, mut members: Vec<MemberId>) -> Finding {
    members.sort_unstable();
    let newest = incident.dumps.len() - 1;
    let rests = |id: MemberId| incident.was_not_polled(id) || async_lock::comes_round(incident, id);
    let tasks = incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task);
    let mut others = tasks.filter(|id| members.binary_search(id).is_err());
    let severity = match members.len() >= MANY && others.all(rests) {
        true => Severity::Medium,
        false => Severity::Low,
    };
    let (number, dumps) =
        (phrase::number(members.len(), "task"), phrase::number(newest + 1, "dump"));
    Finding {
        detector: connection_pool_exhaustion::DETECTOR.name,
        severity,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.1,
        headline: format!(
            "{number} wait in {place} in all of {dumps}, and nobody polled them: what the pool lent does not come back"
        ),
        detail: "What was lent, and to whom, is not in the dumps: that it is a pool is said by the name. A way out of a task \
                 that does not give back, such as an early return on an error, loses one each time; and so many tasks that \
                 each want a second one look like this too."
            .into(),
        next_step: format!(
            "Look at every way out of those who call {place}: what they took has to come back when it is dropped, not by a \
             call that an error skips. Tell the pool's loans by `sigquit::pool`, and give the wait a timeout."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(members.len() as f64),
            ..Evidence::text(format!("{number} waiting in {place} in {dumps}, not polled in between"))
        }],
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, Runtime};

    use super::*;
    use crate::model::scene::Scene;

    const LOCK: &str = "tokio::sync::mutex::Mutex<T>::lock";

    /// So many tasks that wait in a function, polled so often a second, and one that does something else.
    fn found(function: &str, tasks: u64, pace: u64, other: u64) -> Vec<Severity> {
        let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for number in 1..=tasks {
                    let stack = [LOCK, function, "shop::order::{{closure}}:9"];
                    let task = dump.task(number, "", &stack).task.as_mut().expect("a task");
                    (task.polls, task.since_poll) =
                        (3 + second * pace, Some(Nanos::from_millis(4000)));
                }
                let stack = ["tokio::net::tcp::stream::TcpStream::poll_read", "shop::rows:4"];
                let task = dump.task(900, "", &stack).task.as_mut().expect("a task");
                task.polls = 3 + second * other;
            })
        });
        findings(&scene.incident()).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn tasks_that_get_nothing_out_of_a_pool() {
        assert_eq!(found("shop::LinePool::acquire:3", 12, 0, 0), [Severity::Medium]);
        assert_eq!(
            found("shop::LinePool::acquire:3", 12, 0, 5),
            [Severity::Low],
            "it may have one"
        );
        assert_eq!(found("shop::LinePool::acquire:3", 3, 0, 0), [], "too few");
    }

    #[test]
    fn whoever_is_polled_got_something_and_other_functions_lend_nothing() {
        assert_eq!(found("shop::LinePool::acquire:3", 12, 2, 0), []);
        assert_eq!(found("shop::Ledger::add:3", 12, 0, 0), []);
    }
}
