//! Tasks that stay in a future of the program's own, while others of their kind that wait in it as well get on: what
//! `lost-waker` says of them. A future for which several wait, and that keeps one waker, wakes who came last:
//!
//! ```text
//! slip.next = Some(context.waker().clone());      whoever waited before is forgotten
//! ```
//!
//! Tasks that each wait for an event of their own, and workers without work, are in the same place. So this is a hint.

use std::collections::BTreeMap;

use sigquit_dump::{Kind, Nanos};

use crate::detect::{Evidence, Finding, Grade, Severity, lost_waker, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId, Origin};

/// How a waker is copied, which is where a suspended task's stack ends, or put where there is room for one.
const COPIES: &[&str] =
    &["core::clone::Clone::*", "core::task::wake::Waker::*", "*::AtomicWaker::register*"];
/// Who stands for so long was forgotten, or has nothing to do.
const LONG: Nanos = Nanos(1_000_000_000);
/// Who was polled so often in the series got on.
const OFTEN: u64 = 10;
/// One may wait for what only it waits for.
const FEW: usize = 2;
/// Less than a guess at a lock's owner: nothing tells whether they wait for one thing.
const MAY_BE: f64 = 0.3;
/// So many are told one by one.
const TOLD: usize = 2;

/// Tasks that were spawned at one place and are in one future.
#[derive(Default)]
struct Group {
    stand: Vec<MemberId>,
    get_on: Vec<MemberId>,
}

/// A finding for each such future: it takes two dumps to see who gets on.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    if incident.dumps.len() < 2 {
        return Vec::new();
    }
    let groups = groups(incident).into_iter().filter(|(_, group)| {
        // Who gets on is seen in the future now and then; who stands, in every dump.
        group.stand.len() >= FEW && group.get_on.len() >= FEW
    });
    groups.map(|((kind, future), group)| finding(incident, &kind, future, group)).collect()
}

fn groups(incident: &Incident) -> BTreeMap<(String, &str), Group> {
    let newest = incident.dumps.len() - 1;
    let mut groups: BTreeMap<(String, &str), Group> = BTreeMap::new();
    for id in incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task) {
        let gets_on = gets_on(incident, id);
        // Most stand where they are: of these the newest dump tells enough.
        let mut dumps = if gets_on { 0..=newest } else { newest..=newest };
        let Some(future) = dumps.find_map(|dump| own_future(incident, id, dump)) else { continue };
        let stands = !gets_on && stands(incident, id, future);
        if !stands && !gets_on {
            continue;
        }
        let Some(kind) = incident.spawned(id, newest) else { continue };
        let group = groups.entry((kind, future)).or_default();
        if stands { &mut group.stand } else { &mut group.get_on }.push(id);
    }
    groups
}

/// The function of the program's own that copies the waker of a task, where it does so itself.
fn own_future(incident: &Incident, id: MemberId, dump: usize) -> Option<&str> {
    let mut calls = incident.calls(id, dump).peekable();
    let copies = calls.peek().is_some_and(|call| matches_any(COPIES, &call.function));
    let outside = calls.find(|call| !matches_any(COPIES, &call.function))?;
    (copies && outside.origin == Origin::Application).then_some(outside.function.as_str())
}

/// Whether a task is in that future in every dump, and nobody polled it.
fn stands(incident: &Incident, id: MemberId, future: &str) -> bool {
    let newest = incident.dumps.len() - 1;
    let since = incident.task(id, newest).and_then(|task| task.since_poll);
    since >= Some(LONG)
        && incident.was_not_polled(id)
        && (0..=newest).all(|dump| own_future(incident, id, dump) == Some(future))
}

/// Whether a task was polled again and again.
fn gets_on(incident: &Incident, id: MemberId) -> bool {
    let polls = |dump| incident.task(id, dump).map(|task| task.polls);
    let (first, last) = (polls(0), polls(incident.dumps.len() - 1));
    first.zip(last).is_some_and(|(first, last)| last.saturating_sub(first) >= OFTEN)
}

