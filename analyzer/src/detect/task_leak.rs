//! Tasks that are made and never end.

mod ticking;

use std::collections::BTreeMap;

use sigquit_dump::{Kind, Nanos, StackId};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase, thread_leak};
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
- Growth of fewer: more of them in each of five dumps at least than in the one before, by twenty or more, to fifty or to
  twice as many, and none has ended.
- The same, of few or many, where some of the place have ended, and none of them had been there in three dumps, while twenty
  at least and half of the first dump's are still there: whoever does not end soon does not end then.
- Growth of those that come round by a timer, as where the handle of a task was dropped: low, and not told where some of them
  ended, or where tasks that wait for peers become more as well.

Medium when a hundred grow of whom none has ended, and of the others when the oldest has waited for half a minute. Low before
that, as work that takes longer looks the same; low where as many tasks that wait for peers come along, as these may belong
to connections; low for a mass alone. Other tasks that wait for a peer, a connection or a time, be it in one of several
branches, are not counted: ten thousand idle connections are a service at rest.

## Limits

- Tasks have to be tracked: what libraries spawn themselves is not seen.
- Of tasks that ended between two dumps nothing is seen, so that others of the place may end at once.
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
/// Fewer of the first dump are no rest that stays.
const STAYED: usize = 20;
/// Who was there in so many did not end soon.
const OLD: usize = 3;
/// Work that has not ended by then is no wave that has just begun.
const LASTING: Nanos = Nanos(30_000_000_000);

fn detect(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut kinds: BTreeMap<(String, TaskWait), Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest).filter(|&id| incident.member(id).kind == Kind::Task) {
        let Some(task) = incident.task(id, newest).filter(|task| task.polls <= 1) else { continue };
        let Some(wait) = incident.task_wait(id, newest).filter(|&wait| depends(wait)) else {
            continue;
        };
        if task.spawn.is_some()
            && task.branches.iter().all(|&branch| depends(wait_of(incident, branch, newest)))
            && let Some(kind) = incident.spawned(id, newest)
        {
            kinds.entry((kind, wait)).or_default().push(id);
        }
    }
    let series = incident.dumps.len() >= DUMPS;
    let few = if series { STAYED } else { MANY };
    kinds.retain(|_, members| members.len() >= few);
    let ticking = ticking::findings(incident);
    if kinds.is_empty() {
        return ticking;
    }
    let ended = ended(incident);
    let found = kinds.into_iter().filter_map(|((kind, wait), members)| {
        let ended = ended.get(&kind).copied();
        finding(incident, &Leak { kind, wait, members, ended })
    });
    found.chain(ticking).collect()
}

/// When tasks of a kind ended that did so in sight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Soon,
    Late,
}

/// Tasks of one kind that wait for one and the same.
struct Leak {
    kind: String,
    wait: TaskWait,
    members: Vec<MemberId>,
    ended: Option<Ended>,
}

/// Why they are taken for a leak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// They become more, and none has ended.
    Growth,
    /// They become more, and none has ended who did not soon.
    Rest,
    /// Very many have waited for so long.
    Mass(Nanos),
}

/// What a branch of a task waits for. One that waits for a peer or a time as well goes on by that.
fn wait_of(incident: &Incident, branch: StackId, dump: usize) -> TaskWait {
    let calls = incident.calls_of_stack(dump, branch);
    TaskWait::of(calls.iter().map(|&(call, _)| incident.call(call)))
}

/// Whether what is waited for is another part of the program.
fn depends(wait: TaskWait) -> bool {
    matches!(wait, TaskWait::Receive | TaskWait::Send | TaskWait::Notification | TaskWait::Join)
}

