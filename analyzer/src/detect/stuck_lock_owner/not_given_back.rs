//! A lock that is not given back, by those who wait for it: that they were not woken is counted. What
//! `stuck-lock-owner` says where no owner is known, or one is inferred from a single dump.
//!
//! Go counts how long a goroutine has waited, and hands a mutex on to the one who waits first as soon as that has
//! waited for a millisecond (<https://pkg.go.dev/sync#Mutex>, `sync/mutex.go`: starvation mode): who has waited for a
//! minute has not been given it for a minute. Elsewhere the CPU time of those who wait tells: to be woken costs some.

use std::collections::BTreeSet;

use sigquit_dump::{LockKind, Nanos};

use crate::detect::runtime_blocked::only_worker;
use crate::detect::{
    Evidence, Finding, Grade, Severity, deadlock, lock_contention, phrase, stuck_lock_owner,
};
use crate::model::{Activity, Contention, FunctionName, Idle, Incident, MemberId};

/// A turn that takes longer than this is no turn: the oldest wait, divided by those who wait.
const A_TURN: Nanos = Nanos(10_000_000_000);
/// One who waits for as long is enough; shorter ones happen to the healthiest.
const LONG: Nanos = Nanos(30_000_000_000);
/// That it is one lock, and one owner, is read from where they wait.
const CONFIDENCE: f64 = 0.75;

/// The locks that nobody gives back, where no owner is seen to stay.
pub(super) fn findings(incident: &Incident, contentions: &[Contention]) -> Vec<Finding> {
    let open = contentions.iter().filter(|one| is_open(incident, one));
    let stands = open.filter_map(|one| Some((one, stood(incident, one)?)));
    let stands: Vec<_> = stands.collect();
    if stands.is_empty() {
        return Vec::new();
    }
    // Who is told to wait in a circle is not told again.
    let circles = (deadlock::DETECTOR.detect)(incident);
    let circles = circles.iter().filter(|found| found.severity >= Severity::Medium);
    let in_circle: BTreeSet<MemberId> =
        circles.flat_map(|found| found.members.iter().chain(&found.victims)).copied().collect();
    let is_new = |one: &Contention| !one.last().waiters.iter().any(|id| in_circle.contains(id));
    let new = stands.into_iter().filter(|(one, _)| is_new(one));
    new.map(|(one, time)| finding(incident, one, time)).collect()
}

/// Whether it is open who does not give the lock back.
fn is_open(incident: &Incident, contention: &Contention) -> bool {
    use LockKind::{Monitor, Mutex, RwLock, Synchronizer};
    let lock = contention.lock(incident);
    let last = contention.last().dump;
    // Of a series the owner's stay tells more; one that waits for another lock is not the end of the chain.
    let ends_here = |owner| last == 0 && incident.activity(owner, last) != Activity::Lock;
    let owners = contention.owners();
    owners.iter().all(|&owner| ends_here(owner))
        && owners.len() < 2
        && contention.sights.len() == incident.dumps.len()
        && matches!(lock.kind, Mutex | RwLock | Synchronizer | Monitor)
}

/// For how long it was not given to any of those who wait, as far as it is counted.
fn stood(incident: &Incident, contention: &Contention) -> Option<Nanos> {
    let last = contention.last();
    let waited = |&id: &MemberId| incident.thread(id, last.dump)?.waiting_since;
    let oldest = last.waiters.iter().filter_map(waited).max().unwrap_or_default();
    let by_runtime =
        (Nanos(oldest.0 / last.waiters.len().max(1) as u64) >= A_TURN).then_some(oldest);
    by_runtime.or_else(|| by_counters(incident, contention))
}

/// The time between the dumps, where everyone who waits in the first still waits, and none of them was woken.
fn by_counters(incident: &Incident, contention: &Contention) -> Option<Nanos> {
    let [first, .., last] = &contention.sights[..] else { return None };
    let still: BTreeSet<MemberId> = last.waiters.iter().copied().collect();
    let stands = |id: &MemberId| {
        still.contains(id) && incident.cpu_used(*id).is_some() && incident.waits_throughout(*id)
    };
    let stand = first.waiters.iter().all(stands) && !contention.was_free(incident);
    let (_, time) = incident.cpu_used(*first.waiters.first()?)?;
    stand.then_some(time)
}

