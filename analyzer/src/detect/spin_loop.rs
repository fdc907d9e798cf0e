//! `spin-loop`: threads on a CPU in a loop that does not progress.

use super::on_cpu::{self, Belief, Candidate};
use super::{Detector, Finding, Severity, phrase};
use crate::model::{Cpu, Incident, MemberId};

pub(super) const DETECTOR: Detector = Detector {
    name: "spin-loop",
    documentation: "\
# spin-loop

A thread is on a CPU throughout, in the same call in every dump, and comes back to the same states:
a loop without an end, such as a walk over links that lead in a circle.

## Evidence

- It wants a CPU in every interval between dumps. On an overloaded machine it gets little; so its
  time in the run queue counts too, or what it used beside the busiest thread of the process.
- Every dump shows the same activation, at or just below the leaf: the same functions and, where
  frame addresses are known, the same frames.
- Looks at its registers, some hundred within a moment, show states that come back, or pointers
  that go round in a tight loop. After Jolt (Carbin et al., ECOOP 2011): what comes back to a state
  that it was in does not end.
- Or what decides whether the loop goes on comes back to the same, while something else that it counts
  was never set anew. The agent finds out what decides from the loop's machine code (a backward slice: Weiser,
  ICSE 1981), where all samples lie in one loop, of at most two thousand instructions, that calls nothing and does not
  write the memory that it reads.
- Where a profile was taken beside the dumps, its samples of the thread are in that call too. With
  more than a tenth of them elsewhere it is no spin: the thread comes and goes. Nor is it
  one when the thread goes to sleep again and again.
- Where nobody looked (a JVM's or Go's dumps) the same stack alone proves nothing: a healthy loop
  shows it too. Then this is said only of several threads that stay at one line of the program's
  own code in three dumps or more, and came to it from different functions; with less confidence.

## Limits

Needs two dumps, better three. A loop that counts its rounds, follows no pointers and calls functions
never comes back to a state: it is reported as `cpu-hot`. So is everything that cannot be told from work that
progresses. A loop that waits is a `busy-wait`, one inside a map a `map-corruption`.

## What to do

Look at the innermost functions: what ends this loop, and who was to make that true? The thread
does not come back by itself. Where it cannot be told to stop, restart the process.
",
    detect,
};

fn detect(incident: &Incident) -> Vec<Finding> {
    let on_cpu = on_cpu::classify(incident);
    on_cpu.spins.iter().map(|spin| finding(incident, &on_cpu.these(spin))).collect()
}

fn finding(incident: &Incident, spinning: &[&Candidate]) -> Finding {
    let members: Vec<MemberId> = spinning.iter().map(|candidate| candidate.member).collect();
    let belief = on_cpu::belief(spinning);
    let who = phrase::count(incident, &members);
    let place = on_cpu::places(incident, spinning);
    let doing = match belief.is_seen {
        true => on_cpu::verb(&members, "spins", "spin"),
        false => on_cpu::verb(&members, "seems to spin", "seem to spin"),
    };
    Finding {
        detector: DETECTOR.name,
        severity: severity(incident, members.len(), belief),
        grade: belief.grade,
        confidence: belief.confidence.min(belief.grade.cap()),
        headline: format!("{who} {doing} in {place}, without progress"),
        detail: format!(
            "{} {} {} a CPU throughout and {} not come out of this call.",
            on_cpu::behaviour(spinning),
            on_cpu::verb(&members, "It", "They"),
            on_cpu::verb(&members, "wants", "want"),
            on_cpu::verb(&members, "does", "do"),
        ),
        next_step: format!(
            "Find what should end the loop in {place}, and who was to make it true; a thread \
             in such a loop does not come back by itself, so restart the process to get the CPU \
             back."
        ),
        frames: on_cpu::frames(incident, spinning),
        evidence: on_cpu::evidence(incident, spinning),
        members,
        ..Finding::default()
    }
}

