//! Clusters as a report names them.

use super::member::member_report;
use super::{ClusterReport, Diagnosis};
use crate::cluster::Cluster;
use crate::model::Incident;

/// How many members of a cluster a report names.
const FIRST_FEW: usize = 10;

/// The clusters of all incidents.
pub(super) fn clusters(diagnoses: &[Diagnosis]) -> Vec<ClusterReport> {
    let all = diagnoses.iter().flat_map(|diagnosis| {
        diagnosis.clusters.iter().map(|cluster| (diagnosis.incident, cluster))
    });
    (1..)
        .zip(all)
        .map(|(number, (incident, cluster))| cluster_report(number, incident, cluster))
        .collect()
}

fn cluster_report(number: usize, incident: &Incident, cluster: &Cluster) -> ClusterReport {
    let first = cluster.members.first().map(|&id| incident.member(id).kind);
    ClusterReport {
        id: format!("c{number}"),
        process: incident.id.clone(),
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
