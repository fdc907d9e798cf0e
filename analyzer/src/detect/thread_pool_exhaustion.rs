//! Work that waits while no worker is idle.

pub(super) mod async_blocking;
mod begun_within;
mod own_pool;
mod short_barrier;

use std::cell::LazyCell;
use std::collections::HashMap;

use sigquit_dump::ThreadState;

use super::{Detector, Evidence, Finding, Grade, Severity, phrase, queue_length};
use crate::model::{Contention, Incident, MemberId, QueueUse};

pub(super) const DETECTOR: Detector =
    Detector { name: "thread-pool-exhaustion", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# thread-pool-exhaustion

Work waits while every worker of a pool is busy or blocked.

This is hardly ever a cause: look at what keeps the workers. Two pictures are recognised: members
that wait for room in a full queue of work, and a pool all of whose workers wait for what others
have (a lock, a pooled connection, the result of another task).

## Evidence

- Members inside a function that hands work to a queue and waits because it is full, while nobody
  waits at its other end. The workers are inferred from how members are named and where they began;
  where none are in sight, or where hardly anyone waited throughout from one dump to the next, this is low: a full
  queue may do no more than hold back those who fill it.
- All workers of a pool, four at least, inside of tasks, most of them waiting for a lock, a pooled
  resource or another task's result, or asleep before they try again (by the names of functions), in
  every dump. Low where the workers get what they wait for and wait anew: hardly any of those who wait in a dump has waited
  since the one before, a few seconds earlier (they used CPU time, or slept anew), or all wait for a lock whose owners wait
  for room in a queue, which comes. Such a pool is busy, and so are those for whom it waits. Where nothing in the process
  moves, waiting for a latch, a barrier or a permit counts as well, and is low for fewer than ten. So does any wait without a limit in a pool of ten at least, and is always low:
  whether it is for more work or for what the work needs is not known. A wait for a result that ends by itself or is due later is low, and so is one for a permit, which may
  be the signal that there is work.
- High where all of them wait for tasks, nothing moves between the dumps, and everyone else who is in a
  task waits likewise: the pool waits for itself, or several for each other. That is seen of pools of
  any size. High, too, where nothing moves, nobody listens to what is outside and no timer is pending.
- The threads of an async runtime for blocking work (`spawn_blocking`), none of them idle and each in one wait for others
  in every dump, while more tasks of one kind wait for work to end, unpolled, than there are such threads and other
  tasks together: some of that work has not begun. Medium.

- Two or more that work for a type of the program's own, by a method of it in which they are, and whose work has called
  another method of the same type in which they wait, in the same call in three dumps, while nobody else is at work in the
  first: they wait for their own pool. Medium, inferred. The same where they wait in a method that gives a result, by its name
  (`Future.get`), in which others wait as well who do not work for that type.
- All workers of a pool, two at least, in tasks that wait at one barrier or phaser in one function, in the same call over
  three dumps and without CPU time used, while somebody waits for a task likewise and others go on: the tasks that are to
  meet seem to be more than the pool has workers, and one of them in the queue. That is inferred: medium where nobody else is
  in the code of those who wait or of who asks, and nobody is at work in every dump; low where somebody is.
- Goroutines that wait to send in a function which has begun them and everyone else of their kind in sight: a group with a
  limit (`errgroup`), of which nobody is left to make room. Medium over three dumps in which nobody else is at work, or by
  the runtime's count of minutes; low otherwise, as what they send may be taken slowly.

## Limits

- How long a queue is does not stand in a dump; only who waits to get in does.
- Workers that compute or wait for a peer are at work: a pool that is merely busy is not reported.

## What to do

Look at the finding that this one follows from. If there is none: see what most workers have in
common. Workers that wait for results of tasks of their own pool starve it: give such tasks a pool
of their own, or chain them instead of waiting. A larger pool delays this and changes nothing.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let queues = incident.full_queues();
    let full = queues.iter().filter_map(|(queue, sights)| full_queue(incident, queue, sights));
    let full = full.chain(blocked_pools(incident)).chain(async_blocking::finding(incident));
    let full = full.chain(begun_within::findings(incident));
    let mut found: Vec<Finding> = full.chain(short_barrier::findings(incident)).collect();
    // What a pool is known by says more than the type that it is of.
    let is_told = |id: &MemberId| found.iter().any(|one| one.members.contains(id));
    let own = own_pool::findings(incident).into_iter();
    let own: Vec<Finding> = own.filter(|one| !one.members.iter().any(is_told)).collect();
    found.extend(own);
    found
}

