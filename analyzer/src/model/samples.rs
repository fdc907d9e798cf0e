//! Where the samples of a profile fell.

use std::collections::HashMap;

use super::call::Origin;
use super::incident::Incident;
use crate::read::{Profile, Sampled, Unit};

/// The functions in which a profile's samples are.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// What was sampled.
    pub of: Sampled,
    /// What is counted.
    pub unit: Unit,
    /// Everything that was counted.
    pub total: u64,
    /// The innermost functions of the program's own, the most frequent first; of a stack without
    /// one, its leaf.
    pub places: Vec<Place>,
}

/// A function, and what was counted with it as the innermost of the program's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The function, normalized.
    pub function: String,
    /// Its count.
    pub count: u64,
    /// The leaf below it that was seen most often, when that is another function.
    pub leaf: Option<String>,
}

impl Samples {
    pub(super) fn of(incident: &Incident, profile: &Profile) -> Samples {
        let mut places: HashMap<&str, (u64, HashMap<&str, u64>)> = HashMap::new();
        let mut total = 0_u64;
        for &(stack, count) in &profile.samples {
            let calls = incident.calls_of_stack(0, stack);
            let functions = || calls.iter().map(|&(call, _)| incident.call(call));
            let Some(leaf) = functions().next() else { continue };
            let own = functions().find(|call| call.origin == Origin::Application).unwrap_or(leaf);
            let (of_place, leaves) = places.entry(&own.function).or_default();
            *of_place = of_place.saturating_add(count);
            *leaves.entry(&leaf.function).or_default() += count.min(u64::MAX / 2);
            total = total.saturating_add(count);
        }
        let place = |(function, (count, leaves)): (&str, (u64, HashMap<&str, u64>))| {
            let leaf =
                leaves.into_iter().max_by_key(|&(leaf, count)| (count, std::cmp::Reverse(leaf)));
            let leaf = leaf.map(|(leaf, _)| leaf).filter(|leaf| *leaf != function);
            Place { function: function.to_owned(), count, leaf: leaf.map(str::to_owned) }
        };
        let mut places: Vec<Place> = places.into_iter().map(place).collect();
        places
            .sort_by(|one, other| (other.count, &one.function).cmp(&(one.count, &other.function)));
        Samples { of: profile.of, unit: profile.unit, total, places }
    }

    /// A count's share of all, in percent.
    pub fn percent(&self, count: u64) -> f64 {
        if self.total == 0 { 0.0 } else { 100.0 * count as f64 / self.total as f64 }
    }

    /// The function that has most, as a sentence.
    pub fn sentence(&self) -> String {
        let Some(first) = self.places.first() else { return "a profile without samples".into() };
        let percent = self.percent(first.count);
        let leaf = first.leaf.as_ref().map_or(String::new(), |leaf| format!(", mostly in {leaf}"));
        format!("{percent:.0}% of {} in {}{leaf}", self.whole(), first.function)
    }

    /// What there is a share of.
    fn whole(&self) -> String {
        let time = |nanos: u64| format!("{:.1} s", nanos as f64 / 1e9);
        match (self.of, self.unit) {
            (Sampled::Cpu, Unit::Samples) => format!("{} CPU samples are", self.total),
            (Sampled::Cpu, Unit::Nanos) => format!("{} of CPU time were used", time(self.total)),
            (Sampled::Waiting, Unit::Samples) => format!("{} waits were", self.total),
            (Sampled::Waiting, Unit::Nanos) => format!("{} of waiting were", time(self.total)),
            (Sampled::Unknown, Unit::Samples) => {
                format!("{} samples (of what, the file does not say) are", self.total)
            }
            (Sampled::Unknown, Unit::Nanos) => {
                format!("{} (of what, the file does not say) are", time(self.total))
            }
        }
    }
}
