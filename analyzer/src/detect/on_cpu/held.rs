//! A spin lock of the program's own, by where its owner stands: several burn CPU in a function that takes something by its
//! name, and another one is in the function that called it, behind that, and stands.
//!
//! ```text
//! gauge-1, 2, 3    GaugeLine.enter < GaugeLine.level      burn CPU at one line
//! gauge-0          Socket.read < GaugeLine.ask < GaugeLine.level
//! ```
//!
//! The compare-and-swap that they try is compiled into `enter`, and on no stack.

use std::collections::BTreeMap;

use crate::model::{FunctionName, Incident, MemberId, Origin, words};

use super::Candidate;

/// First words of what takes a lock, and of nothing that works for long.
const TAKES: &[&str] = &["acquire", "claim", "enter", "lock", "obtain", "take"];

/// The functions in which they wait so, and in which they were called.
type Ways<'a> = BTreeMap<(&'a str, &'a str), Vec<usize>>;

/// Those of the candidates that seem to spin for a lock whose owner stands, by their places, and that owner.
pub(super) fn for_owner_that_stands(
    incident: &Incident,
    all: &[Candidate],
) -> Vec<(usize, MemberId)> {
    let mut ways: Ways = BTreeMap::new();
    for (at, candidate) in all.iter().enumerate() {
        if let Some(way) = way(incident, candidate) {
            ways.entry(way).or_default().push(at);
        }
    }
    let hot = |id: MemberId| all.iter().any(|candidate| candidate.member == id);
    let held = ways.into_iter().filter_map(|((takes, caller), members)| {
        let owners = owners(incident, takes, caller);
        let owner = owners.into_iter().find(|&id| !hot(id))?;
        Some(members.into_iter().map(move |at| (at, owner)))
    });
    held.flatten().collect()
}

/// The function in which one that is unmoved takes something, and who called it.
fn way<'a>(incident: &'a Incident, candidate: &Candidate) -> Option<(&'a str, &'a str)> {
    if !candidate.is_unmoved() || candidate.sleeps() {
        return None;
    }
    let activation = candidate.activation.as_ref()?;
    let calls = activation.calls.iter().map(|&call| incident.call(call));
    let mut own = calls.filter(|call| call.origin == Origin::Application);
    let (takes, caller) = (&own.next()?.function, &own.next()?.function);
    let (inner, outer) = (FunctionName::of(takes), FunctionName::of(caller));
    let first = words(inner.method).into_iter().next()?;
    (inner.owner == outer.owner && TAKES.contains(&first.as_str())).then_some((takes, caller))
}

/// Who stands in the caller, and not where the others spin.
fn owners(incident: &Incident, takes: &str, caller: &str) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let is_behind = |id: MemberId| {
        let mut own = incident.application_calls(id, newest).map(|call| call.function.as_str());
        let inner: Vec<&str> = own.by_ref().take_while(|&function| function != caller).collect();
        let is_in_caller = incident.is_inside(id, newest, caller);
        (is_in_caller && !inner.contains(&takes)).then_some(())
    };
    let behind = incident.found(newest, is_behind).map(|(id, ())| id);
    behind
        .filter(|&id| incident.idle(id, newest).is_none() && incident.waits_throughout(id))
        .collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, Runtime, ThreadState};

    use super::super::classify;
    use crate::model::scene::{Draw, Scene};

    const LEVEL: &str = "river.Line.level:4";

    /// How many of three that burn CPU in a function spin for a lock whose owner stands.
    fn found(burns: &str, other: &[&str]) -> usize {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Jvm), |scene, second| {
                scene.dump(second, |dump| {
                    for name in ["gauge-1", "gauge-2", "gauge-3"] {
                        let thread = dump.thread(name, &[burns, LEVEL, "river.Station.run:2"]);
                        thread.is(ThreadState::Runnable).cpu = Some(Nanos(second * 600_000_000));
                    }
                    dump.thread("gauge-0", other).cpu = Some(Nanos(5_000_000));
                })
            })
            .incident();
        let waits = classify(&incident).waits;
        waits.iter().flatten().count()
    }

    #[test]
    fn those_who_take_what_one_that_stands_has() {
        let asks = [
            "sun.nio.ch.SocketDispatcher.read0",
            "river.Wire.ask:9",
            "river.Line.level:5",
            "river.Station.run:2",
        ];
        assert_eq!(found("river.Line.enter:8", &asks), 3);
        assert_eq!(found("river.Line.smooth:8", &asks), 0, "it computes, by its name");
        let elsewhere =
            ["sun.nio.ch.SocketDispatcher.read0", "river.Wire.ask:9", "river.Station.run:3"];
        assert_eq!(found("river.Line.enter:8", &elsewhere), 0, "nobody is behind it");
    }
}
