//! A circle through an async lock for which a thread waits (`blocking_lock`). Who has the lock is in no dump. But a thread
//! that has another lock in hand while it waits holds up every worker that wants that one within a poll; and where the
//! tasks in these polls are the only ones that can have the async lock, neither goes on.
//!
//! ```text
//! yard            has the tracks, and waits for the line:   Mutex::blocking_lock < Depot::roll_out
//! evening-shift   polled by a worker that waits for the tracks:   Mutex::lock < Depot::retire
//! all others      wait for an async lock themselves, or come round by a timer
//! ```
//!
//! Tasks that wait for an async lock may have this one too; but then they wait for each other, or for one that is polled.

use std::collections::BTreeSet;

use sigquit_dump::{Kind, LockId, Nanos, OwnerSource};

use super::channel_circle;
use crate::detect::{Evidence, Finding, Grade, Severity, async_lock, deadlock, phrase};
use crate::model::{FunctionName, Incident, MemberId, TaskWait};

/// In so long every lock that is held for a moment was given back.
const LONG: Nanos = Nanos(1_000_000_000);
/// Another may have the lock, whom the dumps do not show.
const AMID_OTHERS: f64 = 0.5;

/// A thread that waits for an async lock, and workers that wait for a lock of its within polls.
struct Circle {
    closes: MemberId,
    /// The lock that it owns, and how that is known.
    lock: LockId,
    source: OwnerSource,
    workers: Vec<MemberId>,
    /// The tasks in these polls.
    inside: Vec<MemberId>,
    /// Who waits for an async lock besides.
    waiting: Vec<MemberId>,
    /// Whether nobody else is in sight that could have the async lock.
    alone: bool,
}

/// The finding, when there is one: it takes two dumps to see that nobody goes on.
pub(in crate::detect) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let time = |dump: usize| incident.dumps[dump].monotonic;
    if newest == 0 || time(newest)?.since(time(0)?) < LONG {
        return None;
    }
    let circle = incident.shown(newest).find_map(|id| circle(incident, id, newest))?;
    Some(told(incident, &circle, newest))
}

fn circle(incident: &Incident, closes: MemberId, dump: usize) -> Option<Circle> {
    let graph = incident.wait_for(dump);
    let thread = incident.member(closes).seen.get(dump).copied().flatten()? as u32;
    if !graph.blocks(thread) || !blocks_on_lock(incident, closes) {
        return None;
    }
    let member = |thread: u32| incident.member_of(dump, thread as usize);
    let behind: BTreeSet<MemberId> =
        graph.blocked_by(thread).into_iter().filter_map(member).collect();
    let owner = |lock: LockId| graph.owners(lock).iter().find(|owner| owner.thread == thread);
    let wanted = |id: MemberId| {
        let at = incident.member(id).seen.get(dump).copied().flatten()?;
        graph.wants(at as u32).filter(|&lock| owner(lock).is_some())
    };
    let in_poll = |&id: &MemberId| {
        wanted(id).is_some()
            && incident.waits_throughout(id)
            && incident.always_carried(id).is_some()
    };
    let workers: Vec<MemberId> = behind.iter().copied().filter(in_poll).collect();
    let inside: Vec<MemberId> =
        workers.iter().filter_map(|&id| incident.always_carried(id)).collect();
    let lock = wanted(*workers.first()?)?;
    let source = owner(lock)?.source;
    let tasks = async_lock::wait_throughout(incident, TaskWait::Lock);
    let threads = incident.shown(dump).filter(|&id| id != closes && blocks_on_lock(incident, id));
    let threads: Vec<MemberId> = threads.collect();
    let lost: BTreeSet<MemberId> =
        [&[closes][..], &inside, &tasks, &threads].concat().into_iter().chain(behind).collect();
    let others = Others::of(incident, dump, &[&[closes][..], &tasks, &threads].concat());
    let left = incident.shown(dump).filter(|id| !lost.contains(id));
    let left: Vec<(MemberId, Other)> = left.map(|id| (id, others.other(id))).collect();
    let is_any = |what: Other| left.iter().any(|&(_, other)| other == what);
    // Whoever is elsewhere may have it as well; that a worker is in the lock's code speaks against that, no more.
    let in_code = || workers.iter().any(|&id| others.is_in_code(id));
    if is_any(Other::InCode) || is_any(Other::Task) && !in_code() {
        return None;
    }
    let alone = !is_any(Other::Task)
        && !is_any(Other::BlocksOn)
        && channel_circle::unseen_tasks(incident, dump) == 0;
    let waiting = tasks.iter().chain(&threads).copied().collect();
    Some(Circle { closes, lock, source, workers, inside, waiting, alone })
}

/// Whether a thread waits throughout for an async lock.
fn blocks_on_lock(incident: &Incident, id: MemberId) -> bool {
    let waits = |dump| TaskWait::of(incident.calls(id, dump)) == TaskWait::Lock;
    incident.member(id).kind != Kind::Task
        && (0..incident.dumps.len()).all(waits)
        && incident.waits_throughout(id)
}

