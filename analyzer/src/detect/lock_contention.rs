//! Many members that wait for one lock, which changes hands or is held by one that works.

use sigquit_dump::{Lock, OwnerSource};

use super::{
    Detector, Evidence, Finding, Severity, async_lock, forsaken, phrase, queue_length,
    stuck_lock_owner,
};
use crate::model::{Activity, Contention, Incident, MemberId, Sight};

pub(super) const DETECTOR: Detector =
    Detector { name: "lock-contention", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# lock-contention

Many wait for one lock, while its owner changes or works: a queue in front of a door.

Names the lock, who waits, who owns it and what the owner is doing: network or file I/O under a
lock, a sleep, computation, or another lock.

## Evidence

- Members that wait for the owner of one lock to leave, in each dump. Those that wait to be notified
  are not in the queue, nor are those that only take their turn at a queue or an acceptor.
- The owner, as the runtime or the lock says (`sigquit::sync`), or inferred from machine code or from where everyone
  stands; otherwise it is said to be unknown.
- How many owners were seen: one that stays in the same call is `stuck-lock-owner`.

High when ten or more wait in every dump, or more than a quarter of all that are not idle; medium
when three or more wait in every dump; low otherwise, and where what is made once is being made by one who computes. Low as well where those who wait got the lock from dump to
dump, others own it, and a quarter at least of those who began like them does something else: a lock much in use. Low,
too, where the owner waits for room in a queue, in the code in which the others wait for the lock, and room came from dump
to dump: then those who fill the queue are held back by those who empty it. One or two waiters now and then are normal
and not reported.

## Limits

- One dump shows a queue, not that it lasts.
- Which async lock a task waits for is known in builds with the feature `tracing` only. Elsewhere two
  tasks or more are told that wait for some async lock in every dump and are not polled meanwhile; those are not
  that wait in a function in which another task waits for work, as where workers share a receiver.
- Threads that are late for other reasons (no CPU) pile up before locks too.
- The owner of a read-write lock held by readers is rarely known.

## What to do

Look at what the owner does under the lock. Move I/O, sleeping and calls of unknown code out of it:
take what is needed, unlock, then work. Where the work itself is short and frequent, split the lock
(by key, by shard), or let readers share it.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    // Which of the locks each waits for is not known then, and no queue stands before one of them.
    let locked_out = forsaken::locked_out(incident).is_some();
    let is_guess = |contention: &&Contention| {
        contention.lock(incident).address.is_none() && contention.owners().is_empty()
    };
    let known = incident.contentions();
    let known = known.iter().filter(|contention| !(locked_out && is_guess(contention)));
    let known = known.filter_map(|contention| finding(incident, contention));
    let of_tasks = async_lock::queue(incident).filter(|found| found.detector == DETECTOR.name);
    known.chain(of_tasks).collect()
}

fn finding(incident: &Incident, contention: &Contention) -> Option<Finding> {
    let waiters = contention.queued_per_dump(incident);
    let held_back = contention.is_held_back(incident);
    let severity = match stuck_lock_owner::is_at_work(incident, contention) {
        true => Severity::Low,
        false if held_back || is_busy(incident, contention) => {
            queue_length::severity(incident, &waiters)?.min(Severity::Low)
        }
        false => queue_length::severity(incident, &waiters)?,
    };
    if contention.is_turn_taking(incident) {
        return None;
    }
    let (grade, confidence) = queue_length::sureness(&waiters);
    let owner = contention.newest_owner();
    let members = contention.last().waiters.clone();
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence,
        headline: headline(incident, contention, &members),
        detail: detail(incident, contention, &waiters, held_back),
        next_step: match held_back {
            true => next_step_of_held_back(),
            false => next_step(incident, contention),
        },
        victims: behind(incident, contention, &members),
        members,
        holders: Vec::new(),
        lock: Some(phrase::lock_of(contention.lock(incident))),
        owner: owner.map(|(_, owner, _)| owner),
        owner_source: owner.map(|(.., source)| source),
        frames: frames(incident, contention),
        evidence: evidence(incident, contention),
    })
}

