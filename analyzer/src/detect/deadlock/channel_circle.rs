//! Tasks and threads that wait for room in bounded channels throughout, where nobody is in sight who could make some: what
//! `deadlock` says of them. A full channel holds back those who fill it, as it should, while who empties it is at work.
//! Here all who might be that wait for room themselves, or have nothing to do: each waits for another one to receive.
//!
//! ```text
//! orders      waits to send to billing           has the ledger, and waits to send to the auditor
//! billing     waits to send to orders            the auditor waits for the ledger
//! ```
//!
//! A receiver that has ended would have closed its channel, and woken everyone who wants to send.

use std::collections::BTreeSet;

use sigquit_dump::{Kind, Nanos};

use crate::detect::thread_pool_exhaustion::async_blocking;
use crate::detect::{Evidence, Finding, Grade, Severity, async_lock, deadlock, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Activity, Incident, MemberId, Origin, TaskWait};

/// One that waits may have a slow receiver. Two can be each other's.
const FEW: usize = 2;
/// So long hardly anyone takes for one message.
const VERY_LONG: Nanos = Nanos(120_000_000_000);
/// So many are told one by one.
const TOLD: usize = 4;

/// Who may be the receiver of a full channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Receiver {
    /// It is not: it has nothing to do, waits for others of the program itself, or came round without taking anything.
    No,
    /// It may be, and stands still.
    Stands,
    /// It may be, and moves: perhaps the channel is emptied slowly.
    Moves,
}

/// The finding, when there is one: it takes two dumps to see that nobody goes on.
pub(super) fn circle(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let mut send = async_lock::wait_throughout(incident, TaskWait::Send);
    let tasks_send = !send.is_empty();
    send.extend(sending_threads(incident));
    if send.is_empty() {
        return None;
    }
    let turns = async_lock::turns(incident);
    let mut lock = async_lock::wait_throughout(incident, TaskWait::Lock);
    lock.retain(|&id| !async_lock::takes_turns(incident, id, &turns));
    let what = if lock.is_empty() { "" } else { " or for async locks" };
    let mut members = [&send[..], &lock[..]].concat();
    members.sort_unstable();
    if members.len() < FEW {
        return None;
    }
    let workers = incident.pollers();
    let others = incident.shown(newest).filter(|id| members.binary_search(id).is_err());
    let may: Vec<(MemberId, Receiver)> = others
        .map(|id| (id, receiver(incident, id, &workers)))
        .filter(|&(_, receiver)| receiver != Receiver::No)
        .collect();
    let unseen = unseen_tasks(incident, newest);
    let moves = unseen > 0 || may.iter().any(|&(_, receiver)| receiver == Receiver::Moves);
    if moves && !tasks_send {
        return None;
    }
    let holders: Vec<MemberId> = may.iter().map(|&(id, _)| id).collect();
    let since = members.iter().filter_map(|&id| incident.task(id, newest)?.since_poll).min();
    let alone = holders.is_empty() && unseen == 0;
    let sure = alone || !moves && since >= Some(VERY_LONG);
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: if sure { Severity::Medium } else { Severity::Low },
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap() - if alone { 0.1 } else { 0.3 },
        headline: format!(
            "{} wait for room in channels{what} in all of {}, and none went on; {}",
            phrase::count(incident, &members),
            phrase::number(incident.dumps.len(), "dump"),
            who_may(incident, &holders, unseen),
        ),
        detail: format!(
            "Which channels{} these are is not in the dumps. A receiver that has ended would have closed its channel, so \
             it is there and does not receive. Who send to each other look like this when both channels are full, and so does \
             one that sends with a lock in its hand which the receiver wants.",
            if lock.is_empty() { "" } else { " and locks" },
        ),
        next_step: "Restart the process if nothing goes on. In the code, look at each place for one that sends to whom \
                    it receives from, itself or through others: receive and send in one `select!`, keep or \
                    drop what finds no room (`try_send`), leave one direction of the circle unbounded, and do not send with a \
                    lock in hand."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: evidence(incident, &members, newest),
        members,
        holders,
        ..Finding::default()
    })
}

fn who_may(incident: &Incident, holders: &[MemberId], unseen: usize) -> String {
    match (holders, unseen) {
        ([], 0) => "nobody else is in sight who could receive".into(),
        ([], unseen) => {
            format!(
                "who was to receive may be one of {} that are not tracked",
                phrase::number(unseen, "task")
            )
        }
        ([_], _) => format!("{} may be who was to receive", phrase::those(incident, holders)),
        (some, _) => format!("who was to receive may be one of {} others", some.len()),
    }
}

