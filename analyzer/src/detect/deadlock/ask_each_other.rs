//! Those who answer questions of others over channels, all of whom ask meanwhile: a hint at `deadlock`.
//!
//! ```text
//! customer-3      Receiver::recv < Desk::ask < shop::visit
//! store           Receiver::recv < Desk::ask < shop::answer
//! office          Receiver::recv < Desk::ask < shop::answer
//! ```
//!
//! Whom somebody asks over a channel is in no dump. But where everyone who answers stands in the very function in which
//! everyone else waits for an answer, and nobody else stands or computes all the time who could be the one that is asked, they
//! seem to ask each other. That a function asks, and that one answers, is said by their names, so this is low.

use std::collections::BTreeMap;

use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{Activity, Incident, MemberId, asks_by_name, serves_by_name};

/// Dumps in which nobody may have gone on.
const STANDS: usize = 3;
/// One who asks himself is not told of here.
const FEW: usize = 2;
/// That they ask each other is concluded from names and from who is not there.
const SUSPECTED: f64 = 0.5;

/// One finding for each function in which they ask.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < STANDS {
        return Vec::new();
    }
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for (id, place) in incident.found(newest, |id| asks(incident, id)) {
        places.entry(place).or_default().push(id);
    }
    places.retain(|_, members| {
        members.len() > FEW && members.iter().all(|&id| incident.is_seen_to_stand(id))
    });
    places.into_iter().filter_map(|(place, all)| of_place(incident, place, &all)).collect()
}

/// The function in which a member has asked another one of the program, and waits for the answer for as long as it takes.
fn asks(incident: &Incident, id: MemberId) -> Option<&str> {
    let newest = incident.dumps.len() - 1;
    let place = incident.application_calls(id, newest).next()?;
    let waits = incident.activity(id, newest) == Activity::Event;
    (waits && asks_by_name(&place.function)).then_some(place.function.as_str())
}

/// The innermost function behind the one that asks whose name says that it answers.
fn answers_in(incident: &Incident, id: MemberId, dump: usize) -> Option<&str> {
    let mut own = incident.application_calls(id, dump).map(|call| call.function.as_str());
    own.find(|function| serves_by_name(function))
}

fn of_place(incident: &Incident, place: &str, all: &[MemberId]) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let (answer, only_ask): (Vec<MemberId>, Vec<MemberId>) =
        all.iter().copied().partition(|&id| answers_in(incident, id, newest).is_some());
    let function = answers_in(incident, *answer.first()?, newest)?;
    // A pool's workers answer somebody else, and are the pool's matter.
    if all.iter().any(|&id| incident.runs_task(id, newest)) {
        return None;
    }
    let is_asking = |id: MemberId| all.binary_search(&id).is_ok();
    let same = answer.iter().all(|&id| answers_in(incident, id, newest) == Some(function));
    // One who answers and does not ask may be who is asked.
    let free = |id: MemberId| {
        let in_sight = (0..=newest).any(|dump| incident.is_inside(id, dump, function));
        !is_asking(id) && in_sight
    };
    let may = |id: MemberId| free(id) || !is_asking(id) && is_held_up(incident, id);
    (answer.len() >= FEW && !only_ask.is_empty() && same && !incident.ids().any(may))
        .then(|| finding(incident, place, function, answer, only_ask))
}

/// Whether a member is in one and the same wait, or computes, in every dump: then it may be the one that is asked.
fn is_held_up(incident: &Incident, id: MemberId) -> bool {
    let dumps = || 0..incident.dumps.len();
    let works = || dumps().all(|dump| incident.activity(id, dump) == Activity::Computing);
    incident.in_all_dumps(id)
        && dumps().all(|dump| incident.idle(id, dump).is_none())
        && incident.application_calls(id, 0).next().is_some()
        && (incident.waits_throughout(id) || works())
}

fn finding(
    incident: &Incident,
    place: &str,
    function: &str,
    answer: Vec<MemberId>,
    only_ask: Vec<MemberId>,
) -> Finding {
    let newest = incident.dumps.len() - 1;
    let dumps = phrase::number(newest + 1, "dump");
    let who = phrase::those(incident, &answer);
    let others = phrase::count(incident, &only_ask);
    Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: SUSPECTED,
        headline: format!(
            "{who} may wait for each other: all who are in {function} have asked in {place}, where {others} wait for answers too"
        ),
        detail: format!(
            "Each is in the same call in all of {dumps}, and nobody else stands still or computes who could be the one that is \
             asked. Whom they ask is not in the dumps; that {place} asks and {function} answers is said by their names."
        ),
        next_step: format!(
            "If nothing goes on, restart the process. In the code, see whether those who answer in {function} ask each other in \
             a circle: let each pass the question on instead of waiting for its answer, or give the wait in {place} a \
             timeout."
        ),
        frames: phrase::telling_frames(incident, answer[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(answer.len() as f64),
            ..Evidence::text(format!(
                "all {} in {function} wait in {place} in {dumps}, and so do {} others",
                answer.len(),
                only_ask.len()
            ))
        }],
        members: answer,
        victims: only_ask,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAIT: &str = "std::sys::pal::unix::futex::futex_wait";
    const RECV: &str = "std::sync::mpsc::Receiver::recv";

    fn waits(dump: &mut Moment, name: &str, stack: &[&str], used: u64) {
        dump.thread(name, stack).is(ThreadState::Waiting).cpu = Some(Nanos(5_000_000 + used));
    }

    fn found(other: impl Fn(&mut Moment, u64)) -> Vec<(Severity, usize, usize)> {
        let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for name in ["store", "office"] {
                    waits(dump, name, &[WAIT, RECV, "shop::Desk::ask:4", "shop::answer:9"], 0);
                }
                for number in 0..4 {
                    let name = format!("customer-{number}");
                    waits(dump, &name, &[WAIT, RECV, "shop::Desk::ask:4", "shop::visit:3"], 0);
                }
                other(dump, second);
            })
        });
        let found = findings(&scene.incident());
        found.iter().map(|one| (one.severity, one.members.len(), one.victims.len())).collect()
    }

    #[test]
    fn all_who_answer_have_asked() {
        assert_eq!(found(|_, _| ()), [(Severity::Low, 2, 4)]);
        let idle = |dump: &mut Moment, _| waits(dump, "printer", &[WAIT, RECV, "shop::print:9"], 0);
        assert_eq!(found(idle), [(Severity::Low, 2, 4)], "it has nothing to do");
    }

    #[test]
    fn one_who_may_be_asked_is_at_it() {
        let free =
            |dump: &mut Moment, _| waits(dump, "archive", &[WAIT, RECV, "shop::answer:8"], 0);
        assert_eq!(found(free), [], "one who answers and does not ask");
        let works = |dump: &mut Moment, second: u64| {
            let thread = dump.thread("archive", &["shop::find:8", "shop::desk:2"]);
            thread.is(ThreadState::Running).cpu = Some(Nanos(second * 900_000_000));
        };
        assert_eq!(found(works), [], "it computes");
        let slow = ["recv", "shop::Wire::fetch:8", "shop::desk:2"];
        assert_eq!(found(|dump, _| waits(dump, "archive", &slow, 0)), [], "it waits for a peer");
    }

    #[test]
    fn who_gets_answers_is_well() {
        let moves = |dump: &mut Moment, second: u64| {
            waits(
                dump,
                "customer-9",
                &[WAIT, RECV, "shop::Desk::ask:4", "shop::visit:3"],
                second * 900_000,
            );
        };
        assert_eq!(found(moves), []);
    }
}
