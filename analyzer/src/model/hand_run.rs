//! Who makes what is found once for all who ask, where that is a task which the first who asks runs by itself.
//!
//! A cache that finds each value once puts a task in its map; who was first runs it, and all get its result:
//!
//! ```text
//! waiter   FutureTask.get < Prices.of
//! maker    FutureTask.get < Prices.of < Prices.sum < FutureTask.run < Prices.of
//!                                                    ^ here it was begun, by the function in which all wait
//! ```
//!
//! Where everyone who runs such a task waits for one, whoever runs what is waited for waits as well. When one alone
//! does, it is the one; when two do that wait for different tasks, each runs the other's. Nothing is said where
//! anybody else is in a task who does not wait so, as that may be the one. Who runs one and is merely slow is named
//! by no rule: that others wait for it is how this is meant.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::{Dump, LockId, LockKind, Runtime, Thread, ThreadState};

use super::call::{Call, CallId, Origin};
use super::incident::{Incident, MemberId};
use super::maker;
use super::owner;
use super::pattern::matches_any;

/// The type of such a task, and its functions that run it and wait for it.
const TASK: &str = "java.util.concurrent.FutureTask";
const RUNS: &[&str] = &["java.util.concurrent.FutureTask.run"];
const WAITS: &[&str] = &["java.util.concurrent.FutureTask.get"];

/// For each function in which tasks are waited for: for which, and who runs some there.
type Places<'a> = BTreeMap<&'a str, Place>;

#[derive(Default)]
struct Place {
    wanted: BTreeSet<LockId>,
    /// By index in the dump, with the number of those that it runs.
    makers: Vec<(usize, usize)>,
}

/// A task, and the thread that runs it.
type Made = Vec<(LockId, usize)>;

/// Adds the owners that can be inferred, where the same run what is waited for in every dump.
pub(super) fn infer(incident: &mut Incident) {
    if incident.dumps.len() < 2 || incident.process.runtime != Runtime::Jvm {
        return;
    }
    let runs: Vec<bool> =
        incident.all_calls().iter().map(|call| matches_any(RUNS, &call.function)).collect();
    let dumps = 0..incident.dumps.len();
    let made: Vec<Made> = dumps.map(|dump| made(incident, dump, &runs)).collect();
    let who = |(dump, made): (usize, &Made)| -> BTreeSet<MemberId> {
        made.iter().filter_map(|&(_, maker)| incident.member_of(dump, maker)).collect()
    };
    let makers: Vec<BTreeSet<MemberId>> = made.iter().enumerate().map(who).collect();
    if makers.windows(2).any(|pair| pair[0] != pair[1]) {
        return;
    }
    for (dump, made) in incident.dumps.iter_mut().zip(made) {
        made.into_iter().for_each(|(task, maker)| own(dump, task, maker));
    }
}

fn own(dump: &mut Dump, task: LockId, maker: usize) {
    dump.locks[task.0 as usize].kind = LockKind::Once;
    owner::own(dump, task, maker, None);
    maker::wait_for_maker(dump, |lock| lock == task);
}

/// Who runs what others wait for in one dump.
fn made(incident: &Incident, at: usize, runs: &[bool]) -> Made {
    let dump = &incident.dumps[at];
    let places = places(incident, at, runs);
    let waits_for = |thread: usize| waits_for(dump, &dump.threads[thread]);
    let of_place = |place: Place| match place.makers[..] {
        [(only, makes)] if place.wanted.len() <= makes && waits_for(only).is_some() => {
            place.wanted.into_iter().map(|task| (task, only)).collect()
        }
        [(one, 1), (other, 1)] if place.wanted.len() == 2 => {
            match (waits_for(one), waits_for(other)) {
                (Some(first), Some(second)) if first != second => {
                    vec![(first, other), (second, one)]
                }
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    };
    places.into_values().flat_map(of_place).collect()
}

/// Where tasks are waited for by those who run them, unless anybody may be at one who does not wait.
fn places<'a>(incident: &'a Incident, at: usize, runs: &[bool]) -> Places<'a> {
    let dump = &incident.dumps[at];
    let mut places = Places::new();
    if !dump.threads.iter().any(|thread| waits_for(dump, thread).is_some()) {
        return places;
    }
    for thread in &dump.threads {
        let ids = ids(incident, at, thread).iter();
        let mut calls = ids.map(|&(call, _)| incident.call(call));
        if let (Some(task), true) = (waits_for(dump, thread), is_asked(&mut calls))
            && let Some(place) = calls.next()
        {
            places.entry(&place.printed).or_default().wanted.insert(task);
        }
    }
    for (index, thread) in dump.threads.iter().enumerate() {
        let mut run: BTreeMap<&str, usize> = BTreeMap::new();
        let mut is_in_task = dump.stack(thread).is_some_and(|stack| stack.truncated.is_some());
        let mut within = false;
        for &(call, _) in ids(incident, at, thread) {
            let caller = incident.call(call).printed.as_str();
            if within && places.contains_key(caller) {
                *run.entry(caller).or_default() += 1;
            }
            within = runs[call.0 as usize];
            is_in_task |= within;
        }
        if is_in_task && waits_for(dump, thread).is_none() {
            return Places::new();
        }
        for (place, makes) in run {
            places.entry(place).or_default().makers.push((index, makes));
        }
    }
    places
}

