//! Members that wait for others of the program while nothing in it moves: for the last one at a
//! barrier, for a count that is not taken down, for a result, for a receiver. What `deadlock` and
//! `thread-leak` say of waits that have no owner.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::{LockId, OwnerSource};

use super::{Evidence, Finding, Grade, Severity, deadlock, phrase, thread_leak};
use crate::model::{FunctionName, Idle, Incident, MemberId, is_within};

/// Fewer at one place are no mass.
const MASS: usize = 10;
/// So many workers are a pool, and told of as such.
const FEW: usize = 4;
/// That nobody comes is concluded from what is in sight.
const CONFIDENCE: f64 = 0.7;
/// That the one who is left waits for more than the end of the process is not known.
const ALONE: f64 = 0.5;

/// A mass in one place that nobody in the process is on the way to wake. Something from outside may
/// be, where somebody listens.
pub(super) fn masses(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    let place = |id| {
        let own = incident.application_calls(id, newest).next();
        own.filter(|_| may_be_forsaken(incident, id, newest))
    };
    for (id, place) in incident.found(newest, place) {
        let supervises = incident.idle(id, newest) == Some(Idle::Supervisor);
        if !supervises || incident.meets_nobody(id, newest) {
            places.entry(&place.function).or_default().push(id);
        }
    }
    places.retain(|_, members| members.len() >= MASS);
    let is_everyone =
        || all_who_wait(incident, newest, false).is_some() && !incident.listens(newest);
    if places.is_empty() || !incident.stands_still() || is_everyone() {
        return Vec::new();
    }
    places.into_iter().map(|(place, members)| mass(incident, place, members)).collect()
}

/// A pool's workers, and who waits for room in a queue, are the pool's matter. Of who supervises others it remains to
/// be seen whether any are left.
fn may_be_forsaken(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let waits = match incident.idle(id, dump) {
        None if incident.queues(id, dump) => {
            incident.awaits_result(id, dump) && incident.meets(id, dump)
        }
        None => {
            incident.meets(id, dump)
                || incident.sends(id, dump)
                || incident.says_what_it_awaits(id, dump)
        }
        Some(Idle::Supervisor) => incident.meets(id, dump),
        Some(Idle::Consumer) => incident.says_what_it_awaits(id, dump),
        Some(_) => false,
    };
    waits && !incident.runs_task(id, dump)
}

/// Whether all may be well, or somebody be on the way to wake these: a timer, where it is not counted that they stand;
/// a goroutine in a channel, where they wait for a receiver. A permit may be the signal that there is work; and that it is
/// no work that they wait for is said by a name alone.
fn may_go_on(incident: &Incident, members: &[MemberId]) -> bool {
    let newest = incident.dumps.len() - 1;
    let counted = members.iter().all(|&id| incident.is_known_to_stand(id));
    let sends = members.iter().any(|&id| !incident.meets(id, newest));
    let permits = members.iter().all(|&id| incident.waits_for_permit(id, newest));
    let by_name = members.iter().any(|&id| incident.says_what_it_awaits(id, newest));
    permits
        || by_name
        || !counted && incident.awaits_time()
        || sends && incident.shown(newest).any(|id| incident.may_receive(id, newest))
}

fn mass(incident: &Incident, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let who = phrase::count(incident, &members);
    let may_go_on = may_go_on(incident, &members);
    Finding {
        detector: thread_leak::DETECTOR.name,
        severity: if may_go_on { Severity::Low } else { Severity::Medium },
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait in {place} for others of the program, and nobody is at work who could come"
        ),
        detail: format!(
            "Each is in the same call in all of {}, and everyone else is idle or waits as well. {} \
             can still wake them.",
            phrase::number(newest + 1, "dump"),
            match (may_go_on, incident.awaits_time()) {
                (_, true) => "Only a timer, or what comes from outside,",
                (true, false) => "One who waits as well, or what comes from outside,",
                (false, false) => "Only what comes from outside",
            },
        ),
        next_step: format!(
            "Look for those who were to count down, arrive, complete, notify or receive what {place} waits \
             for: they have ended, failed on the way, or wait for an answer themselves. Let them do \
             it on every way out, and give the wait a timeout."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![standstill(incident, &members)],
        members,
        ..Finding::default()
    }
}

