//! The order in which a story is told: every finding under the one that it follows from.

use crate::explain::{RankedFinding, Report};

/// A finding, and how many findings stand between it and the root that it follows from.
pub(super) struct Link<'a> {
    /// The finding.
    pub finding: &'a RankedFinding,
    /// 0 for a root, and for what stands beside one.
    pub depth: usize,
}

/// Every finding once, each root followed by what it causes.
pub(super) fn chain(report: &Report) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.caused_by.is_empty()) {
        follow(report, finding, 0, &mut links);
    }
    links
}

fn follow<'a>(
    report: &'a Report,
    finding: &'a RankedFinding,
    depth: usize,
    links: &mut Vec<Link<'a>>,
) {
    if links.iter().any(|link| link.finding.id == finding.id) {
        return;
    }
    links.push(Link { finding, depth });
    for symptom in report.findings.iter().filter(|other| other.caused_by.contains(&finding.id)) {
        follow(report, symptom, depth + 1, links);
    }
}
