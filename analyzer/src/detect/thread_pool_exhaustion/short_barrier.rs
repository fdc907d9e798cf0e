//! A pool all of whose workers wait at one barrier for somebody who does not come: what `thread-pool-exhaustion` says of
//! tasks that wait for each other, and are more than their pool has workers.
//!
//! ```text
//! pool-1-thread-1 .. 8    CyclicBarrier.await < traffic.District.call < FutureTask.run
//! planner                 FutureTask.get < AbstractExecutorService.invokeAll < traffic.Model.run
//! ```
//!
//! Who meets at a barrier runs the same code, as a rule. Here everybody who is in it waits, and so does who wants the
//! result, while the rest of the program goes on: whoever is to come is in the queue before the pool, where no dump
//! shows it. Who waits at a latch is not told of so: anybody may count it down.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, thread_pool_exhaustion};
use crate::model::{FunctionName, Incident, MemberId, is_within};

/// So many dumps show that nobody comes.
const DUMPS: usize = 3;
/// One that waits alone is told of by nobody's coming.
const SOME: usize = 2;
/// That the one who is to come is in the queue is concluded from who is in sight.
const INFERRED: f64 = 0.6;
/// Why it may be otherwise.
const AT_WORK: &str = " Somebody else is at work all the time, who may be the one that is to come.";
const TASK_OF_OTHERS: &str =
    " Others are in the code of those who wait for a task, and may be doing it.";

/// The pools whose workers all wait at a barrier, in a program that goes on otherwise.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < DUMPS || incident.stands_still() {
        return Vec::new();
    }
    let pools = incident.numbered(newest).into_iter();
    let pools = pools.filter(|(_, workers)| workers.len() >= SOME);
    let met = pools.filter_map(|(name, workers)| Some((place(incident, &workers)?, name, workers)));
    let met: Vec<_> = met.collect();
    if met.is_empty() {
        return Vec::new();
    }
    let mut askers = askers(incident);
    if askers.is_empty() {
        return Vec::new();
    }
    let apart = met.iter().flat_map(|(.., workers)| workers).chain(&askers).copied().collect();
    let others = Others::of(incident, &apart);
    // Where others are in the code of who asks, the task may be theirs.
    let is_apart =
        |&id: &MemberId| own_type(incident, id).is_some_and(|asked| !others.are_near(asked));
    let apart: Vec<MemberId> = askers.iter().copied().filter(is_apart).collect();
    let doubt =
        if apart.is_empty() { Some(TASK_OF_OTHERS) } else { others.at_work.then_some(AT_WORK) };
    if !apart.is_empty() {
        askers = apart;
    }
    let met = met.into_iter();
    let met = met.filter(|&(place, ..)| !others.are_near(FunctionName::of(place).owner));
    met.map(|(place, name, workers)| finding(incident, place, &name, workers, &askers, doubt))
        .collect()
}

/// The type of whose code a member is in, in the newest dump.
fn own_type(incident: &Incident, id: MemberId) -> Option<&str> {
    let own = incident.application_calls(id, incident.dumps.len() - 1).next()?;
    Some(FunctionName::of(&own.function).owner)
}

/// The function in which all of them wait at a barrier throughout, in a task, as counters say.
fn place<'a>(incident: &'a Incident, workers: &[MemberId]) -> Option<&'a str> {
    let newest = incident.dumps.len() - 1;
    let own = |id| incident.application_calls(id, newest).next();
    let place = own(*workers.first()?)?.function.as_str();
    let waits = |&id: &MemberId| {
        incident.is_at_barrier(id, newest)
            && incident.runs_task(id, newest)
            && own(id).is_some_and(|call| call.function == place)
            && incident.waits_throughout(id)
            && incident.is_known_to_stand(id)
    };
    workers.iter().all(waits).then_some(place)
}

/// Those who wait for a pool's task throughout, as counters say.
fn askers(incident: &Incident) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let asks = |&id: &MemberId| {
        incident.waits_for_task(id, newest)
            && incident.waits_throughout(id)
            && incident.is_known_to_stand(id)
    };
    incident.shown(newest).filter(asks).collect()
}

/// Those who do neither, and what they do meanwhile.
struct Others<'a> {
    /// The types of whose code they are in, in any dump.
    types: BTreeSet<&'a str>,
    /// Somebody is at work in every dump, and may be the one who is to come.
    at_work: bool,
}