fn finding(incident: &Incident, contention: &Contention, time: Nanos) -> Finding {
    let last = contention.last();
    let waiters = &last.waiters;
    let lock = contention.lock(incident);
    let who = match waiters.len() {
        1 | 2 => {
            phrase::list(&waiters.iter().map(|&id| phrase::who(incident, id)).collect::<Vec<_>>())
        }
        _ => phrase::count(incident, waiters),
    };
    let behind = lock_contention::behind(incident, contention, waiters);
    let owner = contention.only_owner();
    let inside = match owner {
        Some((owner, _)) => vec![owner],
        None => inside(incident, contention),
    };
    let finding = Finding {
        detector: stuck_lock_owner::DETECTOR.name,
        severity: stuck_lock_owner::severity(incident, last.dump, waiters.len(), time >= LONG),
        grade: Grade::Counter,
        confidence: CONFIDENCE,
        headline: format!(
            "{who} wait{} for {}, which nobody has given back for {}; {}",
            if waiters.len() == 1 { "s" } else { "" },
            phrase::the_lock(lock),
            phrase::duration(time),
            whose(incident, owner.is_some(), &inside),
        ),
        detail: detail(incident, contention, &inside),
        next_step: next_step(incident, contention, &inside),
        lock: Some(phrase::lock_of(lock)),
        evidence: evidence(incident, contention, &inside, time),
        ..Finding::default()
    };
    let alone = inside.is_empty() && waiters.len() == 1;
    match owner {
        None if alone && only_worker::runs_all_tasks(incident, waiters[0], last.dump) => {
            only_worker::finding(incident, waiters[0], last.dump, time, finding)
        }
        Some((owner, source)) => Finding {
            members: vec![owner],
            victims: waiters.iter().copied().chain(behind).collect(),
            owner: Some(owner),
            owner_source: Some(source),
            frames: phrase::telling_frames(incident, owner, last.dump),
            ..finding
        },
        None => Finding {
            members: waiters.clone(),
            victims: behind,
            frames: phrase::telling_frames(incident, waiters[0], last.dump),
            ..finding
        },
    }
}

fn whose(incident: &Incident, is_owner: bool, inside: &[MemberId]) -> String {
    match inside {
        [one] if is_owner => format!("{} seems to own it", phrase::who(incident, *one)),
        [] => "its owner is unknown, and nobody else is seen in the code that uses it".to_owned(),
        [one] => format!(
            "its owner is unknown, and {} alone is in the code that uses it",
            phrase::who(incident, *one)
        ),
        several => format!(
            "its owner is unknown, and {} are in the code that uses it",
            phrase::count(incident, several)
        ),
    }
}

/// Who else is in the code of the type, or the module, that the lock's users are in.
fn inside(incident: &Incident, contention: &Contention) -> Vec<MemberId> {
    let last = contention.last();
    let gate = |&id: &MemberId| incident.application_calls(id, last.dump).next();
    let user = |id| gate(id).map(|call| FunctionName::of(&call.function).owner);
    let users: BTreeSet<&str> = last.waiters.iter().filter_map(user).collect();
    let waiters: BTreeSet<MemberId> = last.waiters.iter().copied().collect();
    let uses = |id: MemberId| {
        let uses = incident.is_in_code_of(id, last.dump, |owner| users.contains(owner));
        let idle = incident.idle(id, last.dump);
        // Who waits for the next entry may do so with the lock in hand; of all others idleness says that they do not.
        let may_own = matches!(idle, None | Some(Idle::Consumer));
        (uses && may_own && !waiters.contains(&id)).then_some(())
    };
    let mut inside: Vec<MemberId> = incident.found(last.dump, uses).map(|(id, ())| id).collect();
    inside.sort_by_key(|&id| incident.idle(id, last.dump).is_some());
    inside
}

fn place(incident: &Incident, contention: &Contention, id: MemberId) -> String {
    let place = phrase::place(incident, id, contention.last().dump);
    place.unwrap_or_else(|| "its innermost call".into())
}

fn detail(incident: &Incident, contention: &Contention, inside: &[MemberId]) -> String {
    let last = contention.last();
    let at = place(incident, contention, last.waiters[0]);
    let waits =
        format!("They wait in {at}, and the lock was not handed on to the one who waits longest.");
    let waits = if last.waiters.len() == 1 {
        format!("It waits in {at}, and was not woken, as it is when the lock is given back.")
    } else {
        waits
    };
    let owner = match inside {
        [] => "Locks are as a rule given back where they were taken, and nobody else is there: the owner has left \
               without unlocking, or is the one who waits and has locked it before, or took it elsewhere."
            .to_owned(),
        [one] => format!(
            "Of all others {} is in that code: it {} in {}. If it owns the lock, it keeps it across that.",
            phrase::who(incident, *one),
            incident.activity(*one, last.dump),
            place(incident, contention, *one),
        ),
        several => format!("Others in that code: {}.", phrase::those(incident, several)),
    };
    format!("{waits} {owner}")
}

fn next_step(incident: &Incident, contention: &Contention, inside: &[MemberId]) -> String {
    let at = place(incident, contention, contention.last().waiters[0]);
    match inside {
        [] => format!(
            "Restart the process: it does not free itself. In the code, look at every way out of the functions that \
             take the lock that {at} takes, for one that does not give it back (an early return, a failure), and for \
             one that calls another which takes it again. Give it back by `defer` or a guard."
        ),
        _ => format!(
            "Look whether {} is reached with the lock in hand, and whether what is waited for there needs the lock \
             that {at} takes: then neither goes on, and only a restart helps. In the code, do not send, receive or \
             wait for others under a lock.",
            place(incident, contention, inside[0])
        ),
    }
}

