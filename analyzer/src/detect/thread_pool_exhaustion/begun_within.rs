//! Goroutines that wait in a function to begin others, where that function has begun all of them: what
//! `thread-pool-exhaustion` says of a group with a limit (`errgroup.SetLimit`, a channel as a semaphore). Whoever is begun
//! gives its place back when it is done; here everyone who has a place waits for one.
//!
//! ```text
//! goroutine 13 [chan send]:
//! main.(*group).Go(0x6ed70162c0, 0x6ed6f463c0)
//! main.(*folder).upload(0x6ed6f58360, 0x6ed70162c0)
//! created by main.(*group).Go in goroutine 12
//! ```

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::Nanos;

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, thread_pool_exhaustion};
use crate::model::{Incident, MemberId, Origin};

/// So many dumps show that nobody goes on where no runtime counts it.
const DUMPS: usize = 3;
/// Another may make room whom nothing ties to the function.
const LIKELY: f64 = 0.7;

/// The functions that have begun everyone who could make room in them.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    // Found in ascending order.
    let mut waiting: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for (id, function) in incident.found(newest, |id| waits_for_room(incident, id, newest)) {
        waiting.entry(function).or_default().push(id);
    }
    if waiting.is_empty() {
        return Vec::new();
    }
    let mut begun: BTreeMap<&str, BTreeSet<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest) {
        if let Some(maker) = incident.creator(id, newest).map(|call| call.function.as_str())
            && waiting.contains_key(maker)
        {
            begun.entry(maker).or_default().insert(id);
        }
    }
    let found = |(function, begun): (&str, BTreeSet<MemberId>)| {
        let waiting = &waiting[function];
        let none_works =
            begun.iter().all(|id| waiting.binary_search(id).is_ok() && stands(incident, *id));
        // What they send may be results, and who takes these be slow.
        let at_work = || incident.shown(newest).any(|id| is_at_work(incident, id, newest));
        none_works.then(|| finding(incident, function, begun, waiting, at_work()))
    };
    begun.into_iter().filter_map(found).collect()
}

/// The innermost function of a library or the program in which a goroutine waits to send.
fn waits_for_room(incident: &Incident, id: MemberId, dump: usize) -> Option<&str> {
    let inner = || incident.calls(id, dump).find(|call| call.origin != Origin::Runtime);
    incident.sends(id, dump).then(inner)?.map(|call| call.function.as_str())
}

/// Whether somebody does something in the program's own code.
fn is_at_work(incident: &Incident, id: MemberId, dump: usize) -> bool {
    incident.idle(id, dump).is_none()
        && !incident.waits_throughout(id)
        && incident.application_calls(id, dump).next().is_some()
}

/// Whether it has not gone on, by the runtime's count or by what it shows in several dumps.
fn stands(incident: &Incident, id: MemberId) -> bool {
    let newest = incident.dumps.len() - 1;
    let waited = incident.thread(id, newest).and_then(|thread| thread.waiting_since);
    waited > Some(Nanos(0))
        || newest > 0 && incident.waits_throughout(id) && !incident.comes_back(id)
}

fn finding(
    incident: &Incident,
    function: &str,
    begun: BTreeSet<MemberId>,
    waiting: &[MemberId],
    others_work: bool,
) -> Finding {
    let newest = incident.dumps.len() - 1;
    let members: Vec<MemberId> = begun.into_iter().collect();
    let counted = members.iter().all(|&id| incident.is_known_to_stand(id));
    let who = phrase::count(incident, &members);
    let all = if members.len() == 1 { "it waits" } else { "all wait" };
    Finding {
        detector: thread_pool_exhaustion::DETECTOR.name,
        severity: match counted || newest + 1 >= DUMPS {
            true if counted || !others_work => Severity::Medium,
            _ => Severity::Low,
        },
        grade: if counted { Grade::Counter } else { Grade::Repeat },
        confidence: LIKELY,
        headline: format!(
            "{who} that {function} has begun: {all} in {function} for room to begin another, and none is left who \
             could make room"
        ),
        detail: format!(
            "They wait to send in {function}, which made them, and nobody else whom it made is in sight. Where those who \
             are begun make room when they are done, as in a group with a limit, each waits for the others."
        ),
        next_step: format!(
            "Restart the process. In the code, do not call {function} from what it has begun: collect the work first, let \
             the parts have a group of their own, or do the part in place when there is no room (`TryGo`)."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            text: format!("{who} begun by {function}, and as many of them waiting in it to send"),
            dump: Some(newest),
            member: None,
            value: Some(members.len() as f64),
        }],
        victims: waiting.iter().copied().filter(|id| members.binary_search(id).is_err()).collect(),
        holders: members.clone(),
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Moment, Scene};
    use sigquit_dump::{Runtime, ThreadState};

    const GO: &str = "golang.org/x/sync/errgroup.(*Group).Go";

    /// A group of two within which others are begun, and one whom it has begun and who does something else.
    fn found(dumps: u64, minutes: u64, other: Option<&[&str]>) -> Vec<Finding> {
        beside(dumps, minutes, other, None)
    }

    fn beside(
        dumps: u64,
        minutes: u64,
        other: Option<&[&str]>,
        works: Option<&[&str]>,
    ) -> Vec<Finding> {
        let begun = |dump: &mut Moment, name: &str, stack: &[&str]| {
            let maker = dump.thread("maker", &[GO]).stack;
            dump.dump.threads.pop();
            let thread = dump.thread(name, stack);
            (thread.created_by, thread.state) = (maker, ThreadState::Waiting);
            thread.state_text = "chan send".into();
            thread.waiting_since = Some(Nanos(minutes * 60_000_000_000));
        };
        let draw = |dump: &mut Moment| {
            for name in ["13", "14"] {
                begun(
                    dump,
                    name,
                    &[GO, "tree.(*Folder).upload:9", "tree.(*Folder).upload.func1:9"],
                );
            }
            if let Some(stack) = works {
                dump.thread("works", stack);
            }
            if let Some(stack) = other {
                begun(dump, "15", stack);
            }
        };
        let scene = (0..dumps).fold(Scene::of(Runtime::Go), |scene, at| scene.dump(at, draw));
        findings(&scene.incident())
    }

    #[test]
    fn a_group_within_itself_has_no_room_for_ever() {
        assert_eq!(found(3, 0, None)[0].severity, Severity::Medium);
        assert_eq!(found(2, 0, None)[0].severity, Severity::Low);
        assert_eq!(found(1, 3, None)[0].grade, Grade::Counter);
        assert!(found(1, 0, None).is_empty(), "a moment");
    }

    #[test]
    fn where_another_works_it_may_be_slow_to_take_what_they_send() {
        let works = &["tree.sum:4", "tree.collect:7"][..];
        assert_eq!(beside(3, 0, None, Some(works))[0].severity, Severity::Low);
        assert_eq!(
            beside(3, 2, None, Some(works))[0].severity,
            Severity::Medium,
            "not for minutes"
        );
    }

    #[test]
    fn while_one_of_them_works_there_will_be_room() {
        assert!(found(3, 0, Some(&["tree.(*Folder).write:4"])).is_empty());
    }
}
