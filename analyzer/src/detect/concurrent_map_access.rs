//! A runtime's own report that a map was used by two at once.

use sigquit_dump::Notice;

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Call, FunctionName, Incident, MemberId, Origin, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "concurrent-map-access", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# concurrent-map-access

The runtime ended the process because a map was used by two at once, one of them writing.

Go checks this for its maps and dies with `fatal error: concurrent map writes`, `read and map write`
or `iteration and map write`. No `recover` catches it.

## Evidence

- The runtime's own statement: proof that it happened, in the goroutine that it prints first. That
  one noticed; it need not be the one that is wrong.
- Others that the dump shows in methods of the same type: the likely other party.

## Limits

- The other party may have left the map before the dump was written.
- Since Go 1.26 only the noticing goroutine is printed unless GOTRACEBACK=all is set.
- The check is made by chance: silence does not prove that a map is used properly.

## What to do

Guard the map with one mutex for all of its users, readers included, or use `sync.Map`. Mind the
trap: a check and the change that depends on it have to stand under one lock, or two that both
checked will both change. A build with `-race` names both parties with their stacks.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let notices = incident
        .dumps
        .iter()
        .enumerate()
        .flat_map(|(dump, shown)| shown.notices.iter().map(move |notice| (dump, notice)));
    let told = notices.filter(|(_, notice)| Statement::of(notice) == Statement::ConcurrentMap);
    let mut findings: Vec<Finding> = told.map(|(dump, one)| finding(incident, dump, one)).collect();
    // Copies of one crash are one crash.
    findings.dedup_by(|one, other| one.headline == other.headline);
    findings
}

fn finding(incident: &Incident, dump: usize, notice: &Notice) -> Finding {
    let member = |&thread: &u32| incident.member_of(dump, thread as usize);
    let noticed = notice.threads.iter().find_map(member);
    let owner = noticed.and_then(|one| map_owner(incident, one, dump));
    let others = noticed.map_or(Vec::new(), |one| same_owner(incident, dump, one, owner));
    let message = notice.message.lines().next().unwrap_or_default();
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Critical,
        grade: Grade::Proof,
        confidence: Grade::Proof.cap(),
        headline: headline(incident, dump, message, noticed),
        detail: detail(incident, dump, owner, noticed, &others),
        next_step: next_step(incident, dump, owner),
        frames: noticed.map_or(Vec::new(), |one| phrase::telling_frames(incident, one, dump)),
        evidence: evidence(incident, dump, message, noticed, &others),
        members: noticed.into_iter().chain(others).collect(),
        victims: Vec::new(),
        holders: Vec::new(),
        lock: None,
        owner: None,
        owner_source: None,
    }
}

/// The type whose method used the map, or the package whose function did.
fn map_owner(incident: &Incident, member: MemberId, dump: usize) -> Option<&str> {
    let call = incident.application_calls(member, dump).next()?;
    Some(FunctionName::of(&call.function).owner).filter(|owner| !owner.is_empty())
}

/// Others inside methods of the same type. A package alone says too little.
fn same_owner(
    incident: &Incident,
    dump: usize,
    noticed: MemberId,
    owner: Option<&str>,
) -> Vec<MemberId> {
    let is_type = |owner: &&str| owner.contains('(') || owner.contains("::");
    let Some(owner) = owner.filter(is_type) else { return Vec::new() };
    let uses = |call: &Call| {
        call.origin == Origin::Application && FunctionName::of(&call.function).owner == owner
    };
    let inside = |&id: &MemberId| id != noticed && incident.calls(id, dump).any(uses);
    incident.shown(dump).filter(inside).collect()
}

/// Who could be the other party, when nobody is seen in the type's methods: who runs.
fn running(incident: &Incident, dump: usize, noticed: Option<MemberId>) -> Vec<MemberId> {
    let runs = |&id: &MemberId| {
        Some(id) != noticed
            && !incident.activity(id, dump).is_wait()
            && incident.idle(id, dump).is_none()
            && incident.application_calls(id, dump).next().is_some()
    };
    incident.shown(dump).filter(runs).collect()
}

