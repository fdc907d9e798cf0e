//! Workers of an async runtime that are inside blocking calls, while tasks wait to be polled.

mod event_loop;
pub(super) mod only_worker;
mod undriven;

use sigquit_dump::{Kind, Nanos, Trace, Worker};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Activity, Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "runtime-blocked", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# runtime-blocked

Workers of an async runtime inside a blocking call, or in one poll that does not end: every task that
only they could poll stands still, whatever it waits for.

## Evidence

- Threads that poll the same task, in the same poll, in every dump; or workers whose counters of
  sleeps and of busy time stand still although they are not asleep.
- What they do there, by their stacks: a mutex of the standard library, a sleep, file or network I/O
  that blocks, a wait for another thread. Workers that compute are `spin-loop` or `cpu-hot`; they
  count here only when no worker is left.
- Tasks that were woken for the dump and that nobody polled before its deadline, and the length of the
  runtime's queue.

- In a JVM: threads in the event loop of a known library (Netty's, and so Vert.x's and Reactor's; XNIO's, AWT's, Android's)
  that stand, in the same call in every dump of a series, in another wait than the loop's own. High when all loops do,
  medium otherwise.

- The only thread of tokio's `current_thread` runtime within the poll of a spawned task, waiting throughout for a lock of
  the standard library whose owner is unknown, while nobody else is in the code that uses it: no task of that runtime goes
  on, tracked or not. Medium. That one of them keeps the lock across an await is likely and not known.

Critical when no worker is left and tasks wait; high when no worker is left; medium when some are.
Medium, too, when that began within the series and lasts from a later dump to the newest, half a second at
least: then it takes all workers, tasks that wait, and of who computes a third of a second of CPU.
Low when no worker is stuck and tasks are woken for every dump, or were never polled, and nobody polls them
for a second: nothing drives them (a runtime of one thread outside of `block_on`, a `LocalSet` that is not awaited).
One dump shows that workers are in blocking calls, not for how long: then it takes all of them and
tasks that were not polled, and no more than medium is said.

## Limits

- A worker is known when it has polled a tracked task, or carries one.
- Calls that are made on the runtime's blocking threads (`spawn_blocking`) are as they should be, and
  are not looked at.
- A blocking call shorter than the time between two dumps is not seen in a series.

## What to do

Move the call to `spawn_blocking`, or use its async counterpart. A lock of the standard library may be
held for moments only, and never across a call that waits. Until that is mended: more worker threads.
";

/// From this time on that no worker polls, a stall that begins within the series is one.
const LONG: Nanos = Nanos(500_000_000);
/// Who computes has to have had a CPU for so long: on a machine that is busy the shortest poll may take a second.
const MUCH: Nanos = Nanos(300_000_000);

fn detect(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len().saturating_sub(1);
    // It may have begun later, and then nobody polls: one worker may be in a call that ends.
    let later = || (1..newest).find_map(|first| none_polls_since(incident, first));
    let blocked = blocked_since(incident, 0).or_else(later);
    let of_tasks = blocked.or_else(|| undriven::finding(incident));
    of_tasks.into_iter().chain(event_loop::finding(incident)).collect()
}

fn none_polls_since(incident: &Incident, first: usize) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let time = |dump: usize| incident.dumps[dump].monotonic;
    let over = time(newest)?.since(time(first)?);
    let stuck = stuck(incident, first);
    let all = stuck.len() >= workers(incident, newest);
    let cpu = |id, dump| incident.thread(id, dump).and_then(|thread| thread.cpu);
    let used = |id| Some(cpu(id, newest)?.since(cpu(id, first)?));
    let long = |&id: &MemberId| incident.activity(id, newest).is_wait() || used(id) >= Some(MUCH);
    let unserved = |dump| !unserved(incident, dump).is_empty();
    let none = all && stuck.iter().all(long) && (first..=newest).all(unserved);
    blocked_since(incident, first).filter(|_| none && over >= LONG)
}

