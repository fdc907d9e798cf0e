//! Which finding of one process follows from which of another.
//!
//! Only facts tie two processes: those who make a finding what it is wait on connections whose other
//! ends the other process has, and does not itself wait on. The cause is then the weightiest cause
//! in that process; who waits for it to answer is told of as its symptom. Two processes that are sick at the
//! same time and do not talk stay side by side, and so do two that wait for each other.

use std::net::SocketAddr;

use super::Diagnosis;
use super::cause::{Across, Causes, makers};
use super::rank::{self, weight};
use crate::detect::Severity;
use crate::model::MemberId;

/// The share of those who make a finding what it is that has to wait for the other process.
const MOST: f64 = 0.5;

/// Adds the ties between processes.
pub(super) fn tie(diagnoses: &[Diagnosis], causes: &mut [Causes]) {
    let heaviest: Vec<Option<usize>> = (0..diagnoses.len())
        .map(|process| heaviest_cause(&diagnoses[process], &causes[process]))
        .collect();
    for waiting in 0..diagnoses.len() {
        for finding in 0..diagnoses[waiting].findings.len() {
            if !causes[waiting].by_finding[finding].is_empty() {
                continue;
            }
            for (owing, &cause) in heaviest.iter().enumerate().filter(|&(at, _)| at != waiting) {
                let Some(cause) = cause else { continue };
                let Some(across) = across(diagnoses, (waiting, finding), (owing, cause)) else {
                    continue;
                };
                if !reaches(causes, (owing, cause), (waiting, finding)) {
                    causes[waiting].across[finding].push(across);
                }
            }
        }
    }
}

/// The cause in one process that weighs most, if any is more than slight.
fn heaviest_cause(diagnosis: &Diagnosis, causes: &Causes) -> Option<usize> {
    let findings = &diagnosis.findings;
    let roots = (0..findings.len()).filter(|&at| causes.by_finding[at].is_empty());
    let heavy = roots.filter(|&at| weight(&findings[at]) > Severity::Low);
    heavy.min_by_key(|&at| rank::order(diagnosis, causes, at))
}

/// A finding by its process and its number there.
type Place = (usize, usize);

fn across(diagnoses: &[Diagnosis], waiting: Place, cause: Place) -> Option<Across> {
    let (here, there) = (&diagnoses[waiting.0], &diagnoses[cause.0]);
    let makers = makers(&here.findings[waiting.1]);
    let awaited = |&member: &MemberId| -> Option<SocketAddr> {
        let connections = here.incident.waits_on(member);
        let first = connections.first()?.peer;
        let mut all = connections.into_iter();
        all.all(|one| there.incident.owes_answer(here.incident, one)).then_some(first)
    };
    let peers: Vec<SocketAddr> = makers.iter().filter_map(awaited).collect();
    let (some, all) = (peers.len(), makers.len());
    let peer = *peers.first()?;
    let is_most = some as f64 >= MOST * all as f64;
    is_most.then_some(Across { diagnosis: cause.0, finding: cause.1, some, all, peer })
}

/// Whether a finding follows, through however many others, from another.
fn reaches(causes: &[Causes], from: Place, to: Place) -> bool {
    if from == to {
        return true;
    }
    let (process, finding) = from;
    let within = causes[process].by_finding[finding].iter();
    let across = causes[process].across[finding].iter();
    within.map(|cause| (process, cause.finding)).any(|next| reaches(causes, next, to))
        || across.map(|one| (one.diagnosis, one.finding)).any(|next| reaches(causes, next, to))
}