fn headline(incident: &Incident, dump: usize, message: &str, noticed: Option<MemberId>) -> String {
    let place = noticed.and_then(|one| {
        let call = incident.application_calls(one, dump).next()?;
        Some(format!(", noticed by {} in {}", phrase::who(incident, one), call.function))
    });
    format!("the runtime ended the process: {message}{}", place.unwrap_or_default())
}

fn detail(
    incident: &Incident,
    dump: usize,
    owner: Option<&str>,
    noticed: Option<MemberId>,
    others: &[MemberId],
) -> String {
    let map = owner.map_or("A map".to_owned(), |owner| format!("A map of {owner}"));
    let mut detail = vec![format!("{map} is used by several at once without a lock.")];
    let running = running(incident, dump, noticed);
    if !others.is_empty() {
        let them = phrase::those(incident, others);
        detail.push(format!("In the same type's methods at that moment: {them}."));
    } else if !running.is_empty() {
        let them = phrase::those(incident, &running);
        detail.push(format!("The other party is out of sight; running at that moment: {them}."));
    } else if incident.dumps[dump].threads.len() == 1 {
        detail.push("The runtime printed only the one that noticed.".into());
    }
    detail.join(" ")
}

fn next_step(incident: &Incident, dump: usize, owner: Option<&str>) -> String {
    let map = owner.map_or("the map".to_owned(), |owner| format!("the map of {owner}"));
    let see_all = match incident.dumps[dump].threads.len() {
        0 | 1 => " Run with GOTRACEBACK=all to see the others next time.",
        _ => "",
    };
    format!(
        "Guard {map} with one mutex for readers and writers, or make it a sync.Map; put a check \
         and the change that depends on it under one lock. A build with -race names both \
         parties.{see_all}"
    )
}

fn evidence(
    incident: &Incident,
    dump: usize,
    message: &str,
    noticed: Option<MemberId>,
    others: &[MemberId],
) -> Vec<Evidence> {
    let fact = |text: String, member| Evidence { text, dump: Some(dump), member, value: None };
    let said = fact(format!("fatal error: {message}"), noticed);
    let inside = |&other: &MemberId| {
        let place = phrase::place(incident, other, dump).unwrap_or_default();
        fact(format!("{} is in {place}", phrase::who(incident, other)), Some(other))
    };
    std::iter::once(said).chain(others.iter().map(inside)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Scene};
    use sigquit_dump::{NoticeKind, Runtime, ThreadState};

    fn incident(message: &str) -> Incident {
        Scene::of(Runtime::Go)
            .dump(0, |dump| {
                let get = ["runtime.fatal", "main.(*Cache).Get:18", "main.reader:29"];
                dump.thread("20", &get).is(ThreadState::Running);
                dump.thread("21", &["main.(*Cache).Put:22", "main.writer:34"])
                    .is(ThreadState::Runnable);
                dump.thread("1", &["main.main:68"]).is(ThreadState::Waiting).state_text =
                    "select (no cases)".into();
                dump.notice(NoticeKind::Fatal, message, &["20"]);
            })
            .incident()
    }

    #[test]
    fn who_noticed_comes_first_and_who_was_in_the_same_type_is_the_other_party() {
        let incident = incident("concurrent map read and map write");
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!(found.members, [incident.named("20"), incident.named("21")]);
        assert_eq!((found.severity, found.grade), (Severity::Critical, Grade::Proof));
        assert_eq!(found.frames[1], "main.(*Cache).Get");
        assert!(found.next_step.contains("the map of main.(*Cache)"));
    }

    #[test]
    fn another_fatal_error_is_none() {
        assert!(detect(&incident("sync: unlock of unlocked mutex")).is_empty());
    }
}
