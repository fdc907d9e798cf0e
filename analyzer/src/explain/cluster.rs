//! Clusters as a report names them.

use std::collections::BTreeMap;

use super::member::member_report;
use super::{ClusterReport, Diagnosis};
use crate::cluster::{Cluster, families};
use crate::model::Incident;

/// How many members of a cluster a report names.
const FIRST_FEW: usize = 10;

/// The clusters of all incidents.
pub(super) fn clusters(diagnoses: &[Diagnosis]) -> Vec<ClusterReport> {
    let mut reports: Vec<ClusterReport> = Vec::new();
    let mut named = 0;
    for diagnosis in diagnoses {
        let families = families(&diagnosis.clusters);
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        families.iter().for_each(|&family| *sizes.entry(family).or_default() += 1);
        sizes.retain(|_, size| *size > 1);
        let names: BTreeMap<usize, String> = (named + 1..)
            .zip(sizes.keys())
            .map(|(number, &family)| (family, format!("k{number}")))
            .collect();
        named += names.len();
        for (cluster, family) in diagnosis.clusters.iter().zip(&families) {
            let mut report = cluster_report(reports.len() + 1, diagnosis.incident, cluster);
            report.family = names.get(family).cloned();
            reports.push(report);
        }
    }
    reports
}

fn cluster_report(number: usize, incident: &Incident, cluster: &Cluster) -> ClusterReport {
    let first = cluster.members.first().map(|&id| incident.member(id).kind);
    ClusterReport {
        id: format!("c{number}"),
        process: incident.id.clone(),
        family: None,
        signature: cluster.signature.clone(),
        count: cluster.per_dump.iter().rev().copied().find(|&count| count > 0).unwrap_or(0),
        per_dump: cluster.per_dump.clone(),
        kind: first.unwrap_or_default(),
        states: cluster.states.clone(),
        idle: cluster.idle,
        frames: cluster.frames.clone(),
        members: cluster
            .members
            .iter()
            .take(FIRST_FEW)
            .map(|&id| member_report(incident, id))
            .collect(),
    }
}
