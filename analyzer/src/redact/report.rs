//! Every text of a report.

use crate::explain::{Flame, Picture, PlaceReport, RankedFinding, Report};

/// Calls for every text of a report that may hold addresses or paths.
pub(super) fn texts(report: &mut Report, redact: &mut impl FnMut(&mut String)) {
    redact(&mut report.verdict.headline);
    let warnings = report.inputs.iter_mut().flat_map(|input| &mut input.warnings);
    warnings.for_each(|warning| redact(&mut warning.message));
    report.findings.iter_mut().for_each(|finding| finding_texts(finding, redact));
    for cluster in &mut report.clusters {
        redact(&mut cluster.signature);
        cluster.frames.iter_mut().for_each(&mut *redact);
        cluster.states.iter_mut().for_each(|(state, _)| redact(state));
    }
    report.pictures.iter_mut().for_each(|picture| picture_texts(picture, redact));
    report.flames.iter_mut().for_each(|flame| flame_texts(flame, redact));
}

fn flame_texts(flame: &mut Flame, redact: &mut impl FnMut(&mut String)) {
    flame.delivery.iter_mut().for_each(&mut *redact);
    let mut names: Vec<&mut String> = flame.stacked.iter_mut().flat_map(|(path, _)| path).collect();
    if let Some(other) = &mut flame.compared {
        names.extend(other.stacked.iter_mut().flat_map(|(path, _)| path));
        names.extend(other.gone.iter_mut().map(|(name, _)| name));
    }
    names.into_iter().for_each(redact);
}

fn finding_texts(finding: &mut RankedFinding, redact: &mut impl FnMut(&mut String)) {
    let RankedFinding { headline, detail, next_step, signature, .. } = finding;
    [headline, detail, next_step, signature].into_iter().for_each(&mut *redact);
    finding.frames.iter_mut().for_each(&mut *redact);
    for PlaceReport { function, file, .. } in &mut finding.places {
        redact(function);
        redact(file);
    }
    finding.evidence.iter_mut().for_each(|fact| redact(&mut fact.text));
    if let Some(lock) = &mut finding.lock {
        redact(&mut lock.id);
        lock.type_name.iter_mut().for_each(&mut *redact);
    }
}

fn picture_texts(picture: &mut Picture, redact: &mut impl FnMut(&mut String)) {
    picture.functions.iter_mut().for_each(&mut *redact);
    picture.calls.iter_mut().for_each(|(_, place)| redact(place));
    picture.sights.iter_mut().for_each(|sight| redact(&mut sight.state));
    picture.locks.iter_mut().for_each(|lock| redact(&mut lock.name));
}