fn finding(incident: &Incident, leak: &Leak) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let Leak { kind, wait, members, .. } = leak;
    let counts: Vec<usize> = (0..=newest)
        .map(|dump| members.iter().filter(|&&id| incident.task(id, dump).is_some()).count())
        .collect();
    let why = why(incident, leak, &counts)?;
    let (grade, severity) = weight(incident, leak, why, &counts);
    let oldest = waits(incident, members).last().copied().unwrap_or_default();
    let number = phrase::number(members.len(), "task");
    let headline = match why {
        Why::Growth if severity == Severity::Low => {
            format!("{number} of {kind} have not gone on so far, and more come: each {wait}")
        }
        Why::Growth => format!("{number} of {kind} never go on, and more come: each {wait}"),
        Why::Rest => format!(
            "{number} of {kind}, and more come: some ended soon, and none later; each {wait}"
        ),
        Why::Mass(median) => format!(
            "{number} of {kind} have waited {} and longer: each {wait}",
            phrase::duration(median)
        ),
    };
    let longer = match why {
        Why::Mass(_) => String::new(),
        _ => format!(
            " The oldest has waited for {}: work that takes longer looks the same.",
            phrase::duration(oldest)
        ),
    };
    let evidence = Evidence::per_dump(&counts, |count| {
        format!("{} that were polled once and wait", phrase::number(count, "task"))
    });
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence: grade.cap() - if severity == Severity::Low { 0.2 } else { 0.1 },
        headline,
        detail: format!("In the dumps, one after the other: {}.{longer}", phrase::figures(&counts)),
        next_step: "Find out who was to act at the other end, and why that one does not any more. \
                    Give the wait a timeout, or end these tasks with what they were made for."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence,
        members: members.clone(),
        ..Finding::default()
    })
}

fn why(incident: &Incident, leak: &Leak, counts: &[usize]) -> Option<Why> {
    let Leak { members, ended, .. } = leak;
    let more = counts.len() >= DUMPS && counts.windows(2).all(|pair| pair[0] < pair[1]);
    let grows = thread_leak::grows(counts);
    let stays = || counts[0] >= STAYED && counts[0] * 2 >= of_kind(incident, &leak.kind, 0);
    let median = waits(incident, members).get(members.len() / 2).copied().unwrap_or_default();
    match ended {
        None if grows || more && members.len() >= SOME => Some(Why::Growth),
        Some(Ended::Soon) if grows && stays() => Some(Why::Rest),
        _ if members.len() >= MANY && median >= LONG => Some(Why::Mass(median)),
        _ => None,
    }
}

fn weight(incident: &Incident, leak: &Leak, why: Why, counts: &[usize]) -> (Grade, Severity) {
    let oldest = waits(incident, &leak.members).last().copied().unwrap_or_default();
    let many = why == Why::Growth && leak.members.len() >= SOME;
    match why {
        Why::Mass(_) => (Grade::Pattern, Severity::Low),
        _ if come_with_connections(incident, counts) => (Grade::Repeat, Severity::Low),
        _ if many || oldest >= LASTING => (Grade::Repeat, Severity::Medium),
        _ => (Grade::Repeat, Severity::Low),
    }
}

/// Of each kind of which an earlier dump shows tasks that the newest does not, whether one of these had been there in
/// several dumps.
fn ended(incident: &Incident) -> BTreeMap<String, Ended> {
    let newest = incident.dumps.len() - 1;
    let mut kinds = BTreeMap::new();
    for id in incident.ids().filter(|&id| incident.member(id).kind == Kind::Task) {
        let mut shown = (0..=newest).filter(|&dump| incident.task(id, dump).is_some());
        let Some(first) = shown.next() else { continue };
        if incident.task(id, newest).is_some() {
            continue;
        }
        let when = if 1 + shown.count() >= OLD { Ended::Late } else { Ended::Soon };
        if let Some(kind) = incident.spawned(id, first) {
            let known = kinds.entry(kind).or_insert(when);
            *known = when.max(*known);
        }
    }
    kinds
}

/// How many of a kind a dump shows, whatever they wait for.
fn of_kind(incident: &Incident, kind: &str, dump: usize) -> usize {
    let is_it = |&id: &MemberId| incident.spawned(id, dump).as_deref() == Some(kind);
    incident.shown(dump).filter(is_it).count()
}

/// Whether tasks that wait for peers become more at the pace of these: then these are what belongs to new connections.
fn come_with_connections(incident: &Incident, counts: &[usize]) -> bool {
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return false };
    let peers = |dump: usize| {
        let waits = |&id: &MemberId| incident.task_wait(id, dump) == Some(TaskWait::Socket);
        incident.shown(dump).filter(waits).count()
    };
    let (before, after) = (peers(0), peers(incident.dumps.len() - 1));
    after.saturating_sub(before) * 2 > last.saturating_sub(first)
}

