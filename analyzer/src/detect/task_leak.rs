//! Tasks that are made and never end.

use std::collections::BTreeMap;

use sigquit_dump::{Kind, Nanos};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Incident, MemberId, TaskWait};

pub(super) const DETECTOR: Detector =
    Detector { name: "task-leak", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# task-leak

Tasks of one kind, spawned at one place, that are made and never go on: they wait for messages that
nobody will send, for room that nobody will make, for a task that will not end.

## Evidence

- At least a hundred tasks of one spawn place that wait for another part of the program (a message,
  room in a channel, a notification, another task's end), and that were polled only once.
- Growth: more of them in each dump than in the one before, over at least five dumps, and none that
  has ended. Or a mass: at least a thousand, the median of which has waited for ten minutes.

Medium when they grow; low for a mass alone. Tasks that wait for a peer, a connection or a time are
not counted: ten thousand idle connections are a service at rest.

## Limits

- Tasks have to be tracked: what libraries spawn themselves is not seen.
- Growth within seconds can be the start of a wave of work. That each was polled only once speaks
  against that, and does not exclude it.

## What to do

Look at the place where they are spawned and at what they wait for: who was to send or receive at the
other end, and where did that one give up? Tie a task's life to its request's: a `JoinSet`, a timeout, a
cancellation token.
";

/// Fewer are no leak worth a word.
const SOME: usize = 100;
/// So many that wait for so long are a mass.
const MANY: usize = 1000;
const LONG: Nanos = Nanos(600_000_000_000);
/// Growth is claimed on no fewer dumps.
const DUMPS: usize = 5;

fn detect(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut kinds: BTreeMap<(String, TaskWait), Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task) {
        let Some(task) = incident.task(id, newest).filter(|task| task.polls <= 1) else { continue };
        let Some(wait) = incident.task_wait(id, newest).filter(|&wait| depends(wait)) else {
            continue;
        };
        if task.spawn.is_some()
            && let Some(kind) = incident.spawned(id, newest)
        {
            kinds.entry((kind, wait)).or_default().push(id);
        }
    }
    let enough = kinds.into_iter().filter(|(_, members)| members.len() >= SOME);
    enough.filter_map(|((kind, wait), members)| finding(incident, &kind, wait, members)).collect()
}

/// Whether what is waited for is another part of the program.
fn depends(wait: TaskWait) -> bool {
    matches!(wait, TaskWait::Receive | TaskWait::Send | TaskWait::Notification | TaskWait::Join)
}

fn finding(
    incident: &Incident,
    kind: &str,
    wait: TaskWait,
    members: Vec<MemberId>,
) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let counts: Vec<usize> = (0..=newest)
        .map(|dump| members.iter().filter(|&&id| incident.task(id, dump).is_some()).count())
        .collect();
    let grows = counts.len() >= DUMPS
        && counts.windows(2).all(|pair| pair[0] < pair[1])
        && none_ended(incident, kind);
    let median = median_wait(incident, &members);
    let mass = members.len() >= MANY && median >= LONG;
    if !grows && !mass {
        return None;
    }
    let grade = if grows { Grade::Repeat } else { Grade::Pattern };
    let number = phrase::number(members.len(), "task");
    let headline = match grows {
        true => format!("{number} of {kind} never go on, and more come: each {wait}"),
        false => format!(
            "{number} of {kind} have waited {} and longer: each {wait}",
            phrase::duration(median)
        ),
    };
    let evidence = Evidence::per_dump(&counts, |count| {
        format!("{} that were polled once and wait", phrase::number(count, "task"))
    });
    Some(Finding {
        detector: DETECTOR.name,
        severity: if grows { Severity::Medium } else { Severity::Low },
        grade,
        confidence: grade.cap() - 0.1,
        headline,
        detail: format!("In the dumps, one after the other: {}.", phrase::figures(&counts)),
        next_step: "Find out who was to act at the other end, and why that one does not any more. \
                    Give the wait a timeout, or end these tasks with what they were made for."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence,
        members,
        ..Finding::default()
    })
}

/// Whether every task of that kind that an earlier dump shows is in the newest one too.
fn none_ended(incident: &Incident, kind: &str) -> bool {
    let newest = incident.dumps.len() - 1;
    let of_kind = |id: MemberId, dump: usize| incident.spawned(id, dump).as_deref() == Some(kind);
    incident.ids().filter(|&id| incident.member(id).kind == Kind::Task).all(|id| {
        let first = (0..newest).find(|&dump| incident.task(id, dump).is_some());
        first.is_none_or(|dump| incident.task(id, newest).is_some() || !of_kind(id, dump))
    })
}

fn median_wait(incident: &Incident, members: &[MemberId]) -> Nanos {
    let newest = incident.dumps.len() - 1;
    let since = |&id: &MemberId| incident.task(id, newest)?.since_poll;
    let mut waits: Vec<Nanos> = members.iter().filter_map(since).collect();
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, Spawn};

    use super::*;
    use crate::model::scene::Scene;

    const MESSAGE: &[&str] =
        &["tokio::sync::oneshot::Receiver::poll", "shop::reply::{{closure}}:3"];
    const PEER: &[&str] = &["tokio::net::tcp::stream::TcpStream::poll_read", "shop::serve:3"];

    /// Tasks numbered from the first on, so many in each dump.
    fn found(stack: &[&str], firsts: &[u64], counts: &[u64], waited: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, (&first, &count)) in (0..).zip(firsts.iter().zip(counts)) {
            scene = scene.dump(second, |dump| {
                let spawn = Spawn { type_name: "shop::reply".into(), location: None };
                let spawn = Some(dump.dump.add_spawn(spawn));
                for number in first..first + count {
                    let task = dump.task(number, "", stack).task.as_mut().expect("a task");
                    (task.spawn, task.since_poll) =
                        (spawn, Some(Nanos::from_millis(waited * 1000)));
                }
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn tasks_that_grow_and_never_go_on() {
        let findings = found(MESSAGE, &[1; 5], &[110, 120, 130, 140, 150], 5);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 150));
        assert_eq!(finding.frames, ["tokio::sync::oneshot::Receiver::poll", "shop::reply"]);
        assert_eq!(found(MESSAGE, &[1; 4], &[110, 120, 130, 140], 5), [], "four dumps are too few");
    }

    #[test]
    fn work_that_comes_and_goes_is_no_leak() {
        let moving = found(MESSAGE, &[1, 50, 100, 150, 200], &[110, 120, 130, 140, 150], 5);
        assert_eq!(moving, []);
        assert_eq!(found(MESSAGE, &[1; 5], &[150; 5], 5), [], "as many as before");
    }

    #[test]
    fn a_mass_that_has_waited_long_is_said_and_idle_connections_are_not() {
        assert_eq!(found(MESSAGE, &[1], &[2000], 900)[0].severity, Severity::Low);
        assert_eq!(found(MESSAGE, &[1], &[2000], 60), []);
        assert_eq!(found(PEER, &[1; 5], &[10_000, 10_010, 10_020, 10_030, 10_040], 900), []);
    }
}
