//! The answer: one word and one sentence.

use std::collections::BTreeSet;

use sigquit_dump::{Dump, Kind, LockId, LockKind, NoticeKind, Runtime};

use super::bystander::bystanders;
use super::cause::{Causes, makers, sufferers};
use super::member::count;
use super::rank::{Ranked, weight};
use super::{Diagnosis, InputReport, Role, Status, Verdict};
use crate::detect::{Finding, Severity};
use crate::model::{Incident, MemberId};

/// Draws the verdict from the ranked findings.
pub(super) fn verdict(
    inputs: &[InputReport],
    diagnoses: &[Diagnosis],
    causes: &[Causes],
    ranking: &[Ranked],
) -> Verdict {
    let roots: Vec<&Ranked> = ranking
        .iter()
        .filter(|ranked| ranked.role == Role::Root)
        .filter(|ranked| weight(finding(diagnoses, ranked)) > Severity::Low)
        .collect();
    let mut verdict = match roots.split_first() {
        Some((first, others)) => Verdict {
            status: status(diagnoses, ranking),
            headline: story(diagnoses, causes, first, others),
        },
        None => no_cause(inputs, diagnoses, ranking),
    };
    let known = diagnoses.iter().map(|diagnosis| diagnosis.known.len()).sum();
    if known > 0 {
        let findings = plural(known, "more finding");
        verdict.headline += &format!("; the baseline shows {findings} too");
    }
    verdict
}

fn finding<'a>(diagnoses: &'a [Diagnosis], ranked: &Ranked) -> &'a Finding {
    &diagnoses[ranked.diagnosis].findings[ranked.finding]
}

fn status(diagnoses: &[Diagnosis], ranking: &[Ranked]) -> Status {
    let worst = ranking.iter().map(|ranked| weight(finding(diagnoses, ranked))).max();
    match worst {
        Some(Severity::High | Severity::Critical) => Status::Incident,
        Some(Severity::Medium) => Status::Suspect,
        _ => Status::Healthy,
    }
}

/// The cause, what it causes, and how many causes stand beside it.
fn story(diagnoses: &[Diagnosis], causes: &[Causes], root: &Ranked, others: &[&Ranked]) -> String {
    let mut story = sentence_body(&finding(diagnoses, root).headline);
    let elsewhere = elsewhere(diagnoses, causes, (root.diagnosis, root.finding));
    if diagnoses.len() > 1 {
        let first = if elsewhere.is_empty() { "" } else { "look first at " };
        let process = process_name(diagnoses[root.diagnosis].incident);
        story = format!("{first}{process}: {story}");
    }
    let mut effects = effects(&diagnoses[root.diagnosis], &causes[root.diagnosis], root.finding);
    effects.extend(elsewhere);
    if !effects.is_empty() {
        story = format!("{story}; behind it {}", effects.join(", "));
    }
    if let Some(crowd) = bystanders(&diagnoses[root.diagnosis], &causes[root.diagnosis]).first() {
        story = format!("{story}; meanwhile {}", crowd.phrase(diagnoses[root.diagnosis].incident));
    }
    let is_elsewhere = |other: &&Ranked| other.diagnosis != root.diagnosis;
    let apart = match others.iter().any(is_elsewhere) {
        true => "; which process was first the dumps do not tell",
        false => "",
    };
    let story = match others {
        [] => story,
        [other] if finding(diagnoses, other).headline == finding(diagnoses, root).headline => {
            format!("{story}; and the same in {}", diagnoses[other.diagnosis].incident.id)
        }
        [other] => {
            let headline = sentence_body(&finding(diagnoses, other).headline);
            let process = match is_elsewhere(other) {
                true => format!("in {}, ", process_name(diagnoses[other.diagnosis].incident)),
                false => String::new(),
            };
            format!("{story}; and, apart from that, {process}{headline}")
        }
        others => format!("{story}; and, apart from that, {} more causes", others.len()),
    };
    story + apart
}

/// A headline as a part of a longer sentence.
fn sentence_body(headline: &str) -> String {
    headline.trim().trim_end_matches('.').to_owned()
}

fn process_name(incident: &Incident) -> String {
    match incident.process.pid {
        Some(pid) => format!("{} (pid {pid})", incident.id),
        None => incident.id.clone(),
    }
}