/// Whether those who wait get the lock from dump to dump, others own it, and a good part of those who were begun like them
/// does something else: a lock that is much in use. Where nearly all of them wait, it is all that they do.
fn is_busy(incident: &Incident, contention: &Contention) -> bool {
    let waiters: Vec<&[MemberId]> =
        contention.sights.iter().map(|sight| &sight.waiters[..]).collect();
    let owners = contention.sights.iter().map(|sight| {
        let mut owners: Vec<MemberId> = sight.owners.iter().map(|&(owner, _)| owner).collect();
        owners.sort_unstable();
        owners
    });
    let owners: Vec<Vec<MemberId>> = owners.collect();
    let owners: Vec<&[MemberId]> = owners.iter().map(Vec::as_slice).collect();
    let few = |sight: &Sight| {
        let count = sight.waiters.len();
        count < CROWD && count * 4 < begun_alike(incident, sight) * 3
    };
    contention.sights.len() == incident.dumps.len()
        && contention.sights.iter().all(few)
        && incident.queue_moves(&waiters)
        && incident.changes_hands(&owners)
}

/// How many began in the function in which those who wait did, whatever they do now.
fn begun_alike(incident: &Incident, sight: &Sight) -> usize {
    let begun = |id| incident.application_calls(id, sight.dump).last().map(|call| &call.function);
    let Some(first) = sight.waiters.first().and_then(|&id| begun(id)) else { return 0 };
    incident.found(sight.dump, |id| (begun(id) == Some(first)).then_some(())).count()
}

/// So many that wait for one lock are a fault, however soon they get it.
const CROWD: usize = 50;

fn headline(incident: &Incident, contention: &Contention, members: &[MemberId]) -> String {
    let waiting = phrase::count(incident, members);
    let verb = if members.len() == 1 { "waits" } else { "wait" };
    let lock = phrase::the_lock(contention.lock(incident));
    match contention.newest_owner() {
        Some((dump, owner, _)) => format!(
            "{waiting} {verb} for {lock}, whose owner {} {}",
            phrase::who(incident, owner),
            incident.activity(owner, dump),
        ),
        None => format!("{waiting} {verb} for {lock}, whose owner is unknown"),
    }
}

fn detail(
    incident: &Incident,
    contention: &Contention,
    waiters: &[usize],
    held_back: bool,
) -> String {
    let mut detail = Vec::new();
    if waiters.len() > 1 {
        let seen = phrase::number(waiters.len(), "dump");
        detail.push(format!("Waiting in {seen}: {}.", phrase::figures(waiters)));
    }
    if let Some(place) = contention
        .last()
        .waiters
        .first()
        .and_then(|&waiter| phrase::place(incident, waiter, contention.last().dump))
    {
        detail.push(format!("They wait in {place}."));
    }
    match &contention.owners()[..] {
        [] => detail.push(
            "Who owns the lock is not in the dumps: not printed, not recorded, not inferable."
                .into(),
        ),
        [_] if contention.sights.len() > 1 => {
            detail.push("One owner was seen in all that time.".into());
        }
        [_] => {}
        // Nobody is known again: each may be another, or one.
        owners if owners.iter().all(|&id| incident.member(id).id.is_empty()) => {}
        owners => detail.push(format!(
            "{} owners were seen: {}.",
            owners.len(),
            phrase::those(incident, owners)
        )),
    }
    if let Some((dump, owner, _)) = contention.newest_owner() {
        let frames = phrase::telling_frames(incident, owner, dump);
        let who = phrase::who(incident, owner);
        detail.push(format!("{who} {}: {}.", incident.activity(owner, dump), frames.join(" < ")));
        let sight = contention.sights.iter().find(|sight| sight.dump == dump);
        let taken = sight.and_then(|sight| phrase::taken(incident, owner, dump, sight.lock));
        detail.extend(taken.map(|taken| format!("The lock was {taken}.")));
    }
    if held_back {
        detail.push(
            "Whoever owns the lock waits for room in a queue, and room comes: the queue moves, and holds back those who \
             fill it."
                .into(),
        );
    }
    detail.extend(history(contention.lock(incident)));
    detail.join(" ")
}