// --- A full queue ------------------------------------------------------------------------------

fn full_queue(incident: &Incident, queue: &str, sights: &[QueueUse]) -> Option<Finding> {
    let waiting: Vec<usize> = sights.iter().map(|sight| sight.submitters.len()).collect();
    let severity = queue_length::severity(incident, &waiting)?;
    let newest = sights.iter().rposition(|sight| !sight.submitters.is_empty())?;
    if sights.iter().any(|sight| sight.has_taker) {
        return None;
    }
    let (grade, confidence) = queue_length::sureness(&waiting);
    let submitters = &sights[newest].submitters;
    let workers = incident.takers(&sights[newest], newest);
    // A queue whose workers are not in sight may just hold back those who fill it, as it should.
    // Where nothing in the process moves, nobody is there who empties it.
    let submitting: Vec<&[MemberId]> = sights.iter().map(|sight| &sight.submitters[..]).collect();
    let moves = incident.queue_moves(&submitting);
    let held_back = moves || workers.is_empty() && !incident.stands_still();
    let severity = match workers.is_empty() {
        _ if held_back => Severity::Low,
        true => severity.min(Severity::Medium),
        false => severity,
    };
    let who = phrase::count(incident, submitters);
    let verb = if submitters.len() == 1 { "waits" } else { "wait" };
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence,
        headline: format!("{who} {verb} for room in {queue}, which is full"),
        detail: full_queue_detail(incident, &waiting, &workers, newest, moves),
        next_step: next_step(),
        members: submitters.clone(),
        victims: Vec::new(),
        holders: workers,
        lock: None,
        owner: None,
        owner_source: None,
        frames: frames(incident, submitters, newest),
        evidence: waiting_evidence(&waiting, "waiting for room in the queue"),
    })
}

fn full_queue_detail(
    incident: &Incident,
    waiting: &[usize],
    workers: &[MemberId],
    dump: usize,
    moves: bool,
) -> String {
    let dumps = phrase::number(waiting.len(), "dump");
    let moves =
        if moves { " The queue moves: whoever waits went on from dump to dump." } else { "" };
    let queued = format!("Waiting in {dumps}: {}.{moves}", phrase::figures(waiting));
    let at_work = match workers.first() {
        None => "Who was to take the work is not in sight; nobody waits for it.".to_owned(),
        Some(&first) => format!(
            "No worker is idle: {}, {}.",
            phrase::those(incident, workers),
            phrase::place(incident, first, dump)
                .map_or("busy".into(), |place| format!("the first of them in {place}")),
        ),
    };
    format!("{queued} {at_work}")
}

// --- A blocked pool ----------------------------------------------------------------------------

/// Fewer are no pool of which a share can be said. They may still wait for each other.
const SMALLEST_POOL: usize = 4;
/// Fewer that wait for others in a process at rest may be meant to.
const MASS: usize = 10;

/// The pools all of whose workers are inside tasks and wait for others, in every dump.
fn blocked_pools(incident: &Incident) -> Vec<Finding> {
    let last = incident.dumps.len().saturating_sub(1);
    let mut findings = Vec::new();
    let held_back = LazyCell::new(|| held_back(incident));
    for (name, workers) in incident.numbered(last) {
        let blocked = (0..incident.dumps.len()).all(|dump| is_blocked(incident, &workers, dump));
        if !blocked {
            continue;
        }
        let several = incident.dumps.len() > 1;
        let starves = several && starves_itself(incident, &workers);
        if starves || workers.len() >= SMALLEST_POOL {
            findings.push(blocked_pool(incident, &name, workers, starves, &held_back));
        }
    }
    findings
}