/// What follows from a root, one phrase a symptom, and who else waits behind it. Those whom the
/// root's own headline is about are not told again.
fn effects(diagnosis: &Diagnosis, causes: &Causes, root: usize) -> Vec<String> {
    let incident = diagnosis.incident;
    let finding = &diagnosis.findings[root];
    let mut told = &makers(finding) | &sufferers(finding);
    let mut phrases = Vec::new();
    let mut grows = finding.detector == "avalanche";
    for symptom in symptoms(causes, root) {
        let finding = &diagnosis.findings[symptom];
        grows |= finding.detector == "avalanche";
        let new = &sufferers(finding) - &told;
        if !new.is_empty() {
            let doing = agreeing(new.len(), what_they_do(finding.detector));
            phrases.push(format!("{} {doing}", count(incident, &new)));
        }
        told.extend(new);
    }
    let rest = &causes.behind[root] - &told;
    match (rest.is_empty(), phrases.is_empty()) {
        (true, _) => {}
        (false, true) => {
            phrases.push(format!("{} {}", count(incident, &rest), agreeing(rest.len(), "wait")));
        }
        (false, false) => {
            phrases.push(format!("{} more {}", rest.len(), agreeing(rest.len(), "wait")));
        }
    }
    if grows && !phrases.is_empty() {
        phrases.push("and more come".into());
    }
    phrases
}

/// Who waits, in other processes, for the one that a root is in to answer, the nearest first.
fn elsewhere(diagnoses: &[Diagnosis], causes: &[Causes], root: (usize, usize)) -> Vec<String> {
    let mut reached = vec![root];
    let mut told = BTreeSet::from([root.0]);
    let mut phrases = Vec::new();
    let mut next = 0;
    while let Some(&cause) = reached.get(next) {
        next += 1;
        for (process, causes) in causes.iter().enumerate() {
            for finding in 0..causes.by_finding.len() {
                let within = causes.by_finding[finding].iter().map(|one| (process, one.finding));
                let across = causes.across[finding].iter().map(|one| (one.diagnosis, one.finding));
                let follows = within.chain(across).any(|one| one == cause);
                if !follows || reached.contains(&(process, finding)) {
                    continue;
                }
                reached.push((process, finding));
                if told.insert(process) {
                    let incident = diagnoses[process].incident;
                    let waiting = makers(&diagnoses[process].findings[finding]);
                    let doing = agreeing(waiting.len(), "wait for an answer");
                    let who = count(incident, &waiting);
                    phrases.push(format!("{who} of {} {doing}", process_name(incident)));
                }
            }
        }
    }
    phrases
}

/// Everything that follows from a finding, the nearest first.
fn symptoms(causes: &Causes, root: usize) -> Vec<usize> {
    let mut reached = vec![root];
    let mut next = 0;
    while let Some(&cause) = reached.get(next) {
        let of_this = |of: &Vec<super::cause::Cause>| of.iter().any(|known| known.finding == cause);
        for (symptom, of) in causes.by_finding.iter().enumerate() {
            if of_this(of) && !reached.contains(&symptom) {
                reached.push(symptom);
            }
        }
        next += 1;
    }
    reached.split_off(1)
}

/// A phrase that begins with a verb, for so many who do it.
fn agreeing(number: usize, phrase: &str) -> String {
    match (number, phrase.split_once(' ')) {
        (1, Some((verb, rest))) => format!("{verb}s {rest}"),
        (1, None) => format!("{phrase}s"),
        _ => phrase.to_owned(),
    }
}

fn what_they_do(detector: &str) -> &'static str {
    match detector {
        "connection-pool-exhaustion" => "wait for a pooled connection",
        "thread-pool-exhaustion" => "queue for a free worker",
        "lock-contention" | "stuck-lock-owner" => "wait for a lock",
        "deadlock" | "self-deadlock" | "lock-upgrade" => "wait for each other",
        "cpu-starvation" => "get too little CPU",
        "busy-wait" => "wait busily",
        "avalanche" => "wait",
        "downstream-stall" => "wait for a peer",
        "io-stall" => "wait for a disk",
        "task-leak" | "thread-leak" => "never go on",
        "runtime-blocked" => "wait to be polled",
        _ => "suffer",
    }
}

