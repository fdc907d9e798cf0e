//! A thread that waits for a permit of a semaphore and seems to have the only one: what `self-deadlock` says of a semaphore
//! that serves as a lock. It was called from behind the line at which all others wait for one, and nobody else is there.
//!
//! ```text
//! portal-3    Semaphore.acquire < Subscriptions.end < Subscriptions.renew:380
//! the others  Semaphore.acquire < Subscriptions.renew:374
//! ```

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, self_deadlock};
use crate::model::{Incident, MemberId, PoolUse};

/// That there is one permit is concluded from where everyone stands.
const LIKELY: f64 = 0.7;
/// So many behind it are bad whatever else goes on.
const MANY: usize = 10;

/// Each who is in its own way, where that lasts.
pub(in crate::detect) fn findings(incident: &Incident) -> Vec<Finding> {
    let limits = incident.limits();
    limits
        .iter()
        .filter_map(|(_, sights)| Some(finding(incident, whose(incident, sights)?, sights)))
        .collect()
}

/// The only one who seems to have a permit, in every dump, and waits for another like everyone else.
pub(in crate::detect) fn whose(incident: &Incident, sights: &[PoolUse]) -> Option<MemberId> {
    let alone = |sight: &PoolUse| match sight.again[..] {
        [one] if sight.limit && sight.holders.is_empty() => Some(one),
        _ => None,
    };
    let one = alone(sights.first()?)?;
    let same = sights.iter().all(|sight| alone(sight) == Some(one));
    let lasts =
        sights.len() > 1 && sights[0].borrowers.iter().all(|&id| incident.waits_throughout(id));
    (same && lasts).then_some(one)
}

fn finding(incident: &Incident, member: MemberId, sights: &[PoolUse]) -> Finding {
    let newest = sights.len() - 1;
    let others = sights[newest].borrowers.iter().copied().filter(|&id| id != member);
    let victims: Vec<MemberId> = others.collect();
    let who = phrase::who(incident, member);
    let mut own = incident.application_calls(member, newest).map(|call| &call.function);
    let (inner, outer) = (own.next(), own.next());
    let within = match (inner, outer) {
        (Some(inner), Some(outer)) => format!("{inner}, called by {outer}"),
        (Some(inner), None) => inner.clone(),
        _ => "its innermost call".into(),
    };
    let behind = match victims.len() {
        0 => String::new(),
        _ => format!("; {} behind it can never go on", phrase::count(incident, &victims)),
    };
    Finding {
        detector: self_deadlock::DETECTOR.name,
        severity: if victims.len() >= MANY { Severity::Critical } else { Severity::High },
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} waits for a permit of a semaphore and seems to have the only one{behind}"
        ),
        detail: format!(
            "It waits in {within}, behind the line at which the others wait for a permit, and nobody else is behind that \
             line. That it has the permit is inferred from the lines."
        ),
        next_step: format!(
            "Restart the process: nothing gives that permit back. In the code, do not ask for a permit within {within}: a \
             semaphore knows no owner, and lets nobody in twice. Split what is called in two, or use a reentrant lock."
        ),
        frames: phrase::telling_frames(incident, member, newest),
        evidence: vec![Evidence {
            text: format!(
                "{who} waits for a permit behind the line that asks for one, in every dump"
            ),
            dump: Some(newest),
            member: Some(member),
            value: None,
        }],
        members: vec![member],
        victims,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const ACQUIRES: [&str; 2] =
        ["java.util.concurrent.locks.LockSupport.park", "java.util.concurrent.Semaphore.acquire"];

    fn found(also: &[&str]) -> Vec<(Incident, Finding)> {
        let draw = |dump: &mut Moment| {
            let waits = |dump: &mut Moment, name: &str, own: &[&str]| {
                let stack: Vec<&str> = ACQUIRES.iter().chain(own).copied().collect();
                dump.thread(name, &stack).is(ThreadState::Waiting);
            };
            waits(
                dump,
                "in-its-own-way",
                &["shop.Terms.end:9", "shop.Terms.renew:5", "shop.Web.answer:2"],
            );
            for name in ["a", "b", "c"] {
                waits(dump, name, &["shop.Terms.renew:3", "shop.Web.answer:2"]);
            }
            if !also.is_empty() {
                dump.thread("also", also);
            }
        };
        let scene = || Scene::of(Runtime::Jvm).dump(0, draw).dump(2, draw).incident();
        findings(&scene()).into_iter().map(|finding| (scene(), finding)).collect()
    }

    #[test]
    fn who_asks_again_behind_the_line_at_which_all_others_wait_is_in_its_own_way() {
        let found = found(&[]);
        let [(incident, finding)] = &found[..] else { panic!("one") };
        assert_eq!(incident.names(&finding.members), ["in-its-own-way"]);
        assert_eq!(incident.names(&finding.victims), ["a", "b", "c"]);
    }

    #[test]
    fn another_behind_that_line_may_have_it() {
        assert!(found(&["shop.Terms.renew:6", "shop.Web.answer:2"]).is_empty());
    }
}
