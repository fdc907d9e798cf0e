//! A circle of class initialisations of which one link may be any of several: whoever initialises a class whose
//! initialiser is on nobody's stack initialises its superclass first, and is one of those who wait for that.
//!
//! ```text
//! web-1          in Money.<clinit>, waits for Euro
//! web-2, web-3   wait for Money; one of them has Euro, whose superclass is Money
//! ```
//!
//! Whichever it is, it waits for the first, and the first for it.

use std::collections::BTreeSet;

use sigquit_dump::LockId;

use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{Incident, MemberId};

/// One who waits for a class that one of others has, all of whom wait behind the first.
struct Circle {
    class: LockId,
    /// Waits for the class, and has another.
    closes: MemberId,
    /// One of them has it.
    candidates: Vec<MemberId>,
}

/// Each such circle.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let unseen = incident.initialised_unseen(newest);
    let circles = unseen.into_iter().filter_map(|(class, candidates)| {
        let closes = closes(incident, class, &candidates, newest)?;
        Some(Circle { class, closes, candidates })
    });
    circles.map(|circle| finding(incident, &circle, newest)).collect()
}

/// Who waits for the class and is what all wait for, directly or behind each other, of whom one has it.
fn closes(
    incident: &Incident,
    class: LockId,
    candidates: &[MemberId],
    dump: usize,
) -> Option<MemberId> {
    let graph = incident.wait_for(dump);
    let stays = |id: MemberId| dump == 0 || incident.waits_throughout(id);
    let thread = |id: MemberId| Some(incident.member(id).seen[dump]? as u32);
    if candidates.len() < 2 || !candidates.iter().all(|&id| stays(id)) {
        return None;
    }
    let owners = graph.waiters(class).iter().copied().filter(|&waiter| graph.blocks(waiter));
    let mut closing = owners.filter(|&owner| {
        let behind: BTreeSet<u32> = graph.blocked_by(owner).into_iter().collect();
        let is_behind = |&id: &MemberId| thread(id).is_some_and(|at| behind.contains(&at));
        candidates.iter().all(is_behind)
    });
    incident.member_of(dump, closing.next()? as usize).filter(|&id| stays(id))
}

fn finding(incident: &Incident, circle: &Circle, dump: usize) -> Finding {
    let Circle { class, closes, candidates } = circle;
    let grade = if dump == 0 { Grade::Pattern } else { Grade::Repeat };
    let victims = victims(incident, circle, dump);
    let lock = incident.dumps[dump].lock(*class);
    let (one, others) = (phrase::who(incident, *closes), phrase::those(incident, candidates));
    let lost = 1 + candidates.len() + victims.len();
    let place = phrase::place(incident, *closes, dump).unwrap_or_else(|| "its initialiser".into());
    let fact = |text: String, member| Evidence { text, dump: Some(dump), member, value: None };
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: if dump == 0 { Severity::Medium } else { Severity::High },
        grade,
        confidence: grade.cap(),
        headline: format!(
            "{one} waits for {}, which one of {others} initialises, all of which wait for {one}; none of the {lost} can \
             go on",
            phrase::the_lock(lock),
        ),
        detail: format!(
            "A class's superclass is initialised before its own initialiser runs. Nobody is in the initialiser that \
             {one} waits for, so whoever has begun that class initialises its superclass, and is one of those who wait \
             for a class: {others}. Which one is not told; each of them waits for what {one} initialises."
        ),
        next_step: format!(
            "Keep the dumps and restart the process; nothing else frees these threads. Let no class need its own \
             subclass while it is initialised, as in {place}: make what it needs later, or in another class."
        ),
        frames: phrase::telling_frames(incident, *closes, dump),
        lock: Some(phrase::lock_of(lock)),
        evidence: vec![
            fact(format!("{one} waits for {}", phrase::the_lock(lock)), Some(*closes)),
            fact(format!("{others} wait for what {one} initialises"), candidates.first().copied()),
        ],
        members: std::iter::once(*closes).chain(candidates.iter().copied()).collect(),
        victims,
        ..Finding::default()
    }
}

