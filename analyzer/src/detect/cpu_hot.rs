//! `cpu-hot`: much CPU, and nothing that says whether it progresses.

mod sampled;

use sigquit_dump::{Clock, Nanos};

use super::on_cpu::{self, Candidate, Progress};
use super::{Detector, Finding, Grade, Severity, phrase};
use crate::model::{Cpu, Incident, MemberId};

pub(super) const DETECTOR: Detector = Detector {
    name: "cpu-hot",
    documentation: "\
# cpu-hot

Threads that are on a CPU throughout, or would be if there were one for them, and of which the
dumps do not say that they fail to progress. Work looks like this. So does a loop without an end,
where nobody looked at the registers.

## Evidence

CPU time between the dumps, and time in the run queue, where these are counted; what a thread used
beside the busiest one; otherwise that it was runnable in every dump. Of one dump: what `top -H`
beside it shows of a thread's share. Where looks at the registers
hardly ever showed a state twice, it seems to progress, and that is said; a loop that only counts
would look like that as well.

Of a CPU profile, alone or beside the dumps: the function of the program's own that is innermost
in most samples, and its share.

## Limits

Needs two dumps, a profile, or a table of `top -H`. Never more than low: that a thread works is no fault.

## What to do

When this is not expected: take five dumps two seconds apart and compare the innermost functions, or
a CPU profile. In a Rust program the agent looks at the registers of threads that are hot, which
tells most loops from work.
",
    detect,
};

/// Members that evidence and frames are told of.
const TOLD: usize = 5;

fn detect(incident: &Incident) -> Vec<Finding> {
    if let Some(samples) = incident.samples().filter(|_| incident.is_only_a_profile()) {
        return sampled::finding(&samples).into_iter().collect();
    }
    let on_cpu = on_cpu::classify(incident);
    let mut hot = on_cpu.these(&on_cpu.hot);
    hot.sort_by_key(|candidate| std::cmp::Reverse(candidate.hot.used().map(|used| used.used)));
    if hot.is_empty() { Vec::new() } else { vec![finding(incident, &hot)] }
}

fn finding(incident: &Incident, hot: &[&Candidate]) -> Finding {
    let members: Vec<MemberId> = hot.iter().map(|candidate| candidate.member).collect();
    let progresses = hot.iter().all(|one| matches!(one.progress, Progress::Moves(_)));
    let counted = hot.iter().all(|candidate| candidate.hot.is_counted());
    let told = &hot[..hot.len().min(TOLD)];
    Finding {
        detector: DETECTOR.name,
        severity: if progresses { Severity::Info } else { Severity::Low },
        grade: if counted { Grade::Counter } else { Grade::Repeat },
        confidence: if counted { 0.9 } else { 0.5 },
        headline: headline(incident, hot, progresses),
        detail: detail(incident, hot, progresses),
        next_step: match progresses {
            true => {
                "Nothing, when this much work is expected; otherwise take a CPU profile.".into()
            }
            false => "When this is not expected, take five dumps two seconds apart, or a CPU \
                      profile, and compare the innermost functions."
                .into(),
        },
        frames: on_cpu::frames(incident, told),
        evidence: on_cpu::evidence(incident, told),
        members,
        ..Finding::default()
    }
}

/// Whoever never moved is named, with the place: work seldom stands still.
fn headline(incident: &Incident, hot: &[&Candidate], progresses: bool) -> String {
    let members: Vec<MemberId> = hot.iter().map(|candidate| candidate.member).collect();
    let who = phrase::count(incident, &members);
    let are = on_cpu::verb(&members, "is", "are");
    if progresses {
        let seem = on_cpu::verb(&members, "seems", "seem");
        return format!("{who} {are} CPU-bound and {seem} to progress");
    }
    let unmoved: Vec<&Candidate> = hot.iter().copied().filter(|one| one.is_unmoved()).collect();
    let stuck: Vec<MemberId> = unmoved.iter().map(|candidate| candidate.member).collect();
    let of_those = |ids| on_cpu::verb(ids, "it progresses", "they progress");
    match stuck.is_empty() {
        true => format!("{who} {are} CPU-bound; whether {} is not known", of_those(&members)),
        false => format!(
            "{} {} at one place in every dump, in {}; whether {} is not known",
            phrase::those(incident, &stuck),
            match unmoved.iter().all(|candidate| candidate.hot.is_counted()) {
                true => on_cpu::verb(&stuck, "burns CPU", "burn CPU"),
                false => on_cpu::verb(&stuck, "is ready to run", "are ready to run"),
            },
            on_cpu::places(incident, &unmoved),
            of_those(&stuck),
        ),
    }
}

fn detail(incident: &Incident, hot: &[&Candidate], progresses: bool) -> String {
    let what = match progresses {
        true => {
            "Looks at the registers show ever new states, as work does and hardly any loop that hangs."
        }
        false => {
            "Nothing in the dumps tells work from a loop without an end, so neither is claimed."
        }
    };
    let mut detail = what.to_owned();
    if let Some(samples) = incident.samples().filter(|samples| samples.clock == Clock::Cpu) {
        detail += &format!(" Samples of the same seconds: {}.", samples.sentence());
    }
    let Some(used) = on_cpu::cpu_used(hot) else { return detail };
    detail += &format!(" Together they used {} of CPU.", phrase::duration(used));
    let helpers = helpers_used(incident);
    if helpers.0 > used.0 / 10 {
        let helpers = phrase::duration(helpers);
        detail += &format!(
            " The runtime's own helpers, garbage collector and compiler among them, used {helpers}."
        );
    }
    detail
}

