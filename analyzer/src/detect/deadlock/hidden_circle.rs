//! Threads that may wait for each other where the source names no owners. Locks are as a rule given back by the
//! function that took them, or by its caller. So whoever owns what is waited for stands in the code of those who
//! wait; where nobody is in that code but those who wait, the owners seem to be among them.
//!
//! Another function may take the same locks, and its thread be at work: this is a hint, and never more.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_dump::{Kind, LockId, LockKind, StackId};

use super::closed_circle::unowned;
use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{Call, FunctionName, Idle, Incident, MemberId, Origin, words};

/// Of one dump, which may show no more than a moment.
const OF_A_MOMENT: f64 = 0.3;
/// Others at work may own the locks, however long it lasts.
const AMID_OTHERS: f64 = 0.5;
/// A guard that is returned is given back by the caller.
const TAKERS: usize = 2;
/// Words in the names of functions that only pass a lock on.
const PASS_ON: &[&str] = &["lock", "mutex", "acquire", "enter"];

/// Several that wait throughout for different locks of unknown owners, in code in which nobody else is.
pub(super) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let members = shut_in(incident, newest)?;
    let grade = if newest == 0 { Grade::Pattern } else { Grade::Repeat };
    let who = phrase::those(incident, &members);
    let how_long = match newest {
        0 => "One dump shows it, and may have met a moment between two owners.".to_owned(),
        _ => format!("Each is in one and the same call in all of {} dumps.", newest + 1),
    };
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Low,
        grade,
        confidence: if newest == 0 { OF_A_MOMENT } else { AMID_OTHERS },
        headline: format!(
            "{who} may wait for each other, as nobody else is in the code in which they wait for locks"
        ),
        detail: format!(
            "Locks are as a rule given back where they were taken, and whoever is there waits as well. {how_long} \
             Another who takes the same locks elsewhere may own them just as well."
        ),
        next_step: "Have the owners told before anything is restarted: by a debugger with the C library's debug \
                    information, `spindump`, or `py-spy dump --locals`. If they wait for each other, take the locks \
                    in one order everywhere."
            .into(),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            text: format!("{} waiting for locks of unknown owners", phrase::count(incident, &members)),
            dump: Some(newest),
            member: None,
            value: Some(members.len() as f64),
        }],
        members,
        ..Finding::default()
    })
}

/// Those who wait for locks of unknown owners in code that nobody else is in: two at least, and for two locks, as far
/// as addresses tell these apart. Who waits where somebody else is at work may wait for that one, and own what others
/// wait for.
fn shut_in(incident: &Incident, dump: usize) -> Option<Vec<MemberId>> {
    // Many stand in the same places, which are looked at once.
    let mut waiters: BTreeMap<StackId, Vec<MemberId>> = BTreeMap::new();
    let mut others: BTreeSet<StackId> = BTreeSet::new();
    for id in incident.shown(dump) {
        let Some(stack) = incident.stack_id(id, dump) else { continue };
        if wanted(incident, id, dump).is_some() {
            waiters.entry(stack).or_default().push(id);
        } else if !others.contains(&stack) && !is_helper(incident, id, dump) {
            others.insert(stack);
        }
    }
    let mut code: BTreeSet<&str> = BTreeSet::new();
    while !waiters.is_empty() && !others.is_empty() {
        let calls = others.into_iter().flat_map(|stack| incident.calls_of_stack(dump, stack));
        let calls = calls.map(|&(call, _)| incident.call(call));
        let own = calls.filter(|call| call.origin == Origin::Application);
        code.extend(own.map(|call| call.function.as_str()));
        others = BTreeSet::new();
        waiters.retain(|&stack, members| {
            let mut takers = takers(incident, members[0], dump).peekable();
            let stays = takers.peek().is_some() && !takers.any(|function| code.contains(function));
            if !stays {
                others.insert(stack);
            }
            stays
        });
    }
    let mut waiters: Vec<MemberId> = waiters.into_values().flatten().collect();
    waiters.sort_unstable();
    let locks = waiters.iter().filter_map(|&id| wanted(incident, id, dump));
    let (told, untold): (Vec<LockId>, Vec<LockId>) =
        locks.partition(|&lock| incident.dumps[dump].lock(lock).address.is_some());
    let told: BTreeSet<LockId> = told.into_iter().collect();
    (told.len() + untold.len() > 1).then_some(waiters)
}

