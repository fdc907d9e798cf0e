//! Goroutines that ask a listener for the next connection and are refused at once, again and again.
//!
//! Who waits for a connection stands in the poller, inside of `Accept`. One that is ready to run in every dump, at one
//! line of `Accept` itself, does not come to wait: the listener is closed, or there are no file descriptors left, and
//! the loop asks again.

use std::collections::BTreeMap;

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
    places
}

/// The program's own call from which a goroutine that does not wait is in `Accept` itself.
fn asks(incident: &Incident, id: MemberId, dump: usize) -> Option<&Call> {
    let state = incident.thread(id, dump)?.state;
    let runs = matches!(state, ThreadState::Running | ThreadState::Runnable);
    let leaf = incident.calls(id, dump).find(|call| !is_preemption(&call.function))?;
    let own = incident.application_calls(id, dump).next()?;
    (runs && matches_any(GIVES_NEXT, &leaf.function)).then_some(own)
}