/// One that waits for others of the program while no other is in the program's own code. It may be meant to keep
/// the process alive, and a request or a signal may still end the wait.
pub(super) fn left_alone(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let member = incident.left_alone(newest).filter(|_| incident.stands_still())?;
    let who = phrase::who(incident, member);
    let place = phrase::place(incident, member, newest)?;
    Some(Finding {
        detector: thread_leak::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: ALONE,
        headline: format!(
            "{who} waits in {place} for others, and no other is in the program's own code"
        ),
        detail: format!(
            "Nothing moves in {}. If it is not there to keep the process alive, those for whom it waits have ended \
             without saying so, or were never begun. Only what comes from outside can still end the wait.",
            phrase::number(newest + 1, "dump"),
        ),
        next_step: format!(
            "Look for those who were to count down or to be done with {place}: let them say so on every way out, a \
             failure included."
        ),
        frames: phrase::telling_frames(incident, member, newest),
        evidence: vec![standstill(incident, &[member])],
        members: vec![member],
        ..Finding::default()
    })
}

/// Everyone waits for others of the program, and nobody listens to what is outside: then nobody can
/// wake anybody. A thread that does nothing but keep the process alive does not wait for anyone.
pub(super) fn everyone(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let listener = incident.listens(newest);
    let members = all_who_wait(incident, newest, listener)?;
    // Beside a listener only those are told of who are there to serve, too few for a pool of which a share could
    // be said, or who send to nobody.
    let serves = || {
        let in_tasks = members.iter().filter(|&&id| incident.runs_task(id, newest)).count();
        (1..FEW).contains(&in_tasks) || members.iter().all(|&id| incident.sends(id, newest))
    };
    if listener && !serves() || !incident.stands_still() || listener && !masses(incident).is_empty()
    {
        return None;
    }
    let who = phrase::those(incident, &members);
    let timer = incident.awaits_time();
    let notice = incident.wait_for_each_others_notice(newest);
    let by_notice = members.iter().any(|id| notice.contains(id));
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: match timer {
            _ if listener => Severity::Low,
            false if by_notice => Severity::Medium,
            false => Severity::High,
            true if may_go_on(incident, &members) => Severity::Low,
            true => Severity::Medium,
        },
        grade: Grade::Repeat,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait for others, and nobody{} is left who could wake them",
            match (listener, timer) {
                (true, true) => " but a timer and who listens to what is outside",
                (true, false) => " but who listens to what is outside",
                (false, true) => " but a timer",
                (false, false) => "",
            },
        ),
        detail: format!(
            "Nothing moves in {}: everyone is in the same wait or idle{}. What they wait for names no \
             owner.",
            phrase::number(newest + 1, "dump"),
            if listener { "" } else { ", and nobody listens to what is outside" },
        ),
        next_step: format!(
            "{} and restart the process. {}",
            match listener {
                true =>
                    "Nothing, if what they wait for comes from outside. Otherwise keep the dumps",
                false => "Keep the dumps",
            },
            match by_notice {
                true =>
                    "Some wait at one monitor or condition for what others there were to bring about: notify all \
                     of them, as the one who is woken may be one who cannot go on, and change what they wait for \
                     under its lock.",
                false =>
                    "Look for the party that is missing: a thread that has died of an exception, a task that was \
                     never begun, one too many in the count. Let it be counted down on every way out.",
            }
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![standstill(incident, &members)],
        members,
        ..Finding::default()
    })
}

/// One waits for a task's result and owns what all who are in tasks wait for, directly or behind each other: then
/// nobody is left to do the task. A worker who is idle would have taken it.
pub(super) fn owns_what_its_task_needs(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let graph = incident.wait_for(newest);
    let behind = |id: MemberId| -> BTreeSet<MemberId> {
        let thread = incident.member(id).seen[newest].map(|at| at as u32);
        let behind = thread.map_or(Vec::new(), |thread| graph.blocked_by(thread));
        behind.iter().filter_map(|&at| incident.member_of(newest, at as usize)).collect()
    };
    let waits = |&id: &MemberId| {
        incident.waits_for_task(id, newest) && (newest == 0 || incident.waits_throughout(id))
    };
    let waiters = incident.shown(newest).filter(waits).map(|id| (id, behind(id)));
    let owners: Vec<_> = waiters.filter(|(_, behind)| !behind.is_empty()).collect();
    if owners.is_empty() {
        return Vec::new();
    }
    let in_task =
        |&id: &MemberId| incident.runs_task(id, newest) && incident.idle(id, newest).is_none();
    let in_tasks: Vec<MemberId> = incident.shown(newest).filter(in_task).collect();
    let found = |(owner, behind): (MemberId, BTreeSet<MemberId>)| {
        let workers: Vec<MemberId> = in_tasks.iter().copied().filter(|&id| id != owner).collect();
        let all_lost = !workers.is_empty() && workers.iter().all(|id| behind.contains(id));
        let (workers, who) = match all_lost {
            true => (workers, "everyone who is in a task waits behind it"),
            false => (its_pool(incident, owner, &workers, &behind)?, ALL_OF_A_POOL),
        };
        Some(owner_of_a_task(incident, owner, workers, behind, who))
    };
    owners.into_iter().filter_map(found).collect()
}

