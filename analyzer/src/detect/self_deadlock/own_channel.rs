//! Goroutines that wait to send to a channel that they alone receive from: what `self-deadlock` says of one, and `deadlock`
//! of several.
//!
//! ```text
//! goroutine 27 [chan send]:    main.(*desk).ask < main.(*desk).close < main.(*desk).run
//! goroutine 31 [chan send]:    main.(*desk).ask < main.visit
//! ```
//!
//! A type that is asked over a channel has goroutines of its own, which receive, and which begin in one of its methods.
//! Where one of these waits to send in the very method in which everyone else waits, and nobody else is in the type's
//! code, it waits for itself. Which channel it is, a dump does not say.
//!
//! Without such a method: everybody who is in the program's own code waits to send. Nobody is left who could receive, so
//! those who do are among them, as where workers put back what they failed to do.

use std::collections::BTreeSet;

use sigquit_dump::{Kind, Runtime};

use crate::detect::{Evidence, Finding, Grade, Severity, deadlock, phrase, self_deadlock};
use crate::model::{Activity, Idle, Incident, MemberId, type_of};

/// Dumps in which nobody may have gone on.
const STANDS: usize = 3;
/// That it is their own channel is concluded from whose code they are in.
const LIKELY: f64 = 0.7;
/// So many behind it are bad whatever else goes on.
const MANY: usize = 10;
/// Who answers a request receives for nobody else.
pub(in crate::detect) const ANSWERS: &str = "net/http.(*conn).serve";

/// Those who stand, to send, in every dump.
pub(in crate::detect) fn standing_senders(incident: &Incident) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < STANDS || incident.process.runtime != Runtime::Go {
        return Vec::new();
    }
    let sends = |&id: &MemberId| incident.sends(id, newest) && stands(incident, id);
    incident.shown(newest).filter(sends).collect()
}

fn stands(incident: &Incident, id: MemberId) -> bool {
    incident.waits_throughout(id) && incident.stays(id)
}

/// One finding for each type whose goroutines wait for themselves, or one for all who send.
pub(in crate::detect) fn findings(incident: &Incident) -> Vec<Finding> {
    let senders = standing_senders(incident);
    if senders.is_empty() {
        return Vec::new();
    }
    let mut methods: BTreeSet<&str> = BTreeSet::new();
    for &id in &senders {
        methods.extend(functions(incident, id).next().filter(|method| type_of(method).is_some()));
    }
    let of_types: Vec<Finding> =
        methods.iter().filter_map(|method| of_method(incident, method, &senders)).collect();
    match of_types.is_empty() {
        true => of_all(incident, senders).into_iter().collect(),
        false => of_types,
    }
}

/// The functions of the program's own in which a member is, innermost first.
fn functions(incident: &Incident, id: MemberId) -> impl Iterator<Item = &str> {
    let newest = incident.dumps.len() - 1;
    incident.application_calls(id, newest).map(|call| call.function.as_str())
}

/// The type's own goroutines, where they and others wait in one method, and nobody else is in its code.
fn of_method(incident: &Incident, method: &str, senders: &[MemberId]) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let owner = type_of(method)?;
    let is_of_type = |function: &str| type_of(function) == Some(owner);
    let is_there = |id: MemberId| functions(incident, id).next() == Some(method);
    let begins_in_type = |&id: &MemberId| functions(incident, id).last().is_some_and(is_of_type);
    let in_type = |id| functions(incident, id).any(is_of_type).then_some(());
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (id, ()) in incident.found(newest, in_type) {
        match () {
            () if is_there(id) && !stands(incident, id) => return None,
            () if is_there(id) && begins_in_type(&id) => own.push(id),
            () if is_there(id) => others.push(id),
            // Who waits in another channel without work receives from that one.
            () if incident.idle(id, newest) == Some(Idle::Consumer) && incident.stays(id) => {}
            () => return None,
        }
    }
    // One of its own that does nothing but send was not called by who receives.
    let was_called = |&id: &MemberId| functions(incident, id).nth(1).is_some();
    if own.is_empty() || others.is_empty() || !own.iter().all(was_called) {
        return None;
    }
    // Who is at work may be who receives, as a hub from its clients, or a connection's writer.
    let apart = |id: &MemberId| senders.binary_search(id).is_err() && !is_there(*id);
    let answers = |id: MemberId| incident.is_inside(id, newest, ANSWERS);
    let mut may = incident.shown(newest).filter(apart);
    let severity = match may.any(|id| may_receive(incident, id) && !answers(id)) {
        true => Severity::Low,
        false if others.len() >= MANY => Severity::High,
        false => Severity::Medium,
    };
    Some(taken_in(incident, own, others, severity))
}

