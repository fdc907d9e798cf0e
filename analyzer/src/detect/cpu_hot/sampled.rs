//! What a CPU profile says of where the CPU went.

use sigquit_dump::Clock;

use crate::detect::{Evidence, Finding, Grade, Severity};
use crate::model::{Place, Samples};

/// Functions that are told of.
const TOLD: usize = 5;

/// Shares below this, in percent, are not told as evidence.
const LEAST: f64 = 1.0;

/// Where the CPU went, when that is what was sampled, or may be.
pub(super) fn finding(samples: &Samples) -> Option<Finding> {
    let is_sure = match samples.clock {
        Clock::Cpu => true,
        Clock::Unknown => false,
        Clock::Wall | Clock::Waiting => return None,
    };
    let told = || samples.places.iter().take(TOLD);
    let evidence = |place: &Place| Evidence {
        text: match &place.leaf {
            Some(leaf) => format!(
                "{:.0}% in {}, mostly in {leaf}",
                samples.percent(place.count),
                place.function
            ),
            None => format!("{:.0}% in {}", samples.percent(place.count), place.function),
        },
        dump: Some(0),
        member: None,
        value: Some(samples.percent(place.count)),
    };
    Some(Finding {
        detector: "cpu-hot",
        severity: Severity::Low,
        grade: if is_sure { Grade::Counter } else { Grade::Repeat },
        confidence: if is_sure { 0.9 } else { 0.5 },
        headline: samples.sentence(),
        detail: "A profile shows where time goes. Whether that is too much, it cannot tell.".into(),
        next_step: "Compare with a profile of a good day. When a service hangs, take dumps of its \
                    threads beside it: who waits has no samples."
            .into(),
        frames: told().map(|place| place.function.clone()).collect(),
        evidence: told()
            .filter(|place| samples.percent(place.count) >= LEAST)
            .map(evidence)
            .collect(),
        ..Finding::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incidents;
    use crate::read::read;

    fn findings(profile: &str) -> Vec<Finding> {
        let incidents = incidents(vec![read("p", profile.as_bytes(), None).expect("a profile")]);
        let detectors = crate::detect::all().iter();
        detectors.flat_map(|detector| (detector.detect)(&incidents[0])).collect()
    }

    #[test]
    fn where_most_samples_fell_is_told_and_nothing_else_is_claimed() {
        let found = findings(
            "main;shop::price;std::hash 70\nmain;shop::price 10\nmain;__lll_lock_wait;pthread_mutex_lock 20\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].detector, found[0].severity), ("cpu-hot", Severity::Low));
        assert_eq!(
            found[0].headline,
            "80% of 100 samples (of what, the file does not say) are in shop::price, mostly in std::hash"
        );
    }
}