fn evidence(
    incident: &Incident,
    contention: &Contention,
    inside: &[MemberId],
    time: Nanos,
) -> Vec<Evidence> {
    let last = contention.last();
    let waits = |&id: &MemberId| {
        let counted = incident.thread(id, last.dump).and_then(|thread| thread.waiting_since);
        let counted = counted.filter(|waited| waited.0 > 0);
        let how_long = match counted {
            Some(waited) => {
                format!("has waited {} by the runtime's count", phrase::duration(waited))
            }
            None => {
                format!("waits in one call, and used no CPU time in {}", phrase::duration(time))
            }
        };
        Evidence {
            text: format!("{} {how_long}", phrase::who(incident, id)),
            dump: Some(last.dump),
            member: Some(id),
            value: Some(counted.unwrap_or(time).as_secs_f64()),
        }
    };
    let is_there = |&id: &MemberId| Evidence {
        text: format!(
            "{} is in {} and {}",
            phrase::who(incident, id),
            place(incident, contention, id),
            incident.activity(id, last.dump)
        ),
        dump: Some(last.dump),
        member: Some(id),
        value: None,
    };
    last.waiters.iter().take(3).map(waits).chain(inside.iter().take(3).map(is_there)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockId, LockKind, Runtime, WaitFor};

    fn found(incident: &Incident) -> Vec<Finding> {
        findings(incident, &incident.contentions())
    }

    const MINUTE: u64 = 60_000_000_000;

    fn waits(dump: &mut Moment, name: &str, stack: &[&str], minutes: u64) -> LockId {
        let lock = dump.lock(LockKind::Mutex, 0x10);
        let waiter = dump.thread(name, stack);
        waiter.waits(lock, WaitFor::Exclusive).waiting_since = Some(Nanos(minutes * MINUTE));
        lock
    }

    fn framer(minutes: u64, other: &[&str]) -> Vec<Finding> {
        let draw = |dump: &mut Moment| {
            waits(dump, "monitor", &["wire.(*Framer).monitor:36"], minutes);
            dump.thread("other", other).state_text = "chan send".into();
        };
        found(&Scene::of(Runtime::Go).dump(0, draw).incident())
    }

    #[test]
    fn who_waits_a_minute_for_a_mutex_of_which_nobody_else_knows_is_told() {
        let found = framer(2, &["ads.(*Feed).push:4"]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].grade), (Severity::Medium, Grade::Counter));
        assert!(found[0].owner.is_none());
        assert!(found[0].headline.contains("nobody else is seen"), "{}", found[0].headline);
    }

    #[test]
    fn who_is_in_the_code_that_uses_it_is_shown_and_not_accused() {
        let found = framer(2, &["wire.(*Framer).WriteFrame:51"]);
        assert!(found[0].headline.contains("its owner is unknown"), "{}", found[0].headline);
        assert!(found[0].detail.contains("If it owns the lock"), "{}", found[0].detail);
        assert!(found[0].owner.is_none());
    }

    #[test]
    fn in_one_dump_an_inferred_owner_is_named_as_such() {
        let draw = |dump: &mut Moment| {
            let lock = waits(dump, "batch", &["pods.(*Status).Delete:38"], 2);
            let sends = dump.thread("setter", &["pods.(*Status).Set:45"]);
            sends.seems_to_hold(lock).state_text = "chan send".into();
        };
        let incident = Scene::of(Runtime::Go).dump(0, draw).incident();
        let all = found(&incident);
        assert_eq!(all[0].owner, Some(incident.named("setter")));
        assert!(all[0].headline.contains("seems to own it"), "{}", all[0].headline);
        let series = Scene::of(Runtime::Go).dump(0, draw).dump(2, draw).incident();
        assert!(found(&series).is_empty(), "a series shows whether the owner stays");
    }

    #[test]
    fn a_wait_that_is_not_counted_in_minutes_may_be_a_moment() {
        assert!(framer(0, &["ads.(*Feed).push:4"]).is_empty());
    }

    #[test]
    fn a_long_queue_may_move_however_old_its_oldest_is() {
        let draw = |dump: &mut Moment| {
            for number in 0..20 {
                waits(dump, &number.to_string(), &["wire.(*Framer).write:4"], number % 2);
            }
        };
        assert!(found(&Scene::of(Runtime::Go).dump(0, draw).incident()).is_empty());
    }

    /// Two who wait in a JVM, the second of them with so much CPU time used in between.
    fn parked(used: u64) -> Vec<Finding> {
        let draw = |used: u64| {
            move |dump: &mut Moment| {
                let lock = dump.lock(LockKind::Synchronizer, 0x10);
                for (name, used) in [("a", 0), ("b", used)] {
                    let waiter = dump.thread(name, &["shop.Stock.take:4"]);
                    waiter.waits(lock, WaitFor::Exclusive).cpu = Some(Nanos(1_000_000 + used));
                }
                dump.thread("c", &["shop.Web.answer:9"]).cpu = Some(Nanos(used));
            }
        };
        found(&Scene::of(Runtime::Jvm).dump(0, draw(0)).dump(2, draw(used)).incident())
    }

    #[test]
    fn where_cpu_time_is_counted_who_is_not_woken_uses_none() {
        assert_eq!(parked(0).len(), 1);
        assert!(parked(900_000).is_empty(), "it was woken: the lock was free");
    }
}
