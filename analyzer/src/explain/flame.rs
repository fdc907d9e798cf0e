//! What flame graphs are drawn from: where the samples fell, alone and beside those of another time.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use sigquit_dump::{Profile, Unit};

use crate::model::Incident;

/// The least share of all that a function had which is told as gone.
const LEAST_GONE: f64 = 0.01;
/// And so many samples it would have had now, had nothing changed: with fewer it may be chance that
/// it has none.
const LEAST_EXPECTED: f64 = 5.0;
/// So many functions that are gone are named.
const MOST_GONE: usize = 10;

/// Stacks, from the root on, each once and with its weight, in order.
pub type Stacked = Vec<(Vec<String>, u64)>;

/// A flame graph that is not drawn yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flame {
    /// The process's id.
    pub process: String,
    /// What the widths are of.
    pub title: String,
    /// What was asked for and delivered, one sentence for each profile that is in it.
    pub delivery: Vec<String>,
    /// What is counted.
    pub count_name: String,
    /// The stacks.
    pub stacked: Stacked,
    /// What they are compared with.
    pub compared: Option<Compared>,
}

/// What a flame graph is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The stacks.
    pub stacked: Stacked,
    /// It is the later time, and the graph that of the time before.
    pub is_later: bool,
    /// Functions that are not seen in the later time, with all that they called: each with the
    /// share of the time before that was spent in it, from the largest on.
    pub gone: Vec<(String, f64)>,
}

/// All flame graphs: for each incident with samples these, and what differs from healthy dumps and
/// from the time before.
pub fn flames(incidents: &[Incident], healthy: &[Incident]) -> Vec<Flame> {
    let drawn = |incident| samples(incident).into_iter().chain(differences(incident, healthy));
    incidents.iter().flat_map(drawn).filter(|flame| !flame.stacked.is_empty()).collect()
}

/// Where the samples fell; where there are none beside the dumps, those from before.
fn samples(incident: &Incident) -> Option<Flame> {
    let shown = if incident.profile().is_some() { incident } else { incident.before()? };
    let profile = shown.profile()?;
    let when = if profile.before { ", before the incident" } else { "" };
    Some(Flame {
        process: incident.id.clone(),
        title: format!("{}{when}", what(profile)),
        delivery: vec![delivery(profile)],
        count_name: profile.unit.noun().to_owned(),
        stacked: shown.stacked_samples(),
        compared: None,
    })
}

fn what(profile: &Profile) -> String {
    match profile.unit {
        Unit::Threads => "Where threads and tasks are".to_owned(),
        Unit::Samples | Unit::Nanos => format!("Where {} goes", profile.clock.noun()),
    }
}

/// What was delivered, and why not by a better engine.
fn delivery(profile: &Profile) -> String {
    let refused = profile.refused.iter().map(|reason| format!("; not used: {reason}"));
    profile.summary() + &refused.collect::<String>()
}

fn differences(incident: &Incident, healthy: &[Incident]) -> Vec<Flame> {
    let before = incident.before().map(|before| (before, "the time before the incident"));
    let of_samples = healthy
        .iter()
        .map(|healthy| (healthy, "the baseline"))
        .find_map(|(healthy, name)| samples_beside(incident, healthy, name));
    let of_members = || healthy.iter().find_map(|healthy| members_beside(incident, healthy));
    let first = before.and_then(|(before, name)| samples_beside(incident, before, name));
    let differences = first.into_iter().chain(of_samples.or_else(of_members));
    differences.flat_map(Difference::drawn).collect()
}

/// Where something goes or is now, and where it went or was before.
struct Difference {
    process: String,
    what: String,
    /// What the time before is called.
    name: &'static str,
    delivery: Vec<String>,
    unit: Unit,
    now: Stacked,
    before: Stacked,
    /// What stacks before begin with that is no function: threads and pools.
    groups: HashSet<String>,
}

impl Difference {
    /// The time now beside the time before; and the other way round, where something is gone that
    /// has no width now.
    fn drawn(self) -> Vec<Flame> {
        let gone = self.gone();
        let Difference { process, what, name, delivery, unit, now, before, .. } = self;
        let compared = |stacked: &Stacked, is_later, gone: &[_]| {
            Some(Compared { stacked: stacked.clone(), is_later, gone: gone.to_vec() })
        };
        let after = Flame {
            process,
            title: format!("{what}, compared with {name}"),
            delivery,
            count_name: unit.noun().to_owned(),
            compared: compared(&before, false, &[]),
            stacked: now.clone(),
        };
        if gone.is_empty() {
            return vec![after];
        }
        let swapped = Flame {
            title: format!("{what}: {name}, compared with now"),
            compared: compared(&now, true, &gone),
            stacked: before,
            ..after.clone()
        };
        vec![after, swapped]
    }