/// The finding by all dumps from one on.
fn blocked_since(incident: &Incident, first: usize) -> Option<Finding> {
    let stuck = stuck(incident, first);
    let newest = incident.dumps.len().saturating_sub(1);
    let known = workers(incident, newest).max(stuck.len());
    if stuck.is_empty() {
        return None;
    }
    let unserved = unserved(incident, newest);
    let all = stuck.len() >= known;
    let waits = |&id: &MemberId| incident.activity(id, newest).is_wait();
    let blocked: Vec<MemberId> = stuck.iter().copied().filter(waits).collect();
    // One poll that computes for long is another finding, and one dump shows no length: they count
    // when nobody is left to poll.
    let nobody_polls = all && !unserved.is_empty();
    let series = incident.dumps.len() > 1;
    if !nobody_polls && (blocked.is_empty() || !series) {
        return None;
    }
    let severity = match (series, all, unserved.is_empty()) {
        (true, true, false) if first == 0 => Severity::Critical,
        (true, true, true) => Severity::High,
        _ => Severity::Medium,
    };
    let grade = if series { Grade::Counter } else { Grade::Pattern };
    let one = *blocked.first().unwrap_or(&stuck[0]);
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence: grade.cap() - if all { 0.05 } else { 0.15 },
        headline: headline(incident, &stuck, known, &unserved),
        detail: detail(incident, &stuck, newest),
        next_step: next_step(incident, one, newest),
        frames: phrase::telling_frames(incident, one, newest),
        evidence: evidence(incident, &stuck, &unserved, first),
        members: blocked,
        victims: unserved,
        holders: stuck,
        ..Finding::default()
    })
}

/// The workers that have been in one poll all the time, or that seem to be in one dump.
fn stuck(incident: &Incident, first: usize) -> Vec<MemberId> {
    let threads = incident.ids().filter(|&id| incident.member(id).kind == Kind::Thread);
    let series = incident.dumps.len() > 1;
    let is_stuck = |&id: &MemberId| match series {
        true => {
            (first..incident.dumps.len()).all(|dump| incident.thread(id, dump).is_some())
                && (incident.carried_since(id, first).is_some()
                    || stands_still(incident, id, first))
        }
        false => incident.carried(id, 0).is_some() && incident.activity(id, 0).is_wait(),
    };
    threads.filter(is_stuck).collect()
}

/// Whether a worker's counters are the same in all dumps from one on, and it is not asleep.
fn stands_still(incident: &Incident, id: MemberId, first: usize) -> bool {
    let counters: Vec<Option<Worker>> = (first..incident.dumps.len())
        .map(|dump| {
            let tid = incident.thread(id, dump)?.os_id?;
            let runtimes = incident.dumps[dump].async_runtimes.iter();
            let mut workers = runtimes.flat_map(|runtime| &runtime.workers);
            workers.find(|worker| worker.os_id == Some(tid)).cloned()
        })
        .collect();
    let is_awake = |worker: &Worker| worker.parks_and_unparks.is_some_and(|count| count % 2 == 0);
    counters.iter().all(|worker| worker.as_ref().is_some_and(is_awake))
        && counters.windows(2).all(|pair| pair[0] == pair[1])
}

/// How many workers the runtimes have that poll tasks.
fn workers(incident: &Incident, dump: usize) -> usize {
    incident.dumps[dump].async_runtimes.iter().map(|runtime| runtime.workers.len()).sum()
}

/// Tasks that nobody polled although they were woken.
fn unserved(incident: &Incident, dump: usize) -> Vec<MemberId> {
    let not_served =
        |&id: &MemberId| incident.task(id, dump).is_some_and(|task| task.trace == Trace::NotServed);
    incident.shown(dump).filter(not_served).collect()
}

fn headline(
    incident: &Incident,
    stuck: &[MemberId],
    known: usize,
    unserved: &[MemberId],
) -> String {
    let newest = incident.dumps.len() - 1;
    let does: Activity = incident.activity(stuck[0], newest);
    let alike = stuck.iter().all(|&id| incident.activity(id, newest) == does);
    let doing = match (alike, stuck.len()) {
        (true, 1) => does.to_string(),
        (true, _) => does.of_several().to_owned(),
        (false, _) => "are stuck".to_owned(),
    };
    let workers = phrase::number(known, "worker");
    let who = match (stuck.len() >= known, known) {
        (true, 1) => "the only worker of the async runtime".to_owned(),
        (true, _) => format!("all {workers} of the async runtime"),
        (false, _) => format!("{} of {workers} of the async runtime", stuck.len()),
    };
    match unserved.len() {
        0 => format!("{who} {doing} within a poll"),
        tasks => format!(
            "{who} {doing} within a poll; {} wait to be polled",
            phrase::number(tasks, "task")
        ),
    }
}

fn detail(incident: &Incident, stuck: &[MemberId], dump: usize) -> String {
    let told = stuck.iter().take(4).map(|&id| {
        let place = phrase::place(incident, id, dump).unwrap_or_else(|| "no known place".into());
        format!("{} {} in {place}.", phrase::who(incident, id), incident.activity(id, dump))
    });
    told.collect::<Vec<_>>().join(" ")
}

