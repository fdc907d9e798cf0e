//! How sure it is that members do not progress, and what that rests on.

use crate::detect::Grade;

use super::thresholds::{LEAST_TO_MOVE, RECURS, SAME_DUMPS};
use super::{Candidate, Hot, Progress, WaitSign};

/// What a claim rests on, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Belief {
    /// What kind of evidence.
    pub grade: Grade,
    /// How sure, from 0 to 1.
    pub confidence: f64,
    /// Looks at the registers support it.
    pub is_seen: bool,
}

/// The belief that the surest of some members allows.
pub(in crate::detect) fn belief(members: &[&Candidate]) -> Belief {
    let beliefs = members.iter().map(|candidate| of(candidate));
    let none = Belief { grade: Grade::Pattern, confidence: 0.0, is_seen: false };
    beliefs.fold(none, |best, next| if next.confidence > best.confidence { next } else { best })
}

fn of(candidate: &Candidate) -> Belief {
    if let Progress::Recurs(looks) = candidate.progress {
        let confidence = match looks.recurrence() {
            recurrence if recurrence < RECURS => 0.85,
            _ if looks.samples < LEAST_TO_MOVE => 0.85,
            _ if looks.dumps > 1 => 0.95,
            _ => 0.9,
        };
        return Belief { grade: Grade::Counter, confidence, is_seen: true };
    }
    let dumps = candidate.activation.as_ref().map_or(0, |activation| activation.above.len());
    let often = dumps >= SAME_DUMPS;
    let confidence = match candidate.wait {
        Some(WaitSign::Hint | WaitSign::Name) if often => 0.8,
        Some(WaitSign::Hint | WaitSign::Name) => 0.65,
        Some(WaitSign::Attempt | WaitSign::Yield | WaitSign::Look) if often => 0.65,
        _ => 0.55,
    };
    Belief { grade: grade(candidate.hot), confidence, is_seen: false }
}

/// Where counters show that a CPU was used, and sight shows the rest, the weaker of the two is
/// what the claim rests on.
fn grade(hot: Hot) -> Grade {
    if hot.is_counted() { Grade::Counter } else { Grade::Repeat }
}