fn evidence(incident: &Incident, members: &[MemberId], dump: usize) -> Vec<Evidence> {
    let told = members.iter().take(TOLD).map(|&id| {
        let since = incident.task(id, dump).and_then(|task| task.since_poll);
        let place = phrase::place(incident, id, dump).unwrap_or_default();
        let wait = incident.task_wait(id, dump).unwrap_or(TaskWait::Send);
        let polled = since
            .map(|since| format!(", last polled {} ago", phrase::duration(since)))
            .unwrap_or_default();
        Evidence {
            text: format!("{} {wait} in {place}{polled}", phrase::who(incident, id)),
            dump: Some(dump),
            member: Some(id),
            value: since.map(Nanos::as_secs_f64),
        }
    });
    told.collect()
}

/// How threads wait for room in a channel that says when its receiver has ended.
const SENDS: &[&str] = &[
    "std::sync::mpsc::SyncSender::send*",
    "std::sync::mpmc::*Sender::send*",
    "crossbeam_channel::*Sender::send*",
    "flume::*Sender::send*",
    "tokio::sync::mpsc::*blocking_send",
];

/// Threads that wait for room throughout, at two places at least. Those at one place are likely to fill one channel, whose
/// receiver is elsewhere: of these a full queue is told.
fn sending_threads(incident: &Incident) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let sends = |id: MemberId| {
        let mut calls =
            incident.calls(id, newest).take_while(|call| call.origin != Origin::Application);
        calls.any(|call| matches_any(SENDS, &call.function))
    };
    let members = incident.shown(newest).filter(|&id| {
        incident.member(id).kind != Kind::Task && sends(id) && incident.waits_throughout(id)
    });
    let members: Vec<MemberId> = members.collect();
    let place = |&id: &MemberId| incident.application_calls(id, newest).next();
    let several = members.windows(2).any(|pair| place(&pair[0]) != place(&pair[1]));
    if several { members } else { Vec::new() }
}

/// Whether a member may be the one that was to receive. Who receives from a full channel goes on at once, and a sender
/// with it.
fn receiver(incident: &Incident, id: MemberId, workers: &BTreeSet<u64>) -> Receiver {
    match incident.member(id).kind {
        Kind::Task => task(incident, id),
        _ => thread(incident, id, workers),
    }
}

fn task(incident: &Incident, id: MemberId) -> Receiver {
    let dumps = || (0..incident.dumps.len()).filter(|&dump| incident.task(id, dump).is_some());
    let mut waits = dumps().map(|dump| incident.task_wait(id, dump));
    use TaskWait::{Accept, Join, Lock, Notification, Permit, Receive, Send};
    let of_others = |wait: Option<TaskWait>| {
        matches!(wait, Some(Accept | Join | Lock | Notification | Permit | Receive | Send))
    };
    let stands = incident.was_not_polled(id);
    let owned = |dump| waits_for_owner(incident, id, dump);
    match () {
        () if stands && waits.clone().all(of_others) && !dumps().any(owned) => Receiver::No,
        () if async_lock::comes_round(incident, id) => Receiver::No,
        () if stands && waits.all(|wait| wait.is_some()) => Receiver::Stands,
        () => Receiver::Moves,
    }
}

/// Whether it is known who has the lock that a member waits for: then that one is to blame.
fn waits_for_owner(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let wait = incident.thread(id, dump).and_then(|thread| thread.wait.as_ref());
    wait.is_some_and(|wait| !incident.wait_for(dump).owners(wait.lock).is_empty())
}

/// So often a thread gives the CPU away between two dumps when it sleeps again and again.
const ROUNDS: u64 = 2;

/// Whether a thread does nothing but compute and sleep, in turns.
pub(super) fn comes_round(incident: &Incident, id: MemberId) -> bool {
    let dumps = || 0..incident.dumps.len();
    let does = |dump| incident.activity(id, dump);
    let switches = |dump| incident.thread(id, dump).and_then(|thread| thread.voluntary_switches);
    let goes_round = |to: usize| {
        let switches = switches(to - 1).zip(switches(to));
        switches.is_some_and(|(before, after)| after.saturating_sub(before) >= ROUNDS)
    };
    dumps().all(|dump| matches!(does(dump), Activity::Computing | Activity::Sleeping))
        && dumps().any(|dump| does(dump) == Activity::Sleeping)
        && dumps().skip(1).all(goes_round)
}

/// What a program blocks on is received from by no task, and a thread can receive as well.
const BLOCKS_ON: &[&str] = &["*::block_on", "*::block_on::*"];