/// Whether somebody who does not wait may have the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// It does not: it has no part in this, or comes round again and again.
    No,
    /// It is in the code of the type that uses the lock.
    InCode,
    /// A task, which may keep it while it waits for something else.
    Task,
    /// What a thread blocks on is no task, and may keep it likewise.
    BlocksOn,
}

/// What tells of those who do not wait.
struct Others<'a> {
    incident: &'a Incident,
    dump: usize,
    /// The types, or modules, in which the lock is waited for.
    users: BTreeSet<&'a str>,
}

impl<'a> Others<'a> {
    fn of(incident: &'a Incident, dump: usize, waiting: &[MemberId]) -> Others<'a> {
        let user = |&id: &MemberId| incident.application_calls(id, dump).next();
        let users = waiting.iter().filter_map(user);
        let users = users.map(|call| FunctionName::of(&call.function).owner).collect();
        Others { incident, dump, users }
    }

    fn is_in_code(&self, id: MemberId) -> bool {
        self.incident.is_in_code_of(id, self.dump, |owner| self.users.contains(owner))
    }

    fn other(&self, id: MemberId) -> Other {
        let Others { incident, dump, .. } = *self;
        let is_task = incident.member(id).kind == Kind::Task;
        let helper = incident.thread(id, dump).is_some_and(|thread| thread.runtime_helper);
        let comes_round = match is_task {
            true => async_lock::comes_round(incident, id),
            false => channel_circle::comes_round(incident, id),
        };
        match () {
            () if helper || comes_round => Other::No,
            () if self.is_in_code(id) => Other::InCode,
            () if is_task => Other::Task,
            () if channel_circle::blocks_on(incident, id, dump) => Other::BlocksOn,
            () => Other::No,
        }
    }
}

fn told(incident: &Incident, circle: &Circle, dump: usize) -> Finding {
    let Circle { closes, lock, source, workers, inside, waiting, alone } = circle;
    let lock = incident.dumps[dump].lock(*lock);
    let the_lock = phrase::the_lock(lock);
    let (thread, tasks) = (phrase::who(incident, *closes), phrase::those(incident, inside));
    let place = |id| phrase::place(incident, id, dump).unwrap_or_else(|| "its code".into());
    let (at, first) = (place(*closes), place(workers[0]));
    let several = inside.len() > 1;
    let behind = match waiting.len() {
        0 => String::new(),
        _ => format!(
            "; {} behind async locks can never go on then",
            phrase::count(incident, waiting)
        ),
    };
    let fact = |text: String, member| Evidence { text, dump: Some(dump), member, value: None };
    let others = match alone {
        true => {
            "All other tasks wait for an async lock as well, or come round by a timer, and no other thread is in the \
             code that uses the lock, so it is likely"
        }
        false => {
            "Nobody else is in the code that uses the lock. A task that keeps it while it waits for something else, or \
             what a thread blocks on, may have it as well; else it is"
        }
    };
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: if *alone { Severity::Medium } else { Severity::Low },
        grade: Grade::Repeat,
        confidence: if *alone { Grade::Repeat.cap() - 0.1 } else { AMID_OTHERS },
        headline: format!(
            "{thread} and {}{tasks} {} wait for each other{behind}",
            if several { "one of " } else { "" },
            if *alone { "seem to" } else { "may" },
        ),
        detail: format!(
            "{thread} waits for an async lock in {at}, and owns {the_lock}{}, for which {} within a poll of {tasks}. Who \
             has the async lock, and which one it is, is in no dump. {others} {}.",
            if *source == OwnerSource::Inferred { " (inferred)" } else { "" },
            waits(incident, workers),
            if several { "one of these tasks" } else { "that task" },
        ),
        next_step: format!(
            "Keep the dumps and restart the process: if they wait for each other, nothing else frees them. Look whether \
             {first} is reached with the async lock in hand. Take both locks in one order everywhere, and do not wait \
             for an async lock with another lock in hand."
        ),
        lock: Some(phrase::lock_of(lock)),
        owner: Some(*closes),
        owner_source: Some(*source),
        frames: phrase::telling_frames(incident, *closes, dump),
        evidence: vec![
            fact(
                format!("{thread} waits for an async lock, in one call in every dump"),
                Some(*closes),
            ),
            fact(
                format!("{} for {the_lock}, in one poll in every dump", waits(incident, workers)),
                Some(workers[0]),
            ),
        ],
        members: workers.iter().copied().chain([*closes]).collect(),
        victims: waiting.clone(),
        ..Finding::default()
    }
}