/// Whether all workers are in tasks, and nine of ten wait for what others have. That one waits for
/// others to arrive is a step of many a computation, unless nothing moves.
fn is_blocked(incident: &Incident, workers: &[MemberId], dump: usize) -> bool {
    let in_task = |&&worker: &&MemberId| {
        incident.runs_task(worker, dump) && incident.idle(worker, dump).is_none()
    };
    let many = workers.len() >= MASS;
    let waits = |&&worker: &&MemberId| waits(incident, worker, dump, many);
    workers.iter().filter(in_task).count() == workers.len()
        && workers.iter().filter(waits).count() * 5 >= workers.len() * 4
}

fn waits(incident: &Incident, worker: MemberId, dump: usize, many: bool) -> bool {
    let for_others =
        || incident.meets(worker, dump) || many && incident.waits_for_word(worker, dump);
    incident.waits_for_others(worker, dump)
        || incident.backs_off(worker, dump)
        || for_others() && incident.stands_still()
}

/// Whether what a worker waits for may be work as well as what its work needs.
fn is_unexplained(incident: &Incident, worker: MemberId, dump: usize) -> bool {
    !waits(incident, worker, dump, false)
}

/// Whether a member waits for a result or for others, and only for a time that it chose; or for a permit, which may
/// be the signal that there is work; or for what is being made once, by one who computes.
fn may_be_well(incident: &Incident, worker: MemberId, dump: usize) -> bool {
    let thread = incident.thread(worker, dump);
    let timed = thread.is_some_and(|thread| thread.state == ThreadState::TimedWaiting);
    timed && incident.awaits_result(worker, dump)
        || is_unexplained(incident, worker, dump)
        || incident.waits_until_due(worker, dump)
        || incident.waits_for_permit(worker, dump)
        || incident.awaits_what_is_made(worker, dump)
}

/// Why a pool all of whose workers wait is only busy, if that is so.
fn moves(
    incident: &Incident,
    workers: &[MemberId],
    blocked: &[MemberId],
    held_back: &HeldBack,
) -> Option<&'static str> {
    if gets_on(incident, workers) {
        Some(" Hardly any has waited since the dump before: they get it, and wait anew.")
    } else if is_held_back(blocked, held_back) {
        Some(" They wait for one lock, whose owners wait for room in a queue, and room comes.")
    } else {
        None
    }
}

/// Whether the workers get what they wait for, and wait anew: hardly any has waited since the dump before. A wait that ends
/// by itself is no sign of that.
fn gets_on(incident: &Incident, workers: &[MemberId]) -> bool {
    let timed = |id, dump| {
        let thread = incident.thread(id, dump);
        thread.is_some_and(|thread| thread.state == ThreadState::TimedWaiting)
    };
    let waiting = |dump| {
        let waits = |&id: &MemberId| waits(incident, id, dump, workers.len() >= MASS);
        let mut waiting: Vec<MemberId> = workers.iter().copied().filter(waits).collect();
        waiting.sort_unstable();
        waiting
    };
    let waiting: Vec<Vec<MemberId>> = (0..incident.dumps.len()).map(waiting).collect();
    let ends = |(dump, waiting): (usize, &Vec<MemberId>)| waiting.iter().any(|&id| timed(id, dump));
    let waiting_now: Vec<&[MemberId]> = waiting.iter().map(Vec::as_slice).collect();
    !waiting.iter().enumerate().any(ends) && incident.queue_moves(&waiting_now)
}

/// Who waits at last for a lock whose owners wait for room in a queue, which comes, and for which of these locks.
type HeldBack = HashMap<MemberId, usize>;

fn held_back(incident: &Incident) -> HeldBack {
    let last = incident.dumps.len() - 1;
    let contentions = incident.contentions();
    let is_held_back = |one: &&Contention| one.last().dump == last && one.is_held_back(incident);
    let held_back = contentions.iter().filter(is_held_back).enumerate();
    held_back.flat_map(|(lock, one)| one.last().waiters.iter().map(move |&id| (id, lock))).collect()
}

/// Whether all of them wait for one such lock.
fn is_held_back(blocked: &[MemberId], held_back: &HeldBack) -> bool {
    let lock = blocked.first().and_then(|id| held_back.get(id));
    lock.is_some() && blocked.iter().all(|id| held_back.get(id) == lock)
}

