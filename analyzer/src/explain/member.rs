//! Members as a report names them.

use super::MemberReport;
use crate::model::{Incident, MemberId};

pub(super) fn member_report(incident: &Incident, id: MemberId) -> MemberReport {
    let member = incident.member(id);
    MemberReport { kind: member.kind, id: member.id.clone(), name: member.name.clone() }
}

pub(super) fn member_reports(incident: &Incident, ids: &[MemberId]) -> Vec<MemberReport> {
    ids.iter().map(|&id| member_report(incident, id)).collect()
}
