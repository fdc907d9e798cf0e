//! A task that is pending and that nobody can wake.

mod overwritten_waker;

use std::collections::BTreeMap;

use sigquit_dump::{Nanos, Trace};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "lost-waker", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# lost-waker

A task that is pending and left its waker nowhere, so that nobody will wake it; or one that was ready
and that nobody had woken; or one that a future may have forgotten, as it keeps the waker of another.

## Evidence

- The dump has each suspended task polled once. A task that stays pending and did not copy its waker in
  that poll (`no-waker`) waits for nothing: the futures of runtimes leave their wakers in every poll.
- Nobody polled it between the dumps.
- Or: the poll that the dump asked for was its last, long after the one before. It was ready, and its
  wake-up had been lost, or never sent. The dump has healed it.

- Or: two at least of one spawn place stay in a future of the program's own, which copies the waker itself, in every dump
  and unpolled for a second at least, while two or more of the same place that were met in it too are polled ten times and
  more. A future that keeps only the last waker of several does that. Always low: whether they wait for one thing is in no dump.

Medium when several dumps show it; low for one dump, and for tasks that were ready: now and then one
becomes ready in the very moment of a dump. So these are told only when more than half of the tasks
of their kind that had waited long were.

## Limits

- A task that is meant to wait for ever (`std::future::pending`) looks the same, and is not wrong.
- A future that leaves its waker in its first poll alone breaks the contract of futures, works with
  most executors all the same, and looks the same too.
- Tasks that each wait for an event of their own in a hand-written future, and workers without work there, look like those
  that were forgotten, and are well.
- Tasks that were not polled for the dump are not judged: `runtime-blocked` says why they were not.

## What to do

Look at the hand-written `poll` functions in the task: each path that returns `Pending` must have left
the context's waker where the event will find it, and must look at the condition once more after it
has. A restart helps until the next time.
";

/// A task that was polled so long ago was forgotten rather than slow, in nanoseconds.
const LONG: Nanos = Nanos(1_000_000_000);
/// More of a kind than this wait for ever on purpose, or by one mistake: they are one finding.
const NAMED: usize = 5;

fn detect(incident: &Incident) -> Vec<Finding> {
    let told = forgotten(incident).into_iter().chain(ready(incident));
    told.chain(overwritten_waker::findings(incident)).collect()
}

/// Tasks without a waker, by what they were spawned from.
fn forgotten(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut kinds: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest) {
        let traces = (0..=newest).filter_map(|dump| Some(incident.task(id, dump)?.trace));
        let without = traces.clone().all(|trace| trace == Trace::NoWaker);
        let stays = newest == 0 || traces.count() == 1 || incident.was_not_polled(id);
        if without && stays && incident.task(id, newest).is_some() {
            kinds.entry(kind(incident, id, newest)).or_default().push(id);
        }
    }
    kinds.into_iter().map(|(kind, members)| without_waker(incident, &kind, members)).collect()
}

fn without_waker(incident: &Incident, kind: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let dumps = |&id: &MemberId| (0..=newest).filter(|&at| incident.task(id, at).is_some()).count();
    let seen = members.iter().map(dumps).max().unwrap_or(1);
    let (grade, severity) = match seen {
        1 => (Grade::Pattern, Severity::Low),
        _ => (Grade::Repeat, Severity::Medium),
    };
    let (count, several) = (phrase::count(incident, &members), members.len() > 1);
    let (verb, them) = if several { ("are", "them") } else { ("is", "it") };
    let evidence = members.iter().take(NAMED).map(|&id| {
        let since =
            incident.task(id, 0).or(incident.task(id, newest)).and_then(|task| task.since_poll);
        let since = since.map_or(String::new(), |time| {
            format!(", last polled {} before the first of them", phrase::duration(time))
        });
        Evidence {
            text: format!(
                "{}: polled for {}, and copied its waker in none of these polls{since}",
                phrase::who(incident, id),
                phrase::number(dumps(&id), "dump"),
            ),
            dump: Some(newest),
            member: Some(id),
            value: None,
        }
    });
    Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence: grade.cap() - 0.1,
        headline: format!("{count} {verb} pending and left no waker: nobody is seen who could wake {them}"),
        detail: format!("Of {kind}."),
        next_step: "Look at the hand-written futures in it: each path that returns Pending has to \
                    leave the waker where the event will find it. If it is to wait for ever, all is \
                    well."
            .into(),
        evidence: evidence.collect(),
        members,
        ..Finding::default()
    }
}

