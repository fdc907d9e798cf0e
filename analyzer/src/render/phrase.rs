//! Words and sentences that several renderers say alike.

use sigquit_dump::{Kind, OwnerSource};

use super::fold::called;
use super::plain::short;
use crate::detect::{Grade, Severity};
use crate::explain::{
    ClusterReport, DumpReport, EvidenceReport, InputReport, ProcessReport, RankedFinding, Report,
    Role, Status,
};
use crate::read::Warning;

/// The answer in one word.
pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "HEALTHY",
        Status::Suspect => "SUSPECT",
        Status::Incident => "INCIDENT",
    }
}

/// What was not understood, each with the input in which it stands.
pub(super) fn warnings(report: &Report) -> impl Iterator<Item = (&InputReport, &Warning)> {
    let inputs = report.inputs.iter();
    inputs.flat_map(|input| input.warnings.iter().map(move |warning| (input, warning)))
}

/// The lock that a finding is about, and its owner, as far as they are known.
pub(super) fn lock(finding: &RankedFinding) -> String {
    let lock = finding.lock.as_ref().map(|lock| {
        let of_type = lock.type_name.as_ref().map(|name| format!(" ({name})"));
        format!("{} {}{}", lock.kind, lock.id, of_type.unwrap_or_default())
    });
    let owner = finding.owner.as_ref().map(|owner| {
        let source = finding.owner_source.map(owner_source_name);
        let known = source.map(|source| format!(" ({source})")).unwrap_or_default();
        format!("owner {}{known}", short(&called(owner), 60))
    });
    match (lock, owner) {
        (Some(lock), None) => format!("{lock}, owner unknown"),
        (lock, owner) => lock.into_iter().chain(owner).collect::<Vec<_>>().join(", "),
    }
}

/// What a claim rests on; its confidence follows.
pub(super) fn grade_words(grade: Grade) -> &'static str {
    match grade {
        Grade::Proof => "proof",
        Grade::Counter => "by counters",
        Grade::Repeat => "by repetition",
        Grade::Pattern => "a hint",
    }
}

/// A fact, with the dump that shows it where the fact does not name that.
pub(super) fn evidence(evidence: &EvidenceReport) -> String {
    match &evidence.dump {
        Some(dump) if !evidence.text.contains(dump.as_str()) => {
            format!("{} [{dump}]", evidence.text)
        }
        _ => evidence.text.clone(),
    }
}

/// Where a cluster's members are, and in what states.
pub(super) fn whereabouts(cluster: &ClusterReport) -> String {
    let states = cluster.states.iter().map(|(state, _)| state.as_str()).filter(|s| !s.is_empty());
    let states = states.take(2).collect::<Vec<_>>().join(" or ");
    match states.is_empty() {
        true => cluster.signature.clone(),
        false => format!("{} ({states})", cluster.signature),
    }
}

/// What is known of a process, and of its dumps.
pub(super) fn process_sentence(process: &ProcessReport) -> String {
    let mut sentence = process.runtime.to_owned();
    if !process.title.is_empty() {
        sentence += &format!(" {}", short(&process.title, 60));
    }
    if let Some(pid) = process.pid {
        sentence += &format!(", pid {pid}");
    }
    if let Some(host) = &process.host {
        sentence += &format!(" on {}", short(host, 60));
    }
    if let (Some(first), Some(last)) = (process.dumps.first(), process.dumps.last()) {
        let noun = if process.is_profile { "profile" } else { "dump" };
        sentence += &format!("; {}", plural(process.dumps.len(), noun));
        sentence += &when(first.time.as_deref(), last.time.as_deref());
        if !process.is_profile {
            sentence += &format!("; {}", size(process, last));
        }
    }
    sentence
}

/// The time of the first and of the last dump, to the second. No zone is told: not every source
/// says in which it prints.
fn when(first: Option<&str>, last: Option<&str>) -> String {
    let parts = |time: &'_ str| -> Option<(String, String)> {
        let (day, time) = time.split_once('T')?;
        Some((day.to_owned(), time.split(['.', 'Z']).next()?.to_owned()))
    };
    match (first.and_then(parts), last.and_then(parts)) {
        (Some(first), Some(last)) if first == last => format!(", {} {}", first.0, first.1),
        (Some(first), Some(last)) if first.0 == last.0 => {
            format!(", {} {} to {}", first.0, first.1, last.1)
        }
        (Some(first), Some(last)) => {
            format!(", {} {} to {} {}", first.0, first.1, last.0, last.1)
        }
        _ => String::new(),
    }
}

/// How many threads and tasks a process had, in the words of its runtime.
fn size(process: &ProcessReport, newest: &DumpReport) -> String {
    let task = match process.runtime {
        "go" => "goroutine",
        "jvm" => "virtual thread",
        _ => "task",
    };
    let threads = plural(newest.threads, "thread");
    let tasks = plural(newest.tasks, task);
    match (newest.threads, newest.tasks) {
        (_, 0) => threads,
        (0, _) => tasks,
        _ => format!("{threads}, {tasks}"),
    }
}

/// `1 dump`, `2 dumps`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Suspect => "suspect",
        Status::Incident => "incident",
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Root => "root",
        Role::Symptom => "symptom",
        Role::Contributing => "contributing",
    }
}

pub(super) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}

pub(super) fn grade_name(grade: Grade) -> &'static str {
    match grade {
        Grade::Proof => "proof",
        Grade::Counter => "counter",
        Grade::Repeat => "repeat",
        Grade::Pattern => "pattern",
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Thread => "thread",
        Kind::Task => "task",
        Kind::Goroutine => "goroutine",
        Kind::VirtualThread => "vthread",
    }
}

pub(super) fn owner_source_name(source: OwnerSource) -> &'static str {
    match source {
        OwnerSource::Runtime => "runtime",
        OwnerSource::Tracked => "tracked",
        OwnerSource::Inferred => "inferred",
    }
}
