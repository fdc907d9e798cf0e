//! Threads that wait for each other in a circle.

mod ask_each_other;
pub(super) mod async_circle;
mod channel_circle;
mod class_circle;
mod closed_circle;
mod hidden_circle;
mod joined_first;
mod wrong_one_woken;

use sigquit_dump::{Notice, OwnerSource};

use super::cycle::{SeenCycle, cycles};
use super::self_deadlock::own_channel;
use super::{Detector, Evidence, Finding, Grade, Severity, async_lock, forsaken, phrase};
use crate::model::{Incident, MemberId, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "deadlock", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# deadlock

Threads that wait for each other's locks in a circle, so that none can ever go on.

The circle may lead through locks of any kind: monitors, `java.util.concurrent` locks, class
initialisation, mutexes, read-write locks, and the end of a thread that another one waits for.
Everyone who waits for one of these locks without being in the circle is a bystander: lost as well,
and no cause.

## Evidence

- The runtime's own report of a deadlock: proof.
- A cycle in the wait-for graph whose owners the runtime or the lock itself names: proof.
- A cycle with an owner that was inferred, from machine code or from where the threads stand: as
  good as the number of dumps that show it. One dump is a hint.
- No circle, and nobody left to end it: all threads but those that wait for a thread's end wait for
  locks of unknown owners, so that the owners are among them. One dump is a hint, two that show each
  in the same call are more.
- No circle, and others at work: two or more wait for different locks of unknown owners, and nobody else is in the code
  that takes them. Another may take the same locks elsewhere, so this is a hint, and low however many dumps show it.
- A circle with one link missing, in every dump of a series: an owner waits for a lock whose owners are unknown, such as
  readers, and of all who are in the code of the type that uses it only one does not wait for it, but waits for the first.
  Medium.
- A circle of class initialisations of a JVM through a superclass: one in an initialiser waits for a class in whose
  initialiser nobody is, so whoever has begun that class waits for another class, and all who do wait for the first.
  Which one of several it is is not told. One dump is a hint.
- The same of tasks that wait for async locks in two dumps, are not polled meanwhile, and are all the
  tasks there are, but for those that come round by a timer. A task that is not tracked may hold such a lock, so this is medium.
- A thread that waits for an async lock (`blocking_lock`) and owns another lock, for which a worker waits within the poll of a
  task, each in one call in all dumps over a second at least. Who has the async lock is in no dump. Medium where only that
  task can have it: all others wait for async locks, or come round by a timer, no task is untracked, and no other thread is in
  the code that uses it or blocks on something (`block_on`). Low where others are about, but none in that code.
- Two or more that wait for room in bounded channels, some tasks among them perhaps for async locks, in every dump, and do
  not go on meanwhile; threads only at two places or more, and beside nobody who moves. Medium where
  everyone else waits for others of the program as well, has nothing to do, or came round by a timer without taking anything
  from them; or where all stand for two minutes. Low otherwise: one who moves, a task that is not tracked, or what a
  thread blocks on (`block_on`) may be a receiver that is slow. Of Rust's channels, which close with their receiver.
- A goroutine that waits for a WaitGroup while all goroutines that it has made wait to send, in the same calls in three dumps.
  Medium, and only where nobody is at anything else, who could be the one that receives.
- Goroutines that wait to send, with the same values on their stacks in three dumps: those of a type's own in the method in
  which others wait too, with nobody else in that type's code; or all who do anything in the program, at two places or more, so
  that who receives is among them. Medium.
- All who answer, by the name of a function, have asked in another one, in which others wait for answers too, in three
  dumps, and nobody else stands still or computes who could be asked. Low: whom somebody asks over a channel is in no dump.
- Two dumps in which nothing moves: everyone waits for others (at a barrier, for a count, for a
  result, or to be notified where others wait in another function) or is idle, and nobody listens to what is outside. A timer that is pending may still wake them: then
  medium, and low where CPU times do not say that they stand. Low as well where somebody listens, and one who waits is
  in a pool's task.

- Some wait to be notified in a method that gives, others at the same monitor or condition in one that takes (by their
  first words: put, add, send; get, take, next), of one type in whose code nobody else is, in the same calls in three
  dumps: one of them could go on and was not woken. Medium, as names tell which is which.
- One waits for a task's result and owns a lock, or is in a class's initialiser, for which all wait who are in tasks,
  in the same calls in all dumps, two at least. One dump is a hint.

## Limits

- A cycle that a later dump shows dissolved is not reported: threads are not caught at one moment.
- Conditions, channels and semaphores have no owner; a circle through them is not seen, except
  where the runtime reports it, where nothing in the process moves, or where tasks wait to send.
- One thread that waits for a latch in its main function is not told from one that keeps the process alive. Where it
  waits further in, and no other is in the program's code, that is a `thread-leak` of low severity.
- Threads that wait to be notified and are not, beside somebody who listens to what is outside, look like workers
  without work. What they wait for is in the heap: a debugger or a heap dump shows it.
- Debuggers and profilers that print no owners (py-spy, `sample`) show who waits, not for whom. Where others run or
  sleep who may own the locks, a circle is a guess at best: `py-spy dump --locals`, `spindump` or a debugger tell the
  owners. Without `--native` py-spy does not even show that a thread waits for a lock.
- Who makes what is made once (`OnceLock`, `LazyLock`, `sync.Once`, `pthread_once`) is inferred, from several dumps in which
  everybody's whole stack is known, and one thread alone is in an initialiser, or two are that wait for each other's. Likewise
  who runs a `FutureTask` by hand, in the function in which all wait for it.
- A lock whose owner is unknown ends the chain. `jstack -l` names the owners of
  `java.util.concurrent` locks; an agent in the process infers those of Rust's mutexes.

## What to do

Keep the dumps, then restart the process: nothing else frees these threads. In the code, take the
locks of the circle in one order everywhere, or hold only one at a time: copy what is needed,
unlock, then call on. Where the order cannot be known beforehand, try the second lock with a
timeout and give the first one back.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let circles = cycles(incident);
    // Who is in a circle, even in one of his own, is told by that.
    let locked_out = || circles.is_empty().then(|| forsaken::locked_out(incident)).flatten();
    let without_circle = forsaken::everyone(incident).into_iter().chain(locked_out());
    let without_circle = without_circle.chain(forsaken::owns_what_its_task_needs(incident));
    let without_circle = without_circle.chain(class_circle::findings(incident));
    let mut without_circle: Vec<Finding> = without_circle.collect();
    if without_circle.is_empty() {
        without_circle = wrong_one_woken::findings(incident);
    }
    let nothing_surer = circles.is_empty() && without_circle.is_empty();
    let closed = if nothing_surer { closed_circle::findings(incident) } else { Vec::new() };
    let nothing_surer = nothing_surer && closed.is_empty();
    let hidden = nothing_surer.then(|| hidden_circle::finding(incident)).flatten();
    let of_several = circles.iter().filter(|cycle| cycle.members.len() > 1);
    let found = of_several.map(|cycle| finding(incident, cycle)).chain(everyone_asleep(incident));
    // Who is told as one of all who wait is not told again.
    let sending = without_circle.is_empty().then(|| own_channel::findings(incident));
    let sending = sending.into_iter().flatten().filter(|found| found.detector == DETECTOR.name);
    let messages = of_messages(incident).chain(sending.collect::<Vec<Finding>>());
    found.chain(without_circle).chain(closed).chain(hidden).chain(messages).collect()
}

