//! Members that wait for others of the program while nothing in it moves: for the last one at a
//! barrier, for a count that is not taken down, for a result, for a receiver. What `deadlock` and
//! `thread-leak` say of waits that have no owner.

use std::collections::BTreeMap;

use super::{Evidence, Finding, Grade, Severity, deadlock, phrase, thread_leak};
use crate::model::{Idle, Incident, MemberId};

/// Fewer at one place are no mass.
const MASS: usize = 10;
/// That nobody comes is concluded from what is in sight.
const CONFIDENCE: f64 = 0.7;
/// How Go says that a goroutine waits for a receiver.
const SENDS: &str = "chan send";

/// A mass in one place that nobody in the process is on the way to wake. Something from outside may
/// be, where somebody listens.
pub(super) fn masses(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut places: BTreeMap<String, Vec<MemberId>> = BTreeMap::new();
    for id in incident.shown(newest).filter(|&id| is_forsaken(incident, id, newest)) {
        let place = incident.application_calls(id, newest).next();
        if let Some(place) = place.map(|call| call.function.clone()) {
            places.entry(place).or_default().push(id);
        }
    }
    places.retain(|_, members| members.len() >= MASS);
    if places.is_empty() || !incident.stands_still() || everyone(incident).is_some() {
        return Vec::new();
    }
    places.into_iter().map(|(place, members)| mass(incident, &place, members)).collect()
}

/// A pool's workers, and who waits for room in a queue, are the pool's matter.
fn is_forsaken(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let sends = || {
        let thread = incident.thread(id, dump);
        thread.is_some_and(|thread| thread.state_text.starts_with(SENDS))
    };
    let waits = match incident.idle(id, dump) {
        None if incident.queues(id, dump) => {
            incident.awaits_result(id, dump) && incident.meets(id, dump)
        }
        None => incident.meets(id, dump) || sends(),
        Some(Idle::Supervisor) => incident.meets_nobody(id, dump),
        Some(_) => false,
    };
    waits && !incident.runs_task(id, dump)
}

fn mass(incident: &Incident, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let who = phrase::count(incident, &members);
    Finding {
        detector: thread_leak::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait in {place} for others of the program, and nobody is at work who could come"
        ),
        detail: format!(
            "Each is in the same call in all of {}, and everyone else is idle or waits as well. Only \
             what comes from outside can still wake them.",
            phrase::number(newest + 1, "dump"),
        ),
        next_step: format!(
            "Look for those who were to count down, arrive, complete or receive what {place} waits \
             for: they have ended, failed on the way, or wait for an answer themselves. Let them do \
             it on every way out, and give the wait a timeout."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![standstill(incident, &members)],
        members,
        ..Finding::default()
    }
}

/// Everyone waits for others of the program, and nobody listens to what is outside: then nobody can
/// wake anybody. A thread that does nothing but keep the process alive does not wait for anyone.
pub(super) fn everyone(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let members = all_who_wait(incident, newest)?;
    if incident.listens(newest) || !incident.stands_still() {
        return None;
    }
    let who = phrase::those(incident, &members);
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::High,
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!("{who} wait for others, and nobody is left who could wake them"),
        detail: format!(
            "Nothing moves in {}: everyone is in the same wait or idle, and nobody listens to what is \
             outside. What they wait for names no owner.",
            phrase::number(newest + 1, "dump"),
        ),
        next_step: "Keep the dumps and restart the process. Look for the party that is missing: a \
                    thread that has died of an exception, a task that was never begun, one too many \
                    in the count. Let it be counted down on every way out."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![standstill(incident, &members)],
        members,
        ..Finding::default()
    })
}

/// All who are not idle, where each waits for others of the program, some of them for others to come
/// or to be done, and none as a pool's worker: that is the pool's matter.
fn all_who_wait(incident: &Incident, dump: usize) -> Option<Vec<MemberId>> {
    let busy = |&id: &MemberId| incident.idle(id, dump).is_none();
    let waits = |&id: &MemberId| {
        (incident.meets(id, dump) || incident.waits_for_others(id, dump))
            && incident.asks_peer(id, dump).is_none()
            && !incident.runs_task(id, dump)
    };
    let members: Vec<MemberId> = incident.shown(dump).filter(busy).collect();
    let some_meet = members.iter().any(|&id| incident.meets(id, dump));
    (members.len() > 1 && some_meet && members.iter().all(waits)).then_some(members)
}

fn standstill(incident: &Incident, members: &[MemberId]) -> Evidence {
    let newest = incident.dumps.len() - 1;
    let who = phrase::count(incident, members);
    let text = match newest {
        0 => format!("{who} waiting"),
        _ => {
            let dumps = phrase::number(newest + 1, "dump");
            format!("{who} in one and the same call in all of {dumps}")
        }
    };
    Evidence { text, dump: Some(newest), member: None, value: Some(members.len() as f64) }
}