/// Whether a thread blocks on something that is no task.
pub(super) fn blocks_on(incident: &Incident, id: MemberId, dump: usize) -> bool {
    incident.calls(id, dump).any(|call| matches_any(BLOCKS_ON, &call.function))
}

fn thread(incident: &Incident, id: MemberId, workers: &BTreeSet<u64>) -> Receiver {
    let dumps = || (0..incident.dumps.len()).filter(|&dump| incident.thread(id, dump).is_some());
    let polls_tasks = |dump| {
        let thread = incident.thread(id, dump);
        thread.is_some_and(|thread| {
            thread.carries.is_some() || thread.os_id.is_some_and(|tid| workers.contains(&tid))
        })
    };
    let unseen = dumps().any(|dump| blocks_on(incident, id, dump));
    // Whoever waits for blocking work waits for what it does, be that a sleep.
    let works = |dump| async_blocking::works(incident, id, dump);
    let idle = |dump| incident.idle(id, dump).is_some() && !works(dump) || polls_tasks(dump);
    let of_others = |dump| match incident.activity(id, dump) {
        Activity::Event => true,
        Activity::Lock => !waits_for_owner(incident, id, dump),
        _ => false,
    };
    let waits = || incident.waits_throughout(id) && dumps().all(of_others);
    match () {
        () if !unseen && (dumps().all(idle) || waits() || comes_round(incident, id)) => {
            Receiver::No
        }
        () if incident.ran(id) => Receiver::Moves,
        () => Receiver::Stands,
    }
}