fn taken_in(
    incident: &Incident,
    own: Vec<MemberId>,
    others: Vec<MemberId>,
    severity: Severity,
) -> Finding {
    let newest = incident.dumps.len() - 1;
    let place = phrase::place(incident, own[0], newest).unwrap_or_else(|| "its method".into());
    let who = phrase::those(incident, &own);
    let one = own.len() == 1;
    let (waits, seems) = if one { ("waits", "it seems") } else { ("wait", "they seem") };
    let number = phrase::number(others.len(), "other");
    let are = if others.len() == 1 { "waits" } else { "wait" };
    Finding {
        detector: if one { self_deadlock::DETECTOR } else { deadlock::DETECTOR }.name,
        severity,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} {waits} in {place} at a channel from which {seems} to be the one to receive; {number} {are} in the same \
             method"
        ),
        detail: format!(
            "All of them were there in {}, with the same values on their stacks, the channel is full, and nobody else is in \
             that type's code. Which channel it is is not in the dumps: that it is its own is concluded from the method, \
             which is of the type in which {who} began.",
            phrase::number(newest + 1, "dump")
        ),
        next_step: format!(
            "Restart the process: nothing of this goes on by itself. In the code, do not call {place} from the goroutine that \
             receives what it sends: do there at once what is asked, or keep it until what is at hand is done."
        ),
        frames: phrase::telling_frames(incident, own[0], newest),
        evidence: own.iter().take(TOLD).map(|&id| fact(incident, id)).collect(),
        members: own,
        victims: others,
        ..Finding::default()
    }
}

/// So many are told one by one.
const TOLD: usize = 3;

fn fact(incident: &Incident, id: MemberId) -> Evidence {
    let newest = incident.dumps.len() - 1;
    let calls: Vec<&str> = functions(incident, id).collect();
    Evidence {
        text: format!("{} waits in {}", phrase::who(incident, id), calls.join(" < ")),
        dump: Some(newest),
        member: Some(id),
        value: None,
    }
}

/// Everybody who does anything sends, from two places at least: who receives is one of them.
fn of_all(incident: &Incident, senders: Vec<MemberId>) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let places: BTreeSet<&str> =
        senders.iter().filter_map(|&id| functions(incident, id).next()).collect();
    let begun_apart = |id: MemberId| functions(incident, id).last();
    let begun: BTreeSet<&str> = senders.iter().filter_map(|&id| begun_apart(id)).collect();
    let may = |id: MemberId| senders.binary_search(&id).is_err() && may_receive(incident, id);
    if senders.len() < 2 || places.len() < 2 || begun.len() < 2 || incident.shown(newest).any(may) {
        return None;
    }
    let who = phrase::count(incident, &senders);
    let named = phrase::list(&places.iter().map(|&place| place.to_owned()).collect::<Vec<_>>());
    Some(Finding {
        detector: deadlock::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} wait for room in channels in {named}, and nobody else is in sight who could receive: those who were to \
             are among them"
        ),
        detail: format!(
            "Each stayed there in {}, with the same values on its stack. Which channels they send to is not in the dumps. \
             Workers that put back into their own queue what they failed to do look like this once it is full, and so do \
             two that send to each other.",
            phrase::number(newest + 1, "dump")
        ),
        next_step: "Restart the process if nothing goes on. In the code, look for one that sends to the channel which it \
                    receives from, itself or through others: send in a `select` with a default or a receive beside it, keep \
                    what finds no room, or put it back on a goroutine of its own."
            .into(),
        frames: phrase::telling_frames(incident, senders[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(senders.len() as f64),
            ..Evidence::text(format!(
                "{who} wait to send in all of {}",
                phrase::number(newest + 1, "dump")
            ))
        }],
        members: senders,
        ..Finding::default()
    })
}