fn finding(incident: &Incident, kind: &str, future: &str, group: Group) -> Finding {
    let newest = incident.dumps.len() - 1;
    let Group { stand: members, get_on } = group;
    let since = |id: MemberId| incident.task(id, newest).and_then(|task| task.since_poll);
    let shortest = members.iter().filter_map(|&id| since(id)).min().unwrap_or_default();
    let (stand, others) = (phrase::count(incident, &members), phrase::count(incident, &get_on));
    let standing = members.iter().take(TOLD).map(|&id| Evidence {
        text: format!(
            "{} is in {future} in every dump, last polled {} ago",
            phrase::who(incident, id),
            phrase::duration(since(id).unwrap_or_default()),
        ),
        dump: Some(newest),
        member: Some(id),
        value: since(id).map(Nanos::as_secs_f64),
    });
    let going = get_on.iter().take(TOLD).map(|&id| {
        let polls = |dump| incident.task(id, dump).map_or(0, |task| task.polls);
        let polled = polls(newest).saturating_sub(polls(0));
        Evidence {
            text: format!(
                "{} was in {future} too, and was polled {polled} times between the dumps",
                phrase::who(incident, id)
            ),
            dump: Some(newest),
            member: Some(id),
            value: Some(polled as f64),
        }
    });
    Finding {
        detector: lost_waker::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Pattern,
        confidence: MAY_BE,
        headline: format!(
            "{stand} stay in {future} and were not polled for {} and longer, while {others} of their kind get on \
             there: their wakers may have been lost",
            phrase::duration(shortest),
        ),
        detail: format!(
            "Of {kind}. This future is the program's own, and copies the waker itself. When several tasks wait for one \
             thing and it keeps only one waker, who waited before is never woken. Whether they wait for one thing is not in \
             the dumps: tasks that each wait for an event of their own, and workers without work, look the same."
        ),
        next_step: format!(
            "Look where {future} puts the waker. If several tasks can wait for that, keep all their wakers, in a queue, and \
             wake one for each time that the condition becomes true, or all. If each waits for an event of its own, all \
             is well."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: standing.chain(going).collect(),
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, Spawn};

    use super::*;
    use crate::model::scene::{Moment, Scene};

    const DOCKING: &[&str] =
        &["core::clone::Clone::clone", "slip::Docking::poll:335", "slip::ferry::{{closure}}:357"];
    const SHARED: &[&str] = &[
        "core::clone::Clone::clone",
        "futures_core::task::__internal::atomic_waker::AtomicWaker::register",
        "slip::Docking::poll:335",
    ];
    const LIBRARY: &[&str] = &[
        "core::clone::Clone::clone",
        "tokio::sync::notify::Notified::poll",
        "slip::ferry::{{closure}}:357",
    ];

    /// A task of the one kind that there is, and how often it is polled in a second.
    fn ferry(dump: &mut Moment, number: u64, stack: &[&str], polls: u64) {
        let spawn = Spawn { type_name: "slip::ferry".into(), location: None };
        let spawn = Some(dump.dump.add_spawn(spawn));
        let task = dump.task(number, "", stack).task.as_mut().expect("a task");
        (task.spawn, task.polls) = (spawn, polls);
    }

    fn found(dumps: u64, stack: &[&str], pace: [u64; 4]) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| {
                for (number, pace) in (1..).zip(pace) {
                    ferry(dump, number, stack, 2 + second * pace);
                }
            });
        }
        findings(&scene.incident())
    }

    #[test]
    fn who_stays_in_a_future_in_which_others_get_on_may_be_forgotten() {
        let findings = found(3, DOCKING, [0, 0, 20, 30]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Low, Grade::Pattern));
        assert_eq!(finding.members.len(), 2);
        assert!(finding.headline.contains("2 tasks stay in slip::Docking::poll"), "{finding:?}");
        assert_eq!(found(3, SHARED, [0, 0, 20, 30]).len(), 1, "it has room for one waker");
    }

    #[test]
    fn libraries_know_how_to_keep_wakers() {
        assert_eq!(found(3, LIBRARY, [0, 0, 20, 30]), []);
    }

    #[test]
    fn where_all_stand_or_all_get_on_nobody_is_seen_to_be_forgotten() {
        assert_eq!(found(3, DOCKING, [0; 4]), [], "nothing to do");
        assert_eq!(found(3, DOCKING, [15, 15, 20, 30]), []);
        assert_eq!(found(3, DOCKING, [0, 15, 20, 30]), [], "it may wait for something else");
        assert_eq!(found(3, DOCKING, [0, 0, 1, 1]), [], "no rhythm that tells");
        assert_eq!(found(1, DOCKING, [0, 0, 20, 30]), [], "one dump shows no time");
    }
}