/// As many spinners as there are CPUs leave nothing for the others.
fn severity(incident: &Incident, spinning: usize, belief: Belief) -> Severity {
    let all = Cpu::of(incident).allowed().is_some_and(|allowed| spinning as f64 >= allowed);
    match belief.is_seen {
        true if all => Severity::Critical,
        true => Severity::High,
        false => Severity::Medium,
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LoopControl, Nanos, RegisterSamples, Runtime};

    use super::*;
    use crate::detect::Grade;
    use crate::model::scene::{Scene, progressing, recurring};

    /// Threads of a Rust program, in the same frames in three dumps; `busy` is how many
    /// milliseconds of each second they have a CPU or stand in the run queue for one.
    fn walking(busy: u64, looks: &[Option<RegisterSamples>]) -> Incident {
        scene(busy, looks).incident()
    }

    fn scene(busy: u64, looks: &[Option<RegisterSamples>]) -> Scene {
        (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for (number, looks) in looks.iter().enumerate() {
                    let leaf =
                        format!("order::graph::walk:{} pc={} cfa=100", 40 + second, 10 + second);
                    let stack = [leaf.as_str(), "order::serve:9 pc=20 cfa=200"];
                    let thread = dump.thread(&format!("w-{number}"), &stack);
                    thread.cpu = Some(Nanos::from_millis(busy * second / 10));
                    thread.run_delay = Some(Nanos::from_millis(busy * second / 10 * 9));
                    thread.registers = looks.clone();
                }
            })
        })
    }

    #[test]
    fn states_that_come_back_are_a_loop_without_an_end() {
        let findings = detect(&walking(980, &[Some(recurring(1))]));
        assert_eq!(findings.len(), 1);
        let finding = &findings[0];
        assert_eq!((finding.severity, finding.grade), (Severity::High, Grade::Counter));
        assert_eq!(finding.frames, ["order::graph::walk", "order::serve"]);
        assert!(
            finding.evidence[0].text.contains("1194 of 1200 register states"),
            "{:?}",
            finding.evidence
        );
    }

    #[test]
    fn samples_of_the_same_seconds_confirm_it_or_take_it_back() {
        const INSIDE: &[&str] = &["order::graph::next", "order::graph::walk:41", "order::serve:9"];
        const OUTSIDE: &[&str] = &["order::graph::sort", "order::serve:9"];
        let sampled = |inside, outside| {
            let scene = scene(980, &[Some(recurring(1))]);
            detect(&scene.samples("w-0", &[(INSIDE, inside), (OUTSIDE, outside)]).incident())
        };
        let confirmed = sampled(95, 5);
        assert!(confirmed[0].evidence[0].text.contains("95 % of 100 samples there"));
        assert_eq!(sampled(60, 40), []);
        assert_eq!(sampled(6, 4).len(), 1, "too few to say anything");
    }

    #[test]
    fn as_many_spinners_as_cpus_are_critical() {
        let incident = walking(980, &[Some(recurring(1)), Some(recurring(1))]);
        let findings = detect(&incident);
        assert_eq!(incident.names(&findings[0].members), ["w-0", "w-1"]);
        assert_eq!(findings[0].severity, Severity::Critical);
    }

    #[test]
    fn a_loop_that_counts_is_known_by_its_pointers() {
        let counting = RegisterSamples { recurring: 0, distinct_states: 400, ..recurring(1) };
        let finding =
            detect(&walking(980, &[Some(counting)])).pop().expect("its pointer goes round");
        assert!(finding.confidence < 0.9);
        let large = RegisterSamples { distinct_pcs: 90, ..counting_in_a_large_loop() };
        assert_eq!(detect(&walking(980, &[Some(large)])), []);
    }

    /// What the code of a loop says that reads where an index leads, and counts its rounds.
    fn follows() -> LoopControl {
        LoopControl {
            instructions: 6,
            loads: 1,
            follows: true,
            samples: 200,
            distinct_states: 9,
            recurring: 200,
            advancing: 1,
            ..LoopControl::default()
        }
    }

    fn of_code(said: LoopControl) -> Option<RegisterSamples> {
        Some(RegisterSamples { control: Some(said), distinct_pcs: 2, ..progressing() })
    }

    #[test]
    fn indices_that_lead_in_a_circle_are_a_loop_without_an_end_whatever_it_counts() {
        let findings = detect(&walking(980, &[of_code(follows())]));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].severity, findings[0].grade), (Severity::High, Grade::Counter));
        let told = "in 600 of 600 looks its loop's conditions came back, while it counts";
        assert!(findings[0].evidence[0].text.contains(told), "{:?}", findings[0].evidence);
        assert!(findings[0].detail.contains("decides whether the loop goes on comes back"));
    }

    #[test]
    fn a_loop_that_steps_to_its_end_or_may_be_begun_anew_is_none() {
        let steps = LoopControl { steps: true, ..follows() };
        let begun_anew = LoopControl { advancing: 0, ..follows() };
        let ever_new = LoopControl { distinct_states: 200, recurring: 0, ..follows() };
        for said in [steps, begun_anew, ever_new] {
            assert_eq!(detect(&walking(980, &[of_code(said)])), []);
        }
    }

    #[test]
    fn a_loop_in_which_nothing_changes_and_that_reads_nothing_waits_for_nobody() {
        let said = LoopControl { instructions: 20, ..LoopControl::default() };
        let looks = RegisterSamples { control: Some(said), ..recurring(0) };
        let incident = walking(980, &[Some(looks)]);
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].evidence[0].text.contains("reads no memory that changes"));
        assert_eq!((crate::detect::busy_wait::DETECTOR.detect)(&incident), []);
    }

    #[test]
    fn pointers_that_come_again_are_no_circle_when_the_loop_follows_none() {
        let steps = LoopControl { loads: 2, steps: true, ..LoopControl::default() };
        let looks = RegisterSamples { control: Some(steps), recurring: 0, ..recurring(1) };
        assert_eq!(detect(&walking(980, &[Some(looks)])), []);
    }

    #[test]
    fn a_link_that_leads_to_itself_is_no_wait() {
        let said = LoopControl { distinct_states: 1, advancing: 0, ..follows() };
        let looks = RegisterSamples { control: Some(said), ..recurring(0) };
        assert_eq!(detect(&walking(980, &[Some(looks)])).len(), 1);
    }

    fn counting_in_a_large_loop() -> RegisterSamples {
        RegisterSamples { recurring: 0, distinct_states: 400, ..recurring(1) }
    }

    #[test]
    fn whom_nobody_could_look_at_is_judged_by_the_others_in_the_same_call() {
        let incident = walking(980, &[Some(recurring(1)), None, Some(progressing())]);
        assert_eq!(incident.names(&detect(&incident)[0].members), ["w-0", "w-1"]);
    }

    #[test]
    fn work_that_moves_on_is_not_one() {
        assert_eq!(detect(&walking(980, &[Some(progressing())])), []);
    }

    #[test]
    fn too_few_looks_say_nothing() {
        let few = RegisterSamples { samples: 3, recurring: 3, ..recurring(1) };
        assert_eq!(detect(&walking(980, &[Some(few)])), []);
    }

    #[test]
    fn nobody_spins_who_mostly_sleeps() {
        assert_eq!(detect(&walking(300, &[Some(recurring(1))])), []);
    }

    #[test]
    fn who_never_gave_the_cpu_away_wanted_it_whatever_the_queue_has_counted() {
        let mut incident = walking(300, &[Some(recurring(1))]);
        for dump in &mut incident.dumps {
            dump.threads[0].voluntary_switches = Some(7);
        }
        assert_eq!(detect(&incident).len(), 1);
        incident.dumps[2].threads[0].voluntary_switches = Some(8);
        assert_eq!(detect(&incident), []);
    }

    #[test]
    fn nobody_spins_who_goes_to_sleep_again_and_again() {
        let mut incident = walking(980, &[Some(recurring(1))]);
        for (dump, second) in incident.dumps.iter_mut().zip(0..) {
            dump.threads[0].voluntary_switches = Some(7 + 20 * second);
        }
        assert_eq!(detect(&incident), []);
    }

    #[test]
    fn frames_that_came_anew_are_not_the_same_call() {
        let incident = (0..3)
            .fold(Scene::of(Runtime::Rust), |scene, second| {
                scene.dump(second, |dump| {
                    let caller = format!("order::serve:9 pc={} cfa=800", 20 + second);
                    let deep: Vec<String> = (0..8)
                        .map(|level| format!("order::step{level} pc=1 cfa={level}{second}"))
                        .chain([caller])
                        .collect();
                    let stack: Vec<&str> = deep.iter().map(String::as_str).collect();
                    let thread = dump.thread("w", &stack);
                    thread.cpu = Some(Nanos::from_millis(980 * second));
                    thread.run_delay = Some(Nanos::default());
                    thread.registers = Some(recurring(1));
                })
            })
            .incident();
        assert_eq!(detect(&incident), []);
    }

    /// Java threads that use all the CPU that there is, each with one stack for all dumps.
    fn java(dumps: u64, threads: &[(&str, &[&str])]) -> Incident {
        (0..dumps)
            .fold(Scene::of(Runtime::Jvm), |scene, at| {
                scene.dump(10 * at, |dump| {
                    for (name, stack) in threads {
                        dump.thread(name, stack).cpu = Some(Nanos::from_millis(300 * at));
                    }
                })
            })
            .incident()
    }

    #[test]
    fn without_looks_several_must_stay_at_one_line_from_different_functions() {
        let (orders, carts) =
            (["shop.Graph.next:7", "shop.Orders.sum:3"], ["shop.Graph.next:7", "shop.Carts.sum:5"]);
        let together = java(3, &[("o", &orders), ("c", &carts)]);
        let findings = detect(&together);
        assert_eq!(findings[0].severity, Severity::Medium);
        assert!(findings[0].headline.contains("seem to spin"));
        assert_eq!(together.names(&findings[0].members), ["c", "o"]);

        assert_eq!(detect(&java(2, &[("o", &orders), ("c", &carts)])), [], "two dumps are too few");
        assert_eq!(
            detect(&java(3, &[("o-1", &orders), ("o-2", &orders)])),
            [],
            "work does that too"
        );
        assert_eq!(detect(&java(3, &[("o", &orders)])), [], "one alone may work");
    }
}
