//! Some wait for one wait group throughout, while others wait for others in the same function and go on. What
//! `thread-leak` says of it.
//!
//! Who wants what somebody else is loading already waits for that load. Where one has failed and has not said so, all
//! who want the same wait for ever, and those who want something else pass them by.
//!
//! One load that takes long looks alike, while whoever is at it comes to other places from dump to dump. So this is a
//! hint, and low. Where it stands in the same function in one call throughout, that call is what is to be looked at.

use std::collections::{BTreeMap, HashSet};

use sigquit_dump::WaitFor;

use crate::detect::{Finding, Grade, Severity, forsaken, phrase, thread_leak};
use crate::model::{Incident, MemberId};

/// In fewer dumps it may be a short wait.
const DUMPS: usize = 3;
/// Fewer may want what takes a little longer.
const SOME: usize = 5;
/// That nobody is at it any more is not known.
const CONFIDENCE: f64 = 0.4;
const WAIT_GROUP: &str = "sync.WaitGroup";

/// One finding for each wait group that is waited for throughout while others are not.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if incident.dumps.len() < DUMPS {
        return Vec::new();
    }
    let mut groups: BTreeMap<(&str, u64), Vec<MemberId>> = BTreeMap::new();
    let mut pass: HashSet<&str> = HashSet::new();
    for id in incident.shown(newest) {
        let Some((place, group)) = waits(incident, id, newest) else { continue };
        let wait = |dump| waits(incident, id, dump);
        if (0..newest).all(|dump| wait(dump) == Some((place, group)))
            && incident.waits_throughout(id)
        {
            groups.entry((place, group)).or_default().push(id);
        } else if (0..newest).any(|dump| wait(dump).is_some_and(|(_, other)| other != group)) {
            pass.insert(place);
        }
    }
    groups.retain(|(place, _), members| members.len() >= SOME && pass.contains(place));
    let alone = groups
        .into_iter()
        .filter(|((place, _), members)| !somebody_stays_behind(incident, place, members));
    alone.map(|((place, _), members)| finding(incident, place, members)).collect()
}

/// The wait group for which a goroutine waits, and the function of the program's own in which it does.
fn waits(incident: &Incident, id: MemberId, dump: usize) -> Option<(&str, u64)> {
    let wait = incident.thread(id, dump)?.wait.as_ref()?;
    let group = incident.dumps[dump].lock(wait.lock);
    let is_group =
        wait.wait_for == WaitFor::Notification && group.type_name.as_deref() == Some(WAIT_GROUP);
    let place = incident.application_calls(id, dump).next()?;
    Some((place.function.as_str(), group.address.filter(|_| is_group)?))
}

/// Whether somebody who does not wait for the wait group is in that function in one call throughout.
fn somebody_stays_behind(incident: &Incident, place: &str, members: &[MemberId]) -> bool {
    let newest = incident.dumps.len() - 1;
    let inside = |id| incident.application_calls(id, newest).any(|call| call.function == place);
    let inside = incident.found(newest, |id| inside(id).then_some(()));
    let mut others = inside.filter(|(id, ())| members.binary_search(id).is_err());
    others.any(|(id, ())| waits(incident, id, newest).is_none() && incident.waits_throughout(id))
}

fn finding(incident: &Incident, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let (who, dumps) = (phrase::count(incident, &members), phrase::number(newest + 1, "dump"));
    Finding {
        detector: thread_leak::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait for one wait group in {place}, where others wait for other ones and go on; whether \
             somebody is still to be done with it is not known"
        ),
        detail: format!(
            "Each is in the same call in all of {dumps}. Whoever was to be done has failed without saying so, or \
             takes longer than the others."
        ),
        next_step: format!(
            "Look at what is done before Done where {place} waits: a panic on the way, an early return? Let Done be \
             called on every way out (`defer`)."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![forsaken::standstill(incident, &members)],
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAIT: &[&str] = &["sync.(*WaitGroup).Wait", "main.(*flights).do:9", "main.page:3"];
    const LOADS: &[&str] =
        &["internal/poll.runtime_pollWait", "net.(*conn).Read", "main.(*flights).do:12"];

    /// So many that wait for one group in three dumps, one that waits for these groups, and one beside.
    fn found(waiting: usize, passes: [u64; 3], beside: &[&str]) -> usize {
        let draw = |dump: &mut Moment, at: usize| {
            let mut group = |address| {
                let lock = dump.lock(LockKind::Condition, address);
                dump.dump.locks[lock.0 as usize].type_name = Some(WAIT_GROUP.into());
                lock
            };
            let (one, other) = (group(0x1_0000), group(passes[at]));
            for name in 0..=waiting {
                let lock = if name == waiting { other } else { one };
                let thread = dump.thread(&name.to_string(), WAIT);
                thread.waits(lock, WaitFor::Notification).is(ThreadState::Waiting);
            }
            dump.thread("beside", beside).is(ThreadState::Waiting);
        };
        let scene = (0..3)
            .fold(Scene::of(Runtime::Go), |scene, at| scene.dump(at as u64, |dump| draw(dump, at)));
        findings(&scene.incident()).len()
    }

    #[test]
    fn some_wait_for_one_load_while_others_go_on() {
        assert_eq!(found(6, [0x2_0000, 0x3_0000, 0x4_0000], &["main.idle:4"]), 1);
    }

    #[test]
    fn a_few_or_all_may_wait_for_what_takes_long() {
        let moves = [0x2_0000, 0x3_0000, 0x4_0000];
        assert_eq!(found(4, moves, &["main.idle:4"]), 0, "a few");
        assert_eq!(found(6, [0x2_0000; 3], &["main.idle:4"]), 0, "nobody passes");
        assert_eq!(found(6, moves, LOADS), 0, "one is at it, and waits for a peer");
    }
}