fn next_step(incident: &Incident, first: MemberId, dump: usize) -> String {
    let place = phrase::place(incident, first, dump).unwrap_or_else(|| "the call".into());
    match incident.activity(first, dump) {
        Activity::Lock => format!(
            "See who holds the lock that {place} waits for. Do not wait for a lock of the standard \
             library in async code where it may be held for long: hold it for moments, or use the \
             runtime's own."
        ),
        Activity::Computing | Activity::Unknown => format!(
            "Restart the process when it has to serve now. Then cut the work in {place} into pieces \
             with yield_now between them, or move it to spawn_blocking."
        ),
        _ => format!(
            "Move the blocking call in {place} to spawn_blocking, or use its async counterpart. \
             Until then more worker threads keep the others going."
        ),
    }
}

fn evidence(
    incident: &Incident,
    stuck: &[MemberId],
    unserved: &[MemberId],
    first: usize,
) -> Vec<Evidence> {
    let dumps = match first {
        0 => format!("all of {}", phrase::number(incident.dumps.len(), "dump")),
        _ => format!("the last {}", phrase::number(incident.dumps.len() - first, "dump")),
    };
    let mut evidence: Vec<Evidence> = stuck
        .iter()
        .map(|&id| {
            let how = match incident.carried_since(id, first) {
                Some(task) => format!("in one poll of {}", phrase::who(incident, task)),
                None => "its counters of sleeps and busy time stand still, and it is awake".into(),
            };
            Evidence {
                text: format!("{}: {how}, in {dumps}", phrase::who(incident, id)),
                dump: None,
                member: Some(id),
                value: None,
            }
        })
        .collect();
    if !unserved.is_empty() {
        evidence.push(Evidence {
            text: format!(
                "{} were woken for the newest dump, and nobody polled them before its deadline",
                phrase::number(unserved.len(), "task")
            ),
            dump: Some(incident.dumps.len() - 1),
            member: None,
            value: Some(unserved.len() as f64),
        });
    }
    for (number, dump) in incident.dumps.iter().enumerate() {
        let queued = dump.async_runtimes.iter().filter_map(|runtime| runtime.global_queue_depth);
        let queued: u64 = queued.sum();
        if queued > 0 {
            evidence.push(Evidence {
                text: format!("{queued} tasks in the queue that all workers share"),
                dump: Some(number),
                member: None,
                value: Some(queued as f64),
            });
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{AsyncRuntime, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const BLOCKED: &[&str] = &["std::thread::sleep:1", "shop::load::{{closure}}:7"];
    const PARKED: &[&str] = &["tokio::runtime::park::Inner::park:1"];
    const SPINS: &[&str] = &["shop::find::{{closure}}:7"];
    const WAITS: &[&str] = &["tokio::net::tcp::stream::TcpStream::poll_read", "shop::serve:3"];

    /// A worker in a poll of a task of that number, the third of it.
    fn polls(dump: &mut Moment, name: &str, tid: u64, stack: &[&str], task: u64) {
        dump.task(task, "", &[]).is(ThreadState::Running);
        let carried = dump.dump.threads.last_mut().and_then(|thread| thread.task.as_mut());
        carried.expect("a task").polls = 2;
        let worker = dump.thread(name, stack);
        (worker.os_id, worker.carries) = (Some(tid), Some(task));
    }

    fn two_workers(dump: &mut Moment) {
        let workers = [1, 2].map(|tid| Worker { os_id: Some(tid), ..Worker::default() });
        let workers = workers.to_vec();
        dump.dump.async_runtimes.push(AsyncRuntime { workers, ..AsyncRuntime::default() });
    }

    fn idle_tasks(dump: &mut Moment, trace: Trace) {
        for number in 100..140 {
            let task = dump.task(number, "", WAITS);
            task.task.as_mut().expect("a task").trace = trace;
        }
    }

    fn found(dumps: u64, draw: impl Fn(&mut Moment, u64)) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| draw(dump, second));
        }
        detect(&scene.incident())
    }

    #[test]
    fn all_workers_in_blocking_calls_while_tasks_wait() {
        let findings = found(3, |dump, _| {
            two_workers(dump);
            polls(dump, "worker-1", 1, BLOCKED, 11);
            polls(dump, "worker-2", 2, BLOCKED, 12);
            idle_tasks(dump, Trace::NotServed);
        });
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Critical, Grade::Counter));
        assert_eq!((finding.members.len(), finding.victims.len()), (2, 40));
        assert_eq!(
            finding.headline,
            "all 2 workers of the async runtime sleep within a poll; 40 tasks wait to be polled"
        );
    }

    #[test]
    fn one_of_two_workers_is_said_with_less_weight() {
        let findings = found(3, |dump, _| {
            two_workers(dump);
            polls(dump, "worker-1", 1, BLOCKED, 11);
            dump.thread("worker-2", PARKED).os_id = Some(2);
            idle_tasks(dump, Trace::Pending);
        });
        assert_eq!(findings[0].severity, Severity::Medium);
    }

    #[test]
    fn a_worker_that_spins_is_another_finding_while_others_poll() {
        let spins = |all: bool| {
            found(3, move |dump, _| {
                two_workers(dump);
                polls(dump, "worker-1", 1, SPINS, 11);
                if all {
                    polls(dump, "worker-2", 2, SPINS, 12);
                }
                idle_tasks(dump, if all { Trace::NotServed } else { Trace::Pending });
            })
        };
        assert_eq!(spins(false), []);
        let findings = spins(true);
        assert_eq!((findings[0].members.len(), findings[0].holders.len()), (0, 2));
    }

    #[test]
    fn workers_that_go_from_poll_to_poll_are_well() {
        let findings = found(3, |dump, second| {
            two_workers(dump);
            polls(dump, "worker-1", 1, BLOCKED, 11 + second);
            dump.thread("worker-2", PARKED).os_id = Some(2);
            idle_tasks(dump, Trace::Pending);
        });
        assert_eq!(findings, []);
    }

    #[test]
    fn a_worker_without_a_tracked_task_is_known_by_its_counters() {
        let counters = |parked: u64, moves: u64| {
            found(3, move |dump, second| {
                let worker = Worker {
                    os_id: Some(1),
                    parks_and_unparks: Some(parked + 2 * moves * second),
                    ..Worker::default()
                };
                let workers = vec![worker];
                dump.dump.async_runtimes.push(AsyncRuntime { workers, ..AsyncRuntime::default() });
                dump.thread("worker-1", BLOCKED).os_id = Some(1);
            })
        };
        assert_eq!(counters(4, 0).len(), 1, "awake, and nothing moves");
        assert_eq!(counters(5, 0).len(), 0, "asleep");
        assert_eq!(counters(4, 1).len(), 0, "it sleeps and wakes");
    }

    /// Both workers compute: from one dump on in one poll each, or each time in another one.
    fn begins(one_poll: bool, served: bool, cpu: u64) -> Vec<Finding> {
        found(3, move |dump, second| {
            two_workers(dump);
            if second == 0 {
                for tid in [1, 2] {
                    dump.thread(&format!("worker-{tid}"), PARKED).os_id = Some(tid);
                }
                idle_tasks(dump, Trace::Pending);
                return;
            }
            let other = if one_poll { 0 } else { 10 * second };
            polls(dump, "worker-1", 1, SPINS, 11 + other);
            polls(dump, "worker-2", 2, SPINS, 12 + other);
            idle_tasks(dump, if served { Trace::Pending } else { Trace::NotServed });
            let workers = dump.dump.threads.iter_mut().filter(|thread| thread.carries.is_some());
            workers.for_each(|worker| worker.cpu = Some(Nanos::from_millis(cpu * second)));
        })
    }

    #[test]
    fn a_stall_may_begin_within_the_series() {
        let findings = begins(true, false, 700);
        assert_eq!((findings[0].severity, findings[0].victims.len()), (Severity::Medium, 40));
        assert!(findings[0].evidence[0].text.contains("in the last 2 dumps"), "{findings:?}");
    }

    #[test]
    fn workers_that_compute_and_poll_the_others_in_between_are_well() {
        assert_eq!(begins(false, true, 700), []);
        assert_eq!(begins(true, true, 700), [], "the tasks were polled");
        assert_eq!(begins(false, false, 700), [], "each time in another poll");
        assert_eq!(begins(true, false, 90), [], "they hardly got a CPU");
    }

    #[test]
    fn one_dump_says_it_of_all_workers_only_and_more_softly() {
        let one = |all: bool| {
            found(1, move |dump, _| {
                two_workers(dump);
                polls(dump, "worker-1", 1, BLOCKED, 11);
                if all {
                    polls(dump, "worker-2", 2, BLOCKED, 12);
                }
                idle_tasks(dump, Trace::NotServed);
            })
        };
        assert_eq!(one(false), []);
        assert_eq!((one(true)[0].severity, one(true)[0].grade), (Severity::Medium, Grade::Pattern));
    }
}
