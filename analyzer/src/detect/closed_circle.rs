//! A circle of which one link is missing: one who owns a lock waits for another lock whose owners nobody knows, as a
//! JVM's readers are never known. Of all who are in the code of the type that uses that lock only one does not
//! wait for it; and that one waits behind the first.
//!
//! ```text
//! checkout    owns the basket, and waits to write:  ReentrantReadWriteLock < Catalogue.reserve
//! recommend   waits for the basket:                 Basket.notice < Catalogue.visit
//! ```
//!
//! That whoever is in the type's code has its lock is likely and no more, so this is asked for throughout a series.

use std::collections::BTreeSet;

use sigquit_dump::LockId;

use super::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{FunctionName, Incident, MemberId};

/// Another type may use the lock as well.
const LIKELY: f64 = 0.6;

/// Two of whom one waits for a lock of the other, which waits for what the first seems to hold.
struct Circle {
    /// Waits for the lock of unknown owners, and owns another.
    closes: MemberId,
    /// Seems to have it.
    inside: MemberId,
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
    let of_user = |id: MemberId| {
        incident
            .application_calls(id, dump)
            .any(|call| FunctionName::of(&call.function).owner == user)
    };
    let waits_too = |id| unowned(incident, id, dump) == Some(lock);
    let mut others = incident.shown(dump).filter(|&id| of_user(id) && !waits_too(id));
    let inside = others.next().filter(|_| others.next().is_none())?;
    let at = incident.member(inside).seen.get(dump).copied().flatten()?;
    let behind = || graph.blocked_by(thread as u32).contains(&(at as u32));
    let closed = behind() && incident.waits_throughout(inside);
    closed.then_some(Circle { closes, inside, lock })
}

fn finding(incident: &Incident, circle: &Circle, dump: usize) -> Finding {
    let &Circle { closes, inside, lock } = circle;
    let members = vec![inside, closes];
    let victims = victims(incident, circle, dump);
    let lock = incident.dumps[dump].lock(lock);
    let place = |id| phrase::place(incident, id, dump).unwrap_or_else(|| "its code".into());
    let behind = match victims.len() {
        0 => String::new(),
        _ => format!("; {} behind them can never go on then", phrase::count(incident, &victims)),
    };
    let (one, other) = (phrase::who(incident, inside), phrase::who(incident, closes));
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
        headline: format!("{one} and {other} seem to wait for each other{behind}"),
        detail: format!(
            "{other} waits for {} in {}, and owns what {one} waits for. Who owns {} is not told; of all who are in \
             that type's code only {one} does not wait for it, so it is likely the one.",
            phrase::the_lock(lock),
            place(closes),
            phrase::the_lock(lock),
        ),
        next_step: format!(
            "Restart the process: if they wait for each other, neither goes on. In the code, take both locks in one \
             order everywhere: look whether {} is called with the first lock in hand, and do not call unknown code \
             under a lock.",
            place(inside)
        ),
        frames: phrase::telling_frames(incident, inside, dump),
        evidence: vec![
            fact(format!("{one} waits behind {other}, in one call in every dump"), inside),
            fact(
                format!("{other} waits for {}, whose owners are unknown", phrase::the_lock(lock)),
                closes,
            ),
            fact(
                format!("{one} alone is in the code that uses it and does not wait for it"),
                inside,
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
    let both = [circle.closes, circle.inside];
    let both = both.iter().filter_map(|&id| Some(incident.member(id).seen[dump]? as u32));
    let mut threads: Vec<u32> = both.chain(of_inside).collect();
    threads.extend(graph.blocked_by_all(&threads));
    let members = threads.iter().filter_map(|&at| incident.member_of(dump, at as usize));
    let victims: BTreeSet<MemberId> = members.collect();
    victims.into_iter().filter(|&id| id != circle.closes && id != circle.inside).collect()
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