fn helpers_used(incident: &Incident) -> Nanos {
    let cpu = Cpu::of(incident);
    let last = incident.dumps.len().saturating_sub(1);
    let is_helper =
        |&id: &MemberId| incident.thread(id, last).is_some_and(|thread| thread.runtime_helper);
    let used = incident.ids().filter(is_helper).filter_map(|id| cpu.whole_use(id));
    Nanos(used.fold(0, |sum: u64, used| sum.saturating_add(used.used.0)))
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Scene, progressing, recurring};

    #[test]
    fn work_that_may_be_a_loop_is_said_and_no_more() {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(5 * at, |dump| {
                    let leaf = format!("shop.Sort.merge:{at}");
                    dump.thread("w", &[&leaf, "shop.Main.run:1"]).cpu =
                        Some(Nanos::from_millis(4000 * at));
                    dump.thread("poller", &["sun.nio.ch.EPoll.wait"]).cpu = Some(Nanos(at));
                    let helper = dump.thread("GC Thread#0", &[]);
                    helper.cpu = Some(Nanos::from_millis(1000 * at));
                    helper.runtime_helper = true;
                })
            })
            .incident();
        let finding = detect(&incident).pop().expect("w is hot");
        assert_eq!(incident.names(&finding.members), ["w"]);
        assert_eq!(finding.severity, Severity::Low);
        assert_eq!(finding.headline, "1 thread is CPU-bound; whether it progresses is not known");
        assert!(finding.detail.contains("helpers") && finding.detail.contains("2.0 s"));
    }

    #[test]
    fn who_never_moves_is_named_with_the_place() {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(5 * at, |dump| {
                    dump.thread("report", &["shop.Report.sum:7", "shop.Main.run:1"]).cpu =
                        Some(Nanos::from_millis(4900 * at));
                })
            })
            .incident();
        let finding = detect(&incident).pop().expect("it is hot");
        assert_eq!(finding.severity, Severity::Low);
        assert_eq!(
            finding.headline,
            "\"report\" burns CPU at one place in every dump, in Report.sum; whether it progresses \
             is not known"
        );
    }

    #[test]
    fn work_that_progresses_is_worth_knowing_only() {
        let incident = (0..2)
            .fold(Scene::of(Runtime::Rust), |scene, at| {
                scene.dump(at, |dump| {
                    let thread = dump.thread("w", &["order::sort:7 pc=10 cfa=100"]);
                    thread.cpu = Some(Nanos::from_millis(200 * at));
                    thread.run_delay = Some(Nanos::from_millis(790 * at));
                    thread.registers = Some(progressing());
                })
            })
            .incident();
        let finding = detect(&incident).pop().expect("w is hot");
        assert_eq!(finding.severity, Severity::Info);
        assert!(finding.headline.contains("seems to progress"));
    }

    #[test]
    fn samples_beside_the_dumps_say_where_the_cpu_went() {
        let stack: &[&str] = &["core::hash", "order::price:7"];
        let incident = (0..2)
            .fold(Scene::of(Runtime::Rust), |scene, at| {
                scene.dump(at, |dump| {
                    let thread = dump.thread("w", &["order::sort:7 pc=10 cfa=100"]);
                    thread.cpu = Some(Nanos::from_millis(980 * at));
                    thread.run_delay = Some(Nanos::default());
                    thread.registers = Some(progressing());
                })
            })
            .samples("w", &[(stack, 75), (&["order::sort:7"], 25)])
            .incident();
        let finding = detect(&incident).pop().expect("w is hot");
        assert!(finding.detail.contains("75% of 100 CPU samples are in order::price, mostly in"));
        assert!(finding.evidence[0].text.contains("25 % of 100 samples there"));
    }

    #[test]
    fn who_has_a_more_exact_name_is_left_out() {
        let incident = (0..2)
            .fold(Scene::of(Runtime::Rust), |scene, at| {
                scene.dump(at, |dump| {
                    let thread = dump.thread("w", &["order::walk:7 pc=10 cfa=100"]);
                    thread.cpu = Some(Nanos::from_millis(980 * at));
                    thread.run_delay = Some(Nanos::default());
                    thread.registers = Some(recurring(1));
                })
            })
            .incident();
        assert_eq!(detect(&incident), []);
    }

    #[test]
    fn an_idle_process_is_not_hot() {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(5 * at, |dump| {
                    dump.thread("poller", &["sun.nio.ch.EPoll.wait", "shop.Main.run:1"]).cpu =
                        Some(Nanos::from_millis(at));
                    dump.thread("timer", &["java.lang.Thread.sleep"])
                        .is(ThreadState::TimedWaiting)
                        .cpu = Some(Nanos::from_millis(40 * at));
                })
            })
            .incident();
        assert_eq!(detect(&incident), []);
    }

    #[test]
    fn without_counters_waits_in_foreign_code_and_the_dumps_writer_are_not_hot() {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Go), |scene, at| {
                scene.dump(at, |dump| {
                    let writer = ["runtime/pprof.writeGoroutineStacks", "main.debug"];
                    dump.thread("writer", &writer).is(ThreadState::Running);
                    dump.thread("io", &["internal/poll.runtime_pollWait", "main.read"]);
                    dump.thread("w", &["main.compress", "main.serve"]);
                })
            })
            .incident();
        let finding = detect(&incident).pop().expect("w is runnable throughout");
        assert_eq!(incident.names(&finding.members), ["w"]);
        assert_eq!(finding.grade, Grade::Repeat);
    }
}
