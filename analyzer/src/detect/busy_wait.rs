//! `busy-wait`: threads that burn CPU until something happens.

pub(super) mod async_asking;

use std::collections::BTreeSet;

use super::on_cpu::{self, Candidate};
use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Incident, MemberId};

pub(super) const DETECTOR: Detector = Detector {
    name: "busy-wait",
    documentation: "\
# busy-wait

A thread waits for something by asking again and again: a flag, a compare-and-swap that fails, a
try-lock, a yield in a loop. While it waits it takes a CPU from those who could make it come true.

## Evidence

- The same as for `spin-loop`: it wants a CPU in every interval, in the same call in every dump.
- And the loop is a wait: its functions give a spin hint (`spin_loop`, `onSpinWait`), yield, try to
  take a lock or a word (`try_lock`, `compare_exchange`), or are named for it (`SpinLock.lock`,
  `wait_until`); or three dumps meet it at one line that looks at an atomic word; or looks at the
  registers show that nothing changes but the place in the code, as in a loop that reads a flag. A
  link that leads to itself, followed for ever, looks the same, and so does a computation that comes to the same each time,
  unless the loop's machine code was understood: then one that reads no memory that changes, or that reads where
  what it read leads, is a `spin-loop`; and one that counts how often it asked is a wait all the same.
- Or it is met at one line of a function that takes something by its name (`enter`, `acquire`), and another stands in the
  function of the same type that called it, behind that: that one seems to have what they spin for.
- Or several in one function are met in three dumps at nothing but questions: in the loop itself, at a lock that they
  take or give back, at a yield or a look. Two that give way to each other for ever (a livelock) look like this. Work
  that takes a lock or yields at every step and calls nothing else does as well, so this is a hint, and low.
- Or async tasks yield wherever a dump shows them, and are polled so often that all workers of the runtime used no more than
  two microseconds of CPU for each of their polls, which is what the runtime needs itself. Work in very small pieces looks
  the same, so this is low.

## Limits

Needs two dumps. By names alone, without looks at the registers, it is believed with less
confidence. A goroutine that yields is queued at the yield, whatever it does in between: of one alone that
is no evidence, of several a hint. A look that is compiled into the loop (a plain flag, a `select` with a default, a
spin hint or a compare-and-swap that the compiler knows) is on no stack: without looks at the registers that is
`cpu-hot`, and a CPU profile tells more. At which instruction a loop is met does not tell either: two that sum up a slice
are met at one, as two are that ask for a flag. Wait strategies that are meant to burn a CPU (Disruptor, Agrona) are left out. What
the loop waits for is not known; look at who writes the flag or holds the lock.

## What to do

Find who was to set the flag or to release the lock, and where that thread is in these dumps. Then
wait with something that sleeps: a condition variable, a channel, `park`.
",
    detect,
};

/// That they do not work between the questions is concluded from a few sights.
const ASKING: f64 = 0.5;
/// That it fails is concluded from where they are met.
const REFUSED: f64 = 0.6;

fn detect(incident: &Incident) -> Vec<Finding> {
    let on_cpu = on_cpu::classify(incident);
    let waits = on_cpu.waits.iter().map(|wait| finding(incident, &on_cpu.these(wait)));
    let hints = on_cpu.asks.iter().map(|asking| hint(incident, &on_cpu.these(asking)));
    let refused = on_cpu::refused(incident).into_iter();
    let refused = refused.map(|(place, members)| refusal(incident, place, members));
    waits.chain(hints).chain(refused).chain(async_asking::finding(incident)).collect()
}