/// The workers of a pool all of whom wait behind an owner, one of them in a task of the type in which it waits for its
/// task: then that seems to be theirs. A worker that is idle would have taken it.
fn its_pool(
    incident: &Incident,
    owner: MemberId,
    in_tasks: &[MemberId],
    behind: &BTreeSet<MemberId>,
) -> Option<Vec<MemberId>> {
    let newest = incident.dumps.len() - 1;
    let its = incident.application_calls(owner, newest).next()?;
    let its = FunctionName::of(&its.function).owner;
    let own_pool = incident.pool_of(owner);
    let near = |&id: &MemberId| {
        let pool = incident.pool_of(id).filter(|_| behind.contains(&id))?;
        let task = incident.application_calls(id, newest).last()?;
        let is_near = is_within(FunctionName::of(&task.function).owner, its);
        (is_near && Some(pool) != own_pool).then_some(pool)
    };
    let pool = in_tasks.iter().find_map(near)?;
    let of_pool = |&id: &MemberId| incident.pool_of(id) == Some(pool);
    let workers: Vec<MemberId> = incident.shown(newest).filter(of_pool).collect();
    let lost = |id: &MemberId| {
        behind.contains(id)
            && in_tasks.contains(id)
            && (newest == 0 || incident.waits_throughout(*id))
    };
    workers.iter().all(lost).then_some(workers)
}

const ALL_OF_A_POOL: &str = "all workers of a pool, with tasks of the code in which it waits, wait behind it: that the \
                             task is theirs is inferred";

/// The lock of a member for which somebody waits, and how it is known to be its.
fn wanted_lock(incident: &Incident, owner: MemberId, dump: usize) -> Option<(LockId, OwnerSource)> {
    let thread = incident.member(owner).seen[dump]? as u32;
    let graph = incident.wait_for(dump);
    let owned = |lock: LockId| {
        let own = graph.owners(lock).iter().find(|one| one.thread == thread)?;
        Some((lock, own.source))
    };
    graph.wanted().find_map(owned)
}

fn owner_of_a_task(
    incident: &Incident,
    owner: MemberId,
    workers: Vec<MemberId>,
    behind: BTreeSet<MemberId>,
    who_waits: &str,
) -> Finding {
    let newest = incident.dumps.len() - 1;
    let grade = if newest == 0 { Grade::Pattern } else { Grade::Repeat };
    let who = phrase::who(incident, owner);
    let (lock, source) = wanted_lock(incident, owner, newest).unzip();
    let lock = lock.map(|lock| incident.dumps[newest].lock(lock));
    let of_what = lock.map_or_else(|| "a lock".into(), phrase::the_lock);
    let does = phrase::those(incident, &workers);
    let victims = behind.into_iter().filter(|id| !workers.contains(id)).collect();
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: if newest == 0 { Severity::Low } else { Severity::High },
        grade,
        confidence: grade.cap() - 0.05,
        headline: format!(
            "{who} waits for a task and owns {of_what}, for which all wait who could do it: {does}"
        ),
        detail: format!(
            "In {} it waits for a task's result, and {who_waits}.",
            phrase::number(newest + 1, "dump"),
        ),
        next_step: "Keep the dumps and restart the process. In the code, do not wait for other threads \
                    while holding what they may need: not under a lock, and not in a class's initialiser."
            .into(),
        frames: phrase::telling_frames(incident, owner, newest),
        lock: lock.map(phrase::lock_of),
        owner: Some(owner),
        owner_source: source,
        evidence: vec![standstill(incident, &workers)],
        members: std::iter::once(owner).chain(workers).collect(),
        victims,
        ..Finding::default()
    }
}

