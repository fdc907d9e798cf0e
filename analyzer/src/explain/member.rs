//! Members as a report names and counts them.

use std::collections::BTreeSet;

use sigquit_dump::Kind;

use super::MemberReport;
use crate::model::{Incident, MemberId};

pub(super) fn member_report(incident: &Incident, id: MemberId) -> MemberReport {
    let member = incident.member(id);
    MemberReport { kind: member.kind, id: member.id.to_string(), name: member.name.to_string() }
}

pub(super) fn member_reports(incident: &Incident, ids: &[MemberId]) -> Vec<MemberReport> {
    ids.iter().map(|&id| member_report(incident, id)).collect()
}

/// So many threads, goroutines, tasks.
pub(super) fn count(incident: &Incident, members: &BTreeSet<MemberId>) -> String {
    let mut kinds = members.iter().map(|&id| incident.member(id).kind);
    let first = kinds.next().unwrap_or_default();
    let mixed = kinds.any(|kind| kind != first);
    let (one, many) = match first {
        _ if mixed => ("thread or task", "threads and tasks"),
        Kind::Thread => ("thread", "threads"),
        Kind::VirtualThread => ("virtual thread", "virtual threads"),
        Kind::Goroutine => ("goroutine", "goroutines"),
        Kind::Task => ("task", "tasks"),
    };
    format!("{} {}", members.len(), if members.len() == 1 { one } else { many })
}