/// Whether a member may be the one that was to receive: it is at something, or sleeps. Who waits in another channel, or for
/// connections, does not receive from a full one; nor does a main function that sleeps in itself.
pub(in crate::detect) fn may_receive(incident: &Incident, id: MemberId) -> bool {
    let newest = incident.dumps.len() - 1;
    let is_main = || functions(incident, id).eq(["main.main"]);
    let acts = incident.thread(id, newest).is_none_or(|thread| thread.kind != Kind::Goroutine)
        || functions(incident, id).next().is_some();
    match incident.idle(id, newest) {
        Some(Idle::Listener | Idle::Helper) => false,
        Some(Idle::Consumer) => !incident.stays(id),
        Some(Idle::Timer) => !is_main(),
        _ if incident.activity(id, newest) == Activity::Sleeping => !is_main(),
        _ => acts,
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::ThreadState;

    use super::*;
    use crate::model::scene::{Moment, Scene};

    fn goroutine(dump: &mut Moment, number: u64, state: &str, stack: &[&str], values: u32) {
        let thread = dump.thread("", stack);
        (thread.kind, thread.number, thread.values) = (Kind::Goroutine, Some(number), values);
        (thread.state, thread.state_text) = (ThreadState::Waiting, state.into());
    }

    fn found(draw: impl Fn(&mut Moment, u32)) -> Vec<(&'static str, Severity, usize, usize)> {
        let scene = (0..3).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| draw(dump, second as u32))
        });
        let told =
            |one: &Finding| (one.detector, one.severity, one.members.len(), one.victims.len());
        findings(&scene.incident()).iter().map(told).collect()
    }

    const OWN: &[&str] = &[
        "main.(*Desk).Ask:8",
        "main.(*Desk).shut:20",
        "main.(*Desk).serve:30",
        "main.(*Desk).run:40",
    ];
    const ASKS: &[&str] = &["main.(*Desk).Ask:7", "main.visit:3", "main.visitors.func1:2"];

    /// One of the desk's own, and three who ask.
    fn desk(dump: &mut Moment) {
        goroutine(dump, 1, "chan receive", OWN, 7);
        for number in 2..5 {
            goroutine(dump, number, "chan send", ASKS, 7);
        }
    }

    #[test]
    fn who_asks_itself_over_a_full_channel_waits_for_ever() {
        let one = ("self-deadlock", Severity::Medium, 1, 3);
        assert_eq!(found(|dump, _| desk(dump)), [one]);
        // Another desk of the type has nothing to do.
        let beside = |dump: &mut Moment, _| {
            desk(dump);
            goroutine(dump, 9, "chan receive", &["main.(*Desk).run:39"], 5);
        };
        assert_eq!(found(beside), [one]);
    }

    #[test]
    fn where_somebody_else_may_receive_it_is_a_hint_or_nothing() {
        let beside = |stack: &'static [&'static str]| {
            move |dump: &mut Moment, _: u32| {
                desk(dump);
                goroutine(dump, 9, "IO wait", stack, 5);
            }
        };
        let serves =
            &["internal/poll.runtime_pollWait", "main.(*Desk).save:50", "main.(*Desk).run:41"];
        assert_eq!(found(beside(serves)), [], "a second one of its own is at work");
        let of_another = &["internal/poll.runtime_pollWait", "main.(*Wire).write:5"];
        assert_eq!(found(beside(of_another)), [("self-deadlock", Severity::Low, 1, 3)]);
        let answers = &["internal/poll.runtime_pollWait", "main.page:5", ANSWERS];
        assert_eq!(found(beside(answers)), [("self-deadlock", Severity::Medium, 1, 3)]);
    }

    #[test]
    fn a_queue_that_moves_is_served() {
        let moves = |dump: &mut Moment, second: u32| {
            goroutine(dump, 1, "chan receive", OWN, 7 + second);
            for number in 2..5 {
                goroutine(dump, number, "chan send", ASKS, 7);
            }
        };
        assert_eq!(found(moves), []);
    }

    const WORKS: &[&str] = &["main.(*Belt).sort:9"];
    const LOADS: &[&str] = &["main.load.func1:4"];

    /// Three that sort and four that load.
    fn belt(dump: &mut Moment, values: u32) {
        for number in 1..4 {
            goroutine(dump, number, "chan send", WORKS, 7);
        }
        for number in 4..8 {
            goroutine(dump, number, "chan send", LOADS, values);
        }
    }

    #[test]
    fn where_all_send_those_who_were_to_receive_are_among_them() {
        let all = [("deadlock", Severity::Medium, 7, 0)];
        let with = |number, state: &'static str, stack: &'static [&'static str], values: u32| {
            found(move |dump, second| {
                belt(dump, 7);
                goroutine(dump, number, state, stack, 5 + values * second);
            })
        };
        assert_eq!(found(|dump, _| belt(dump, 7)), all);
        assert_eq!(
            with(9, "chan receive", &["main.next:3"], 0),
            all,
            "it waits for another channel"
        );
        assert_eq!(
            with(9, "sleep", &["time.Sleep", "main.main:3"], 0),
            all,
            "it keeps the process alive"
        );
        assert_eq!(
            with(9, "sleep", &["time.Sleep", "main.collect:3"], 0),
            [],
            "it may come and receive"
        );
        let writes = &["internal/poll.runtime_pollWait", "main.write:3"];
        assert_eq!(with(9, "IO wait", writes, 0), [], "a slow one");
        assert_eq!(found(|dump, second| belt(dump, 7 + second)), [], "some go on");
    }
}