/// Those who ask a listener that fails.
fn refusal(incident: &Incident, place: &str, members: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let (who, dumps) = (phrase::count(incident, &members), phrase::number(newest + 1, "dump"));
    let seem = if members.len() == 1 { "seems" } else { "seem" };
    let are = if members.len() == 1 { "is" } else { "are" };
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: REFUSED,
        headline: format!(
            "{who} {seem} to ask a listener that fails for the next connection, again and again, in {place}"
        ),
        detail: format!(
            "Ready to run at one line of Accept in all of {dumps}, and in none where Accept waits. CPU time is not \
             counted: a listener to which connections come all the time may be met so by chance."
        ),
        next_step: format!(
            "Look at the error that Accept returns in {place}: end the loop where the listener is closed \
             (`net.ErrClosed`), and wait a little after any other one."
        ),
        frames: phrase::telling_frames(incident, members[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(members.len() as f64),
            ..Evidence::text(format!("{who} {are} ready to run in Accept itself in all of {dumps}"))
        }],
        members,
        ..Finding::default()
    }
}

/// Several that are met at nothing but questions.
fn hint(incident: &Incident, asking: &[&Candidate]) -> Finding {
    let members: Vec<MemberId> = asking.iter().map(|candidate| candidate.member).collect();
    let place = on_cpu::places(incident, asking);
    let counted = asking.iter().all(|candidate| candidate.hot.is_counted());
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Low,
        grade: Grade::Repeat,
        confidence: ASKING,
        headline: format!(
            "{} {} in {place} in every dump, and nothing is met there but {}: they seem to ask again and again",
            phrase::those(incident, &members),
            if counted { "burn CPU" } else { "are ready to run" },
            phrase::list(&questions(incident, asking)),
        ),
        detail: format!(
            "{} Each was in the loop itself or in what it asks, and in nothing that it works on. Two that give way to \
             each other for ever look like this, and so does a loop that waits for a flag; work that asks at every step \
             and calls nothing else would look alike.",
            on_cpu::behaviour(asking)
        ),
        next_step: format!(
            "See what the loop in {place} waits for, and who was to bring it about. Where each tries for what the other \
             has, take the locks in one order; otherwise let the wait sleep (condition variable, channel, park). When it \
             is work, nothing: a CPU profile tells."
        ),
        frames: on_cpu::frames(incident, asking),
        evidence: on_cpu::evidence(incident, asking),
        members,
        ..Finding::default()
    }
}

/// What they are met at, each once.
fn questions(incident: &Incident, asking: &[&Candidate]) -> Vec<String> {
    let asked = asking.iter().filter_map(|candidate| on_cpu::questions(incident, candidate));
    let names = asked.flatten().map(|call| on_cpu::short(&call.function));
    names.collect::<BTreeSet<String>>().into_iter().collect()
}

fn finding(incident: &Incident, waiting: &[&Candidate]) -> Finding {
    let members: Vec<MemberId> = waiting.iter().map(|candidate| candidate.member).collect();
    let belief = on_cpu::belief(waiting);
    let place = on_cpu::places(incident, waiting);
    let who = phrase::count(incident, &members);
    let owner = waiting.iter().find_map(|candidate| candidate.owner);
    Finding {
        detector: DETECTOR.name,
        severity: severity(members.len(), belief.confidence),
        grade: belief.grade,
        confidence: belief.confidence.min(belief.grade.cap()),
        headline: format!(
            "{who} {} CPU in {place}, {}",
            on_cpu::verb(&members, "burns", "burn"),
            match (owner, waiting.iter().any(|candidate| candidate.wait.is_some())) {
                (Some(owner), _) => format!("waiting for what {}", has(incident, owner)),
                (None, true) => "waiting for something that does not come".into(),
                (None, false) => "where nothing changes".into(),
            }
        ),
        detail: format!(
            "{} The loop asks again and again for something that another thread was to do, and \
             takes a CPU while it asks. What it waits for is not known from the stacks.",
            on_cpu::behaviour(waiting)
        ),
        next_step: match owner {
            Some(owner) => free_the_owner(incident, owner),
            None => find_who_ends_it(waiting, &place),
        },
        frames: on_cpu::frames(incident, waiting),
        evidence: on_cpu::evidence(incident, waiting),
        holders: owner.into_iter().collect(),
        members,
        ..Finding::default()
    }
}

