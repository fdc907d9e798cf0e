//! Tasks of one kind that come round by a timer, become more, and of which none ends: what `task-leak` says of those that do
//! something all the time. A handle that is dropped does not end its task
//! (<https://docs.rs/tokio/latest/tokio/task/struct.JoinHandle.html>): it ticks on for what is long over.
//!
//! Whatever keeps a task with a rhythm of its own for each of its sessions looks the same while sessions become more,
//! so this is low, and nothing is said where tasks that wait for peers become more as well.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::Kind;

use super::{come_with_connections, ended};
use crate::detect::{Evidence, Finding, Grade, Severity, phrase, task_leak, thread_leak};
use crate::model::{Incident, MemberId, TaskWait};

/// Growth is claimed on no fewer dumps.
const DUMPS: usize = 5;
/// So often at least whoever was there in the first dump has come round since.
const ROUNDS: u64 = 2;

/// One finding for each kind that grows.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < DUMPS {
        return Vec::new();
    }
    let mut kinds: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task) {
        if incident.task_wait(id, newest) == Some(TaskWait::Timer)
            && incident.task(id, newest).is_some_and(|task| task.spawn.is_some())
            && let Some(kind) = incident.spawned(id, newest)
        {
            kinds.entry(kind).or_default().push(id);
        }
    }
    let counted = kinds.into_iter().map(|(kind, members)| {
        let counts: Vec<usize> = (0..=newest).map(|dump| there(incident, &members, dump)).collect();
        (kind, members, counts)
    });
    let grow: Vec<_> = counted.filter(|(.., counts)| thread_leak::grows(counts)).collect();
    if grow.is_empty() {
        return Vec::new();
    }
    let ended: BTreeSet<String> = ended(incident).into_keys().collect();
    let leaks = grow.into_iter().filter(|(kind, members, counts)| {
        !ended.contains(kind)
            && !come_with_connections(incident, counts)
            && members.iter().all(|&id| comes_round(incident, id))
    });
    leaks.map(|(kind, members, counts)| finding(incident, &kind, members, &counts)).collect()
}

fn there(incident: &Incident, members: &[MemberId], dump: usize) -> usize {
    members.iter().filter(|&&id| incident.task(id, dump).is_some()).count()
}

/// Whether it was polled again and again since the first dump, if it was there by then.
fn comes_round(incident: &Incident, id: MemberId) -> bool {
    let newest = incident.dumps.len() - 1;
    let polls = |dump: usize| incident.task(id, dump).map(|task| task.polls);
    let rounds = polls(0).zip(polls(newest)).map(|(first, last)| last.saturating_sub(first));
    rounds.is_none_or(|rounds| rounds >= ROUNDS)
}

fn finding(incident: &Incident, kind: &str, members: Vec<MemberId>, counts: &[usize]) -> Finding {
    let newest = incident.dumps.len() - 1;
    let number = phrase::number(members.len(), "task");
    Finding {
        detector: task_leak::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - 0.2,
        headline: format!(
            "{number} of {kind} come round by a timer, and more come: none of them has ended"
        ),
        detail: format!(
            "In the dumps, one after the other: {}. A task for each of what becomes more looks the same.",
            phrase::figures(counts)
        ),
        next_step: "Look at who was to end them: a handle that is dropped does not. Keep the handles and abort them \
                    with what they were made for (`JoinSet`, `AbortHandle`, a cancellation token that each waits \
                    for beside its timer)."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: Evidence::per_dump(counts, |count| {
            format!("{} that come round by a timer", phrase::number(count, "task"))
        }),
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, Spawn};

    use super::*;
    use crate::model::scene::Scene;

    const TICKS: &[&str] = &["tokio::time::interval::Interval::poll_tick", "club::clock:3"];
    const PEER: &[&str] = &["tokio::net::tcp::stream::TcpStream::poll_read", "club::serve:3"];

    /// In each dump tasks of these numbers, which were polled so often a second, and as many with peers if so.
    fn found(numbers: [std::ops::Range<u64>; 5], pace: u64, peers: bool) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, numbers) in (0..).zip(numbers) {
            scene = scene.dump(second, |dump| {
                let spawn = Spawn { type_name: "club::clock".into(), location: None };
                let spawn = Some(dump.dump.add_spawn(spawn));
                for number in numbers {
                    let task = dump.task(number, "", TICKS).task.as_mut().expect("a task");
                    (task.spawn, task.polls) = (spawn, 1 + second * pace);
                    if peers {
                        dump.task(1000 + number, "", PEER);
                    }
                }
            });
        }
        findings(&scene.incident())
    }

    #[test]
    fn tasks_that_tick_and_become_more() {
        let findings = found([1..40, 1..50, 1..60, 1..70, 1..80], 3, false);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::Low, 79));
    }

    #[test]
    fn as_many_as_before_or_in_place_of_others_or_with_connections_is_well() {
        let many = || [1..40, 1..50, 1..60, 1..70, 1..80];
        assert_eq!(found([1..80, 1..80, 1..80, 1..80, 1..80], 3, false), []);
        assert_eq!(found([1..40, 10..60, 20..80, 30..100, 40..120], 3, false), [], "some end");
        assert_eq!(found(many(), 3, true), [], "one for each connection");
        assert_eq!(found(many(), 0, false), [], "they wait for a time that is yet to come");
    }
}
