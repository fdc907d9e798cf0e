//! A handler that stops the server which called it, and waits until all requests are done: what `self-deadlock` says of
//! `net/http`. `Shutdown` closes the listeners first and then waits until no connection is in use
//! (<https://pkg.go.dev/net/http#Server.Shutdown>); the connection of the handler is in use for as long as it waits.
//!
//! ```text
//! goroutine 538 [select]:
//! net/http.(*Server).Shutdown(0x12a7bf276000, {0xad8c30, 0xb4e3c0})
//! main.(*ferries).stop(...)
//! net/http.(*conn).serve(0x12a7bf356ea0, {0xad8c68, 0x12a7bf21d860})
//! created by net/http.(*Server).Serve in goroutine 28
//! ```
//!
//! Another server may be stopped that way, and then the handler's own goes on to take connections: goroutine 28 is in
//! `Serve` still. Where it has left `Serve`, its server is the one that was stopped.

use super::own_channel::ANSWERS;
use crate::detect::{Evidence, Finding, Grade, Severity, phrase, self_deadlock};
use crate::model::{Incident, MemberId};

const STOPS: &str = "net/http.(*Server).Shutdown";
const SERVES: &str = "net/http.(*Server).Serve";
/// That the server is its own is inferred, and the wait may end at a time that was set.
const LIKELY: f64 = 0.7;

/// Those who stop their own server, in every dump of a series.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    let stops = |id| incident.is_inside(id, newest, STOPS).then_some(());
    let stopping: Vec<MemberId> = incident.found(newest, stops).map(|(id, ())| id).collect();
    // Where somebody else stops a server as well, it is open who has stopped which.
    if newest == 0 || !stopping.iter().all(|&id| stops_its_own(incident, id)) {
        return Vec::new();
    }
    stopping.into_iter().map(|id| finding(incident, id)).collect()
}

fn stops_its_own(incident: &Incident, id: MemberId) -> bool {
    let newest = incident.dumps.len() - 1;
    let handles =
        |dump| incident.is_inside(id, dump, STOPS) && incident.is_inside(id, dump, ANSWERS);
    let made_by_a_server = incident.creator(id, newest).is_some_and(|call| call.function == SERVES);
    let Some(server) = incident.thread(id, newest).and_then(|thread| thread.parent) else {
        return false;
    };
    let serves = |dump| {
        let is_it = |one: &MemberId| {
            incident.thread(*one, dump).is_some_and(|thread| thread.number == Some(server))
        };
        let found = incident.shown(dump).find(is_it);
        found.is_some_and(|one| incident.is_inside(one, dump, SERVES))
    };
    made_by_a_server && (0..=newest).all(|dump| handles(dump) && !serves(dump))
}

fn finding(incident: &Incident, id: MemberId) -> Finding {
    let newest = incident.dumps.len() - 1;
    let who = phrase::who(incident, id);
    let place = phrase::place(incident, id, newest).unwrap_or_else(|| "its handler".into());
    let fact = |text: String| Evidence { text, dump: None, member: Some(id), value: None };
    Finding {
        detector: self_deadlock::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} answers a request in {place}, has stopped the server that called it, and waits until all requests \
             are done, of which its own is one"
        ),
        detail: format!(
            "Shutdown returns when no connection is in use, and that of {place} is in use until {place} returns. The \
             server takes no more connections meanwhile. That it is its own server is inferred: who served it is in \
             Serve no more. If Shutdown was given a context that ends, it ends then, without having succeeded."
        ),
        next_step: format!(
            "Restart the process. In the code, let {place} answer first, and stop the server on a goroutine of its own \
             (`go server.Shutdown(ctx)`), or tell the one that runs the server to stop it; give the context a deadline."
        ),
        members: vec![id],
        frames: phrase::telling_frames(incident, id, newest),
        evidence: vec![
            fact(format!(
                "{who} waits in Shutdown, within the handling of a request, in {}",
                phrase::number(incident.dumps.len(), "dump")
            )),
            fact("the goroutine that served this connection's server has left Serve".into()),
        ],
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Moment, Scene};

    fn goroutine(dump: &mut Moment, number: u64, stack: &[&str]) {
        let made = dump.thread("", &[SERVES]).stack;
        dump.dump.threads.pop();
        let thread = dump.thread("", stack);
        (thread.kind, thread.number, thread.state) =
            (Kind::Goroutine, Some(number), ThreadState::Waiting);
        (thread.created_by, thread.parent) = (made, Some(28));
    }

    /// A handler that stops a server, and what the one is in that has served it.
    fn found(dumps: u64, server: &[&str], also: Option<&[&str]>) -> usize {
        let scene = (0..dumps).fold(Scene::of(Runtime::Go), |scene, second| {
            scene.dump(second, |dump| {
                goroutine(dump, 28, server);
                goroutine(dump, 538, &[STOPS, "main.stop:9", ANSWERS]);
                if let Some(stack) = also {
                    goroutine(dump, 539, stack);
                }
            })
        });
        findings(&scene.incident()).len()
    }

    const WAITS: &[&str] = &["runtime.chanrecv1", "main.run:7"];

    #[test]
    fn a_handler_that_stops_its_own_server_waits_for_itself() {
        assert_eq!(found(3, WAITS, None), 1);
        assert_eq!(found(1, WAITS, None), 0, "a moment");
        assert_eq!(found(3, WAITS, Some(&["main.sum:3", ANSWERS])), 1);
    }

    #[test]
    fn a_handler_that_stops_another_server_waits_for_that_one() {
        assert_eq!(found(3, &["net.(*TCPListener).Accept", SERVES, "main.run:7"], None), 0);
        assert_eq!(found(3, WAITS, Some(&[STOPS, "main.main:9"])), 0, "which of two is open");
    }
}