fn blocked_pool(
    incident: &Incident,
    name: &str,
    workers: Vec<MemberId>,
    starves: bool,
    held_back: &LazyCell<HeldBack, impl FnOnce() -> HeldBack>,
) -> Finding {
    let dump = incident.dumps.len() - 1;
    let waits = |&worker: &MemberId| waits(incident, worker, dump, workers.len() >= MASS);
    let blocked: Vec<MemberId> = workers.iter().copied().filter(waits).collect();
    let several = incident.dumps.len() > 1;
    let again = blocked.iter().any(|&worker| incident.backs_off(worker, dump));
    let moves = if again { None } else { moves(incident, &workers, &blocked, held_back) };
    // Some that wait for others while nothing moves may be there to wait until the end of the process.
    let few_at_rest = workers.len() < MASS
        && incident.stands_still()
        && blocked
            .iter()
            .all(|&id| incident.meets(id, dump) && !incident.waits_for_others(id, dump));
    let unexplained = blocked.iter().all(|&worker| is_unexplained(incident, worker, dump));
    let well = few_at_rest
        || moves.is_some()
        || blocked.iter().all(|&worker| may_be_well(incident, worker, dump));
    let grade = if several { Grade::Repeat } else { Grade::Pattern };
    let at_work = |id| incident.runs_task(id, dump) && incident.idle(id, dump).is_none();
    let others_starve =
        starves && incident.shown(dump).any(|id| at_work(id) && !workers.contains(&id));
    let text = match workers.len() {
        1 => "the only worker waits for the result of a task".to_owned(),
        all => format!(
            "{} of the {all} workers wait for {}",
            blocked.len(),
            if again {
                "the time to try again"
            } else if unexplained {
                "a word from others, and whether for more work or for what their work needs is not known"
            } else if blocked.iter().all(|&worker| incident.waits_for_others(worker, dump)) {
                "a lock, a connection or a result"
            } else {
                "others to come or to be done"
            }
        ),
    };
    let headline = match (starves, workers.len()) {
        _ if others_starve => format!(
            "{name} and others starve each other: all their workers wait for tasks that no worker is left \
             to run"
        ),
        (true, 1) => format!(
            "{name} starves itself: its only worker waits for a task that no worker is left to run"
        ),
        (true, all) => format!(
            "{name} starves itself: all its {all} workers wait for tasks that no worker is left to run"
        ),
        (false, _) => format!("no worker of {name} is idle: {text}"),
    };
    Finding {
        detector: DETECTOR.name,
        severity: match (starves, well) {
            (true, _) => Severity::High,
            (false, true) => Severity::Low,
            (false, false) if again && !several => Severity::Low,
            (false, false) => Severity::Medium,
        },
        grade,
        confidence: match (starves, several) {
            (true, _) => 0.8,
            (false, true) => 0.7,
            (false, false) => 0.5,
        },
        headline,
        detail: format!(
            "Every worker of the pool is inside a task in every dump, {} of them in {}.{}",
            blocked.len(),
            blocked
                .first()
                .and_then(|&worker| phrase::place(incident, worker, dump))
                .unwrap_or_else(|| "a wait".into()),
            moves.unwrap_or_default(),
        ),
        next_step: match (starves, again) {
            (true, _) => next_step_of_starving(),
            (false, true) => next_step_of_trying(),
            (false, false) if moves.is_some() => next_step_of_getting_on(),
            (false, false) if unexplained => next_step_of_unexplained(),
            (false, false) => next_step(),
        },
        frames: frames(incident, &blocked, dump),
        members: workers.clone(),
        victims: Vec::new(),
        holders: workers,
        lock: None,
        owner: None,
        owner_source: None,
        evidence: vec![Evidence {
            text,
            dump: Some(dump),
            member: None,
            value: Some(blocked.len() as f64),
        }],
    }
}