/// Everyone else who waits for the class.
fn victims(incident: &Incident, circle: &Circle, dump: usize) -> Vec<MemberId> {
    let graph = incident.wait_for(dump);
    let of_closing = incident.member(circle.closes).seen[dump].map(|at| at as u32);
    let behind = graph.blocked_by_all(graph.waiters(circle.class));
    let all = graph.waiters(circle.class).iter().copied().chain(behind);
    let all = all.filter(|&at| Some(at) != of_closing);
    let members = all.filter_map(|at| incident.member_of(dump, at as usize));
    let victims: BTreeSet<MemberId> = members.collect();
    victims.into_iter().filter(|id| circle.candidates.binary_search(id).is_err()).collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Owner, OwnerSource, Runtime, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const INITIALISES: &[&str] = &["shop.Money.prepared:4", "shop.Money.<clinit>:3"];
    const USES: &[&str] = &["shop.Report.sum:7", "shop.Report.run:9"];

    /// One in `Money`'s initialiser that needs `Euro`, or computes; two that want `Money`, and one that wants `Euro`.
    fn money(dump: &mut Moment, needs: bool) {
        let class = |dump: &mut Moment, name: &str| {
            let lock = dump.lock(LockKind::ClassInitialisation, 0);
            dump.dump.locks[lock.0 as usize].address = None;
            dump.dump.locks[lock.0 as usize].type_name = Some(name.into());
            lock
        };
        let (money, euro) = (class(dump, "shop.Money"), class(dump, "shop.Euro"));
        let first = dump.thread("first", INITIALISES).seems_to_hold(money);
        if needs {
            first.waits(euro, WaitFor::Exclusive);
        }
        let owner = Owner { thread: 0, source: OwnerSource::Inferred };
        dump.dump.locks[money.0 as usize].owners.push(owner);
        for name in ["a", "b"] {
            dump.thread(name, USES).waits(money, WaitFor::Exclusive);
        }
        dump.thread("late", USES).waits(euro, WaitFor::Exclusive);
    }

    fn found(dumps: u64, draw: impl Fn(&mut Moment)) -> Vec<(Incident, Finding)> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Jvm), |scene, at| scene.dump(at, &draw));
        let incident = scene.incident();
        let findings = findings(&incident);
        findings.into_iter().map(|finding| (incident_of(dumps, &draw), finding)).collect()
    }

    fn incident_of(dumps: u64, draw: &impl Fn(&mut Moment)) -> Incident {
        (0..dumps).fold(Scene::of(Runtime::Jvm), |scene, at| scene.dump(at, draw)).incident()
    }

    #[test]
    fn whichever_has_the_class_waits_for_the_first() {
        let found = found(2, |dump| money(dump, true));
        let [(incident, finding)] = &found[..] else { panic!("one circle") };
        assert_eq!(incident.names(&finding.members), ["a", "b", "first"]);
        assert_eq!(incident.names(&finding.victims), ["late"]);
        assert_eq!((finding.severity, finding.grade), (Severity::High, Grade::Repeat));
        assert!(finding.headline.contains("one of \"a\""), "{}", finding.headline);
    }

    #[test]
    fn one_dump_is_a_pattern() {
        let found = found(1, |dump| money(dump, true));
        assert_eq!((found[0].1.severity, found[0].1.grade), (Severity::Medium, Grade::Pattern));
    }

    #[test]
    fn an_initialiser_that_is_slow_is_no_circle() {
        assert!(found(2, |dump| money(dump, false)).is_empty());
    }

    #[test]
    fn one_in_another_initialiser_may_have_the_class() {
        let with_another = |dump: &mut Moment| {
            money(dump, true);
            dump.thread("other", &["shop.Rates.read:2", "shop.Coin.<clinit>:3"]);
        };
        assert!(found(2, with_another).is_empty());
    }
}