/// Nothing of weight was found: healthy as far as was seen, unless nothing was seen.
fn no_cause(inputs: &[InputReport], diagnoses: &[Diagnosis], ranking: &[Ranked]) -> Verdict {
    let seen: usize = diagnoses.iter().map(|diagnosis| diagnosis.incident.members.len()).sum();
    if let (0, Some(headline)) = (seen, only_samples(diagnoses)) {
        return Verdict { status: Status::Healthy, headline };
    }
    let nothing_seen = "no thread was seen, which says nothing of health";
    let failure = failure(diagnoses);
    let headline = match (&failure, seen) {
        (Some(why), 0) => format!("{nothing_seen}: {why}; {}", another_way(diagnoses)),
        (None, 0) => format!("{nothing_seen}; {}", another_way(diagnoses)),
        (Some(why), _) => {
            format!("{}, but a dump failed: {why}", nothing_wrong(inputs, diagnoses, ranking))
        }
        (None, _) => nothing_wrong(inputs, diagnoses, ranking),
    };
    match statement(diagnoses).filter(|_| ranking.is_empty()) {
        Some(said) => Verdict {
            status: Status::Suspect,
            headline: match seen {
                0 => format!("the runtime said: {said}"),
                _ => format!("the runtime said: {said}; apart from that, {headline}"),
            },
        },
        None if failure.is_some() || seen == 0 || many_wait_for_unknown(diagnoses) => {
            Verdict { status: Status::Suspect, headline }
        }
        None => Verdict { status: Status::Healthy, headline },
    }
}

/// What profiles alone show: where time went, and not who waits for whom.
fn only_samples(diagnoses: &[Diagnosis]) -> Option<String> {
    let samples = diagnoses.iter().find_map(|diagnosis| diagnosis.incident.samples())?;
    let said = samples.sentence();
    Some(format!("{said}; a profile shows where time goes, and not whether that is wrong"))
}

/// What a runtime said was wrong: worth a suspicion where no detector made more of it.
fn statement(diagnoses: &[Diagnosis]) -> Option<String> {
    first_notice(diagnoses, |_, kind| kind != NoticeKind::Failure)
}

/// How else to get a dump out of a process that gave none.
fn another_way(diagnoses: &[Diagnosis]) -> &'static str {
    let is_jvm = |diagnosis: &Diagnosis| diagnosis.incident.process.runtime == Runtime::Jvm;
    match diagnoses.iter().any(is_jvm) {
        true => "try kill -3, jcmd PID Thread.print, jhsdb jstack, or a debugger",
        false => "take a dump another way, with SIGQUIT or a debugger",
    }
}

/// Why a dump shows no stack at all, in the words of what failed. A dump that shows stacks and says
/// what it left out has not failed.
fn failure(diagnoses: &[Diagnosis]) -> Option<String> {
    first_notice(diagnoses, |dump, kind| {
        kind == NoticeKind::Failure && dump.threads.iter().all(|thread| thread.stack.is_none())
    })
}

/// The first line of the first statement of some kind.
fn first_notice(diagnoses: &[Diagnosis], of_kind: fn(&Dump, NoticeKind) -> bool) -> Option<String> {
    let dumps = diagnoses.iter().flat_map(|diagnosis| &diagnosis.incident.dumps);
    let mut notices = dumps.flat_map(|dump| dump.notices.iter().map(move |notice| (dump, notice)));
    let (_, notice) = notices.find(|(dump, notice)| of_kind(dump, notice.kind))?;
    Some(sentence_body(notice.message.lines().next().unwrap_or_default()))
}

/// What was looked at, and what that cannot show.
fn nothing_wrong(inputs: &[InputReport], diagnoses: &[Diagnosis], ranking: &[Ranked]) -> String {
    let dumps: usize = diagnoses.iter().map(|diagnosis| diagnosis.incident.dumps.len()).sum();
    let what = match ranking.len() {
        0 => "nothing wrong seen",
        _ => "nothing of weight seen",
    };
    let mut sentence = format!("{what} in {} of {}", plural(dumps, "dump"), everyone(diagnoses));
    if let Some(idle) = idle(diagnoses) {
        sentence += &format!(", {idle} idle");
    }
    if let Some(least) = ranking.iter().find(|one| weight(finding(diagnoses, one)) == Severity::Low)
    {
        sentence += &format!("; {}", sentence_body(&finding(diagnoses, least).headline));
    }
    let is_told = ranking.is_empty() || many_wait_for_unknown(diagnoses);
    if let Some(waiting) = behind_the_unknown(diagnoses).filter(|_| is_told) {
        sentence += &format!("; {waiting}");
    }
    if diagnoses.iter().any(|diagnosis| diagnosis.incident.dumps.len() == 1) {
        sentence += "; one dump cannot show who spins or is stuck";
    }
    if inputs.iter().any(|input| input.truncated) {
        sentence += "; a dump ends early, and what is missing was not looked at";
    }
    sentence
}