fn waits(incident: &Incident, workers: &[MemberId]) -> String {
    let verb = if workers.len() > 1 { "wait" } else { "waits" };
    format!("{} {verb}", phrase::those(incident, workers))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, ThreadState, WaitFor};

    use super::*;
    use crate::detect::stuck_lock_owner;
    use crate::model::scene::{Draw, Moment, Scene};

    const BLOCKS: &[&str] = &[
        "tokio::runtime::park::CachedParkThread::block_on",
        "tokio::sync::mutex::Mutex<T>::blocking_lock",
        "depot::Depot::roll_out:181",
        "depot::yard:209",
    ];
    const POLLS: &[&str] = &["std::sync::poison::mutex::Mutex<T>::lock", "depot::Depot::park:160"];
    const LOCKED: &[&str] = &["tokio::sync::mutex::Mutex<T>::lock", "depot::Depot::position:9"];
    const TICKS: &[&str] = &["tokio::time::sleep::Sleep::poll", "depot::tick:3"];

    /// A thread with a lock in hand, for which a worker waits in the poll of a task.
    fn depot(dump: &mut Moment, thread: &[&str], polls: u64) {
        depot_and(dump, thread, POLLS, polls);
    }

    fn depot_and(dump: &mut Moment, thread: &[&str], poll: &[&str], polls: u64) {
        let tracks = dump.lock(LockKind::Mutex, 0x10);
        let parked = dump.lock(LockKind::Unknown, 0x20);
        dump.thread("yard", thread).seems_to_hold(tracks).waits(parked, WaitFor::Notification);
        let worker = dump.thread("worker", poll).waits(tracks, WaitFor::Exclusive);
        (worker.os_id, worker.carries) = (Some(7), Some(8));
        dump.task(8, "evening", &[]).is(ThreadState::Running);
        dump.dump.threads.last_mut().and_then(|task| task.task.as_mut()).expect("a task").polls =
            polls;
        dump.task(1, "stop-1", LOCKED);
    }

    fn found(dumps: u64, draw: impl Fn(&mut Moment, u64)) -> Option<Finding> {
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..dumps {
            scene = scene.dump(second, |dump| draw(dump, second));
        }
        finding(&scene.incident())
    }

    #[test]
    fn a_thread_and_the_only_task_that_can_have_the_async_lock() {
        let finding = found(2, |dump, second| {
            depot(dump, BLOCKS, 3);
            dump.task(2, "tick", TICKS).task.as_mut().expect("a task").polls = second * 30;
        });
        let finding = finding.expect("neither goes on");
        assert_eq!((finding.severity, finding.grade), (Severity::Medium, Grade::Repeat));
        assert_eq!((finding.members.len(), finding.victims.len()), (2, 1));
        assert!(finding.detail.contains("in no dump"), "{}", finding.detail);
        let once = found(1, |dump, _| depot(dump, BLOCKS, 3));
        assert_eq!(once, None, "one dump shows no time");
    }

    #[test]
    fn who_waits_for_a_moment_while_a_task_works_is_in_no_circle() {
        assert_eq!(found(2, |dump, second| depot(dump, BLOCKS, 3 + second)), None, "another poll");
        let sleeps = ["std::thread::sleep", "depot::Depot::roll_out:181", "depot::yard:209"];
        assert_eq!(found(2, |dump, _| depot(dump, &sleeps, 3)), None, "no async lock");
        let served = |poll: &'static [&'static str]| {
            found(2, move |dump, _| {
                depot_and(dump, BLOCKS, poll, 3);
                dump.task(
                    2,
                    "serves",
                    &["tokio::net::tcp::stream::TcpStream::read", "depot::serve:3"],
                );
            })
        };
        let elsewhere = &["std::sync::poison::mutex::Mutex<T>::lock", "shop::Till::add:3"];
        assert_eq!(served(elsewhere), None, "nothing says who has the lock");
        assert_eq!(served(POLLS).map(|found| found.severity), Some(Severity::Low), "it is there");
        let works = found(2, |dump, _| {
            depot(dump, BLOCKS, 3);
            dump.thread("audit", &["depot::Depot::audit:3"]);
        });
        assert_eq!(works, None, "it may have the lock, and come back");
    }

    fn with_main(dump: &mut Moment) {
        depot(dump, BLOCKS, 3);
        dump.thread("main", &["tokio::runtime::runtime::Runtime::block_on", "shop::main:3"]);
    }

    #[test]
    fn others_about_make_it_a_hint() {
        let finding = found(2, |dump, _| with_main(dump));
        assert_eq!(finding.map(|finding| finding.severity), Some(Severity::Low));
    }

    #[test]
    fn who_is_in_the_circle_is_no_stuck_owner_unless_it_is_a_hint() {
        let stuck = |draw: fn(&mut Moment)| {
            let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, at| scene.dump(at, draw));
            (stuck_lock_owner::DETECTOR.detect)(&scene.incident()).len()
        };
        assert_eq!(stuck(|dump| depot(dump, BLOCKS, 3)), 0);
        assert_eq!(stuck(with_main), 1);
    }
}