fn free_the_owner(incident: &Incident, owner: MemberId) -> String {
    let newest = incident.dumps.len() - 1;
    let who = phrase::who(incident, owner);
    let place = phrase::place(incident, owner, newest).unwrap_or_else(|| "its call".into());
    format!(
        "Look at what keeps {who} in {place}: they spin until it gives back what it has. Give that call a timeout, or make \
         it without the lock; and use a lock whose waiters sleep, as a spin lock is for a few instructions only."
    )
}

fn find_who_ends_it(waiting: &[&Candidate], place: &str) -> String {
    format!(
        "Find who was to end the wait in {place}, by setting the flag or releasing the lock, and \
         where that thread is; then let the wait sleep (condition variable, channel, park).{}",
        match waiting.iter().any(|candidate| candidate.wait.is_some()) {
            true => "",
            false =>
                " If nobody is waited for there, see what the loop computes: it comes to the same each time, as \
                 when numbers have no such precision.",
        }
    )
}

/// That one who stands behind the place where others spin seems to have what they want.
fn has(incident: &Incident, owner: MemberId) -> String {
    let newest = incident.dumps.len() - 1;
    let (who, does) = (phrase::who(incident, owner), incident.activity(owner, newest));
    match phrase::place(incident, owner, newest) {
        Some(place) => format!("{who} seems to have, which {does} in {place}"),
        None => format!("{who} seems to have, which {does}"),
    }
}

