//! A panic or a fatal error: who, where, and who else was there.

use sigquit_dump::{Notice, Runtime};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Call, Incident, MemberId, Origin, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "panic", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# panic

The dump is a crash's: a panic, an uncaught exception, or an error that the runtime cannot survive.

Names who failed, with what message, at what place, and who else was in the same code or waits for
what the failing thread holds.

## Evidence

- The runtime's own statement: proof.
- The stack below the calls that raised it: the place.
- Others in the same function at that moment; others that wait for its locks.

## Limits

- A panic that somebody recovered is told like one that ended the process, where the source prints
  both alike (an HTTP server's log).
- The message is the program's own text and is shown as it was printed.

## What to do

Begin at the place, not at the top of the stack. Of a chain of panics the first is the cause; later
ones come from cleaning up. Where the failing thread held a lock, what the lock guards may be half
changed: whoever goes on with it should check it or give up.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let mut told: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for (dump, shown) in incident.dumps.iter().enumerate() {
        for notice in &shown.notices {
            let statement = Statement::of(notice);
            let is_new = !told.contains(&notice.message.as_str());
            if matches!(statement, Statement::Panic | Statement::Fatal) && is_new {
                told.push(&notice.message);
                findings.push(finding(incident, dump, notice, statement));
            }
        }
    }
    findings
}

/// What ends the whole process is worse than what ends one thread.
fn severity(incident: &Incident, statement: Statement) -> Severity {
    match statement {
        Statement::Fatal => Severity::Critical,
        Statement::Panic if incident.process.runtime == Runtime::Go => Severity::Critical,
        _ => Severity::High,
    }
}

fn finding(incident: &Incident, dump: usize, notice: &Notice, statement: Statement) -> Finding {
    let failed = notice.threads.iter().find_map(|&one| incident.member_of(dump, one as usize));
    let calls = calls(incident, dump, notice, failed);
    let place = calls.iter().find(|call| call.origin == Origin::Application).or(calls.first());
    let beside = failed.map_or(Vec::new(), |one| beside(incident, dump, one, place.copied()));
    let victims = failed.map_or(Vec::new(), |one| behind(incident, dump, one));
    Finding {
        detector: DETECTOR.name,
        severity: severity(incident, statement),
        grade: Grade::Proof,
        confidence: Grade::Proof.cap(),
        headline: headline(incident, notice, statement, failed, place.copied()),
        detail: detail(incident, notice, &beside, &victims),
        next_step: next_step(notice, place.copied(), &victims),
        members: failed.into_iter().collect(),
        frames: calls.iter().take(FRAMES).map(|call| call.function.clone()).collect(),
        evidence: evidence(incident, dump, notice, failed, &beside),
        victims,
        holders: poisoners(incident, dump, notice),
        lock: None,
        owner: None,
        owner_source: None,
    }
}

/// So many frames tell the place.
const FRAMES: usize = 8;

/// The calls from where it happened outwards, by the statement's own stack where it has one.
fn calls<'a>(
    incident: &'a Incident,
    dump: usize,
    notice: &Notice,
    failed: Option<MemberId>,
) -> Vec<&'a Call> {
    let told = notice.stacks.first().map(|&stack| incident.raised_in_stack(dump, stack));
    let own = || failed.map(|member| incident.raised_in(member, dump));
    told.filter(|calls| !calls.is_empty()).or_else(own).unwrap_or_default()
}

/// Who panicked before under a lock, where this one failed over finding a lock poisoned: with a
/// single lock-holder that panicked there is no doubt which; with several, any.
fn poisoners(incident: &Incident, dump: usize, notice: &Notice) -> Vec<MemberId> {
    if !notice.message.contains("PoisonError") {
        return Vec::new();
    }
    let earlier = incident.dumps[dump].notices.iter().take_while(|other| *other != notice);
    let panics = earlier.filter(|other| {
        Statement::of(other) == Statement::Panic && !other.message.contains("PoisonError")
    });
    panics
        .flat_map(|other| &other.threads)
        .filter(|thread| !notice.threads.contains(thread))
        .filter_map(|&thread| incident.member_of(dump, thread as usize))
        .collect()
}

/// Others in the function where it happened.
fn beside(
    incident: &Incident,
    dump: usize,
    failed: MemberId,
    place: Option<&Call>,
) -> Vec<MemberId> {
    let Some(place) = place.filter(|place| place.origin == Origin::Application) else {
        return Vec::new();
    };
    let is_there = |&id: &MemberId| {
        id != failed && incident.calls(id, dump).any(|call| call.function == place.function)
    };
    incident.shown(dump).filter(is_there).collect()
}

fn behind(incident: &Incident, dump: usize, failed: MemberId) -> Vec<MemberId> {
    let Some(thread) = incident.member(failed).seen[dump] else { return Vec::new() };
    let blocked = incident.wait_for(dump).blocked_by(thread as u32);
    blocked.iter().filter_map(|&thread| incident.member_of(dump, thread as usize)).collect()
}

