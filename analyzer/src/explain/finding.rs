//! Findings as a report tells them, in rank order.

use super::bystander::{Bystanders, bystanders};
use super::cause::{Cause, Causes};
use super::member::{member_report, member_reports};
use super::rank::{self, Ranked};
use super::{Diagnosis, EvidenceReport, PlaceReport, RankedFinding, Role, process};
use crate::detect::{Evidence, Finding};
use crate::model::{Call, Incident};

/// So many of those whom a finding is about are searched for the places of its functions.
const SEARCHED: usize = 16;

/// The findings of all incidents.
pub(super) fn findings(
    diagnoses: &[Diagnosis],
    causes: &[Causes],
    ranking: &[Ranked],
) -> Vec<RankedFinding> {
    let id = |diagnosis: usize, finding: usize| {
        let place = ranking.iter().position(|r| (r.diagnosis, r.finding) == (diagnosis, finding));
        place.map(|place| format!("f{}", place + 1))
    };
    let mut reports: Vec<RankedFinding> = Vec::new();
    for ranked in ranking {
        let diagnosis = &diagnoses[ranked.diagnosis];
        let mut report = report(ranked, diagnosis);
        report.id = format!("f{}", reports.len() + 1);
        for cause in &causes[ranked.diagnosis].by_finding[ranked.finding] {
            let Some(id) = id(ranked.diagnosis, cause.finding) else { continue };
            report.evidence.push(tie(&id, cause));
            report.caused_by.push(id);
        }
        for cause in &causes[ranked.diagnosis].across[ranked.finding] {
            let Some(id) = id(cause.diagnosis, cause.finding) else { continue };
            let process = &diagnoses[cause.diagnosis].incident.id;
            report.evidence.push(EvidenceReport {
                text: cause.sentence(&id, process),
                dump: None,
                member: None,
                value: Some(cause.some as f64 / cause.all.max(1) as f64),
            });
            report.caused_by.push(id);
        }
        let first_of_process = reports.iter().all(|other| other.process != report.process);
        if first_of_process && report.role == Role::Root {
            report.evidence.extend(meanwhile(diagnosis, &causes[ranked.diagnosis]));
        }
        reports.push(report);
    }
    reports
}

fn report(ranked: &Ranked, diagnosis: &Diagnosis) -> RankedFinding {
    let incident = diagnosis.incident;
    let finding = &diagnosis.findings[ranked.finding];
    let evidence = finding.evidence.iter().map(|evidence| evidence_report(incident, evidence));
    RankedFinding {
        id: String::new(),
        detector: finding.detector,
        process: incident.id.clone(),
        signature: signature(finding),
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
        places: places(incident, finding),
        caused_by: Vec::new(),
        evidence: evidence.collect(),
    }
}

/// `map-corruption: shop::Cache::get < shop::price (Mutex)`.
fn signature(finding: &Finding) -> String {
    let mut signature = finding.detector.to_owned();
    if !finding.frames.is_empty() {
        signature += &format!(": {}", finding.frames.join(" < "));
    }
    if let Some(lock) = &finding.lock {
        signature += &format!(" ({})", lock.type_name.as_ref().unwrap_or(&lock.kind));
    }
    signature
}

/// Where in the sources the functions of a finding are, by the newest dumps that show it.
fn places(incident: &Incident, finding: &Finding) -> Vec<PlaceReport> {
    let about = finding.members.iter().chain(&finding.owner);
    let about = about.chain(&finding.holders).chain(&finding.victims).take(SEARCHED);
    let dumps = || (0..incident.dumps.len()).rev();
    let calls: Vec<&Call> = about
        .flat_map(|&member| dumps().flat_map(move |dump| incident.calls(member, dump)))
        .collect();
    let place = |function: &String| {
        let is_it = |call: &&&Call| call.function == *function || call.printed == *function;
        let location = calls.iter().filter(is_it).find_map(|call| call.location.as_ref())?;
        Some(PlaceReport {
            function: function.clone(),
            file: location.file.clone(),
            line: location.line,
        })
    };
    finding.frames.iter().filter_map(place).collect()
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
fn tie(id: &str, cause: &Cause) -> EvidenceReport {
    EvidenceReport {
        text: cause.tie.sentence(id),
        dump: None,
        member: None,
        value: Some(cause.tie.share()),
    }
}

/// Who else waits: told with the first cause of a process, which is not said to be theirs.
fn meanwhile(diagnosis: &Diagnosis, causes: &Causes) -> Vec<EvidenceReport> {
    let fact = |crowd: Bystanders| EvidenceReport {
        text: crowd.fact(diagnosis.incident),
        dump: None,
        member: None,
        value: Some(crowd.count() as f64),
    };
    bystanders(diagnosis, causes).into_iter().map(fact).collect()
}
