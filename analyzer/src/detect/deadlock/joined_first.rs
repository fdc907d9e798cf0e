//! Goroutines that wait to send, throughout, and whose maker waits for their end: what `deadlock` says of a channel that is
//! emptied when everyone has filled it.
//!
//! ```text
//! goroutine 29 [sync.WaitGroup.Wait]:      < main.(*importer).day
//! goroutine 1955 [chan send]:              < main.(*importer).day.func1
//! created by sync.(*WaitGroup).Go in goroutine 29
//! ```
//!
//! A channel that holds as much as they send lets them end; this one is full. Whoever else receives from it would let
//! one of them go on, so it is the maker itself that was to receive, when it has waited. Where somebody is at something
//! else, that may be who receives, and nothing is said. Which channel it is a dump seldom says.

use std::collections::BTreeMap;

use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase};
use crate::model::{Incident, MemberId};

/// Dumps in which nobody may have gone on.
const STANDS: usize = 3;
/// That nobody else receives is concluded from who is in sight.
const LIKELY: f64 = 0.7;

/// One finding for all who wait so: they mostly are in the same code.
pub(super) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < STANDS {
        return None;
    }
    let mut made: BTreeMap<u64, Vec<MemberId>> = BTreeMap::new();
    let mut makers: Vec<(u64, MemberId)> = Vec::new();
    for id in incident.shown(newest) {
        let Some(thread) = incident.thread(id, newest) else { continue };
        if let Some(parent) = thread.parent {
            made.entry(parent).or_default().push(id);
        }
        if thread.state_text.starts_with("sync.WaitGroup.Wait") && incident.waits_throughout(id) {
            makers.extend(thread.number.map(|number| (number, id)));
        }
    }
    let all_send = |number: &u64| {
        let made = made.get(number).map_or(&[][..], Vec::as_slice);
        !made.is_empty()
            && made.iter().all(|&id| incident.sends(id, newest) && incident.waits_throughout(id))
    };
    makers.retain(|(number, _)| all_send(number));
    let (&(_, first), numbers) = (makers.first()?, makers.iter().map(|(number, _)| number));
    let senders: Vec<MemberId> = numbers.flat_map(|number| made[number].clone()).collect();
    let mut members: Vec<MemberId> = makers.iter().map(|&(_, id)| id).collect();
    members.extend(&senders);
    members.sort_unstable();
    if incident.shown(newest).any(|id| is_elsewhere(incident, &members, id)) {
        return None;
    }
    let (of_makers, of_senders) = (members.len() - senders.len(), senders.len());
    let place = phrase::place(incident, first, newest).unwrap_or_else(|| "its function".into());
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{} in {place} for the end of {of_senders} that {} made and that wait to send; nobody else is in \
             sight who could receive",
            match of_makers {
                1 => format!("{} waits", phrase::who(incident, first)),
                _ => format!("{of_makers} goroutines wait"),
            },
            if of_makers == 1 { "it" } else { "they" },
        ),
        detail: format!(
            "All of them were in the same calls in {}. Which channel they send to is not in the dumps: that \
             who waits for them was to receive from it is concluded from who made them.",
            phrase::number(newest + 1, "dump")
        ),
        next_step: format!(
            "Restart the process if nothing goes on. In {place}, receive while they send: call `Wait` and `close` on a \
             goroutine of its own and range over the channel, or make the channel as large as what is sent in all."
        ),
        frames: phrase::telling_frames(incident, senders[0], newest),
        evidence: vec![
            Evidence {
                dump: Some(newest),
                member: Some(first),
                ..Evidence::text(format!(
                    "{} waits for a WaitGroup in {place} in all dumps",
                    phrase::who(incident, first)
                ))
            },
            Evidence {
                dump: Some(newest),
                value: Some(of_senders as f64),
                ..Evidence::text(format!(
                    "{} wait to send in all dumps, and all that the waiting one has made are among them",
                    phrase::count(incident, &senders)
                ))
            },
        ],
        members,
        ..Finding::default()
    })
}

/// Whether a goroutine may be the one that receives, and is late: it was there in every dump, and is in code of the program
/// with something to do. Who had nothing to do would have received something, and who came or went is another's.
fn is_elsewhere(incident: &Incident, members: &[MemberId], id: MemberId) -> bool {
    let newest = incident.dumps.len() - 1;
    members.binary_search(&id).is_err()
        && incident.in_all_dumps(id)
        && incident.idle(id, newest).is_none()
        && incident.application_calls(id, newest).next().is_some()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Moment, Scene};

    fn goroutine(dump: &mut Moment, number: u64, parent: u64, state: &str, stack: &[&str]) {
        let thread = dump.thread("", stack);
        (thread.kind, thread.number, thread.parent) = (Kind::Goroutine, Some(number), Some(parent));
        (thread.state, thread.state_text) = (ThreadState::Waiting, state.into());
    }

    const WAITS: &[&str] =
        &["sync.runtime_SemacquireWaitGroup", "sync.(*WaitGroup).Wait", "main.day:704"];
    const SENDS: &[&str] = &["main.day.func1:702", "sync.(*WaitGroup).Go.func1"];

    /// One that waits for three, of which the last is in this state, and another goroutine.
    fn found(
        dumps: u64,
        last: (&str, &[&str]),
        other: Option<(u64, &str, &[&str])>,
    ) -> Option<Severity> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| {
                goroutine(dump, 29, 1, "sync.WaitGroup.Wait", WAITS);
                goroutine(dump, 40, 29, "chan send", SENDS);
                goroutine(dump, 41, 29, "chan send", SENDS);
                goroutine(dump, 42, 29, last.0, last.1);
                if let Some((number, state, stack)) = other {
                    goroutine(dump, number, 1, state, stack);
                }
            })
        });
        finding(&scene.incident()).map(|finding| finding.severity)
    }

    #[test]
    fn who_waits_for_the_end_of_those_who_wait_for_it_waits_for_ever() {
        assert_eq!(found(3, ("chan send", SENDS), None), Some(Severity::Medium));
        assert_eq!(found(2, ("chan send", SENDS), None), None, "a moment");
    }

    #[test]
    fn where_one_of_them_does_something_else_they_may_go_on() {
        let works: (&str, &[&str]) = ("running", &["main.parse:30", "main.day.func1:699"]);
        assert_eq!(found(3, works, None), None);
        assert_eq!(found(3, ("IO wait", &["main.read:3", "main.day.func1:699"]), None), None);
    }

    #[test]
    fn where_somebody_else_may_receive_nothing_is_said() {
        let saves: &[&str] = &["internal/poll.runtime_pollWait", "main.save:8", "main.collect:5"];
        let found_beside = |other| found(3, ("chan send", SENDS), Some(other));
        assert_eq!(found_beside((50, "IO wait", saves)), None);
        let idle: &[&str] = &["runtime.gopark", "os/signal.loop"];
        assert_eq!(found_beside((50, "syscall", idle)), Some(Severity::Medium));
    }
}
