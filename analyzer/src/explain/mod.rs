//! Findings -> a ranked story: the cause first, what it causes after it.
//!
//! Three questions, one file each: which finding follows from which ([`cause`]), which matters
//! most ([`rank`]), and what the answer is in one sentence ([`verdict`]). The rest translates
//! the numbers of the model into the names of a report.

mod cause;
mod member;
mod process;
mod rank;
mod report;
mod verdict;

pub use report::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, MemberReport, ProcessReport,
    RankedFinding, Report, Role, Status, Verdict,
};

use cause::Causes;
use member::{member_report, member_reports};
use rank::Ranked;

use crate::cluster::Cluster;
use crate::detect::{Evidence, Finding};
use crate::model::Incident;

/// How many members of a cluster a report names.
const FIRST_FEW: usize = 10;

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
pub fn explain(inputs: Vec<InputReport>, diagnoses: Vec<Diagnosis>) -> Report {
    let causes: Vec<Causes> = diagnoses.iter().map(Causes::of).collect();
    let ranking = rank::rank(&diagnoses, &causes);
    Report {
        verdict: verdict::verdict(&inputs, &diagnoses, &causes, &ranking),
        findings: ranked_findings(&diagnoses, &causes, &ranking),
        processes: diagnoses.iter().map(|diagnosis| process::report(diagnosis.incident)).collect(),
        clusters: clusters(&diagnoses),
        inputs,
    }
}

fn ranked_findings(
    diagnoses: &[Diagnosis],
    causes: &[Causes],
    ranking: &[Ranked],
) -> Vec<RankedFinding> {
    let name = |diagnosis: usize, finding: usize| {
        let place = ranking.iter().position(|r| (r.diagnosis, r.finding) == (diagnosis, finding));
        place.map(|place| format!("f{}", place + 1))
    };
    let report = |(number, ranked): (usize, &Ranked)| {
        let causes = &causes[ranked.diagnosis].by_finding[ranked.finding];
        let named: Vec<(String, &cause::Cause)> = causes
            .iter()
            .filter_map(|cause| Some((name(ranked.diagnosis, cause.finding)?, cause)))
            .collect();
        ranked_finding(number, ranked, &diagnoses[ranked.diagnosis], &named)
    };
    (1..).zip(ranking).map(report).collect()
}

fn ranked_finding(
    number: usize,
    ranked: &Ranked,
    diagnosis: &Diagnosis,
    causes: &[(String, &cause::Cause)],
) -> RankedFinding {
    let incident = diagnosis.incident;
    let finding = &diagnosis.findings[ranked.finding];
    let own = finding.evidence.iter().map(|evidence| evidence_report(incident, evidence));
    let ties = causes.iter().map(|(name, cause)| tie_report(name, cause));
    RankedFinding {
        id: format!("f{number}"),
        detector: finding.detector,
        process: incident.id.clone(),
        role: ranked.role,
        severity: finding.severity,
        score: ranked.score,
        grade: finding.grade,
        confidence: rank::confidence(finding),
        headline: finding.headline.clone(),
        detail: finding.detail.clone(),
        next_step: finding.next_step.clone(),
        members: member_reports(incident, &finding.members),
        victims: member_reports(incident, &finding.victims),
        holders: member_reports(incident, &finding.holders),
        lock: finding.lock.clone(),
        owner: finding.owner.map(|owner| member_report(incident, owner)),
        owner_source: finding.owner_source,
        frames: finding.frames.clone(),
        caused_by: causes.iter().map(|(name, _)| name.clone()).collect(),
        evidence: own.chain(ties).collect(),
    }
}

fn evidence_report(incident: &Incident, evidence: &Evidence) -> EvidenceReport {
    EvidenceReport {
        text: evidence.text.clone(),
        dump: evidence.dump.map(|dump| process::dump_id(incident, dump)),
        member: evidence.member.map(|member| member_report(incident, member)),
        value: evidence.value.filter(|value| value.is_finite()),
    }
}

/// The tie that makes one finding the cause of another is itself evidence.
fn tie_report(name: &str, cause: &cause::Cause) -> EvidenceReport {
    EvidenceReport {
        text: cause.tie.sentence(name),
        dump: None,
        member: None,
        value: Some(cause.tie.share()),
    }
}

fn clusters(diagnoses: &[Diagnosis]) -> Vec<ClusterReport> {
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
