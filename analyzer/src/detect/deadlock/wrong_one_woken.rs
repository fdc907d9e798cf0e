//! Those who give and those who take wait at one monitor or condition, and neither is woken. What `deadlock` says of it.
//!
//! Who gives waits while there is no room, and who takes while there is nothing. That both wait is no state in which
//! an object can be: one of them could go on, and was not told, as the one word went to somebody who could not.
//!
//! ```text
//! waits   sync.(*Cond).Wait < main.(*box).put     to be told that there is room
//! waits   sync.(*Cond).Wait < main.(*box).get     to be told that there is something
//! ```

use std::collections::BTreeMap;

use sigquit_dump::LockId;

use crate::detect::{Finding, Grade, Severity, deadlock, forsaken, phrase};
use crate::model::{FunctionName, Incident, MemberId, gives, takes};

/// In fewer dumps they may have been told at that moment.
const DUMPS: usize = 3;
/// Who gives and who takes is known by names.
const CONFIDENCE: f64 = 0.6;

/// Givers and takers at one lock who wait throughout, while nobody else is in the code of their type.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if incident.dumps.len() < DUMPS {
        return Vec::new();
    }
    let mut queues: BTreeMap<LockId, Vec<(MemberId, FunctionName)>> = BTreeMap::new();
    for id in incident.shown(newest) {
        if let Some((lock, place)) = waits_for_notice(incident, id, newest) {
            queues.entry(lock).or_default().push((id, place));
        }
    }
    let queues = queues.into_iter().filter(|(_, queue)| is_crosswise(incident, queue));
    let queues: Vec<_> = queues.filter(|(_, queue)| is_alone(incident, queue, newest)).collect();
    queues.into_iter().map(|(_, queue)| finding(incident, &queue)).collect()
}

/// The lock at which a member waits until it is told something, and in which function of the program's own.
fn waits_for_notice(
    incident: &Incident,
    id: MemberId,
    dump: usize,
) -> Option<(LockId, FunctionName<'_>)> {
    let lock = incident.awaits_notice(id, dump)?;
    let known = incident.dumps[dump].lock(lock).address.is_some();
    let own = incident.application_calls(id, dump).next()?;
    known.then(|| (lock, FunctionName::of(&own.function)))
}

/// Whether of one type's methods one gives and one takes, and each who waits does so throughout.
fn is_crosswise(incident: &Incident, queue: &[(MemberId, FunctionName)]) -> bool {
    let of = |is: fn(FunctionName) -> bool| queue.iter().map(|&(_, at)| at).find(|&at| is(at));
    let pair = of(gives).zip(of(takes));
    pair.is_some_and(|(gives, takes)| {
        gives.owner == takes.owner && queue.iter().all(|(_, at)| at.owner == gives.owner)
    }) && queue.iter().all(|&(id, _)| incident.waits_throughout(id))
}

/// Whether nobody else is in a method of their type, who may be about to tell them.
fn is_alone(incident: &Incident, queue: &[(MemberId, FunctionName)], dump: usize) -> bool {
    let Some(&(_, place)) = queue.first() else { return false };
    let inside = |id| incident.is_in_code_of(id, dump, |owner| owner == place.owner);
    let all = incident.found(dump, |id| inside(id).then_some(()));
    all.count() == queue.len()
}

fn finding(incident: &Incident, queue: &[(MemberId, FunctionName)]) -> Finding {
    let newest = incident.dumps.len() - 1;
    let members: Vec<MemberId> = queue.iter().map(|&(id, _)| id).collect();
    let (who, dumps) = (phrase::count(incident, &members), phrase::number(newest + 1, "dump"));
    let giving = queue.iter().filter(|&&(_, at)| gives(at)).count();
    let owner = queue.first().map_or("", |(_, at)| at.owner);
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait in {owner} to be told, those who give as well as those who take: one of them could go on"
        ),
        detail: format!(
            "{giving} of them wait for room, by the names of their functions, and the others for what is given, in the \
             same calls in all of {dumps}, and nobody else is in the code of {owner}. One who could go on was not \
             woken. Somebody from elsewhere may still wake them."
        ),
        next_step: format!(
            "Look at how {owner} tells those who wait: one word to one of them (Signal, notify) goes to whoever is \
             first, also to one who cannot go on. Tell all of them (Broadcast, notifyAll), or let the two wait at two \
             conditions."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![forsaken::standstill(incident, &members)],
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, ThreadState, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAIT: &str = "sync.(*Cond).Wait";

    /// Over so many dumps, two in each of two functions at one condition, and one elsewhere.
    fn found(dumps: u64, places: [&str; 2], other: &str) -> Vec<Severity> {
        let draw = |dump: &mut Moment| {
            let lock = dump.lock(LockKind::Condition, 0x10);
            for (number, place) in places.iter().chain(&places).enumerate() {
                let thread = dump.thread(&number.to_string(), &[WAIT, place, "main.work:3"]);
                thread.waits(lock, WaitFor::Notification).is(ThreadState::Waiting);
            }
            dump.thread("other", &["time.Sleep", other]).is(ThreadState::Waiting);
        };
        let scene = (0..dumps).fold(Scene::of(Runtime::Go), |scene, at| scene.dump(at, draw));
        findings(&scene.incident()).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn givers_and_takers_do_not_both_wait_where_all_are_told() {
        let both = ["main.(*box).put:4", "main.(*box).get:9"];
        assert_eq!(found(3, both, "main.main:4"), [Severity::Medium]);
        assert_eq!(found(2, both, "main.main:4"), [], "at that moment one may have been told");
        assert_eq!(found(3, both, "main.(*box).fill:4"), [], "one is about to tell them");
    }

    #[test]
    fn workers_without_work_and_who_waits_for_their_end_are_no_such_two() {
        let ends = ["main.(*pool).get:4", "main.(*pool).drained:9"];
        assert_eq!(found(3, ends, "main.main:4"), []);
        assert_eq!(found(3, ["main.(*pool).get:4"; 2], "main.main:4"), []);
        assert_eq!(found(3, ["main.(*a).put:4", "main.(*b).get:9"], "main.main:4"), []);
    }
}