/// Whether all workers wait throughout, each in one call, for tasks that only a worker can do, and
/// nobody anywhere is in a task who does not: an idle worker of another pool would have taken a task
/// of its own. Or they wait for any result or for others to come, nothing in the process moves, and
/// nobody listens to what is outside: then only a worker could bring it.
fn starves_itself(incident: &Incident, workers: &[MemberId]) -> bool {
    let last = incident.dumps.len() - 1;
    if incident.stands_still()
        && !incident.listens(last)
        && workers.iter().all(|&id| incident.meets(id, last))
        && !workers.iter().any(|&id| incident.waits_until_due(id, last))
        && !incident.awaits_time()
    {
        return true;
    }
    let stays = |&worker: &MemberId| incident.waits_throughout(worker);
    let is_one_of_many = |id: &MemberId, dump| incident.waits_for_task(*id, dump) && stays(id);
    let is_starved = |dump: usize| {
        let at_work =
            |id: MemberId| incident.runs_task(id, dump) && incident.idle(id, dump).is_none();
        workers.iter().all(|&worker| incident.waits_for_task(worker, dump))
            && !incident.shown(dump).any(|id| at_work(id) && !is_one_of_many(&id, dump))
    };
    workers.iter().all(stays) && (0..incident.dumps.len()).all(is_starved)
}

fn frames(incident: &Incident, members: &[MemberId], dump: usize) -> Vec<String> {
    let first = members.first();
    first.map_or(Vec::new(), |&member| phrase::telling_frames(incident, member, dump))
}

fn next_step() -> String {
    "Look at what keeps the workers, not at the pool's size: the finding that this one follows \
     from, or what most of their stacks have in common."
        .into()
}

fn next_step_of_unexplained() -> String {
    "Nothing, if these tasks are loops that take work from a queue of their own. If they serve requests, look for \
     those who were to notify them or to hand over what they wait for: they have ended, or wait themselves."
        .into()
}

fn next_step_of_getting_on() -> String {
    "Nothing, if requests are answered in time: the pool is busy and gets on. If they are not, look at those for whom its \
     workers wait, not at the pool's size."
        .into()
}

fn next_step_of_trying() -> String {
    "Look at what they try again: it fails each time, for all of them. Do not hold a worker while \
     waiting: schedule the next attempt, and give up after some."
        .into()
}

fn next_step_of_starving() -> String {
    "Restart the process, or raise the pool's size if that can be done while it runs. In the code, \
     do not wait inside of a task for another task of the same pool: give those that are waited \
     for a pool of their own, or chain them instead of waiting."
        .into()
}

