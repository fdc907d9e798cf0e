//! `busy-wait`: threads that burn CPU until something happens.

use super::on_cpu::{self, Candidate};
use super::{Detector, Finding, Severity};
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
  `wait_until`); or looks at the registers show that nothing changes but the place in the code.

## Limits

Needs two dumps. By names alone, without looks at the registers, it is believed with less
confidence. A goroutine that yields is queued at the yield, whatever it does in between: that alone
is no evidence. Wait strategies that are meant to burn a CPU (Disruptor, Agrona) are left out. What
the loop waits for is not known; look at who writes the flag or holds the lock.

## What to do

Find who was to set the flag or to release the lock, and where that thread is in these dumps. Then
wait with something that sleeps: a condition variable, a channel, `park`.
",
    detect,
};

fn detect(incident: &Incident) -> Vec<Finding> {
    let on_cpu = on_cpu::classify(incident);
    on_cpu.waits.iter().map(|wait| finding(incident, &on_cpu.these(wait))).collect()
}

fn finding(incident: &Incident, waiting: &[&Candidate]) -> Finding {
    let members: Vec<MemberId> = waiting.iter().map(|candidate| candidate.member).collect();
    let belief = on_cpu::belief(waiting);
    let place = on_cpu::places(incident, waiting);
    let who = on_cpu::threads(incident, &members);
    Finding {
        detector: DETECTOR.name,
        severity: severity(members.len(), belief.confidence),
        grade: belief.grade,
        confidence: belief.confidence.min(belief.grade.cap()),
        headline: format!(
            "{who} {} CPU in {place}, waiting for something that does not come",
            on_cpu::verb(&members, "burns", "burn")
        ),
        detail: format!(
            "{} The loop asks again and again for something that another thread was to do, and \
             takes a CPU while it asks. What it waits for is not known from the stacks.",
            on_cpu::behaviour(waiting)
        ),
        next_step: format!(
            "Find who was to end the wait in {place}, by setting the flag or releasing the lock, and \
             where that thread is; then let the wait sleep (condition variable, channel, park)."
        ),
        frames: on_cpu::frames(incident, waiting),
        evidence: on_cpu::evidence(incident, waiting),
        members,
        ..Finding::default()
    }
}

/// One that is known by its name alone may be meant so.
fn severity(waiting: usize, confidence: f64) -> Severity {
    if waiting == 1 && confidence < 0.8 { Severity::Medium } else { Severity::High }
}