/// How often a lock was waited for since it was made, where it counts.
fn history(lock: &Lock) -> Option<String> {
    let (waits, waited) = (lock.waits?, lock.waited?);
    let times = phrase::number(usize::try_from(waits).ok()?, "time");
    Some(format!(
        "It was waited for {times} since it was made, {} in all.",
        phrase::duration(waited)
    ))
}

fn next_step(incident: &Incident, contention: &Contention) -> String {
    let Some((dump, owner, _)) = contention.newest_owner() else {
        return "Find out who holds the lock: take dumps that name owners, and look at every \
                function that takes this lock and then waits for something."
            .into();
    };
    let place = phrase::place(incident, owner, dump).unwrap_or_else(|| "the owner".into());
    match incident.activity(owner, dump) {
        Activity::Network | Activity::File | Activity::ChildProcess | Activity::SystemCall => {
            format!(
                "Move the I/O in {place} out from under the lock, or give it a short timeout: \
                 collect under the lock, unlock, then write or call. Meanwhile look at what \
                 answers that I/O; while it is slow everyone queues."
            )
        }
        Activity::Sleeping => format!("Do not sleep under the lock: {place} should unlock first."),
        Activity::Event => format!(
            "{place} waits for another thread while it owns the lock. Make sure that this other \
             thread does not need the lock, then wait without it."
        ),
        Activity::Lock => format!(
            "The owner itself waits for another lock, in {place}: look at the owner of that one \
             first."
        ),
        Activity::Computing | Activity::Unknown => format!(
            "See how long {place} keeps the lock and how often it is taken. Do the work outside \
             and only the exchange under the lock, or split the lock by key."
        ),
    }
}

fn next_step_of_held_back() -> String {
    "Nothing, if those who fill the queue are meant to wait for those who empty it. If they are too slow, look at what \
     those who empty it do, and not at the lock."
        .into()
}

fn frames(incident: &Incident, contention: &Contention) -> Vec<String> {
    let owner = contention.newest_owner().map(|(dump, owner, _)| (owner, dump));
    let last = contention.last();
    let waiter = last.waiters.first().map(|&waiter| (waiter, last.dump));
    let whose = owner.or(waiter);
    whose.map_or(Vec::new(), |(who, dump)| phrase::telling_frames(incident, who, dump))
}

/// Everyone who waits behind the waiters, in the newest dump.
pub(super) fn behind(
    incident: &Incident,
    contention: &Contention,
    members: &[MemberId],
) -> Vec<MemberId> {
    let dump = contention.last().dump;
    let thread = |&id: &MemberId| incident.member(id).seen.get(dump).copied().flatten();
    let threads: Vec<u32> = members.iter().filter_map(thread).map(|at| at as u32).collect();
    let behind = incident.wait_for(dump).blocked_by_all(&threads);
    behind.iter().filter_map(|&thread| incident.member_of(dump, thread as usize)).collect()
}