impl<'a> Others<'a> {
    fn of(incident: &'a Incident, apart: &BTreeSet<MemberId>) -> Others<'a> {
        let mut others = Others { types: BTreeSet::new(), at_work: false };
        for id in incident.ids().filter(|id| !apart.contains(id)) {
            let mut works = 0;
            for dump in 0..incident.dumps.len() {
                let own = incident.application_calls(id, dump);
                let types = own.map(|call| FunctionName::of(&call.function).owner);
                let mut in_own_code = false;
                others.types.extend(types.inspect(|_| in_own_code = true));
                works += usize::from(in_own_code && incident.idle(id, dump).is_none());
            }
            others.at_work |= works == incident.dumps.len();
        }
        others
    }

    /// Whether somebody is in the code of a type, or of one within it.
    fn are_near(&self, name: &str) -> bool {
        let from = self.types.range::<str, _>((Bound::Included(name), Bound::Unbounded));
        from.take_while(|found| found.starts_with(name)).any(|found| is_within(found, name))
    }
}

fn finding(
    incident: &Incident,
    place: &str,
    name: &str,
    workers: Vec<MemberId>,
    askers: &[MemberId],
    doubt: Option<&str>,
) -> Finding {
    let newest = incident.dumps.len() - 1;
    let severity = if doubt.is_some() { Severity::Low } else { Severity::Medium };
    let all = workers.len();
    let who = phrase::those(incident, askers);
    let waits = if askers.len() == 1 { "waits" } else { "wait" };
    Finding {
        detector: thread_pool_exhaustion::DETECTOR.name,
        severity,
        grade: Grade::Repeat,
        confidence: INFERRED,
        headline: format!(
            "all {all} workers of {name} wait at a barrier in {place}, and nobody else is in that code who could come: \
             they seem to be fewer than are to meet"
        ),
        detail: format!(
            "Each is in the same call in all of {}, without CPU time used, and {who} {waits} for a task likewise, while others go on. \
             How many are to meet at the barrier is not in a dump: that one of them is in the queue before the pool \
             is inferred.{}",
            phrase::number(newest + 1, "dump"),
            doubt.unwrap_or_default(),
        ),
        next_step: format!(
            "Compare how many are to meet in {place} with how many workers the pool has: tasks that wait for each other need \
             a worker each. Restart the process: those in the queue get none. If others are to come to this barrier, \
             look where they are."
        ),
        frames: phrase::telling_frames(incident, workers[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(all as f64),
            ..Evidence::text(format!("{all} of the {all} workers wait at a barrier"))
        }],
        victims: askers.to_vec(),
        holders: workers.clone(),
        members: workers,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    const RUN: [&str; 2] = [
        "java.util.concurrent.FutureTask.run",
        "java.util.concurrent.ThreadPoolExecutor.runWorker",
    ];
    const INVOKES: &[&str] = &[
        "java.util.concurrent.FutureTask.get",
        "java.util.concurrent.AbstractExecutorService.invokeAll",
        "traffic.Model.run:4",
    ];
    const BARRIER: &str = "java.util.concurrent.CyclicBarrier.await";

    /// Four workers that wait, one who asks, and one who does something in every dump or in every other one.
    fn found(wait: &str, asks: &[&str], used: u64, other: &str, always: bool) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..3u64 {
            scene = scene.dump(2 * second, |dump| {
                let counted = Some(Nanos(5_000_000 + second * used));
                for number in 1..5 {
                    let stack = [
                        "jdk.internal.misc.Unsafe.park",
                        wait,
                        "traffic.District.call:9",
                        RUN[0],
                        RUN[1],
                    ];
                    let worker = dump.thread(&format!("pool-1-thread-{number}"), &stack);
                    worker.is(ThreadState::Waiting).cpu = counted;
                }
                dump.thread("planner", asks).is(ThreadState::Waiting).cpu = Some(Nanos(5_000_000));
                let rests = "java.util.concurrent.ThreadPoolExecutor.getTask";
                let stack: &[&str] = if always || second == 1 { &[other] } else { &[rests] };
                dump.thread("viewer", stack).cpu = Some(Nanos(second * 70_000_000));
            });
        }
        findings(&scene.incident())
    }

    #[test]
    fn a_pool_with_fewer_workers_than_are_to_meet() {
        let findings = found(BARRIER, INVOKES, 0, "traffic.Map.draw:3", false);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 4));
        assert_eq!(finding.victims.len(), 1);
        assert!(finding.detail.contains("is inferred"), "{}", finding.detail);
    }

    #[test]
    fn one_who_is_at_work_all_the_time_may_be_the_one_who_is_to_come() {
        let findings = found(BARRIER, INVOKES, 0, "traffic.Map.draw:3", true);
        assert_eq!(findings[0].severity, Severity::Low);
    }

    #[test]
    fn steps_that_go_on_gates_and_late_ones_of_the_same_code_are_well() {
        let draws = "traffic.Map.draw:3";
        assert_eq!(
            found(BARRIER, INVOKES, 900_000, draws, false),
            [],
            "they meet, again and again"
        );
        let late = "traffic.District.count:7";
        assert_eq!(found(BARRIER, INVOKES, 0, late, false), [], "one of them computes");
        let latch = "java.util.concurrent.CountDownLatch.await";
        assert_eq!(found(latch, INVOKES, 0, draws, false), [], "anybody may count it down");
        let near = "traffic.Model.sum:9";
        let severity = |other| found(BARRIER, INVOKES, 0, other, false)[0].severity;
        assert_eq!(severity(near), Severity::Low, "the task may be another one's");
        let idle = &["java.util.concurrent.LinkedBlockingQueue.take", "traffic.Model.next:2"];
        assert_eq!(found(BARRIER, idle, 0, draws, false), [], "nobody wants them to go on");
    }
}