/// Goes on to the program's own function that waits for a task, if that calls the task itself.
fn is_asked<'a>(calls: &mut (impl Iterator<Item = &'a Call> + Clone)) -> bool {
    let mut asked = false;
    while let Some(call) = calls.clone().next().filter(|call| call.origin != Origin::Application) {
        asked = matches_any(WAITS, &call.function);
        calls.next();
    }
    asked
}

/// The task for which a thread waits, of which nothing tells who runs it.
fn waits_for(dump: &Dump, thread: &Thread) -> Option<LockId> {
    let id = thread.wait.as_ref()?.lock;
    let lock = dump.locks.get(id.0 as usize)?;
    let is_task = lock.type_name.as_deref() == Some(TASK) && lock.owners.is_empty();
    (is_task && thread.state != ThreadState::TimedWaiting).then_some(id)
}

fn ids<'a>(incident: &'a Incident, at: usize, thread: &Thread) -> &'a [(CallId, u32)] {
    thread.stack.map_or(&[][..], |stack| incident.calls_of_stack(at, stack))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::WaitFor;

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const PARKS: [&str; 2] =
        ["java.util.concurrent.locks.LockSupport.park", "java.util.concurrent.FutureTask.get"];
    const RUN: [&str; 2] = ["java.util.concurrent.FutureTask.run", "shop.Prices.of:316"];

    fn task(dump: &mut Moment, address: u64) -> LockId {
        let lock = dump.lock(LockKind::Parker, address);
        dump.dump.locks[lock.0 as usize].type_name = Some(TASK.into());
        lock
    }

    /// One that waits for a task, inside of what it runs itself.
    fn stands(dump: &mut Moment, name: &str, waits: Option<LockId>, runs: usize) {
        let mut stack: Vec<&str> = match waits {
            Some(_) => [&PARKS[..], &["shop.Prices.of:317"]].concat(),
            None => vec!["shop.Prices.read:9"],
        };
        for _ in 0..runs {
            stack.extend(["shop.Prices.sum:321"].iter().chain(&RUN));
        }
        stack.push("shop.Web.serve:5");
        let thread = dump.thread(name, &stack);
        if let Some(task) = waits {
            thread.waits(task, WaitFor::Notification);
        }
    }

    fn owners(draw: impl Fn(&mut Moment), waiter: &str) -> Vec<String> {
        let incident = Scene::of(Runtime::Jvm).dump(0, &draw).dump(1, &draw).incident();
        let thread = incident.thread(incident.named(waiter), 0).expect("it is there");
        let lock = thread.wait.as_ref().expect("it waits").lock;
        let owners = incident.wait_for(0).owners(lock).iter();
        let owners: Vec<MemberId> =
            owners.filter_map(|owner| incident.member_of(0, owner.thread as usize)).collect();
        incident.names(&owners).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_only_one_that_runs_such_tasks_waits_for_itself() {
        let draw = |dump: &mut Moment| {
            let kit = task(dump, 0x10);
            stands(dump, "first", Some(kit), 2);
            stands(dump, "late", Some(kit), 0);
        };
        assert_eq!(owners(draw, "late"), ["first"]);
        assert_eq!(owners(draw, "first"), ["first"]);
    }

    #[test]
    fn two_that_wait_for_different_tasks_run_each_others() {
        let draw = |dump: &mut Moment| {
            let (kit, set) = (task(dump, 0x10), task(dump, 0x20));
            stands(dump, "a", Some(kit), 1);
            stands(dump, "b", Some(set), 1);
        };
        assert_eq!((owners(draw, "a"), owners(draw, "b")), (vec!["b".into()], vec!["a".into()]));
    }

    #[test]
    fn one_that_is_at_work_in_a_task_may_be_the_one() {
        let slow = |dump: &mut Moment| {
            let kit = task(dump, 0x10);
            stands(dump, "first", None, 1);
            stands(dump, "late", Some(kit), 0);
        };
        assert!(owners(slow, "late").is_empty(), "it is only slow");
        let another = |dump: &mut Moment| {
            let kit = task(dump, 0x10);
            stands(dump, "first", Some(kit), 1);
            dump.thread("pool-1", &["shop.Prices.read:9", RUN[0], "shop.Pool.work:3"]);
        };
        assert!(owners(another, "first").is_empty(), "it may run what is waited for");
    }

    #[test]
    fn a_task_that_was_handed_to_a_pool_is_run_there() {
        let draw = |dump: &mut Moment| {
            let part = task(dump, 0x10);
            let stack = [&PARKS[..], &["shop.Page.make:4", RUN[0], "shop.Pool.work:3"]].concat();
            dump.thread("pool-1", &stack).waits(part, WaitFor::Notification);
        };
        assert!(owners(draw, "pool-1").is_empty(), "it waits behind a queue");
    }
}
