//! What flame graphs are drawn from: where the samples fell, alone and beside those of another time.

use sigquit_dump::{Profile, Unit};

use crate::model::Incident;

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
    pub before: Option<Stacked>,
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
        before: None,
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
        .find_map(|(healthy, name)| beside(incident, healthy, name));
    let of_members = || healthy.iter().find_map(|healthy| members_beside(incident, healthy));
    let first = before.and_then(|(before, name)| beside(incident, before, name));
    first.into_iter().chain(of_samples.or_else(of_members)).collect()
}

/// Samples beside others, where both measure the same.
fn beside(incident: &Incident, other: &Incident, name: &str) -> Option<Flame> {
    let (profile, before) = (incident.profile()?, other.profile()?);
    let measures = |profile: &Profile| (profile.clock, profile.unit);
    (measures(profile) == measures(before)).then(|| Flame {
        process: incident.id.clone(),
        title: format!("{}, compared with {name}", what(profile)),
        delivery: vec![delivery(profile), format!("{name}: {}", delivery(before))],
        count_name: profile.unit.noun().to_owned(),
        stacked: incident.stacked_samples(),
        before: Some(other.stacked_samples()),
    })
}

/// The stacks of those in the dumps beside those of healthy dumps of the same runtime.
fn members_beside(incident: &Incident, healthy: &Incident) -> Option<Flame> {
    let same = incident.process.runtime == healthy.process.runtime;
    (same && !incident.members.is_empty() && !healthy.members.is_empty()).then(|| Flame {
        process: incident.id.clone(),
        title: "Where threads and tasks are, compared with the baseline".to_owned(),
        delivery: vec![format!(
            "all dumps, {} and {} of the baseline; who is idle is left out",
            incident.dumps.len(),
            healthy.dumps.len()
        )],
        count_name: Unit::Threads.noun().to_owned(),
        stacked: incident.stacked_members(),
        before: Some(healthy.stacked_members()),
    })
}
