//! Who took the dumps: a goroutine of the program may print everyone by `runtime.Stack` for itself.
//!
//! ```text
//! goroutine 6 [running]:
//! main.watch()
//! ```
//!
//! It stands first, and running, in every dump that it takes, in the function that asks: at one place, whatever it does
//! in between. (<https://pkg.go.dev/runtime#Stack>: the caller's trace is followed by all others'.) That says
//! nothing of the process, and is no work in it.

use sigquit_dump::{Dump, Runtime};

use super::incident::Incident;

/// Takes those who took the dumps for helpers. A single dump may be a piece of what SIGQUIT printed, of which the
/// first one may be anybody; SIGQUIT ends the process, and so leaves no series.
pub(super) fn set_aside(incident: &mut Incident) {
    let of_go = incident.process.runtime == Runtime::Go;
    if of_go && incident.dumps.len() > 1 && incident.dumps.iter().all(begins_with_the_asker) {
        let askers = incident.dumps.iter_mut().filter_map(|dump| dump.threads.first_mut());
        askers.for_each(|asker| asker.runtime_helper = true);
    }
}

fn begins_with_the_asker(dump: &Dump) -> bool {
    // Of a crash the first is who brought it about.
    let is_report = !dump.notices.is_empty();
    !is_report && dump.threads.first().is_some_and(|first| first.state_text == "running")
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use crate::model::scene::{Moment, Scene};
    use crate::model::{Idle, Incident};

    fn first(states: [&'static str; 2]) -> Option<Idle> {
        let draw = |state: &'static str| {
            move |dump: &mut Moment| {
                let asker = dump.thread("6", &["shop.watch:8"]);
                asker.state_text = state.into();
                let worker = dump.thread("7", &["shop.sum:4", "shop.work:2"]);
                worker.state_text = "running".into();
            }
        };
        let [before, after] = states;
        let incident: Incident =
            Scene::of(Runtime::Go).dump(0, draw(before)).dump(9, draw(after)).incident();
        assert_eq!(incident.idle(incident.named("7"), 1), None);
        incident.idle(incident.named("6"), 1)
    }

    #[test]
    fn who_stands_first_and_runs_in_every_dump_has_taken_them() {
        assert_eq!(first(["running", "running"]), Some(Idle::Helper));
    }

    #[test]
    fn who_only_waits_for_a_cpu_has_not() {
        assert_eq!(first(["running", "runnable"]), None);
    }
}