/// One that is known by its name alone may be meant so.
fn severity(waiting: usize, confidence: f64) -> Severity {
    if waiting == 1 && confidence < 0.8 { Severity::Medium } else { Severity::High }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Location, Nanos, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene, progressing, recurring};

    /// Three dumps, one second apart.
    fn three(runtime: Runtime, draw: impl Fn(&mut Moment, u64)) -> Incident {
        (0..3)
            .fold(Scene::of(runtime), |scene, second| scene.dump(second, |dump| draw(dump, second)))
            .incident()
    }

    fn found(incident: &Incident) -> Vec<Vec<&str>> {
        detect(incident).iter().map(|finding| incident.names(&finding.members)).collect()
    }

    #[test]
    fn goroutines_in_a_spin_lock_are_known_by_its_name() {
        let incident = three(Runtime::Go, |dump, second| {
            dump.thread("tight", &["main.(*SpinLock).Lock:18", "main.(*Router).Update:35"]);
            let polite: &[&str] = match second {
                0 => &["main.(*SpinLock).LockPolite:22", "main.(*Router).Update:42"],
                _ => &[
                    "runtime.Gosched:338",
                    "main.(*SpinLock).LockPolite:23",
                    "main.(*Router).Update:42",
                ],
            };
            dump.thread("polite", polite);
            dump.thread("idle", &["runtime.gopark:1", "main.idle:47"]).is(ThreadState::Waiting);
        });
        assert_eq!(found(&incident), [["polite", "tight"]]);
        let finding = &detect(&incident)[0];
        assert_eq!(finding.grade, Grade::Repeat);
        assert!(finding.detail.contains("at least 37 % of the time"), "{}", finding.detail);
    }

    #[test]
    fn a_goroutine_that_yields_between_pieces_of_work_does_not_wait() {
        let incident = three(Runtime::Go, |dump, _| {
            dump.thread("w", &["runtime.Gosched:338", "main.compress:80", "main.serve:9"]);
        });
        assert_eq!(found(&incident), [[""; 0]; 0]);
    }

    #[test]
    fn several_that_are_met_at_nothing_but_yields_seem_to_wait() {
        let yields: &[&str] = &["runtime.Gosched:338", "main.relay:80"];
        let severity = |last: &[&str]| {
            let incident = three(Runtime::Go, |dump, second| {
                dump.thread("one", yields);
                dump.thread("two", if second == 2 { last } else { yields });
            });
            let found = detect(&incident);
            found.first().map(|finding| (finding.severity, finding.members.len()))
        };
        assert_eq!(severity(yields), Some((Severity::Low, 2)));
        assert_eq!(severity(&yields[1..]), Some((Severity::Low, 2)));
        assert_eq!(severity(&["main.compress:9", "main.relay:81"]), None, "they work in between");
        assert_eq!(severity(&["strings.Index:7", "main.relay:81"]), None);
    }

    #[test]
    fn several_that_take_locks_and_give_them_back_and_do_nothing_else_seem_to_wait() {
        const UNLOCK: &str = "java.util.concurrent.locks.ReentrantLock.unlock:494";
        let found = |inner: &'static [&'static str], threads: usize| {
            let incident = three(Runtime::Jvm, |dump, second| {
                for number in 0..threads {
                    let line = format!("shop.Till.polite:{}", 40 + second);
                    let mut stack = if second == 0 { inner.to_vec() } else { Vec::new() };
                    stack.extend([line.as_str(), "shop.Till.run:9"]);
                    let name = format!("polite-{number}");
                    dump.thread(&name, &stack).cpu = Some(Nanos::from_millis(900 * second));
                }
            });
            detect(&incident).iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(found(&[UNLOCK], 2), [Severity::Low]);
        assert_eq!(found(&[UNLOCK], 1), [], "one alone may do so for a moment");
        assert_eq!(found(&[], 2), [], "a loop that computes");
        assert_eq!(found(&["shop.Till.count:7"], 2), [], "it works");
        assert_eq!(found(&["java.util.HashMap.get:552"], 2), [], "it works");
    }

    #[test]
    fn who_is_met_in_accept_itself_is_refused_and_who_waits_there_is_not() {
        let accept = "net.(*TCPListener).Accept:389";
        let polls = ["internal/poll.runtime_pollWait:351", accept, "main.open:9"];
        let severity = |stack: &[&str], last: &[&str], state: ThreadState| {
            let incident = three(Runtime::Go, |dump, second| {
                let stack = if second == 2 { last } else { stack };
                dump.thread("opens", stack).is(state);
                let web = [polls[0], "net.(*TCPListener).Accept:387", "main.web:7"];
                dump.thread("web", &web).is(ThreadState::Waiting);
            });
            detect(&incident).first().map(|finding| finding.severity)
        };
        let (asks, ready) = (&[accept, "main.open:9"][..], ThreadState::Runnable);
        assert_eq!(severity(asks, asks, ready), Some(Severity::Medium));
        assert_eq!(severity(&polls, &polls, ThreadState::Waiting), None, "it waits");
        assert_eq!(severity(&polls, &polls, ready), None, "it was woken");
        assert_eq!(severity(asks, &polls, ready), None, "it comes to wait");
        let enters = ["net.(*TCPListener).Accept:384", "main.open:9"];
        assert_eq!(severity(asks, &enters, ready), None);
        assert_eq!(severity(&enters, &enters, ready), None, "it takes who asks for the dumps");
    }

    #[test]
    fn who_is_met_at_the_same_look_in_every_dump_does_nothing_but_look() {
        let loads: &[&str] = &["sync/atomic.(*Bool).Load:19", "main.await:67"];
        let incident = three(Runtime::Go, |dump, second| {
            dump.thread("looks", if second == 2 { &loads[1..] } else { loads });
            let works: &[&str] =
                if second == 1 { &["main.parse:9", "main.await:68"] } else { loads };
            dump.thread("works", works);
        });
        assert_eq!(found(&incident), [["looks"]]);
    }

    #[test]
    fn a_thread_in_a_native_yield_without_counters_is_ready_to_run() {
        let incident = three(Runtime::Jvm, |dump, _| {
            let stack = ["java.lang.Thread.yield", "shop.Ticket.take:48", "shop.Main.run:3"];
            dump.thread("w", &stack);
            let leaf = dump.dump.threads[0]
                .stack
                .map(|stack| dump.dump.stacks[stack.0 as usize].frames[0]);
            let frame = &mut dump.dump.frames[leaf.expect("it has frames").0 as usize];
            frame.symbols[0].location =
                Some(Location { file: "Native Method".into(), ..Location::default() });
        });
        assert_eq!(found(&incident), [["w"]]);
    }

    fn native(stack: &[&str], looks: Option<sigquit_dump::RegisterSamples>) -> Incident {
        three(Runtime::Rust, |dump, second| {
            let thread = dump.thread("w", stack);
            thread.cpu = Some(Nanos::from_millis(900 * second));
            thread.run_delay = Some(Nanos::from_millis(90 * second));
            thread.registers = looks.clone();
        })
    }

    #[test]
    fn registers_of_which_none_changes_are_a_wait_for_memory() {
        let stack = ["order::start::ready:12 pc=10 cfa=100", "order::serve:9 pc=20 cfa=200"];
        let incident = native(&stack, Some(recurring(0)));
        assert_eq!(found(&incident), [["w"]]);
        assert!(detect(&incident)[0].confidence > 0.9);
        assert_eq!(found(&native(&stack, Some(recurring(1)))), [[""; 0]; 0], "that one walks");
    }

    #[test]
    fn a_spin_hint_and_a_failing_exchange_are_known() {
        let hint = [
            "core::hint::spin_loop:1 < order::start::ready:12 pc=10 cfa=100",
            "order::serve:9 pc=20 cfa=200",
        ];
        assert_eq!(found(&native(&hint, None)), [["w"]]);
        let exchange = [
            "core::sync::atomic::AtomicU32::compare_exchange_weak:9 < order::Gate::enter:12 pc=10 cfa=100",
            "order::serve:9 pc=20 cfa=200",
        ];
        assert_eq!(found(&native(&exchange, None)), [["w"]]);
    }

    #[test]
    fn work_that_moves_is_no_wait_whatever_it_is_called() {
        let stack = ["order::wait_for_batch:12 pc=10 cfa=100", "order::serve:9 pc=20 cfa=200"];
        assert_eq!(found(&native(&stack, Some(progressing()))), [[""; 0]; 0]);
    }

    #[test]
    fn work_that_a_waiting_function_calls_is_no_wait() {
        let stack = [
            "order::digest:3 pc=10 cfa=80",
            "order::help_while_waiting pc=12 cfa=90",
            "pool::wait_until_done:12 pc=14 cfa=100",
        ];
        let incident = three(Runtime::Rust, |dump, second| {
            let leaf = format!("order::digest:3 pc=10 cfa={}", 60 + second);
            let middle = format!("order::help:{second} pc=12 cfa={}", 80 + second);
            let thread = dump.thread("w", &[&leaf, &middle, stack[2]]);
            thread.cpu = Some(Nanos::from_millis(900 * second));
            thread.run_delay = Some(Nanos::default());
        });
        assert_eq!(found(&incident), [[""; 0]; 0]);
    }

    #[test]
    fn threads_that_sleep_until_it_is_done_do_not_burn() {
        let incident = three(Runtime::Jvm, |dump, second| {
            let thread = dump.thread("w", &["shop.Start.awaitReady:3", "java.lang.Thread.run:1"]);
            thread.cpu = Some(Nanos(1000 * second));
            dump.thread("other", &["shop.Work.run:1"]).cpu = Some(Nanos::from_millis(900 * second));
        });
        assert_eq!(found(&incident), [[""; 0]; 0]);
    }

    #[test]
    fn a_wait_that_is_meant_to_burn_is_left_out() {
        let incident = three(Runtime::Jvm, |dump, second| {
            let stack = [
                "java.lang.Thread.onSpinWait:1",
                "com.lmax.disruptor.BusySpinWaitStrategy.waitFor:39",
                "shop.Feed.run:2",
            ];
            dump.thread("w", &stack).cpu = Some(Nanos::from_millis(900 * second));
        });
        assert_eq!(found(&incident), [[""; 0]; 0]);
    }
}