/// The lock of an unknown owner for which a member waits, in all dumps where there are several.
fn wanted(incident: &Incident, id: MemberId, dump: usize) -> Option<LockId> {
    let is_task = incident.thread(id, dump).is_none_or(|thread| thread.kind == Kind::Task);
    let lock = unowned(incident, id, dump).filter(|_| !is_task)?;
    let is_told = incident.dumps[dump].lock(lock).kind != LockKind::Unknown;
    let stays = || incident.dumps.len() == 1 || incident.waits_throughout(id);
    (is_told && stays()).then_some(lock)
}

/// The innermost functions of the program's own that may have taken locks.
fn takers(incident: &Incident, id: MemberId, dump: usize) -> impl Iterator<Item = &str> {
    let may_take = |call: &&Call| !call.is_nameless() && !passes_on(&call.function);
    let calls = incident.application_calls(id, dump).filter(may_take);
    calls.take(TAKERS).map(|call| call.function.as_str())
}

fn passes_on(function: &str) -> bool {
    let words = words(FunctionName::of(function).method);
    words.iter().any(|word| PASS_ON.contains(&word.as_str()))
}

fn is_helper(incident: &Incident, id: MemberId, dump: usize) -> bool {
    incident.idle(id, dump) == Some(Idle::Helper)
        || incident.thread(id, dump).is_some_and(|thread| thread.runtime_helper)
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAITS: &[&str] = &["pthread_mutex_lock", "bank::transfer:32", "bank::teller:9"];
    const COMPUTES: &[&str] = &["bank::price:64", "bank::prices:71"];

    fn found(dumps: u64, one_lock: bool, waits: &[&[&str]], other: &[&str]) -> Option<Finding> {
        let draw = |dump: &mut Moment| {
            let shared = dump.lock(LockKind::Mutex, 0x10);
            for (number, stack) in waits.iter().enumerate() {
                let own = dump.lock(LockKind::Mutex, 0x20 + number as u64);
                let lock = if one_lock { shared } else { own };
                dump.thread(&format!("teller-{number}"), stack).waits(lock, WaitFor::Exclusive);
            }
            dump.thread("other", other);
        };
        let scene = (0..dumps).fold(Scene::of(Runtime::Native), |scene, at| scene.dump(at, draw));
        finding(&scene.incident())
    }

    #[test]
    fn who_waits_where_nobody_else_is_may_wait_for_each_other() {
        let found = |dumps| found(dumps, false, &[WAITS, WAITS], COMPUTES);
        let of_one = found(1).expect("nobody else is in transfer");
        assert_eq!((of_one.severity, of_one.grade), (Severity::Low, Grade::Pattern));
        let of_two = found(2).expect("nor in the second dump");
        assert_eq!((of_two.severity, of_two.grade), (Severity::Low, Grade::Repeat));
        assert!(of_one.confidence < of_two.confidence);
    }

    #[test]
    fn one_at_work_in_the_same_code_may_own_the_lock() {
        let inside = ["bank::log:3", "bank::transfer:35", "bank::teller:9"];
        assert_eq!(found(2, false, &[WAITS, WAITS], &inside), None);
        let caller = ["bank::log:3", "bank::teller:12"];
        assert_eq!(found(2, false, &[WAITS, WAITS], &caller), None, "a guard may be returned");
    }

    #[test]
    fn functions_that_pass_a_lock_on_are_not_the_code_that_takes_it() {
        let waits = ["pthread_mutex_lock", "bank::Latch::lock:3", "bank::get:9", "bank::run:2"];
        assert_eq!(found(2, false, &[&waits, &waits], &["bank::read:7", "bank::get:12"]), None);
    }

    #[test]
    fn locks_without_addresses_may_be_two() {
        let draw = |dump: &mut Moment| {
            let lock = dump.lock(LockKind::Mutex, 0);
            dump.dump.locks[0].address = None;
            for name in ["east", "west"] {
                dump.thread(name, WAITS).waits(lock, WaitFor::Exclusive);
            }
            dump.thread("other", COMPUTES);
        };
        assert!(finding(&Scene::of(Runtime::Native).dump(0, draw).incident()).is_some());
    }

    #[test]
    fn a_queue_for_one_lock_is_no_circle() {
        assert_eq!(found(2, true, &[WAITS, WAITS], COMPUTES), None);
        assert_eq!(found(2, false, &[WAITS], COMPUTES), None);
    }

    #[test]
    fn who_waits_for_one_at_work_may_own_what_others_wait_for() {
        let audit = ["pthread_mutex_lock", "bank::audit:3", "bank::transfer:40"];
        let at_work = ["bank::sum:5", "bank::audit:7"];
        assert_eq!(found(2, false, &[WAITS, WAITS, &audit], &at_work), None);
    }
}