/// All who are not idle, where each waits for others of the program, some of them for others to come
/// or to be done or for each other's notice, and, unless `workers` are asked for, none as a pool's worker: that is the pool's matter.
fn all_who_wait(incident: &Incident, dump: usize, workers: bool) -> Option<Vec<MemberId>> {
    let notice = incident.wait_for_each_others_notice(dump);
    let busy = |id: &MemberId| incident.idle(*id, dump).is_none() || notice.contains(id);
    let waits = |&id: &MemberId| {
        (incident.meets(id, dump)
            || incident.waits_for_others(id, dump)
            || notice.contains(&id)
            || incident.sends(id, dump))
            && incident.asks_peer(id, dump).is_none()
            && (workers || !incident.runs_task(id, dump))
    };
    let members: Vec<MemberId> = incident.shown(dump).filter(busy).collect();
    let mut meet = incident.found(dump, |id| incident.meets(id, dump).then_some(()));
    let some_meet = !notice.is_empty()
        || meet.any(|(id, ())| incident.idle(id, dump).is_none())
        || members.iter().all(|&id| incident.sends(id, dump))
            && !incident.shown(dump).any(|id| incident.may_receive(id, dump));
    (members.len() > 1 && some_meet && members.iter().all(waits)).then_some(members)
}

/// That these wait, throughout where there are several dumps.
pub(super) fn standstill(incident: &Incident, members: &[MemberId]) -> Evidence {
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
    use sigquit_dump::{Kind, LockKind, Nanos, Runtime, ThreadState, WaitFor};

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
    fn givers_and_takers_that_all_wait_to_be_notified_are_not_woken() {
        let found = |last: &str, listener: bool| {
            let draw = |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                for (name, place) in [("a", "shop.Belt.put:4"), ("b", last)] {
                    dump.thread(name, &["java.lang.Object.wait", place, "shop.Main.run:3"])
                        .waits(lock, WaitFor::Notification)
                        .state = ThreadState::Waiting;
                }
                if listener {
                    dump.thread("accept", ACCEPTS);
                }
            };
            let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
            everyone(&incident).map(|found| found.severity)
        };
        assert_eq!(found("shop.Belt.take:9", false), Some(Severity::Medium));
        assert_eq!(found("shop.Belt.put:4", false), None, "workers without work look like that");
        assert_eq!(found("shop.Belt.take:9", true), None, "somebody may bring something");
    }

    #[test]
    fn one_who_waits_where_nobody_else_is_left_is_told_of_softly() {
        let found = |second: &[&str]| {
            let stack = ["sync.(*WaitGroup).Wait", "main.load:75", "main.main:418"];
            let draw = |dump: &mut Moment, other: &[&str]| {
                let mut goroutine = |number: u64, state: &str, stack: &[&str]| {
                    let thread = dump.thread("", stack).is(ThreadState::Waiting);
                    (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
                    thread.state_text = state.into();
                };
                goroutine(1, "sync.WaitGroup.Wait", &stack);
                goroutine(5, "IO wait", &["internal/poll.(*FD).Accept", "net/http.Serve"]);
                if !other.is_empty() {
                    goroutine(6, "chan receive", other);
                }
            };
            let scene = Scene::of(Runtime::Go).dump(0, |dump| draw(dump, second));
            let incident = scene.dump(1, |dump| draw(dump, second)).incident();
            left_alone(&incident).map(|found| found.severity)
        };
        assert_eq!(found(&[]), Some(Severity::Low));
        assert_eq!(found(&["main.part:9"]), None, "it may be the one that is waited for");
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

    #[test]
    fn a_timer_may_wake_them_unless_it_is_counted_that_they_stand() {
        const CLOCK: &[&str] =
            &["java.util.concurrent.ScheduledThreadPoolExecutor$DelayedWorkQueue.take"];
        let found = |counted: bool, listener: bool| {
            let draw = |dump: &mut Moment| {
                for number in 0..12 {
                    let thread = dump.thread(&format!("solver-{number}"), BARRIER);
                    thread.is(ThreadState::Waiting).cpu = counted.then_some(Nanos(7_000_000));
                }
                dump.thread("clock-1", CLOCK).is(ThreadState::TimedWaiting);
                if listener {
                    dump.thread("accept", ACCEPTS);
                }
            };
            let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
            let found = masses(&incident).into_iter().chain(everyone(&incident));
            found.map(|found| found.severity).collect::<Vec<_>>()
        };
        for listener in [true, false] {
            assert_eq!(found(true, listener), [Severity::Medium]);
            assert_eq!(found(false, listener), [Severity::Low]);
        }
    }

    #[test]
    fn goroutines_that_send_may_be_received_from() {
        const SENDS: &[&str] = &["runtime.gopark", "runtime.chansend1", "main.produce:9"];
        let found = |state: &str| {
            let draw = |dump: &mut Moment| {
                for number in 0..12 {
                    let thread = dump.thread("", SENDS).is(ThreadState::Waiting);
                    (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
                    thread.state_text = "chan send".into();
                }
                let thread = dump.thread("", &["main.main:4"]).is(ThreadState::Waiting);
                (thread.kind, thread.number) = (Kind::Goroutine, Some(99));
                thread.state_text = state.into();
                let accepts = ["internal/poll.runtime_pollWait", "internal/poll.(*FD).Accept"];
                let thread = dump.thread("", &accepts).is(ThreadState::Waiting);
                (thread.kind, thread.number) = (Kind::Goroutine, Some(98));
                thread.state_text = "IO wait".into();
            };
            let incident = Scene::of(Runtime::Go).dump(0, draw).dump(1, draw).incident();
            masses(&incident).iter().map(|found| found.severity).collect::<Vec<_>>()
        };
        assert_eq!(found("select (no cases)"), [Severity::Medium]);
        assert_eq!(found("chan receive"), [Severity::Low], "it may take one at each tick");
    }

    #[test]
    fn two_that_send_to_each_other_are_told_of_softly_beside_a_listener() {
        let found = |state: &str| {
            let draw = |dump: &mut Moment| {
                let mut goroutine = |number: u64, state: &str, stack: &[&str]| {
                    let thread = dump.thread("", stack).is(ThreadState::Waiting);
                    (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
                    thread.state_text = state.into();
                };
                goroutine(7, "chan send", &["main.exchange:9"]);
                goroutine(8, "chan send", &["main.exchange:9"]);
                goroutine(1, state, &["main.main:9"]);
                goroutine(
                    5,
                    "IO wait",
                    &["internal/poll.(*FD).Accept", "net/http.(*Server).Serve"],
                );
            };
            let incident = Scene::of(Runtime::Go).dump(0, draw).dump(1, draw).incident();
            everyone(&incident).map(|found| (found.severity, found.members.len()))
        };
        assert_eq!(found("select (no cases)"), Some((Severity::Low, 2)));
        assert_eq!(found("chan receive"), None, "it may be the one who takes");
    }

    #[test]
    fn who_owns_what_its_own_task_needs_waits_for_ever() {
        const WORKS: &str = "java.util.concurrent.ThreadPoolExecutor.runWorker";
        let found = |other: &[&str]| {
            let draw = |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                let stack = ["java.util.concurrent.FutureTask.get", "shop.Cache.fill:4"];
                dump.thread("main", &stack).is(ThreadState::Waiting).holds(lock);
                dump.thread("pool-1", &["shop.Cache.get:9", "shop.Load.run:3", WORKS])
                    .waits(lock, WaitFor::Exclusive);
                if !other.is_empty() {
                    dump.thread("pool-2", other);
                }
            };
            owns_what_its_task_needs(
                &Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident(),
            )
        };
        let findings = found(&[]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::High, 2));
        assert_eq!(found(&["shop.Load.read:3", WORKS]), [], "it may be doing the task");
        assert_eq!(found(&["java.util.concurrent.ThreadPoolExecutor.getTask", WORKS]).len(), 1);
    }

    #[test]
    fn whose_pool_waits_behind_it_waits_for_ever_while_others_work() {
        const WORKS: &str = "java.util.concurrent.ThreadPoolExecutor.runWorker";
        let found = |code: &str, second: &[&str]| {
            let draw = |dump: &mut Moment| {
                let lock = dump.lock(LockKind::ClassInitialisation, 0x10);
                let stack = ["java.util.concurrent.FutureTask.get", "shop.Signs.read:4"];
                dump.thread("main", &stack).is(ThreadState::Waiting).holds(lock);
                let waits = [code, "java.util.concurrent.FutureTask.run", WORKS];
                dump.thread("reader-1", &waits).waits(lock, WaitFor::Exclusive);
                match second {
                    [] => dump.thread("reader-2", &waits).waits(lock, WaitFor::Exclusive),
                    stack => dump.thread("reader-2", stack),
                };
                dump.thread("bill-1", &["shop.Bills.sum:3", WORKS]);
            };
            let scene = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw);
            owns_what_its_task_needs(&scene.incident()).len()
        };
        assert_eq!(found("shop.Signs$$Lambda.call", &[]), 1);
        assert_eq!(found("shop.Bills.of:9", &[]), 0, "its task may be another pool's");
        let free = ["java.util.concurrent.ThreadPoolExecutor.getTask", WORKS];
        assert_eq!(found("shop.Signs$$Lambda.call", &free), 0, "one would do it");
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