/// Circles through what tasks and threads hand to each other.
fn of_messages(incident: &Incident) -> impl Iterator<Item = Finding> {
    let of_tasks = async_lock::queue(incident).filter(|found| found.detector == DETECTOR.name);
    let circles = of_tasks.into_iter().chain(async_circle::finding(incident));
    let circles = circles.chain(channel_circle::circle(incident));
    circles.chain(joined_first::finding(incident)).chain(ask_each_other::findings(incident))
}

fn finding(incident: &Incident, cycle: &SeenCycle) -> Finding {
    let victims = cycle.victims(incident);
    let first = cycle.cycle.as_ref().and_then(|cycle| cycle.edges.first().copied());
    let dump = cycle.dump();
    let grade = cycle.grade();
    Finding {
        detector: DETECTOR.name,
        severity: cycle.severity(incident, &victims),
        grade,
        confidence: grade.cap(),
        headline: headline(incident, cycle, &victims),
        detail: detail(incident, cycle, &victims),
        next_step: next_step(incident, cycle),
        members: cycle.members.clone(),
        victims,
        holders: Vec::new(),
        lock: first.map(|edge| phrase::lock_of(incident.dumps[dump].lock(edge.lock))),
        owner: first.and_then(|edge| incident.member_of(dump, edge.owner as usize)),
        owner_source: Some(cycle.source()),
        frames: cycle.frames(incident),
        evidence: cycle.evidence(incident),
    }
}

