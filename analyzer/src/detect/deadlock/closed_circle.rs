//! A circle of which one link is missing: one who owns a lock waits for another lock whose owners nobody knows, as a
//! JVM's readers are never known. Of all who are in the code of the type that uses that lock only one does not
//! wait for it, or some; and all of these wait behind the first. Whichever of them it is, neither goes on.
//!
//! ```text
//! checkout    owns the basket, and waits to write:  ReentrantReadWriteLock < Catalogue.reserve
//! recommend   waits for the basket:                 Basket.notice < Catalogue.visit
//! ```
//!
//! That whoever is in the type's code has its lock is likely and no more, so this is asked for throughout a series.

use std::collections::BTreeSet;

use sigquit_dump::LockId;

use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{FunctionName, Incident, MemberId};

/// Another type may use the lock as well.
const LIKELY: f64 = 0.6;

/// One that owns what others wait for, and waits for what one of these seems to hold.
struct Circle {
    /// Waits for the lock of unknown owners, and owns another.
    closes: MemberId,
    /// One of these seems to have it.
    inside: Vec<MemberId>,
    lock: LockId,
}

/// Each such circle.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest == 0 {
        return Vec::new();
    }
    let waits = incident.shown(newest).filter(|&id| unowned(incident, id, newest).is_some());
    let circles = waits.filter_map(|id| circle(incident, id, newest));
    circles.map(|circle| finding(incident, &circle, newest)).collect()
}

/// The lock of unknown owners for which a member waits.
pub(super) fn unowned(incident: &Incident, id: MemberId, dump: usize) -> Option<LockId> {
    let wait = incident.thread(id, dump)?.wait.as_ref()?;
    let unowned = incident.wait_for(dump).owners(wait.lock).is_empty();
    (wait.wait_for.needs_owner_to_leave() && unowned).then_some(wait.lock)
}

fn circle(incident: &Incident, closes: MemberId, dump: usize) -> Option<Circle> {
    let lock = unowned(incident, closes, dump)?;
    let thread = incident.member(closes).seen.get(dump).copied().flatten()?;
    let graph = incident.wait_for(dump);
    if !graph.blocks(thread as u32) || !incident.waits_throughout(closes) {
        return None;
    }
    let user = FunctionName::of(&incident.application_calls(closes, dump).next()?.function).owner;
    let of_user = |id: MemberId| incident.is_in_code_of(id, dump, |owner| owner == user);
    let waits_too = |id| unowned(incident, id, dump) == Some(lock);
    let inside: Vec<MemberId> =
        incident.shown(dump).filter(|&id| of_user(id) && !waits_too(id)).collect();
    let behind: BTreeSet<u32> = graph.blocked_by(thread as u32).into_iter().collect();
    let is_lost = |&id: &MemberId| {
        let at = incident.member(id).seen.get(dump).copied().flatten();
        at.is_some_and(|at| behind.contains(&(at as u32))) && incident.waits_throughout(id)
    };
    let closed = !inside.is_empty() && inside.iter().all(is_lost);
    closed.then_some(Circle { closes, inside, lock })
}

fn finding(incident: &Incident, circle: &Circle, dump: usize) -> Finding {
    let Circle { closes, inside, lock } = circle;
    let (closes, lock, first) = (*closes, *lock, inside[0]);
    let members: Vec<MemberId> = inside.iter().copied().chain([closes]).collect();
    let victims = victims(incident, circle, dump);
    let lock = incident.dumps[dump].lock(lock);
    let place = |id| phrase::place(incident, id, dump).unwrap_or_else(|| "its code".into());
    let behind = match victims.len() {
        0 => String::new(),
        _ => format!("; {} behind them can never go on then", phrase::count(incident, &victims)),
    };
    let several = inside.len() > 1;
    let one = match several {
        true => format!("one of {}", phrase::those(incident, inside)),
        false => phrase::who(incident, first),
    };
    let other = phrase::who(incident, closes);
    let fact = |text: String, member| Evidence {
        text,
        dump: Some(dump),
        member: Some(member),
        value: None,
    };
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: match several {
            true => format!("{other} and {one} seem to wait for each other{behind}"),
            false => format!("{one} and {other} seem to wait for each other{behind}"),
        },
        detail: format!(
            "{other} waits for {} in {}, and owns what {} for. Who owns {} is not told; of all who are in that type's \
             code only {} not wait for it, so it is likely {}.",
            phrase::the_lock(lock),
            place(closes),
            if several { "all of these wait".to_owned() } else { format!("{one} waits") },
            phrase::the_lock(lock),
            if several { "these do".to_owned() } else { format!("{one} does") },
            if several { "one of them" } else { "the one" },
        ),
        next_step: format!(
            "Restart the process: if they wait for each other, neither goes on. In the code, take both locks in one \
             order everywhere: look whether {} is called with the first lock in hand, and do not call unknown code \
             under a lock.",
            place(first)
        ),
        frames: phrase::telling_frames(incident, first, dump),
        evidence: vec![
            fact(
                match several {
                    true => format!(
                        "{} wait behind {other}, each in one call in every dump",
                        phrase::those(incident, inside)
                    ),
                    false => format!("{one} waits behind {other}, in one call in every dump"),
                },
                first,
            ),
            fact(
                format!("{other} waits for {}, whose owners are unknown", phrase::the_lock(lock)),
                closes,
            ),
            fact(
                match several {
                    true => {
                        "nobody else is in the code that uses it and does not wait for it".into()
                    }
                    false => {
                        format!("{one} alone is in the code that uses it and does not wait for it")
                    }
                },
                first,
            ),
        ],
        members,
        victims,
        lock: Some(phrase::lock_of(lock)),
        ..Finding::default()
    }
}