/// Tasks that were ready when a dump had them polled, and had been forgotten.
fn ready(incident: &Incident) -> Vec<Finding> {
    let mut kinds: BTreeMap<String, (Vec<(MemberId, usize)>, usize)> = BTreeMap::new();
    for dump in 0..incident.dumps.len() {
        if incident.shown(dump).any(|id| trace(incident, id, dump) == Some(Trace::NotServed)) {
            continue;
        }
        for id in incident.shown(dump) {
            let Some(task) = incident.task(id, dump) else { continue };
            if task.since_poll.is_none_or(|since| since < LONG) {
                continue;
            }
            let (done, all) = kinds.entry(kind(incident, id, dump)).or_default();
            *all += 1;
            if task.trace == Trace::Finished {
                done.push((id, dump));
            }
        }
    }
    let told =
        kinds.into_iter().filter(|(_, (done, all))| !done.is_empty() && done.len() * 2 > *all);
    told.map(|(kind, (done, _))| was_ready(incident, &kind, &done)).collect()
}

fn was_ready(incident: &Incident, kind: &str, done: &[(MemberId, usize)]) -> Finding {
    let members: Vec<MemberId> = done.iter().map(|&(id, _)| id).collect();
    let count = phrase::count(incident, &members);
    let verb = if members.len() > 1 { "were" } else { "was" };
    let evidence = done.iter().take(NAMED).map(|&(id, dump)| {
        let since = incident.task(id, dump).and_then(|task| task.since_poll).unwrap_or_default();
        Evidence {
            text: format!(
                "{}: not polled for {}, and done when the dump had it polled",
                phrase::who(incident, id),
                phrase::duration(since),
            ),
            dump: Some(dump),
            member: Some(id),
            value: Some(since.as_secs_f64()),
        }
    });
    Finding {
        detector: DETECTOR.name,
        severity: if members.len() > 1 { Severity::Medium } else { Severity::Low },
        grade: Grade::Pattern,
        confidence: Grade::Pattern.cap() - 0.1,
        headline: format!(
            "{count} {verb} ready and had not been woken: the dump's own poll ended it"
        ),
        detail: format!("Of {kind}."),
        next_step:
            "Look at who makes its condition true: that one has to wake the task, after the \
                    condition has changed. A restart, or another dump, helps until the next time."
                .into(),
        evidence: evidence.collect(),
        members,
        ..Finding::default()
    }
}

fn trace(incident: &Incident, id: MemberId, dump: usize) -> Option<Trace> {
    incident.task(id, dump).map(|task| task.trace)
}

fn kind(incident: &Incident, id: MemberId, dump: usize) -> String {
    incident.spawned(id, dump).unwrap_or_else(|| phrase::who(incident, id))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::{Moment, Scene};

    fn task(dump: &mut Moment, number: u64, trace: Trace, polls: u64) {
        let task = dump.task(number, &format!("t{number}"), &[]).task.as_mut().expect("a task");
        (task.trace, task.polls) = (trace, polls);
    }

    fn found(dumps: u64, draw: impl Fn(&mut Moment, u64)) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| draw(dump, second));
        }
        detect(&scene.incident())
    }

    #[test]
    fn a_task_that_leaves_no_waker_in_any_dump() {
        let findings = found(3, |dump, _| {
            task(dump, 1, Trace::NoWaker, 4);
            task(dump, 2, Trace::Pending, 4);
        });
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Medium, Grade::Repeat));
        assert_eq!(
            finding.headline,
            "1 task is pending and left no waker: nobody is seen who could wake it"
        );
        assert_eq!(found(1, |dump, _| task(dump, 1, Trace::NoWaker, 4))[0].severity, Severity::Low);
    }

    #[test]
    fn who_is_polled_all_the_same_has_somebody_to_wake_it() {
        assert_eq!(found(3, |dump, second| task(dump, 1, Trace::NoWaker, 4 + second)), []);
        let later = |second| if second == 0 { Trace::NoWaker } else { Trace::Pending };
        assert_eq!(found(3, |dump, second| task(dump, 1, later(second), 4)), []);
    }

    #[test]
    fn a_task_that_was_ready_is_told_when_its_kind_is_forgotten_as_a_rule() {
        let findings = found(2, |dump, second| {
            if second == 0 {
                task(dump, 1, Trace::Finished, 1);
            }
        });
        assert_eq!((findings.len(), findings[0].severity), (1, Severity::Low));
        let spawned = |dump: &mut Moment, number, trace| {
            let spawn = sigquit_dump::Spawn { type_name: "shop::serve".into(), location: None };
            let spawn = Some(dump.dump.add_spawn(spawn));
            task(dump, number, trace, 1);
            let task = dump.dump.threads.last_mut().and_then(|thread| thread.task.as_mut());
            task.expect("a task").spawn = spawn;
        };
        let busy = found(1, |dump, _| {
            spawned(dump, 1, Trace::Finished);
            spawned(dump, 2, Trace::Pending);
        });
        assert_eq!(busy, [], "one of two: it may just have become ready");
    }

    #[test]
    fn a_blocked_runtime_explains_tasks_that_nobody_polled() {
        let findings = found(2, |dump, _| {
            task(dump, 1, Trace::Finished, 1);
            task(dump, 2, Trace::NotServed, 1);
        });
        assert_eq!(findings, []);
    }
}