fn headline(incident: &Incident, cycle: &SeenCycle, victims: &[MemberId]) -> String {
    let seem = match cycle.grade() {
        Grade::Pattern => "seem to wait",
        _ => "wait",
    };
    let who = phrase::those(incident, &cycle.members);
    let circle = if cycle.members.len() > 2 { " in a circle" } else { "" };
    let stuck = match victims.len() {
        0 => String::new(),
        _ => format!("; {} behind them can never go on", phrase::count(incident, victims)),
    };
    format!("{who} {seem} for each other{circle}{stuck}")
}

fn detail(incident: &Incident, cycle: &SeenCycle, victims: &[MemberId]) -> String {
    let mut detail: Vec<String> = Vec::new();
    let edges = cycle.evidence(incident);
    detail
        .extend(edges.iter().filter(|fact| fact.member.is_some()).map(|fact| sentence(&fact.text)));
    if !victims.is_empty() {
        let lost = phrase::those(incident, victims);
        detail.push(format!("{lost}: not in the circle, lost behind it."));
    }
    if cycle.source() == OwnerSource::Inferred {
        detail.push("At least one owner was inferred and is not certain.".into());
    }
    detail.join(" ")
}

fn sentence(fact: &str) -> String {
    let mut letters = fact.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn next_step(incident: &Incident, cycle: &SeenCycle) -> String {
    let dump = cycle.dump();
    let places: Vec<String> = cycle
        .members
        .iter()
        .take(2)
        .filter_map(|&member| phrase::place(incident, member, dump))
        .collect();
    if cycle.is_of_initialisers(incident) {
        let each = match &places[..] {
            [one, other] if one != other => format!("{one} and {other} each need"),
            _ => "Each needs".into(),
        };
        return format!(
            "Keep the dumps and restart the process; nothing else frees these threads. {each} what the other \
             makes: make one of them without the other, or both in one."
        );
    }
    let order = match &places[..] {
        [one, other] if one != other => {
            format!("{one} and {other} take the same locks in different orders: ")
        }
        [one, ..] => format!("{one} takes locks in an order that depends on its arguments: "),
        [] => "In the code, ".to_owned(),
    };
    format!(
        "Keep the dumps and restart the process; nothing else frees these threads. {order}give the \
         locks one order for all code, or do not hold one while taking the other."
    )
}

/// A runtime that saw everyone asleep names no circle, but nobody can wake anybody.
fn everyone_asleep(incident: &Incident) -> Option<Finding> {
    let (dump, notice) = incident.dumps.iter().enumerate().find_map(|(dump, shown)| {
        let told = |notice: &&Notice| Statement::of(notice) == Statement::NobodyAwake;
        Some((dump, shown.notices.iter().find(told)?))
    })?;
    let asleep =
        |&id: &MemberId| incident.thread(id, dump).is_some_and(|thread| !thread.runtime_helper);
    let members: Vec<MemberId> = incident.ids().filter(asleep).collect();
    let frames = members.first().map(|&member| phrase::telling_frames(incident, member, dump));
    Some(Finding {
        detector: DETECTOR.name,
        severity: Severity::Critical,
        grade: Grade::Proof,
        confidence: Grade::Proof.cap(),
        headline: format!("the runtime ended the process: {}", notice.message),
        detail: format!(
            "{} waited, and nothing was left that could wake one of them: {}.",
            phrase::count(incident, &members),
            phrase::those(incident, &members),
        ),
        next_step: "Look at what each one waits for and who was to send, close, unlock or signal \
                    it: that party has ended, or waits itself."
            .into(),
        members,
        victims: Vec::new(),
        holders: Vec::new(),
        lock: None,
        owner: None,
        owner_source: None,
        frames: frames.unwrap_or_default(),
        evidence: vec![Evidence { dump: Some(dump), ..Evidence::text(notice.message.clone()) }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockKind, NoticeKind, Runtime, ThreadState, WaitFor};

    const EAST: [&str; 2] = ["bank.Desk.move:12", "bank.Desk.run:3"];
    const WEST: [&str; 2] = ["bank.Desk.move:12", "bank.Desk.run:4"];

    fn circle(dump: &mut Moment, inferred: bool) {
        let (a, b) = (dump.lock(LockKind::Monitor, 0xa), dump.lock(LockKind::Monitor, 0xb));
        let east = dump.thread("east", &EAST).waits(b, WaitFor::Exclusive);
        if inferred {
            east.seems_to_hold(a)
        } else {
            east.holds(a)
        };
        dump.thread("west", &WEST).waits(a, WaitFor::Exclusive).holds(b);
        for auditor in ["auditor-1", "auditor-2"] {
            dump.thread(auditor, &["bank.Audit.sum:9"]).waits(a, WaitFor::Exclusive);
        }
        dump.thread("main", &["java.lang.Thread.sleep", "bank.Main.main:1"])
            .is(ThreadState::TimedWaiting);
    }

    #[test]
    fn the_circle_are_the_members_and_the_bystanders_its_victims() {
        let incident = Scene::of(Runtime::Jvm).dump(0, |dump| circle(dump, false)).incident();
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!(incident.names(&found.members), ["east", "west"]);
        assert_eq!(incident.names(&found.victims), ["auditor-1", "auditor-2"]);
        assert_eq!((found.grade, found.owner_source), (Grade::Proof, Some(OwnerSource::Runtime)));
        assert!(found.severity >= Severity::High);
        assert_eq!(found.frames, ["bank.Desk.move", "bank.Desk.run"]);
    }

    #[test]
    fn successive_dumps_show_one_deadlock_once() {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..3 {
            scene = scene.dump(second, |dump| {
                circle(dump, false);
                dump.notice(
                    NoticeKind::Deadlock,
                    "Found one Java-level deadlock",
                    &["west", "east"],
                );
            });
        }
        assert_eq!(detect(&scene.incident()).len(), 1);
    }

    #[test]
    fn an_inferred_owner_is_a_hint_in_one_dump_and_a_repeated_sight_in_two() {
        let scene = Scene::of(Runtime::Rust).dump(0, |dump| circle(dump, true));
        assert_eq!(detect(&scene.incident())[0].grade, Grade::Pattern);
        let scene = Scene::of(Runtime::Rust)
            .dump(0, |dump| circle(dump, true))
            .dump(1, |dump| circle(dump, true));
        let found = &detect(&scene.incident())[0];
        assert_eq!((found.grade, found.owner_source), (Grade::Repeat, Some(OwnerSource::Inferred)));
    }

    #[test]
    fn a_circle_that_a_later_dump_shows_dissolved_was_none() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| circle(dump, true))
            .dump(1, |dump| {
                dump.thread("east", &EAST);
                dump.thread("west", &WEST);
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }

    #[test]
    fn the_runtimes_word_is_enough() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                dump.thread("in", &["mesh.Sync.in:1"]).is(ThreadState::Waiting);
                dump.thread("out", &["mesh.Sync.out:1"]).is(ThreadState::Waiting);
                dump.notice(NoticeKind::Deadlock, "Found one Java-level deadlock", &["out", "in"]);
            })
            .incident();
        let findings = detect(&incident);
        assert_eq!(findings[0].grade, Grade::Proof);
        assert_eq!(incident.names(&findings[0].members), ["in", "out"]);
    }

    #[test]
    fn everyone_asleep_is_a_deadlock_without_a_circle() {
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                dump.thread("", &["main.main"]).number = Some(1);
                dump.notice(NoticeKind::Deadlock, "all goroutines are asleep - deadlock!", &[]);
            })
            .incident();
        assert_eq!(detect(&incident)[0].members.len(), 1);
    }

    #[test]
    fn a_queue_before_a_lock_is_no_deadlock() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Monitor, 0xa);
                dump.thread("owner", &EAST).holds(lock);
                dump.thread("one", &WEST).waits(lock, WaitFor::Exclusive);
                dump.thread("notified", &WEST).waits(lock, WaitFor::Reacquire);
                dump.thread("waiter", &WEST).waits(lock, WaitFor::Notification);
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }

    #[test]
    fn two_that_each_make_what_the_other_needs_are_told_of_no_lock() {
        let draw = |dump: &mut Moment| {
            let (one, other) = (dump.lock(LockKind::Once, 1), dump.lock(LockKind::Once, 2));
            let (rates, prices) = (["shop::rates:3"], ["shop::prices:7"]);
            dump.thread("a", &rates).waits(other, WaitFor::Exclusive).seems_to_hold(one);
            dump.thread("b", &prices).waits(one, WaitFor::Exclusive).seems_to_hold(other);
        };
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let found = &detect(&incident)[0];
        let step = "shop::rates (line 3) and shop::prices (line 7) each need what the other makes";
        assert!(found.next_step.contains(step), "{}", found.next_step);
        assert!(found.evidence[0].text.contains("which \"b\" runs"), "{}", found.evidence[0].text);
    }
}