/// Everyone else who waits for what the two have, through however many others.
fn victims(incident: &Incident, circle: &Circle, dump: usize) -> Vec<MemberId> {
    let graph = incident.wait_for(dump);
    let of_inside = graph.waiters(circle.lock).iter().copied();
    let both = circle.inside.iter().chain([&circle.closes]);
    let both = both.filter_map(|&id| Some(incident.member(id).seen[dump]? as u32));
    let mut threads: Vec<u32> = both.chain(of_inside).collect();
    threads.extend(graph.blocked_by_all(&threads));
    let members = threads.iter().filter_map(|&at| incident.member_of(dump, at as usize));
    let victims: BTreeSet<MemberId> = members.collect();
    victims
        .into_iter()
        .filter(|&id| id != circle.closes && circle.inside.binary_search(&id).is_err())
        .collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const RESERVES: &[&str] = &[
        "java.util.concurrent.locks.LockSupport.park",
        "shop.Catalogue.reserve:9",
        "shop.Basket.order:3",
    ];
    const VISITS: &[&str] = &["shop.Basket.notice:5", "shop.Catalogue.visit:4", "shop.Hints.run:2"];

    fn found(dumps: u64, also: impl Fn(&mut Moment, u64)) -> usize {
        let draw = |dump: &mut Moment, at: u64| {
            let (shelf, basket) =
                (dump.lock(LockKind::RwLock, 0x10), dump.lock(LockKind::Monitor, 0x20));
            dump.thread("checkout", RESERVES).holds(basket).waits(shelf, WaitFor::Exclusive);
            dump.thread("recommend", VISITS).waits(basket, WaitFor::Exclusive);
            also(dump, at);
        };
        let scene = (0..dumps)
            .fold(Scene::of(Runtime::Jvm), |scene, at| scene.dump(at, |dump| draw(dump, at)));
        findings(&scene.incident()).len()
    }

    #[test]
    fn who_alone_is_in_the_type_that_uses_the_lock_closes_the_circle() {
        assert_eq!(found(2, |_, _| ()), 1);
        assert_eq!(found(1, |_, _| ()), 0, "a moment");
        assert_eq!(found(2, |dump, _| _ = dump.thread("other", &["shop.Mail.send:3"])), 1);
    }

    #[test]
    fn whichever_of_several_has_it_waits_as_well() {
        let another = |dump: &mut Moment, _: u64| {
            let basket = LockId(1);
            dump.thread("hints", VISITS).waits(basket, WaitFor::Exclusive);
        };
        assert_eq!(found(2, another), 1);
    }

    #[test]
    fn another_in_that_code_may_have_it() {
        let counts = ["shop.Catalogue.count:3", "shop.Web.answer:1"];
        assert_eq!(found(2, |dump, _| _ = dump.thread("other", &counts)), 0);
    }

    #[test]
    fn who_moves_is_in_no_circle() {
        let moves = |dump: &mut Moment, at: u64| {
            let threads = &mut dump.dump.threads;
            threads
                .iter_mut()
                .for_each(|thread| thread.cpu = Some(sigquit_dump::Nanos(at * 900_000)));
        };
        assert_eq!(found(2, moves), 0);
    }
}
