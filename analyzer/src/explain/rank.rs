//! Which finding matters most.

use std::cmp::Reverse;

use super::cause::{Causes, Nature, makers, nature};
use super::{Diagnosis, Role};
use crate::detect::{Finding, Grade, Severity};

/// A finding with its place among all findings.
pub(super) struct Ranked {
    /// Which diagnosis it belongs to.
    pub diagnosis: usize,
    /// Its index there.
    pub finding: usize,
    /// Its place in the story.
    pub role: Role,
    /// From 0 to 100.
    pub score: u32,
}

/// All findings: roots first, then what follows from them, the nearest first, then what stands
/// beside; among equals the weightier, then the likelier cause, then the higher score.
pub(super) fn rank(diagnoses: &[Diagnosis], causes: &[Causes]) -> Vec<Ranked> {
    let mut ranking = Vec::new();
    for (index, (diagnosis, causes)) in diagnoses.iter().zip(causes).enumerate() {
        for finding in 0..diagnosis.findings.len() {
            ranking.push(Ranked {
                diagnosis: index,
                finding,
                role: role(diagnosis, causes, finding),
                score: score(diagnosis, causes, finding),
            });
        }
    }
    ranking.sort_by_key(|ranked| {
        let steps = steps(causes, ranked.diagnosis, ranked.finding);
        let (diagnosis, causes) = (&diagnoses[ranked.diagnosis], &causes[ranked.diagnosis]);
        (ranked.role, steps, order(diagnosis, causes, ranked.finding))
    });
    ranking
}

/// The order of findings that stand alike: the weightier, the likelier cause, the higher score.
pub(super) fn order(
    diagnosis: &Diagnosis,
    causes: &Causes,
    finding: usize,
) -> (Reverse<Severity>, Nature, Reverse<u32>) {
    let score = score(diagnosis, causes, finding);
    let finding = &diagnosis.findings[finding];
    (Reverse(weight(finding)), nature(finding.detector), Reverse(score))
}

/// A finding's confidence, never more than its grade carries.
pub(super) fn confidence(finding: &Finding) -> f64 {
    match finding.confidence {
        confidence if confidence.is_finite() => confidence.clamp(0.0, finding.grade.cap()),
        _ => 0.0,
    }
}

/// How bad, given how sure: what is severe and not sure weighs one step less.
pub(super) fn weight(finding: &Finding) -> Severity {
    match finding.severity {
        severity if confidence(finding) >= 0.5 => severity,
        Severity::Critical | Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        severity => severity,
    }
}

/// A finding with a cause is a symptom. What is slight and unrelated stands beside a cause of
/// some weight; alone, it is the root of its own small story.
fn role(diagnosis: &Diagnosis, causes: &Causes, finding: usize) -> Role {
    if !causes.is_root(finding) {
        return Role::Symptom;
    }
    let slight = weight(&diagnosis.findings[finding]) <= Severity::Low;
    let heavier = diagnosis
        .findings
        .iter()
        .zip(&causes.by_finding)
        .any(|(other, causes)| causes.is_empty() && weight(other) > Severity::Low);
    if slight && heavier { Role::Contributing } else { Role::Root }
}

/// How many causes stand, at most, between a finding and its root. Causes have no circles.
fn steps(causes: &[Causes], diagnosis: usize, finding: usize) -> usize {
    let within = causes[diagnosis].by_finding[finding].iter();
    let within = within.map(|cause| steps(causes, diagnosis, cause.finding) + 1);
    let across = causes[diagnosis].across[finding].iter();
    let across = across.map(|cause| steps(causes, cause.diagnosis, cause.finding) + 1);
    within.chain(across).max().unwrap_or(0)
}

/// 100 x confidence x impact x how much was seen. The severity gives the impact its range; where
/// in it a finding lies depends on the share of the busy members that it reaches.
fn score(diagnosis: &Diagnosis, causes: &Causes, index: usize) -> u32 {
    let finding = &diagnosis.findings[index];
    let (least, most) = match finding.severity {
        Severity::Critical => (0.8, 1.0),
        Severity::High => (0.6, 0.8),
        Severity::Medium => (0.3, 0.6),
        Severity::Low => (0.1, 0.3),
        Severity::Info => (0.0, 0.1),
    };
    let impact = least + (most - least) * reach(causes, finding, index);
    let one_look = diagnosis.incident.dumps.len() < 2 && finding.grade != Grade::Proof;
    let seen = if one_look { 0.8 } else { 1.0 };
    (100.0 * confidence(finding) * impact * seen).round().clamp(0.0, 100.0) as u32
}

/// The share of the busy members that make a finding or wait behind it.
fn reach(causes: &Causes, finding: &Finding, index: usize) -> f64 {
    let reached = (&makers(finding) | &causes.behind[index]).len();
    (reached as f64 / causes.busy.max(1) as f64).min(1.0)
}