/// For how long they have waited, in ascending order.
fn waits(incident: &Incident, members: &[MemberId]) -> Vec<Nanos> {
    let newest = incident.dumps.len() - 1;
    let since = |&id: &MemberId| incident.task(id, newest)?.since_poll;
    let mut waits: Vec<Nanos> = members.iter().filter_map(since).collect();
    waits.sort_unstable();
    waits
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
    fn few_that_grow_are_told_softly_until_they_have_waited_long() {
        let few = |waited| found(MESSAGE, &[1; 5], &[21, 30, 39, 48, 58], waited);
        let young = few(7);
        assert_eq!(young.len(), 1, "{young:?}");
        assert_eq!(young[0].severity, Severity::Low, "a wave of work begins so");
        assert!(young[0].detail.contains("The oldest has waited for 7.0 s"), "{young:?}");
        assert_eq!(few(60)[0].severity, Severity::Medium);
        assert_eq!(found(MESSAGE, &[1; 5], &[21, 24, 27, 30, 33], 60), [], "no trend");
    }

    /// In each dump those who stay, numbered from one, and those from a number on who come and go.
    fn some_stay(stay: [u64; 5], go: [std::ops::Range<u64>; 5]) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for (second, (stay, go)) in (0..).zip(stay.into_iter().zip(go)) {
            scene = scene.dump(second, |dump| {
                let spawn = Spawn { type_name: "shop::reply".into(), location: None };
                let spawn = Some(dump.dump.add_spawn(spawn));
                for number in (1..=stay).chain(go) {
                    let task = dump.task(number, "", MESSAGE).task.as_mut().expect("a task");
                    task.spawn = spawn;
                }
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn who_waits_for_a_peer_or_a_time_as_well_goes_on_by_that() {
        let beside = |branch: &'static [&'static str]| {
            let mut scene = Scene::of(Runtime::Rust);
            for second in 0..5 {
                scene = scene.dump(second, |dump| {
                    let spawn = Spawn { type_name: "shop::serve".into(), location: None };
                    let spawn = Some(dump.dump.add_spawn(spawn));
                    let beside = dump.thread("", branch).stack;
                    for number in 1..30 + second * 10 {
                        let task = dump.task(number, "", MESSAGE).task.as_mut().expect("a task");
                        (task.spawn, task.branches) = (spawn, beside.into_iter().collect());
                    }
                });
            }
            detect(&scene.incident())
        };
        assert_eq!(beside(PEER), []);
        assert_eq!(beside(&["tokio::time::sleep::Sleep::poll", "shop::serve:3"]), []);
        assert_eq!(beside(MESSAGE).len(), 1, "neither comes");
    }

    #[test]
    fn who_ends_soon_is_not_among_those_who_stay() {
        let stay = [21, 30, 39, 48, 58];
        let soon = [500..505, 503..509, 507..511, 511..514, 514..515];
        let findings = some_stay(stay, soon);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert!(finding.headline.contains("some ended soon, and none later"), "{finding:?}");
        let late = [500..505, 500..505, 500..505, 500..505, 510..511];
        assert_eq!(some_stay(stay, late), [], "work of every length");
        let most = [500..550, 550..600, 600..650, 650..700, 700..701];
        assert_eq!(some_stay(stay, most), [], "a few that are slow, among many");
    }

    #[test]
    fn what_comes_with_connections_belongs_to_them() {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..5 {
            scene = scene.dump(second, |dump| {
                let spawn = Spawn { type_name: "shop::write".into(), location: None };
                let spawn = Some(dump.dump.add_spawn(spawn));
                for number in 0..20 + second * 10 {
                    let task = dump.task(1 + number, "", MESSAGE).task.as_mut().expect("a task");
                    task.spawn = spawn;
                    dump.task(1000 + number, "", PEER);
                }
            });
        }
        let findings = detect(&scene.incident());
        assert_eq!(findings.iter().map(|one| one.severity).max(), Some(Severity::Low));
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