fn headline(
    incident: &Incident,
    notice: &Notice,
    statement: Statement,
    failed: Option<MemberId>,
    place: Option<&Call>,
) -> String {
    let message = notice.message.lines().next().unwrap_or_default();
    let who = failed.map_or("a thread".to_owned(), |one| phrase::who(incident, one));
    let place = place.map_or(String::new(), |call| format!(" in {}", call.function));
    match statement {
        Statement::Fatal => format!("the runtime ended the process: {message}, {who}{place}"),
        _ => format!("{who} panicked{place}: {message}"),
    }
}

fn detail(
    incident: &Incident,
    notice: &Notice,
    beside: &[MemberId],
    victims: &[MemberId],
) -> String {
    let mut detail = Vec::new();
    let chain: Vec<&str> = notice.message.lines().collect();
    if chain.len() > 1 {
        detail.push(format!("In full: {}.", chain.join("; then ")));
    }
    if let Some(location) = &notice.location {
        let line = location.line.map_or(String::new(), |line| format!(":{line}"));
        detail.push(format!("At {}{line}.", location.file));
    }
    if !beside.is_empty() {
        let them = phrase::those(incident, beside);
        detail.push(format!("In the same function at that moment: {them}."));
    }
    if !victims.is_empty() {
        let them = phrase::those(incident, victims);
        detail.push(format!("Waiting for what it holds: {them}."));
    }
    detail.join(" ")
}

fn next_step(notice: &Notice, place: Option<&Call>, victims: &[MemberId]) -> String {
    let place = place.map_or("the innermost frame of the program's own".to_owned(), |call| {
        match call.line() {
            Some(line) => format!("{} (line {line})", call.function),
            None => call.function.clone(),
        }
    });
    let chain = match notice.message.lines().count() {
        0 | 1 => "",
        _ => " Of the chain, the first is the cause.",
    };
    let lock = match victims.is_empty() {
        true => "",
        false => " It held a lock: what that guards may be half changed.",
    };
    format!(
        "Begin at {place}: what there led to \"{}\"?{chain}{lock}",
        first_words(&notice.message)
    )
}

/// The beginning of a message, short enough to be quoted in a sentence.
fn first_words(message: &str) -> String {
    const LONGEST: usize = 80;
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn evidence(
    incident: &Incident,
    dump: usize,
    notice: &Notice,
    failed: Option<MemberId>,
    beside: &[MemberId],
) -> Vec<Evidence> {
    let fact = |text: String, member| Evidence { text, dump: Some(dump), member, value: None };
    let said = fact(format!("the runtime said: {}", first_words(&notice.message)), failed);
    let there = beside.iter().map(|&other| {
        fact(format!("{} was in the same function", phrase::who(incident, other)), Some(other))
    });
    std::iter::once(said).chain(there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Scene};
    use sigquit_dump::{LockKind, NoticeKind, WaitFor};

    #[test]
    fn a_panic_is_told_with_its_place_its_chain_and_who_waits_for_its_lock() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                let stack = [
                    "rust_begin_unwind",
                    "core::panicking::panic_bounds_check",
                    "shop::Cart::at:26",
                    "shop::serve:9",
                ];
                dump.thread("request-1", &stack).seems_to_hold(lock);
                dump.thread("request-2", &["shop::Cart::at:25", "shop::serve:9"]);
                dump.thread("request-3", &["shop::Cart::add:40"]).waits(lock, WaitFor::Exclusive);
                dump.notice(
                    NoticeKind::Panic,
                    "index out of bounds\ncleanup failed",
                    &["request-1"],
                );
            })
            .incident();
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert!(
            found.headline.ends_with("panicked in shop::Cart::at: index out of bounds"),
            "{}",
            found.headline
        );
        assert_eq!(found.frames, ["shop::Cart::at", "shop::serve"]);
        assert_eq!(incident.names(&found.victims), ["request-3"]);
        assert!(found.detail.contains("cleanup failed") && found.detail.contains("request-2"));
    }

    #[test]
    fn who_finds_a_lock_poisoned_suffers_from_who_panicked_under_it() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                dump.thread("checkout", &["shop::Cart::at:26"]);
                dump.thread("report", &["shop::report:9"]);
                dump.notice(NoticeKind::Panic, "index out of bounds", &["checkout"]);
                dump.notice(NoticeKind::Panic, "an `Err` value: PoisonError", &["report"]);
            })
            .incident();
        let findings = detect(&incident);
        assert_eq!(incident.names(&findings[1].holders), ["checkout"]);
        assert!(findings[0].holders.is_empty());
    }

    #[test]
    fn a_deadlock_a_map_error_and_a_healthy_dump_are_none() {
        for message in ["all goroutines are asleep - deadlock!", "concurrent map writes", ""] {
            let incident = Scene::of(Runtime::Go)
                .dump(0, |dump| {
                    dump.thread("1", &["main.main"]);
                    if !message.is_empty() {
                        dump.notice(NoticeKind::Fatal, message, &["1"]);
                    }
                })
                .incident();
            assert!(detect(&incident).is_empty(), "{message}");
        }
    }
}
