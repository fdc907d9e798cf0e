//! Requests in Go that wait for room in a channel that counts how many may go on at a time, where nobody is seen who goes on:
//! what `connection-pool-exhaustion` says of a buffered channel as a semaphore.
//!
//! ```text
//! slots <- struct{}{}      60 requests wait here
//! next.ServeHTTP(w, r)     and nobody is here
//! <-slots
//! ```
//!
//! Who has sent is behind that line of the same function until it takes out what it has put in. Where nobody is, those who had
//! a slot have left without giving it back, by a panic that the server recovers, or by an early return. A queue whose
//! receiver has ended looks alike: the requests stand either way. Where somebody who answers no request is at something, it
//! may be what they send to, and nothing is said.

use std::collections::BTreeMap;

use crate::detect::self_deadlock::own_channel::{ANSWERS, may_receive, standing_senders};
use crate::detect::{Evidence, Finding, Grade, Severity, connection_pool_exhaustion, phrase};
use crate::model::{Incident, MemberId};

/// Fewer may wait for one that is slow.
const SOME: usize = 10;
/// That it is a semaphore is concluded from who is not there.
const LIKELY: f64 = 0.6;

/// One finding for each function in which requests stand.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let senders = standing_senders(incident);
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for id in senders.into_iter().filter(|&id| incident.is_inside(id, newest, ANSWERS)) {
        if let Some(call) = incident.application_calls(id, newest).next() {
            places.entry(&call.function).or_default().push(id);
        }
    }
    places.retain(|_, members| members.len() >= SOME);
    // A worker that is at something may be the one that takes what they send.
    let answers = |id: MemberId| incident.is_inside(id, newest, ANSWERS);
    let works =
        |id: MemberId| !incident.sends(id, newest) && may_receive(incident, id) && !answers(id);
    if places.is_empty() || incident.shown(newest).any(works) {
        return Vec::new();
    }
    let stuck = places.into_iter().filter(|(place, members)| nobody_else(incident, place, members));
    stuck.map(|(place, members)| finding(incident, place, members)).collect()
}

/// Whether nobody but these is in a function, in any dump.
fn nobody_else(incident: &Incident, place: &str, members: &[MemberId]) -> bool {
    (0..incident.dumps.len()).all(|dump| {
        let is_there = |id: MemberId| incident.is_inside(id, dump, place).then_some(());
        let mut there = incident.found(dump, is_there);
        there.all(|(id, ())| members.binary_search(&id).is_ok())
    })
}

fn finding(incident: &Incident, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let dumps = phrase::number(newest + 1, "dump");
    let who = phrase::number(members.len(), "request");
    Finding {
        detector: connection_pool_exhaustion::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} wait in {place} for room in a channel, and nobody who got some is there: slots seem not to have been \
             given back"
        ),
        detail: format!(
            "Each stayed at that line in {dumps}, with the same values on its stack, so nobody was let in. Who is let in \
             goes on in {place}, and nobody else is in it: that it takes out there what it has put in, as a semaphore, is \
             inferred. A queue that nobody empties looks like this too."
        ),
        next_step: format!(
            "Restart the process: a lost slot does not come back. In the code, give it back by `defer` right after the line \
             in {place} that takes it: a panic, which net/http recovers, comes by no other. Take it in a `select` with \
             the request's context."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(members.len() as f64),
            ..Evidence::text(format!(
                "{who} at one line of {place} in {dumps}, and nobody behind it"
            ))
        }],
        members,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Moment, Scene};

    const WAITS: &[&str] = &["main.limit.func1:9", "net/http.serverHandler.ServeHTTP", ANSWERS];
    const GOES_ON: &[&str] =
        &["main.page:20", "main.limit.func1:10", "net/http.serverHandler.ServeHTTP", ANSWERS];

    fn goroutine(dump: &mut Moment, number: u64, state: &str, stack: &[&str], values: u32) {
        let thread = dump.thread("", stack);
        (thread.kind, thread.number, thread.values) = (Kind::Goroutine, Some(number), values);
        (thread.state, thread.state_text) = (ThreadState::Waiting, state.into());
    }

    /// Requests that wait, and what else there is.
    fn found(requests: u64, moves: bool, other: impl Fn(&mut Moment, u64)) -> Vec<Finding> {
        let scene = (0..3).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| {
                for number in 1..=requests {
                    let values = if moves { 7 + second as u32 } else { 7 };
                    goroutine(dump, number, "chan send", WAITS, values);
                }
                other(dump, second);
            })
        });
        findings(&scene.incident())
    }

    #[test]
    fn requests_stand_and_nobody_has_a_slot() {
        let findings = found(12, false, |_, _| ());
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 12));
        assert_eq!(found(9, false, |_, _| ()), [], "too few");
    }

    #[test]
    fn slots_that_are_in_use_or_change_hands_are_well() {
        let slow = |dump: &mut Moment, _: u64| goroutine(dump, 90, "IO wait", GOES_ON, 3);
        assert_eq!(found(12, false, slow), []);
        let soon = |dump: &mut Moment, second: u64| {
            if second == 1 {
                goroutine(dump, 90, "runnable", GOES_ON, 3);
            }
        };
        assert_eq!(found(12, false, soon), [], "one dump met it");
        assert_eq!(found(12, true, |_, _| ()), [], "they are let in and come again");
        let mails = &["internal/poll.runtime_pollWait", "main.deliver:8", "main.work:3"];
        let worker = |dump: &mut Moment, _: u64| goroutine(dump, 90, "IO wait", mails, 3);
        assert_eq!(found(12, false, worker), [], "they wait for workers, who wait for a peer");
    }
}