fn waiting_evidence(waiting: &[usize], what: &str) -> Vec<Evidence> {
    let seen = waiting.iter().enumerate().filter(|&(_, &count)| count > 0);
    let fact = |(dump, &count): (usize, &usize)| Evidence {
        text: format!("{count} {what}"),
        dump: Some(dump),
        member: None,
        value: Some(count as f64),
    };
    seen.map(fact).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockKind, Nanos, Runtime, WaitFor};

    const PUSHING: [&str; 4] = [
        "syscall",
        "std::sys::sync::condvar::futex::Condvar::wait",
        "shop::queue::RequestQueue::push:30",
        "shop::orders::order:90",
    ];
    const SERVING: [&str; 3] =
        ["shop::prices::price:5", "shop::orders::checkout:60", "shop::orders::serve:40"];
    const POPPING: [&str; 4] = [
        "syscall",
        "std::sys::sync::condvar::futex::Condvar::wait",
        "shop::queue::RequestQueue::pop:41",
        "shop::orders::serve:40",
    ];

    fn service(dump: &mut Moment, workers: &[&str]) {
        for number in 0..6 {
            dump.thread(&format!("client-{number}"), &PUSHING).is(ThreadState::Waiting);
            dump.thread(&format!("request-{number}"), workers);
            dump.thread(&format!("warm-up-{number}"), &["shop::prices::fill:9"]);
        }
    }

    #[test]
    fn a_full_queue_is_found_with_the_workers_that_were_to_empty_it() {
        let draw = |dump: &mut Moment| service(dump, &SERVING);
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let clients = incident.names(&findings[0].members);
        assert!(clients.len() == 6 && clients[0] == "client-0", "{clients:?}");
        let workers = incident.names(&findings[0].holders);
        assert!(workers.len() == 6 && workers[0] == "request-0", "{workers:?}");
    }

    #[test]
    fn workers_that_one_function_starts_with_all_others_are_known_by_what_they_run() {
        const START: &str = "shop::threads::start:4";
        let draw = |dump: &mut Moment| {
            for number in 0..6 {
                let started = |stack: &[&'static str]| [stack, &[START]].concat();
                dump.thread(&format!("client-{number}"), &started(&PUSHING))
                    .is(ThreadState::Waiting);
                dump.thread(&format!("request-{number}"), &started(&SERVING));
                dump.thread(&format!("warm-up-{number}"), &started(&["shop::prices::fill:9"]));
            }
        };
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let workers = incident.names(&detect(&incident)[0].holders);
        assert!(workers.len() == 6 && workers[0] == "request-0", "{workers:?}");
    }

    #[test]
    fn a_queue_at_whose_other_end_somebody_waits_is_not_full() {
        let draw = |dump: &mut Moment| service(dump, &POPPING);
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        assert!(detect(&incident).is_empty());
    }

    #[test]
    fn a_librarys_own_thread_that_stays_in_one_call_was_to_empty_the_queue() {
        let found = |worker: [&'static str; 2]| {
            let scene = (0..3).fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(2 * at, |dump| {
                    for number in 0..10 {
                        let stack = [
                            "java.util.concurrent.locks.LockSupport.park",
                            "java.util.concurrent.ArrayBlockingQueue.put",
                            "log.Async.append:120",
                            "shop.Orders.place:9",
                        ];
                        dump.thread(&format!("web-{number}"), &stack).is(ThreadState::Waiting);
                    }
                    let place = if at == 1 { worker[1] } else { worker[0] };
                    let worker = dump.thread("log", &[place, "log.Async$Worker.run:9"]);
                    worker.cpu = Some(sigquit_dump::Nanos(0));
                })
            });
            let incident = scene.incident();
            let findings = detect(&incident);
            findings.first().map(|one| (one.severity, incident.names(&one.holders).join(" ")))
        };
        let writes = "java.io.FileOutputStream.writeBytes";
        assert_eq!(found([writes; 2]), Some((Severity::High, "log".into())));
        let slow = found([writes, "java.io.FileOutputStream.flush"]);
        assert_eq!(slow, Some((Severity::Low, String::new())), "it gets on");
    }

    fn pool(stack: [&'static str; 3], waits: bool) -> Incident {
        Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                for number in 0..8 {
                    let worker = dump.thread(&format!("exec-{number}"), &stack);
                    if waits {
                        worker.waits(lock, WaitFor::Exclusive);
                    }
                }
            })
            .incident()
    }

    const RUN_WORKER: &str = "java.util.concurrent.ThreadPoolExecutor.runWorker";

    #[test]
    fn a_pool_that_waits_for_one_lock_has_no_idle_worker() {
        let findings = detect(&pool(["shop.Journal.append", "shop.Order.run", RUN_WORKER], true));
        assert_eq!((findings.len(), findings[0].members.len()), (1, 8));
        assert_eq!(findings[0].severity, Severity::Medium);
    }

    #[test]
    fn many_workers_that_wait_for_a_word_are_told_of_softly_where_nothing_moves() {
        let found = |workers: usize, state: ThreadState, other: &[&str]| {
            let draw = |dump: &mut Moment| {
                for number in 0..workers {
                    let stack = ["java.lang.Object.wait", "shop.Sessions.next", RUN_WORKER];
                    dump.thread(&format!("exec-{number}"), &stack).is(state);
                }
                if !other.is_empty() {
                    dump.thread("other", other);
                }
            };
            let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
            detect(&incident).iter().map(|found| found.severity).collect::<Vec<_>>()
        };
        let accepts: &[&str] = &["sun.nio.ch.Net.accept", "shop.Web.run"];
        assert_eq!(found(12, ThreadState::Waiting, accepts), [Severity::Low]);
        assert_eq!(found(6, ThreadState::Waiting, accepts), [], "a few consumers");
        assert_eq!(
            found(12, ThreadState::TimedWaiting, accepts),
            [],
            "they look again by themselves"
        );
        assert_eq!(found(12, ThreadState::Waiting, &["shop.Price.of:3"]), [], "somebody works");
    }

    #[test]
    fn a_pool_at_work_or_in_io_is_healthy() {
        assert!(detect(&pool(["shop.Price.of", "shop.Order.run", RUN_WORKER], false)).is_empty());
        let reading = ["sun.nio.ch.SocketDispatcher.read0", "shop.Order.run", RUN_WORKER];
        assert!(detect(&pool(reading, false)).is_empty());
        let consuming =
            ["java.util.concurrent.LinkedBlockingQueue.take", "shop.Order.run", RUN_WORKER];
        assert!(detect(&pool(consuming, false)).is_empty());
    }

    /// Four workers in a task each, and somebody else; two dumps.
    fn waiting_for(result: &str, other: &[&str]) -> Vec<Finding> {
        waiting(4, result, other)
    }

    fn waiting(workers: usize, result: &str, other: &[&str]) -> Vec<Finding> {
        let draw = |dump: &mut Moment| {
            for number in 0..workers {
                dump.thread(
                    &format!("pool-1-thread-{number}"),
                    &[result, "shop.Batch.run", RUN_WORKER],
                )
                .is(ThreadState::Waiting);
            }
            dump.thread("other", other);
        };
        detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident())
    }

    /// Eight that wait for results while another pool computes, and have used so much CPU from dump to dump.
    fn beside_the_busy(used: u64, state: ThreadState) -> Finding {
        const RESULT: &str = "java.util.concurrent.FutureTask.get";
        let draw = |dump: &mut Moment, second: u64| {
            for number in 0..8 {
                let stack = [RESULT, "shop.Menu.card", RUN_WORKER];
                let waits = dump.thread(&format!("table-{number}"), &stack).is(state);
                waits.cpu = Some(Nanos(1_000_000 + second * used));
            }
            let cooks = ["shop.Kitchen.dish", "java.util.concurrent.FutureTask.run", RUN_WORKER];
            dump.thread("kitchen-1", &cooks).cpu = Some(Nanos(second * 900_000_000));
        };
        let scene = (0..3u64).fold(Scene::of(Runtime::Jvm), |scene, at| {
            scene.dump(2 * at, |dump| draw(dump, 2 * at))
        });
        detect(&scene.incident()).remove(0)
    }

    #[test]
    fn workers_that_get_what_they_wait_for_are_busy_and_no_alarm() {
        let found = beside_the_busy(400_000, ThreadState::Waiting);
        assert_eq!(found.severity, Severity::Low);
        assert!(found.detail.contains("wait anew"), "{}", found.detail);
    }

    #[test]
    fn workers_that_wait_throughout_are_not_let_off() {
        let found = beside_the_busy(0, ThreadState::Waiting);
        assert_eq!(found.severity, Severity::Medium);
        assert!(!found.detail.contains("wait anew"), "{}", found.detail);
    }

    #[test]
    fn a_pool_whose_workers_wait_for_tasks_that_nobody_runs_starves_itself() {
        const GET: &str = "java.util.concurrent.FutureTask.get";
        let severity = |findings: Vec<Finding>| findings.first().map(|found| found.severity);
        assert_eq!(severity(waiting_for(GET, &["shop.Main.main"])), Some(Severity::High));
        let at_work = waiting_for(GET, &["shop.Price.of", RUN_WORKER]);
        assert_eq!(severity(at_work), Some(Severity::Medium), "it may run what they wait for");
        let of_a_peer =
            waiting_for("java.util.concurrent.CompletableFuture.get", &["shop.Main.main"]);
        assert_eq!(severity(of_a_peer), Some(Severity::Medium), "a peer's answer ends that");
    }

    #[test]
    fn pools_that_wait_for_each_other_starve_each_other() {
        const GET: &str = "java.util.concurrent.FutureTask.get";
        let found = |other: &[&str]| {
            let draw = |dump: &mut Moment| {
                for number in 0..3 {
                    let name = format!("pool-1-thread-{number}");
                    dump.thread(&name, &[GET, "shop.Order.run", RUN_WORKER])
                        .is(ThreadState::Waiting);
                    let name = format!("pool-2-thread-{number}");
                    dump.thread(&name, other).is(ThreadState::Waiting);
                }
            };
            let findings = detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident());
            let told = |found: &Finding| (found.severity, found.headline.contains("each other"));
            findings.iter().map(told).collect::<Vec<_>>()
        };
        let both = found(&[GET, "shop.Stock.run", RUN_WORKER]);
        assert_eq!(both, [(Severity::High, true); 2]);
        let reads = found(&["sun.nio.ch.SocketDispatcher.read0", "shop.Stock.run", RUN_WORKER]);
        assert_eq!(reads, [], "a peer's answer ends that");
    }

    #[test]
    fn a_pool_that_waits_for_what_is_due_later_is_told_of_softly() {
        let stack = ["java.util.concurrent.FutureTask.get", "shop.Order.run", RUN_WORKER];
        let found = |type_name: &str| {
            let draw = |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Parker, 0x10);
                dump.dump.locks[0].type_name = Some(type_name.into());
                for number in 0..4 {
                    dump.thread(&format!("pool-1-thread-{number}"), &stack)
                        .is(ThreadState::Waiting)
                        .waits(lock, WaitFor::Notification);
                }
            };
            detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident())[0].severity
        };
        assert_eq!(found("java.util.concurrent.FutureTask"), Severity::High);
        let due = "java.util.concurrent.ScheduledThreadPoolExecutor$ScheduledFutureTask";
        assert_eq!(found(due), Severity::Low);
    }

    #[test]
    fn few_workers_that_wait_in_a_process_at_rest_may_be_meant_to() {
        let stack = ["java.util.concurrent.CountDownLatch.await", "shop.Host.run", RUN_WORKER];
        let found = |workers: usize| {
            let draw = |dump: &mut Moment| {
                for number in 0..workers {
                    let name = format!("pool-1-thread-{number}");
                    dump.thread(&name, &stack).is(ThreadState::Waiting);
                }
                dump.thread("accept", &["sun.nio.ch.Net.accept", "shop.Web.run"]);
            };
            detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident())[0].severity
        };
        assert_eq!(found(4), Severity::Low);
        assert_eq!(found(12), Severity::Medium);
    }

    #[test]
    fn a_pool_whose_workers_all_wait_to_try_again() {
        let stack =
            ["java.lang.Thread.sleep", "shop.Client.backOff:7", "shop.Order.run", RUN_WORKER];
        let polls = ["java.lang.Thread.sleep", "shop.Client.poll:7", "shop.Order.run", RUN_WORKER];
        let found = |stack: &[&str]| {
            let draw = |dump: &mut Moment| {
                for number in 0..4 {
                    let name = format!("pool-1-thread-{number}");
                    dump.thread(&name, stack).is(ThreadState::TimedWaiting);
                }
            };
            detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident())
        };
        let findings = found(&stack);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.severity, Severity::Medium);
        assert!(finding.headline.contains("4 of the 4 workers wait for the time to try again"));
        assert_eq!(found(&polls), []);
    }

    #[test]
    fn a_small_pool_is_told_of_only_when_it_waits_for_itself() {
        const GET: &str = "java.util.concurrent.FutureTask.get";
        for workers in [1, 2] {
            let findings = waiting(workers, GET, &["shop.Main.main"]);
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].severity, Severity::High);
            assert_eq!(findings[0].members.len(), workers);
            let runs_it = ["shop.Price.of", "java.util.concurrent.FutureTask.run"];
            assert!(waiting(workers, GET, &runs_it).is_empty(), "a thread of its own runs it");
            let of_a_peer = "java.util.concurrent.CompletableFuture.get";
            assert!(waiting(workers, of_a_peer, &["shop.Main.main"]).is_empty());
        }
    }

    #[test]
    fn a_full_queue_without_workers_in_sight_holds_back_those_who_fill_it() {
        let put = ["java.util.concurrent.ArrayBlockingQueue.put", "shop.Feed.run"];
        let draw = |dump: &mut Moment| {
            for number in 0..8 {
                dump.thread(&format!("prod-{number}"), &put).is(ThreadState::Waiting);
            }
            dump.thread("cons", &["java.lang.Thread.sleep", "shop.Sink.run"])
                .is(ThreadState::TimedWaiting);
        };
        let incident = Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident();
        assert_eq!(detect(&incident)[0].severity, Severity::Low);
    }
}