fn evidence(incident: &Incident, contention: &Contention) -> Vec<Evidence> {
    let lock = phrase::the_lock(contention.lock(incident));
    let mut evidence = Vec::new();
    for sight in &contention.sights {
        let waiting = phrase::count(incident, &sight.waiters);
        evidence.push(Evidence {
            text: format!("{waiting} in the queue for {lock}"),
            dump: Some(sight.dump),
            member: None,
            value: Some(sight.waiters.len() as f64),
        });
        for &(owner, source) in sight.owners.iter().take(1) {
            let inferred = match source {
                OwnerSource::Inferred => " (inferred)",
                _ => "",
            };
            let does = incident.activity(owner, sight.dump);
            let taken = phrase::taken(incident, owner, sight.dump, sight.lock);
            let taken = taken.map_or(String::new(), |taken| format!(", {taken},"));
            evidence.push(Evidence {
                text: format!(
                    "{} owns it{inferred}{taken} and {does}",
                    phrase::who(incident, owner)
                ),
                dump: Some(sight.dump),
                member: Some(owner),
                value: None,
            });
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Grade, Severity};
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockKind, Nanos, Runtime, ThreadState, WaitFor};

    const WAITER: [&str; 2] = ["audit.Journal.append:8", "audit.Writer.run:3"];
    const WRITING: [&str; 4] = [
        "sun.nio.ch.SocketDispatcher.write0",
        "java.net.Socket$SocketOutputStream.write",
        "audit.Journal.append:9",
        "audit.Writer.run:3",
    ];

    /// One owner that writes, and so many who wait, all of one crew.
    fn queue(dump: &mut Moment, owner: usize, waiters: usize) {
        let lock = dump.lock(LockKind::Monitor, 0x10);
        for number in 0..=waiters {
            let name = format!("writer-{number}");
            if number == owner {
                dump.thread(&name, &WRITING).holds(lock);
            } else {
                dump.thread(&name, &WAITER).waits(lock, WaitFor::Exclusive);
            }
        }
    }

    fn others(dump: &mut Moment, count: usize) {
        for number in 0..count {
            dump.thread(&format!("busy-{number}"), &["shop.Price.of:3"]);
        }
    }

    #[test]
    fn a_convoy_is_found_with_what_its_owner_does() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| queue(dump, 0, 12))
            .dump(1, |dump| queue(dump, 3, 12))
            .dump(2, |dump| queue(dump, 5, 12))
            .incident();
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!((found.severity, found.grade), (Severity::High, Grade::Repeat));
        assert_eq!(found.members.len(), 12);
        assert_eq!(found.owner, Some(incident.named("writer-5")));
        assert_eq!(found.owner_source, Some(OwnerSource::Runtime));
        assert!(found.headline.contains("is in network I/O"), "{}", found.headline);
        assert!(found.detail.contains("12, 12 and 12"), "{}", found.detail);
        assert!(found.frames.contains(&"audit.Journal.append".to_owned()));
    }

    /// Three dumps in each of which twelve wait, are another time at it, and so many more of their crew do something else.
    fn much_in_use(beside: usize, moves: bool) -> Severity {
        let scene = (0..3u64).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| {
                queue(dump, second as usize, 12);
                for number in 0..beside {
                    dump.thread(
                        &format!("pause-{number}"),
                        &["audit.pause:4", "audit.Writer.run:3"],
                    );
                }
                for thread in &mut dump.dump.threads {
                    thread.values = if moves { 7 + second as u32 } else { 7 };
                }
            })
        });
        detect(&scene.incident())[0].severity
    }

    #[test]
    fn a_lock_that_is_much_in_use_is_no_alarm_unless_it_is_all_that_they_do() {
        assert_eq!(much_in_use(10, true), Severity::Low);
        assert_eq!(much_in_use(2, true), Severity::High, "nearly all wait");
        assert_eq!(much_in_use(10, false), Severity::High, "nobody is seen to get it");
    }

    #[test]
    fn a_short_queue_in_one_of_three_dumps_is_everyday_life() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| others(dump, 40))
            .dump(1, |dump| {
                queue(dump, 0, 2);
                others(dump, 40);
            })
            .dump(2, |dump| others(dump, 40))
            .incident();
        assert!(detect(&incident).is_empty());
    }

    #[test]
    fn a_few_in_every_dump_are_medium_and_in_one_dump_low() {
        let lasting = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                queue(dump, 0, 3);
                others(dump, 40);
            })
            .dump(1, |dump| {
                queue(dump, 1, 3);
                others(dump, 40);
            })
            .incident();
        assert_eq!(detect(&lasting)[0].severity, Severity::Medium);
        let once = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                queue(dump, 0, 3);
                others(dump, 40);
            })
            .dump(1, |dump| others(dump, 40))
            .incident();
        assert_eq!(detect(&once)[0].severity, Severity::Low);
    }

    #[test]
    fn an_unknown_owner_is_said_to_be_unknown() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                for number in 0..12 {
                    dump.thread(&number.to_string(), &["app::append"])
                        .waits(lock, WaitFor::Exclusive);
                }
            })
            .incident();
        let findings = detect(&incident);
        assert_eq!(findings[0].owner, None);
        assert!(findings[0].headline.ends_with("whose owner is unknown"));
    }

    #[test]
    fn who_waits_to_be_notified_or_was_just_notified_is_not_in_the_queue() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                for number in 0..12 {
                    let how = if number < 6 { WaitFor::Notification } else { WaitFor::Reacquire };
                    dump.thread(&number.to_string(), &["java.lang.Object.wait", "q.Queue.take"])
                        .waits(lock, how);
                }
                dump.thread("notifier", &["q.Queue.put"]).holds(lock);
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }

    /// Four that publish under one lock, of whom one waits for room; another one in each dump, or always the same.
    fn publishers(owners: [usize; 3], within: &str, used: u64) -> Vec<Finding> {
        let draw = |dump: &mut Moment, second: u64| {
            let lock = dump.lock(LockKind::Synchronizer, 0x10);
            for number in 0..8 {
                let name = format!("station-{number}");
                let thread = match number == owners[second as usize] {
                    true => {
                        let stack = ["jdk.internal.misc.Unsafe.park", within, "feed.Station.run:7"];
                        dump.thread(&name, &stack).is(ThreadState::Waiting).holds(lock)
                    }
                    false => {
                        dump.thread(&name, &["feed.Station.run:7"]).waits(lock, WaitFor::Exclusive)
                    }
                };
                thread.cpu = Some(Nanos(1_000_000 + second * used));
            }
        };
        let scene = (0..3u64).fold(Scene::of(Runtime::Jvm), |scene, second| {
            scene.dump(second, |dump| draw(dump, second))
        });
        detect(&scene.incident())
    }

    #[test]
    fn a_lock_that_is_handed_on_as_room_comes_is_told_of_softly() {
        const ROOM: &str = "java.util.concurrent.SubmissionPublisher.submit";
        for owners in [[0, 3, 5], [2, 2, 2]] {
            let found = &publishers(owners, ROOM, 5_000_000)[0];
            assert_eq!(found.severity, Severity::Low);
            assert!(found.detail.contains("room comes"), "{}", found.detail);
        }
    }

    #[test]
    fn a_lock_whose_owner_gets_no_room_or_waits_for_something_else_is_not() {
        const ROOM: &str = "java.util.concurrent.SubmissionPublisher.submit";
        let severity = |owners, within, used| publishers(owners, within, used)[0].severity;
        assert_eq!(severity([2, 2, 2], ROOM, 0), Severity::High, "nothing tells that room came");
        let answer = "java.util.concurrent.FutureTask.get";
        assert_eq!(severity([0, 3, 5], answer, 5_000_000), Severity::High);
    }

    #[test]
    fn workers_that_take_turns_at_a_queue_do_not_contend() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                dump.thread("worker-0", &["std::sync::mpsc::Receiver::recv", "app::work"])
                    .is(ThreadState::Waiting)
                    .seems_to_hold(lock);
                for number in 1..16 {
                    dump.thread(&format!("worker-{number}"), &["app::work"])
                        .waits(lock, WaitFor::Exclusive);
                }
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }
}