    /// The outermost functions that were on stacks before and are on none now.
    fn gone(&self) -> Vec<(String, f64)> {
        let paths = self.now.iter().map(|(path, _)| path);
        let seen: HashSet<&str> = paths.flatten().map(String::as_str).collect();
        let mut weights: HashMap<&str, u64> = HashMap::new();
        for (path, weight) in &self.before {
            let has_group = path.first().is_some_and(|first| self.groups.contains(first));
            let functions = &path[usize::from(has_group)..];
            // `[truncated]` and `[unknown]` are no functions.
            let is_gone = |one: &&String| !seen.contains(one.as_str()) && !one.starts_with('[');
            if let Some(function) = functions.iter().find(is_gone) {
                let sum = weights.entry(function).or_default();
                *sum = sum.saturating_add(*weight);
            }
        }
        let mut gone: Vec<(&str, u64)> = weights.into_iter().collect();
        gone.sort_by_key(|&(function, weight)| (Reverse(weight), function));
        let (all, all_now) = (weight_of(&self.before), weight_of(&self.now));
        let is_counted = self.unit != Unit::Nanos;
        let is_told =
            |share: f64| share >= LEAST_GONE && (!is_counted || share * all_now >= LEAST_EXPECTED);
        let shares = gone.into_iter().map(|(name, weight)| (name.to_owned(), weight as f64 / all));
        shares.filter(|&(_, share)| is_told(share)).take(MOST_GONE).collect()
    }
}

fn weight_of(stacked: &Stacked) -> f64 {
    stacked.iter().map(|(_, weight)| *weight as f64).sum()
}

/// Samples beside others, where both measure the same.
fn samples_beside(incident: &Incident, other: &Incident, name: &'static str) -> Option<Difference> {
    let (profile, before) = (incident.profile()?, other.profile()?);
    let measures = |profile: &Profile| (profile.clock, profile.unit);
    (measures(profile) == measures(before)).then(|| Difference {
        process: incident.id.clone(),
        what: what(profile),
        name,
        delivery: vec![delivery(profile), format!("{name}: {}", delivery(before))],
        unit: profile.unit,
        now: incident.stacked_samples(),
        before: other.stacked_samples(),
        groups: other.sampled_groups().into_iter().flatten().collect(),
    })
}

/// The stacks of those in the dumps beside those of healthy dumps of the same runtime.
fn members_beside(incident: &Incident, healthy: &Incident) -> Option<Difference> {
    let same = incident.process.runtime == healthy.process.runtime;
    (same && !incident.members.is_empty() && !healthy.members.is_empty()).then(|| Difference {
        process: incident.id.clone(),
        what: "Where threads and tasks are".to_owned(),
        name: "the baseline",
        delivery: vec![format!(
            "all dumps, {} and {} of the baseline; who is idle is left out",
            incident.dumps.len(),
            healthy.dumps.len()
        )],
        unit: Unit::Threads,
        now: incident.stacked_members(),
        before: healthy.stacked_members(),
        groups: HashSet::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacked(lines: &[(&str, u64)]) -> Stacked {
        let path = |text: &str| text.split(';').map(str::to_owned).collect();
        lines.iter().map(|&(text, weight)| (path(text), weight)).collect()
    }

    fn gone(now: &[(&str, u64)], before: &[(&str, u64)]) -> Vec<(String, f64)> {
        let difference = Difference {
            process: String::new(),
            what: String::new(),
            name: "before",
            delivery: Vec::new(),
            unit: Unit::Samples,
            now: stacked(now),
            before: stacked(before),
            groups: ["worker".to_owned()].into(),
        };
        difference.gone()
    }

    #[test]
    fn the_outermost_function_that_is_not_seen_any_more_is_gone() {
        let before = [("main;cache;find", 20), ("worker;main;cache;grow", 20), ("main;run", 60)];
        let now = [("main;run", 99)];
        assert_eq!(gone(&now, &before), [("cache".to_owned(), 0.4)]);
        assert_eq!(gone(&before, &now), []);
    }

    #[test]
    fn what_may_be_missing_by_chance_is_not_gone() {
        let before = [("main;seldom", 4), ("main;run", 96)];
        assert_eq!(gone(&[("main;run", 100)], &before), []);
    }
}
