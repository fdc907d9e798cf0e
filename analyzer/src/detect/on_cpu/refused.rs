//! Goroutines that ask a listener for the next connection and are refused at once, again and again.
//!
//! Who waits for a connection stands in the poller, inside of `Accept`. One that is ready to run in every dump, at one
//! line of `Accept` itself behind that at which others wait, comes back without a wait: the listener is closed, or
//! there are no file descriptors left, and the loop asks again.
//!
//! Who has just taken the connection on which the dumps are asked for is met on the way in, before that line. So
//! nothing is told where nobody shows at which line one waits.

use std::collections::{BTreeMap, HashMap};

use sigquit_dump::{Runtime, ThreadState};

use crate::model::pattern::matches_any;
use crate::model::{Call, Incident, MemberId};

use super::is_preemption;
use super::thresholds::SAME_DUMPS;

/// What gives the next connection, and waits in another function until there is one.
const GIVES_NEXT: &[&str] = &["net.(*TCPListener).Accept*", "net.(*UnixListener).Accept*"];

/// Those who are refused, by the function of the program's own that asks.
pub(in crate::detect) fn refused(incident: &Incident) -> BTreeMap<&str, Vec<MemberId>> {
    let mut places: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    if incident.process.runtime != Runtime::Go || incident.dumps.len() < SAME_DUMPS {
        return places;
    }
    let newest = incident.dumps.len() - 1;
    for (id, place) in incident.found(newest, |id| asks(incident, id, newest)) {
        let is_again = (0..newest).all(|dump| asks(incident, id, dump) == Some(place));
        let stays = || incident.same_activation(id).is_some_and(|activation| activation.whole);
        if is_again && stays() {
            places.entry(&place.function).or_default().push(id);
        }
    }
    if !places.is_empty() {
        let waits = lines_of_waits(incident);
        let comes_back = |&id: &MemberId| {
            let leaf = leaf(incident, id, newest);
            let line = leaf.and_then(|leaf| leaf.line().zip(waits.get(leaf.function.as_str())));
            line.is_some_and(|(line, &waits)| line > waits)
        };
        places.values_mut().for_each(|members| members.retain(comes_back));
        places.retain(|_, members| !members.is_empty());
    }
    places
}

/// For each function that gives the next connection the last line at which anybody waits in it.
fn lines_of_waits(incident: &Incident) -> HashMap<&str, u32> {
    let mut lines: HashMap<&str, u32> = HashMap::new();
    for dump in 0..incident.dumps.len() {
        let outer = |id| {
            let mut outer = incident.calls(id, dump).skip(1);
            outer.find(|call| matches_any(GIVES_NEXT, &call.function))
        };
        for (_, call) in incident.found(dump, outer) {
            let line = call.line().unwrap_or(0);
            lines.entry(&call.function).and_modify(|last| *last = line.max(*last)).or_insert(line);
        }
    }
    lines
}

/// The innermost call but for what preempts a goroutine.
fn leaf(incident: &Incident, id: MemberId, dump: usize) -> Option<&Call> {
    incident.calls(id, dump).find(|call| !is_preemption(&call.function))
}

/// The program's own call from which a goroutine that does not wait is in `Accept` itself.
fn asks(incident: &Incident, id: MemberId, dump: usize) -> Option<&Call> {
    let state = incident.thread(id, dump)?.state;
    let runs = matches!(state, ThreadState::Running | ThreadState::Runnable);
    let leaf = leaf(incident, id, dump)?;
    let own = incident.application_calls(id, dump).next()?;
    (runs && matches_any(GIVES_NEXT, &leaf.function)).then_some(own)
}
