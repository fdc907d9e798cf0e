//! Tasks that yield again and again and do next to nothing in between: what `busy-wait` says of them. Each poll looks for
//! something, does not find it, and lets others go first. On the stacks of the workers this is the runtime's own code;
//! what tells it is how little CPU time there is for each poll.
//!
//! ```text
//! while !parcel.swap(false, AcqRel) {     half a microsecond a poll: the runtime needs as much
//!     yield_now().await;
//! }
//! ```

use sigquit_dump::{Nanos, Trace};

use crate::detect::{Evidence, Finding, Grade, Severity, busy_wait, phrase};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId};

/// CPU time of all workers for each poll of these tasks, at most. To poll a task and to queue it anew takes a runtime a
/// tenth of that or a half; work worth a yield takes ten times as long.
const NOTHING: Nanos = Nanos(2_000);
/// Each task is polled so often a second, at least.
const OFTEN: u64 = 1_000;
/// And all of them together use this share of a CPU.
const BURNS: f64 = 0.3;
/// That nothing is done in so short a poll is likely and no more: work in very small pieces looks the same.
const LIKELY: f64 = 0.5;
/// So many are told one by one.
const TOLD: usize = 4;

/// How a future lets others go first.
const YIELDS: &[&str] = &["*::yield_now", "*::yield_now::*"];

/// Tasks that ask, and what that costs.
struct Asking {
    /// Each with how often it was polled.
    tasks: Vec<(MemberId, u64)>,
    polls: u64,
    /// The threads that polled them, and what these used.
    workers: Vec<MemberId>,
    used: Nanos,
    over: Nanos,
}

impl Asking {
    fn each_poll(&self) -> Nanos {
        Nanos(self.used.0 / self.polls.max(1))
    }
}

/// The finding, when there is one: it takes two dumps to count polls.
pub(in crate::detect) fn finding(incident: &Incident) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let asking = asking(incident)?;
    let members: Vec<MemberId> = asking.tasks.iter().map(|&(id, _)| id).collect();
    let place = phrase::place(incident, members[0], newest).unwrap_or_else(|| "one place".into());
    let who = phrase::count(incident, &members);
    let (were, they, seem) = match members.len() {
        1 => ("was", "it", "seems"),
        _ => ("were", "they", "seem"),
    };
    Some(Finding {
        detector: busy_wait::DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: LIKELY,
        headline: format!(
            "{who} {were} polled {} in {} and did next to nothing in each poll, in {place}: {they} {seem} to ask again \
             and again",
            times(asking.polls),
            phrase::duration(asking.over),
        ),
        detail: format!(
            "The workers of the runtime used {} of CPU, {:.1} microseconds for each poll, which is about what the \
             runtime itself needs for one. Each time the task lets others go first and is ready again at once. What it \
             waits for is not known; work that is cut into very small pieces looks the same.",
            phrase::duration(asking.used),
            asking.each_poll().as_secs_f64() * 1e6,
        ),
        next_step: format!(
            "See what the loop in {place} waits for, and who was to bring it about. Then let the task wait for that \
             (`Notify`, a channel, a lock of the runtime's) instead of yielding. When it is work, yield after more of it."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: evidence(incident, &asking),
        members,
        ..Finding::default()
    })
}

/// The threads that poll tasks that ask: they have no use for a CPU.
pub(in crate::detect) fn workers(incident: &Incident) -> Vec<MemberId> {
    asking(incident).map_or(Vec::new(), |asking| asking.workers)
}

fn asking(incident: &Incident) -> Option<Asking> {
    let newest = incident.dumps.len() - 1;
    let tasks: Vec<(MemberId, u64)> =
        incident.shown(newest).filter_map(|id| Some((id, asks(incident, id)?))).collect();
    let polls = tasks.iter().map(|&(_, polls)| polls).sum();
    let over = over(incident, 0, newest).filter(|_| polls > 0)?;
    let tids = incident.pollers();
    let is_worker = |&id: &MemberId| {
        let tid = incident.thread(id, newest).and_then(|thread| thread.os_id);
        tid.is_some_and(|tid| tids.contains(&tid))
    };
    let workers: Vec<MemberId> = incident.ids().filter(is_worker).collect();
    let used = workers.iter().filter_map(|&id| Some(incident.cpu_used(id)?.0.0));
    let used = Nanos(used.fold(0, u64::saturating_add));
    let asking = Asking { tasks, polls, workers, used, over };
    let burns = used.as_secs_f64() >= BURNS * over.as_secs_f64();
    (burns && asking.each_poll() <= NOTHING).then_some(asking)
}