/// How many wait, in the newest dumps, for locks of whose owner nothing is known: what they wait
/// for may be each other.
fn behind_the_unknown(diagnoses: &[Diagnosis]) -> Option<String> {
    let waiting = diagnoses.iter().map(|diagnosis| {
        let members = newest_waiting_for_unknown(diagnosis.incident);
        (diagnosis.incident, members.into_iter().collect::<BTreeSet<_>>())
    });
    let waiting: Vec<_> = waiting.filter(|(_, members)| !members.is_empty()).collect();
    let who: Vec<String> =
        waiting.iter().map(|(incident, members)| count(incident, members)).collect();
    let who = who.join(" and ");
    match waiting.iter().map(|(_, members)| members.len()).sum() {
        0 => None,
        1 => Some(format!("{who} waits for a lock whose owner the dump does not tell")),
        _ => Some(format!("{who} wait for locks whose owners the dump does not tell")),
    }
}

/// Whether, in some process, most of those that are not idle wait for locks of unknown owners, or
/// several stand still before such locks.
fn many_wait_for_unknown(diagnoses: &[Diagnosis]) -> bool {
    diagnoses.iter().any(|diagnosis| {
        let incident = diagnosis.incident;
        let waiting = newest_waiting_for_unknown(incident).len();
        waiting > 1
            && (waiting * 2 > incident.busy(incident.dumps.len().saturating_sub(1))
                || several_stand_still(incident))
    })
}

/// Whether more than one waits for a lock of an unknown owner in every dump, of which there are two
/// at least, and in the same call.
fn several_stand_still(incident: &Incident) -> bool {
    let mut waiting = newest_waiting_for_unknown(incident);
    for dump in 0..incident.dumps.len().saturating_sub(1) {
        let here: BTreeSet<MemberId> = waiting_for_unknown(incident, dump).into_iter().collect();
        waiting.retain(|member| here.contains(member));
    }
    let stays = |member: &MemberId| {
        incident.same_activation(*member).is_some_and(|activation| activation.whole)
    };
    waiting.into_iter().filter(stays).nth(1).is_some()
}

fn newest_waiting_for_unknown(incident: &Incident) -> Vec<MemberId> {
    match incident.dumps.len().checked_sub(1) {
        Some(newest) => waiting_for_unknown(incident, newest),
        None => Vec::new(),
    }
}

/// Who waits, in one dump, for a lock that has an owner of whom nothing is known.
fn waiting_for_unknown(incident: &Incident, dump: usize) -> Vec<MemberId> {
    let graph = incident.wait_for(dump);
    let has_owner = |lock: LockId| incident.dumps[dump].lock(lock).kind != LockKind::Unknown;
    let is_unknown = |&thread: &u32| {
        let lock = graph.wants(thread).filter(|&lock| has_owner(lock));
        lock.is_some_and(|lock| graph.owners(lock).is_empty())
    };
    let threads = (0..incident.dumps[dump].threads.len() as u32).filter(is_unknown);
    threads.filter_map(|thread| incident.member_of(dump, thread as usize)).collect()
}

fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Everyone whom the newest dumps show.
fn everyone(diagnoses: &[Diagnosis]) -> String {
    let processes = diagnoses.len();
    let newest = diagnoses.iter().filter_map(|diagnosis| diagnosis.incident.dumps.last());
    let threads: Vec<_> = newest.flat_map(|dump| &dump.threads).collect();
    let platform = threads.iter().filter(|thread| thread.kind == Kind::Thread).count();
    let told = match (platform, threads.len() - platform) {
        (platform, 0) => plural(platform, "thread"),
        (0, tasks) if threads.iter().all(|t| t.kind == Kind::Goroutine) => {
            plural(tasks, "goroutine")
        }
        (0, tasks) => plural(tasks, "task"),
        (platform, tasks) => {
            format!("{} and {}", plural(platform, "thread"), plural(tasks, "task"))
        }
    };
    if processes > 1 { format!("{told} in {processes} processes") } else { told }
}

/// How many are idle in the newest dumps, when any are.
fn idle(diagnoses: &[Diagnosis]) -> Option<usize> {
    let idle_in = |incident: &Incident| {
        let newest = incident.dumps.len().saturating_sub(1);
        incident.ids().filter(|&id| incident.idle(id, newest).is_some()).count()
    };
    let idle = diagnoses.iter().map(|diagnosis| idle_in(diagnosis.incident)).sum();
    Some(idle).filter(|&idle| idle > 0)
}
