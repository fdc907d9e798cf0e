//! `spin-loop`: threads on a CPU in a loop that does not progress.

use super::on_cpu::{self, Belief, Candidate};
use super::{Detector, Finding, Severity};
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
- Where nobody looked (a JVM's or Go's dumps) the same stack alone proves nothing: a healthy loop
  shows it too. Then this is said only of several threads that stay at one line of the program's
  own code in three dumps or more, and came to it from different functions; with less confidence.

## Limits

Needs two dumps, better three. A loop that counts its rounds and follows no pointers never comes
back to a state: it is reported as `cpu-hot`. So is everything that cannot be told from work that
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
    let who = on_cpu::threads(incident, &members);
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