fn times(polls: u64) -> String {
    match polls {
        ..1_000_000 => format!("{polls} times"),
        _ => format!("{:.1} million times", polls as f64 / 1e6),
    }
}

fn evidence(incident: &Incident, asking: &Asking) -> Vec<Evidence> {
    let told = asking.tasks.iter().take(TOLD).map(|&(id, polls)| Evidence {
        text: format!(
            "{}: polled {} in {}, and yields",
            phrase::who(incident, id),
            times(polls),
            phrase::duration(asking.over)
        ),
        dump: incident.dumps.len().checked_sub(1),
        member: Some(id),
        value: Some(polls as f64),
    });
    told.collect()
}

/// How often a task was polled between the first dump and the last, when it was often in each interval and yields
/// wherever a dump shows what it waits for.
fn asks(incident: &Incident, id: MemberId) -> Option<u64> {
    let newest = incident.dumps.len() - 1;
    let tasks: Option<Vec<_>> = (0..=newest).map(|dump| incident.task(id, dump)).collect();
    let tasks = tasks?;
    let polled = |from: usize, to: usize| tasks[to].polls.saturating_sub(tasks[from].polls);
    let often = |to: usize| {
        let seconds = over(incident, to - 1, to).map_or(0.0, Nanos::as_secs_f64);
        seconds > 0.0 && polled(to - 1, to) as f64 >= OFTEN as f64 * seconds
    };
    if newest == 0 || !(1..=newest).all(often) {
        return None;
    }
    let yields = |dump: usize| match tasks[dump].trace {
        Trace::Yielded => Some(true),
        Trace::Pending => {
            let mut calls = incident.calls(id, dump);
            Some(calls.any(|call| matches_any(YIELDS, &call.function)))
        }
        _ => None,
    };
    let seen: Vec<bool> = (0..=newest).filter_map(yields).collect();
    let asks = !seen.is_empty() && seen.iter().all(|&yields| yields);
    asks.then(|| polled(0, newest))
}

/// The time between two dumps.
fn over(incident: &Incident, from: usize, to: usize) -> Option<Nanos> {
    Some(incident.dumps[to].monotonic?.since(incident.dumps[from].monotonic?))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::*;
    use crate::model::scene::Scene;

    const YIELDS: &[&str] = &["tokio::task::yield_now::yield_now", "shop::seek::{{closure}}:3"];
    const SENDS: &[&str] = &["tokio::sync::mpsc::chan::Tx::send", "shop::seek::{{closure}}:3"];

    /// Two tasks, each polled so often a second, on a worker that uses a whole CPU.
    fn found(dumps: u64, frames: &[&str], polls: u64) -> Option<Finding> {
        let scene = (0..dumps).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for number in 1..=2 {
                    let task = dump.task(number, "seeker", frames).task.as_mut().expect("a task");
                    (task.polls, task.polled_by) = (polls * second, Some(7));
                }
                let worker = dump.thread("worker", &["tokio::runtime::task::harness::poll"]);
                (worker.os_id, worker.cpu) = (Some(7), Some(Nanos::from_millis(950 * second)));
            })
        });
        finding(&scene.incident())
    }

    #[test]
    fn tasks_that_yield_and_do_nothing_else() {
        let finding = found(3, YIELDS, 800_000).expect("they ask again and again");
        assert_eq!((finding.severity, finding.members.len()), (Severity::Low, 2));
        assert!(
            finding.headline.contains("polled 3.2 million times in 2.0 s"),
            "{}",
            finding.headline
        );
    }

    #[test]
    fn work_that_yields_in_between_is_well() {
        assert_eq!(found(3, YIELDS, 30_000), None, "sixteen microseconds each");
        assert_eq!(found(3, YIELDS, 100), None);
        assert_eq!(found(1, YIELDS, 800_000), None, "nothing is counted");
    }

    #[test]
    fn messages_that_are_handled_fast_are_no_question() {
        assert_eq!(found(3, SENDS, 800_000), None);
    }
}
