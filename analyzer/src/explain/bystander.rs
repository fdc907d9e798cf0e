//! Those who wait and are in no finding.
//!
//! A queue before a pool that hangs fills up; nothing in a dump says who empties it, so no tie
//! makes its waiters a symptom. They are told of all the same, as what they are: others who wait.

use std::collections::BTreeSet;

use super::Diagnosis;
use super::cause::Causes;
use super::member::count;
use crate::cluster::Cluster;
use crate::model::{FunctionName, Incident, MemberId};

/// A single one who waits is no crowd.
const CROWD: usize = 2;
/// How many places are told.
const PLACES: usize = 3;

/// Members in one place who wait in the newest dump and are in no finding.
pub(super) struct Bystanders {
    /// Who.
    members: BTreeSet<MemberId>,
    /// Where they wait: a function.
    place: String,
    /// How many were there, dump by dump.
    per_dump: Vec<usize>,
}

impl Bystanders {
    /// `12 threads wait in RequestQueue::push`
    pub(super) fn phrase(&self, incident: &Incident) -> String {
        format!("{} wait in {}", count(incident, &self.members), short(&self.place))
    }

    /// The same as evidence, with how it was in the other dumps.
    pub(super) fn fact(&self, incident: &Incident) -> String {
        let who = count(incident, &self.members);
        let figures: Vec<String> = self.per_dump.iter().map(usize::to_string).collect();
        let over = match figures.len() {
            0 | 1 => String::new(),
            _ => format!(" ({} in the dumps)", figures.join(", ")),
        };
        format!("meanwhile {who} in no finding wait in {}{over}", self.place)
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.members.len()
    }
}

/// The largest crowds of an incident that are in no finding.
pub(super) fn bystanders(diagnosis: &Diagnosis, causes: &Causes) -> Vec<Bystanders> {
    let mut told = vec![false; diagnosis.incident.members.len()];
    let mut tell = |id: &MemberId| told[id.0 as usize] = true;
    causes.behind.iter().flatten().for_each(&mut tell);
    for finding in &diagnosis.findings {
        let concerned = finding.members.iter().chain(&finding.victims);
        concerned.chain(&finding.owner).chain(&finding.holders).for_each(&mut tell);
    }
    let mut crowds: Vec<Bystanders> = diagnosis
        .clusters
        .iter()
        .filter_map(|cluster| crowd(diagnosis.incident, cluster, &told))
        .collect();
    crowds.sort_by_key(|crowd| std::cmp::Reverse(crowd.count()));
    crowds.truncate(PLACES);
    crowds
}

fn crowd(incident: &Incident, cluster: &Cluster, told: &[bool]) -> Option<Bystanders> {
    let newest = incident.dumps.len().checked_sub(1)?;
    let waits = |member: &MemberId| {
        !told[member.0 as usize]
            && incident.thread(*member, newest).is_some()
            && incident.activity(*member, newest).is_wait()
    };
    let here_now = !cluster.idle && cluster.per_dump.last().is_some_and(|&count| count >= CROWD);
    let members: BTreeSet<MemberId> =
        cluster.members.iter().filter(|_| here_now).copied().filter(waits).collect();
    let place = incident.application_calls(*members.first()?, newest).next()?.function.clone();
    (members.len() >= CROWD).then(|| Bystanders {
        members,
        place,
        per_dump: cluster.per_dump.clone(),
    })
}

/// A function by its type and its own name: `RequestQueue::push`.
fn short(function: &str) -> String {
    let name = FunctionName::of(function);
    let separator = if function.contains("::") { "::" } else { "." };
    match name.type_name {
        "" => name.method.to_owned(),
        of => format!("{of}{separator}{}", name.method),
    }
}