/// How many tasks the runtimes have that nobody tracks.
pub(super) fn unseen_tasks(incident: &Incident, dump: usize) -> usize {
    let dump = &incident.dumps[dump];
    let alive: u64 = dump.async_runtimes.iter().filter_map(|runtime| runtime.alive_tasks).sum();
    let tracked = dump.threads.iter().filter(|thread| thread.kind == Kind::Task).count();
    usize::try_from(alive).unwrap_or(usize::MAX).saturating_sub(tracked)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{AsyncRuntime, LockKind, Runtime, ThreadState, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const SENDS: &[&str] =
        &["tokio::sync::mpsc::bounded::Sender::send", "shop::office::{{closure}}:9"];
    const WAITS: &[&str] = &["tokio::sync::mpsc::chan::Rx::recv", "shop::serve::{{closure}}:3"];
    const TICKS: &[&str] = &["tokio::time::sleep::Sleep::poll", "shop::tick::{{closure}}:3"];
    const WRITES: &[&str] = &["tokio::net::tcp::TcpStream::poll_write", "shop::put::{{closure}}:3"];

    fn found(dumps: u64, also: impl Fn(&mut Moment, u64)) -> Option<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                dump.task(1, "orders", SENDS);
                dump.task(2, "billing", SENDS);
                also(dump, second);
            })
        });
        circle(&scene.incident())
    }

    fn polled(dump: &mut Moment, frames: &[&str], polls: u64) {
        dump.task(9, "other", frames).task.as_mut().expect("a task").polls = polls;
    }

    fn severity(also: impl Fn(&mut Moment, u64)) -> Option<Severity> {
        found(3, also).map(|finding| finding.severity)
    }

    #[test]
    fn all_wait_to_send_and_nobody_is_there_who_could_receive() {
        let finding = found(3, |_, _| ()).expect("they wait for each other");
        assert_eq!((finding.detector, finding.severity), ("deadlock", Severity::Medium));
        assert_eq!((finding.members.len(), finding.holders.len()), (2, 0));
        assert_eq!(found(1, |_, _| ()), None, "one dump shows no time");
    }

    #[test]
    fn who_has_nothing_to_do_or_comes_round_does_not_receive_from_them() {
        let medium = Some(Severity::Medium);
        assert_eq!(severity(|dump, _| polled(dump, WAITS, 7)), medium);
        assert_eq!(severity(|dump, second| polled(dump, TICKS, 7 + 9 * second)), medium);
    }

    #[test]
    fn one_that_sends_and_one_that_wants_a_lock_may_close_the_circle() {
        let two = |other: &'static [&'static str]| {
            let scene = (0..2).fold(Scene::of(Runtime::Rust), |scene, second| {
                scene.dump(second, |dump| {
                    dump.task(1, "ledger", SENDS);
                    dump.task(2, "auditor", other);
                })
            });
            circle(&scene.incident()).map(|finding| finding.severity)
        };
        const LOCKS: &[&str] = &["tokio::sync::mutex::Mutex::lock", "shop::audit::{{closure}}:3"];
        assert_eq!(two(LOCKS), Some(Severity::Medium));
        assert_eq!(two(WAITS), None, "one that waits to send may have a slow receiver");
    }

    #[test]
    fn a_slow_receiver_holds_back_who_sends() {
        let low = Some(Severity::Low);
        assert_eq!(severity(|dump, second| polled(dump, WRITES, 7 + second)), low);
        assert_eq!(severity(|dump, second| polled(dump, WAITS, 7 + second)), low);
        let computes = |dump: &mut Moment, second| {
            dump.thread("packer", &["shop::pack:4"]).cpu = Some(Nanos::from_millis(900 * second));
        };
        assert_eq!(severity(computes), low);
        let runs = |dump: &mut Moment, _| _ = dump.task(9, "", &[]).is(ThreadState::Running);
        assert_eq!(severity(runs), low);
    }

    #[test]
    fn blocking_work_may_be_what_the_receiver_waits_for() {
        let sleeps = |outermost: &'static str| {
            severity(move |dump, _| {
                let stack = ["std::thread::sleep", "shop::scale:4", outermost];
                let thread = dump.thread("worker", &stack).is(ThreadState::TimedWaiting);
                thread.cpu = Some(Nanos(0));
            })
        };
        let pool = sleeps("tokio::runtime::blocking::pool::Inner::run");
        assert_eq!(pool, Some(Severity::Low));
        assert_eq!(sleeps("std::thread::spawn"), Some(Severity::Medium), "a timer");
    }

    #[test]
    fn who_is_not_seen_may_receive_slowly() {
        let low = Some(Severity::Low);
        let untracked = |dump: &mut Moment, _| {
            let runtime = AsyncRuntime { alive_tasks: Some(4), ..AsyncRuntime::default() };
            dump.dump.async_runtimes.push(runtime);
        };
        assert_eq!(severity(untracked), low);
    }

    /// Three threads that wait to send at so many places.
    fn threads(places: u64, also: impl Fn(&mut Moment, u64)) -> Option<Severity> {
        let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for number in 0..3 {
                    let place = format!("shop::office:{}", number % places);
                    let stack = [
                        "std::thread::park",
                        "std::sync::mpmc::array::Channel::send",
                        "std::sync::mpsc::SyncSender::send",
                        &place,
                    ];
                    let channel = dump.lock(LockKind::Channel, 0x10 * (1 + number));
                    let thread = dump.thread(&format!("office-{number}"), &stack);
                    thread.waits(channel, WaitFor::Notification).cpu = Some(Nanos(0));
                }
                also(dump, second);
            })
        });
        circle(&scene.incident()).map(|finding| finding.severity)
    }

    #[test]
    fn threads_that_wait_to_send_to_each_other() {
        assert_eq!(threads(2, |_, _| ()), Some(Severity::Medium));
        assert_eq!(threads(1, |_, _| ()), None, "a queue");
    }

    #[test]
    fn a_receiver_that_waits_for_a_lock_of_another_is_held_up_by_that_one() {
        let waits = |owned: bool| {
            threads(2, move |dump, _| {
                let ledger = dump.lock(LockKind::Mutex, 0x90);
                let packer = dump.thread("packer", &["std::sync::Mutex::lock", "shop::pack"]);
                packer.waits(ledger, WaitFor::Exclusive).cpu = Some(Nanos(0));
                let audit = dump.thread("audit", &["std::thread::sleep", "shop::audit"]);
                audit.is(ThreadState::TimedWaiting).cpu = Some(Nanos(0));
                if owned {
                    audit.seems_to_hold(ledger);
                }
            })
        };
        assert_eq!(waits(false), Some(Severity::Medium));
        assert_eq!(waits(true), Some(Severity::Low));
    }

    #[test]
    fn a_thread_that_computes_may_receive_slowly_unless_it_comes_round() {
        let beside = |sleeps: bool, rounds: u64| {
            threads(2, move |dump, second| {
                let sleeps = sleeps && second == 1;
                let leaf = if sleeps { "std::thread::sleep" } else { "shop::sum" };
                let thread = dump.thread("stats", &[leaf, "shop::stats"]);
                thread.cpu = Some(Nanos::from_millis(600 * second));
                thread.voluntary_switches = Some(rounds * second);
                if sleeps {
                    thread.is(ThreadState::TimedWaiting);
                }
            })
        };
        assert_eq!(beside(true, 40), Some(Severity::Medium));
        assert_eq!(beside(false, 40), None);
        assert_eq!(beside(true, 1), None);
    }

    #[test]
    fn a_channel_that_moves_is_well() {
        let moves = found(3, |dump, second| {
            for thread in &mut dump.dump.threads {
                thread.task.as_mut().expect("a task").polls = second + 1;
            }
        });
        assert_eq!(moves, None);
    }
}
