//! Where the samples of a profile fell.

use std::collections::HashMap;

use sigquit_dump::{Clock, Profile, Sample, SampledThread, StackId, Unit};

use super::call::Origin;
use super::incident::{Incident, MemberId};

/// The functions in which a profile's samples are.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// What was sampled.
    pub clock: Clock,
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
    /// Of those samples of a profile that are wanted.
    pub(super) fn of(
        incident: &Incident,
        profile: &Profile,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Samples {
        let mut places: HashMap<&str, (u64, HashMap<&str, u64>)> = HashMap::new();
        let mut total = 0_u64;
        for (stack, count) in (0..).map(StackId).zip(profile.weights_of_stacks(wanted)) {
            if count == 0 {
                continue;
            }
            let calls = incident.sampled_calls(stack);
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
        Samples { clock: profile.clock, unit: profile.unit, total, places }
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
        match (self.clock, self.unit) {
            (_, Unit::Threads) => format!("{} threads and tasks are", self.total),
            (Clock::Cpu, Unit::Samples) => format!("{} CPU samples are", self.total),
            (Clock::Cpu, Unit::Nanos) => format!("{} of CPU time were used", time(self.total)),
            (Clock::Wall, Unit::Samples) => format!("{} samples of wall time are", self.total),
            (Clock::Wall, Unit::Nanos) => format!("{} of wall time were spent", time(self.total)),
            (Clock::Waiting, Unit::Samples) => format!("{} waits were", self.total),
            (Clock::Waiting, Unit::Nanos) => format!("{} of waiting were", time(self.total)),
            (Clock::Unknown, Unit::Samples) => {
                format!("{} samples (of what, the file does not say) are", self.total)
            }
            (Clock::Unknown, Unit::Nanos) => {
                format!("{} (of what, the file does not say) are", time(self.total))
            }
        }
    }
}

/// How many of some samples are in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// In it, or in what it calls.
    pub inside: u64,
    /// All of which that can be said: the leaf has a name.
    pub all: u64,
}

impl Inside {
    /// The share that is in it.
    pub fn share(&self) -> f64 {
        self.inside as f64 / self.all.max(1) as f64
    }
}

// What the samples beside the dumps show of one member.
impl Incident {
    /// Where the samples of a member fell.
    pub fn samples_of(&self, member: MemberId) -> Option<Samples> {
        let (profile, place) = (self.profile()?, self.sampled(member)?.0);
        Some(Samples::of(self, profile, |sample| sample.thread == place))
    }

    /// What samples show of a member as a whole, with its place in the profile.
    pub fn sampled(&self, member: MemberId) -> Option<(u32, &SampledThread)> {
        let seen = (0..self.dumps.len()).rev().find_map(|dump| self.thread(member, dump))?;
        let is_it = |thread: &SampledThread| {
            let named = thread.name == seen.name || thread.name.is_empty();
            thread.os_id.is_some() && thread.os_id == seen.os_id && named
        };
        (0..).zip(&self.profile()?.threads).find(|(_, thread)| is_it(thread))
    }

    /// How many of a member's samples have a function on the stack.
    pub fn samples_in(&self, member: MemberId, function: &str) -> Option<Inside> {
        let (profile, place) = (self.profile()?, self.sampled(member)?.0);
        let weights = profile.weights_of_stacks(|sample| sample.thread == place);
        let mut found = Inside::default();
        for (stack, weight) in (0..).map(StackId).zip(weights) {
            let leaf = profile.dump.stacks[stack.0 as usize].frames.first();
            if leaf.is_none_or(|&leaf| profile.dump.frame(leaf).symbols.is_empty()) {
                continue;
            }
            let mut calls = self.sampled_calls(stack).iter().map(|&(call, _)| self.call(call));
            let is_inside = calls.any(|call| call.function == function);
            found.inside = found.inside.saturating_add(if is_inside { weight } else { 0 });
            found.all = found.all.saturating_add(weight);
        }
        Some(found)
    }
}