/// All who are not idle wait for locks of which nobody knows the owners: these are among them.
pub(super) fn locked_out(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let members = incident.only_waiters(newest).filter(|members| members.len() > 1)?;
    let still = incident.stands_still();
    if newest > 0 && !still {
        return None;
    }
    let one_lock = only_lock(incident, &members, newest);
    let grade = if still { Grade::Repeat } else { Grade::Pattern };
    let who = phrase::those(incident, &members);
    let seem = if still { "" } else { "seem to " };
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: if still { Severity::High } else { Severity::Medium },
        grade,
        confidence: grade.cap() - 0.1,
        headline: format!("{who} {seem}wait for locks that nobody but themselves can hold"),
        detail: format!(
            "The process has no other thread that could hold what they wait for, but for those that \
             wait for a thread's end. Which of them are in the circle is not known; one that ended \
             with a lock in its hand looks alike{}.",
            if still { "" } else { ", and so does a moment between two owners" }
        ),
        next_step: "Keep the dumps. Have the debugger print the owners (`p` the mutex in each \
                    waiter's frame, or debug information of the C library), then restart the process. \
                    Take the locks in one order everywhere."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        lock: one_lock,
        evidence: vec![standstill(incident, &members)],
        members,
        ..Finding::default()
    })
}

fn only_lock(incident: &Incident, members: &[MemberId], dump: usize) -> Option<super::LockOf> {
    let lock = |&id: &MemberId| Some(incident.thread(id, dump)?.wait.as_ref()?.lock);
    let first = members.first().and_then(lock)?;
    let shown = incident.dumps[dump].lock(first);
    (shown.address.is_some() && members.iter().all(|id| lock(id) == Some(first)))
        .then(|| phrase::lock_of(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockKind, Runtime, ThreadState, WaitFor};

    const BARRIER: &[&str] = &[
        "jdk.internal.misc.Unsafe.park",
        "java.util.concurrent.CyclicBarrier.dowait",
        "java.util.concurrent.CyclicBarrier.await",
        "grid.Solver.step:9",
        "grid.Solver.solve:7",
        "grid.Solver.work:5",
        "grid.Solver.run:3",
    ];
    const COMPUTES: &[&str] = &["grid.Solver.cell:2", "grid.Solver.run:3"];
    const ACCEPTS: &[&str] = &["sun.nio.ch.Net.accept", "grid.Web.run:4"];

    fn scene(solvers: usize, other: &[&str]) -> Incident {
        let draw = |dump: &mut Moment| {
            for number in 0..solvers {
                dump.thread(&format!("solver-{number}"), BARRIER).is(ThreadState::Waiting);
            }
            if !other.is_empty() {
                dump.thread("other", other);
            }
        };
        Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident()
    }

    #[test]
    fn all_at_a_barrier_wait_for_one_who_does_not_come() {
        let found = everyone(&scene(7, &[])).expect("nobody is left");
        assert_eq!((found.members.len(), found.grade), (7, Grade::Repeat));
    }

    #[test]
    fn one_who_computes_may_come_yet_and_one_who_listens_may_hear() {
        assert_eq!(everyone(&scene(7, COMPUTES)), None);
        assert_eq!(everyone(&scene(7, ACCEPTS)), None);
        assert_eq!(masses(&scene(12, COMPUTES)), []);
    }

    #[test]
    fn a_mass_beside_a_listener_is_told_with_less_weight() {
        let [found] = &masses(&scene(12, ACCEPTS))[..] else { panic!("one place") };
        assert_eq!((found.severity, found.members.len()), (Severity::Medium, 12));
        assert_eq!(masses(&scene(9, ACCEPTS)), []);
    }

    #[test]
    fn a_process_kept_alive_by_a_latch_waits_for_nobody() {
        let draw = |dump: &mut Moment| {
            let stack = ["java.util.concurrent.CountDownLatch.await", "shop.Main.main:4"];
            dump.thread("main", &stack).is(ThreadState::Waiting);
        };
        let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
        assert_eq!(everyone(&incident), None);
    }

    fn locked(dump: &mut Moment, other: &[&str]) {
        let lock = dump.lock(LockKind::Mutex, 0);
        dump.dump.locks[0].address = None;
        for teller in ["east", "west"] {
            dump.thread(teller, &["pthread_mutex_lock", "transfer:32"])
                .waits(lock, WaitFor::Exclusive);
        }
        dump.thread("main", &["pthread_join", "main:9"]).is(ThreadState::Waiting);
        if !other.is_empty() {
            dump.thread("other", other);
        }
    }

    #[test]
    fn locks_that_only_waiters_can_hold() {
        let seen = |dumps: u64, other: &[&str]| {
            let mut scene = Scene::of(Runtime::Native);
            for second in 0..dumps {
                scene = scene.dump(second, |dump| locked(dump, other));
            }
            locked_out(&scene.incident()).map(|found| (found.severity, found.grade))
        };
        assert_eq!(seen(1, &[]), Some((Severity::Medium, Grade::Pattern)));
        assert_eq!(seen(2, &[]), Some((Severity::High, Grade::Repeat)));
        assert_eq!(seen(2, &["recv", "refresh:4"]), None, "it may hold the lock");
    }
}
