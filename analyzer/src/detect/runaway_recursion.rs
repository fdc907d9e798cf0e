//! Stacks that repeat themselves, deeper and deeper.

use std::collections::HashMap;

use sigquit_dump::{StackId, Truncation};

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Activity, Incident, MemberId, Origin, Statement};

pub(super) const DETECTOR: Detector =
    Detector { name: "runaway-recursion", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# runaway-recursion

A function that calls itself, directly or through a few others, and does not come back: the stack
repeats itself until it overflows.

## Evidence

- The runtime's own statement that a stack overflowed: proof.
- At least 500 calls that repeat the same few functions in the same order, ten times at least; fifty
  are enough where the source says that it left frames out, or shows as many as it ever does.
- That they become more from dump to dump. Without that it is low, and said only of threads that run:
  many a parser and tree walk is deep and ends.

High when the stack is deeper in each of five dumps than in the one before, medium in fewer.

## Limits

- A source that prints a fixed number of frames hides the growth: then it is never more than low.
- A large frame can overflow a stack as well; a statement without frames does not tell which it was.
- Functions that the compiler merged, or turned into a loop, are not on the stack.

## What to do

Look at the functions that repeat, and at what was to end them: a cycle in the data that is walked
(a node that contains itself, a proxy that calls itself through the container), a missing base case, a
retry that calls its caller. A larger stack moves the end and does not make one.
";

/// A stack of so many calls that repeat is worth a word.
const DEEP: usize = 500;
/// So many are, where the source shows no more of the stack.
const DEEP_AND_CUT: usize = 50;
/// The longest circle of functions that is looked for.
const LONGEST_PERIOD: usize = 12;
/// How often a circle has to come round.
const ROUNDS: usize = 10;
/// In so many dumps a growing stack is no chance.
const DUMPS: usize = 5;

fn detect(incident: &Incident) -> Vec<Finding> {
    let mut runs = Runs::default();
    let deep: Vec<Deep> = incident
        .ids()
        .filter(|&id| !has_failed(incident, id))
        .filter_map(|id| deep(incident, id, &mut runs))
        .filter(|deep| deep.grows(incident) || runs_on(incident, deep.member))
        .collect();
    let mut findings = overflows(incident);
    for deep in by_place(incident, deep) {
        findings.push(finding(incident, &deep));
    }
    findings
}

/// Whether the runtime said of a member that it failed: that tells more than how deep it was.
fn has_failed(incident: &Incident, id: MemberId) -> bool {
    incident.dumps.iter().enumerate().any(|(dump, shown)| {
        let thread = incident.member(id).seen[dump].map(|thread| thread as u32);
        let named = shown.notices.iter().flat_map(|notice| &notice.threads);
        thread.is_some_and(|thread| named.into_iter().any(|&one| one == thread))
    })
}

/// Who waits deep down in a stack has reached what it was to do there.
fn runs_on(incident: &Incident, id: MemberId) -> bool {
    incident.activity(id, incident.dumps.len() - 1) == Activity::Computing
}

// --- What the runtime says ----------------------------------------------------------------------

fn overflows(incident: &Incident) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (dump, shown) in incident.dumps.iter().enumerate() {
        for notice in shown.notices.iter().filter(|notice| Statement::is_stack_overflow(notice)) {
            let failed =
                notice.threads.iter().find_map(|&at| incident.member_of(dump, at as usize));
            let known = |finding: &Finding| finding.members.first().copied() == failed;
            if !findings.iter().any(known) {
                findings.push(overflow(incident, dump, failed, &notice.message));
            }
        }
    }
    findings
}

fn overflow(incident: &Incident, dump: usize, failed: Option<MemberId>, message: &str) -> Finding {
    let who = failed.map_or("a thread".to_owned(), |one| phrase::who(incident, one));
    let run = failed.and_then(|one| {
        let calls: Vec<&str> =
            incident.calls(one, dump).map(|call| call.function.as_str()).collect();
        let run = repetition(&calls)?;
        Some((names(&calls, run), run.calls))
    });
    let headline = match &run {
        Some((names, _)) => format!("{who} ran out of stack in {}, which calls itself", names[0]),
        None => format!("{who} ran out of stack"),
    };
    let said = message.lines().next().unwrap_or_default();
    let mut evidence = vec![Evidence {
        text: format!("the runtime said: {said}"),
        dump: Some(dump),
        member: failed,
        value: None,
    }];
    evidence.extend(run.iter().map(|(names, calls)| repeats(names, *calls, dump, failed)));
    Finding {
        detector: DETECTOR.name,
        severity: Severity::Critical,
        grade: Grade::Proof,
        confidence: Grade::Proof.cap(),
        headline,
        detail: match &run {
            Some((names, _)) => format!("The calls that repeat: {}.", names.join(" < ")),
            None => "The source shows no calls that repeat; a single large frame would overflow a \
                     stack as well."
                .into(),
        },
        next_step: next_step(run.as_ref().map(|(names, _)| names[0].as_str())),
        members: failed.into_iter().collect(),
        frames: run.map_or(Vec::new(), |(names, _)| names),
        evidence,
        ..Finding::default()
    }
}

// --- What the stacks show -----------------------------------------------------------------------

/// A member whose stack repeats itself.
struct Deep {
    member: MemberId,
    /// The dumps that show it so, each with how many calls repeat.
    sights: Vec<(usize, usize)>,
    /// The functions that repeat, innermost first.
    names: Vec<String>,
    /// The source shows no more of the stack.
    cut: bool,
}

impl Deep {
    /// Deeper in each dump of the incident than in the one before.
    fn grows(&self, incident: &Incident) -> bool {
        !self.cut
            && self.sights.len() > 1
            && self.sights.len() == incident.dumps.len()
            && self.sights.windows(2).all(|pair| pair[0].1 < pair[1].1)
    }
}

/// Stacks that were looked at: threads share them.
type Runs = HashMap<(usize, StackId), Option<Repetition>>;

fn deep(incident: &Incident, member: MemberId, runs: &mut Runs) -> Option<Deep> {
    let (mut sights, mut cut, mut last) = (Vec::new(), false, None);
    for dump in 0..incident.dumps.len() {
        let Some(thread) = incident.thread(member, dump) else { continue };
        let Some(stack) = thread.stack else { continue };
        if incident.call_ids(member, dump).len() < DEEP_AND_CUT {
            continue;
        }
        let run = *runs.entry((dump, stack)).or_insert_with(|| {
            let calls = incident.calls(member, dump);
            repetition(&calls.map(|call| call.function.as_str()).collect::<Vec<_>>())
        });
        let Some(run) = run else { continue };
        let is_cut = is_cut(incident, dump, stack);
        if run.calls >= if is_cut { DEEP_AND_CUT } else { DEEP } {
            cut |= is_cut;
            sights.push((dump, run.calls));
            last = Some((dump, run));
        }
    }
    let (dump, run) = last?;
    let calls: Vec<&str> = incident.calls(member, dump).map(|call| &*call.function).collect();
    let names = names(&calls, run);
    let own = incident.calls(member, dump).skip(run.start).take(run.period);
    let is_own = own.into_iter().any(|call| call.origin != Origin::Runtime);
    is_own.then_some(Deep { member, sights, names, cut })
}

fn is_cut(incident: &Incident, dump: usize, stack: StackId) -> bool {
    let stack = incident.dumps[dump].stacks.get(stack.0 as usize);
    let limits = [Truncation::TooDeep, Truncation::Elided, Truncation::PrintLimit];
    stack.and_then(|stack| stack.truncated).is_some_and(|why| limits.contains(&why))
}

/// Members in the same circle of functions, whichever of these they were met in.
fn by_place(incident: &Incident, deep: Vec<Deep>) -> Vec<Vec<Deep>> {
    let newest = incident.dumps.len() - 1;
    let still = |deep: &Deep| deep.sights.last().is_some_and(|&(dump, _)| dump == newest);
    let mut places: Vec<(Vec<String>, Vec<Deep>)> = Vec::new();
    for one in deep.into_iter().filter(still) {
        let mut circle = one.names.clone();
        circle.sort_unstable();
        match places.iter_mut().find(|(known, _)| *known == circle) {
            Some((_, members)) => members.push(one),
            None => places.push((circle, vec![one])),
        }
    }
    places.into_iter().map(|(_, members)| members).collect()
}

fn finding(incident: &Incident, deep: &[Deep]) -> Finding {
    let members: Vec<MemberId> = deep.iter().map(|one| one.member).collect();
    let growing: Vec<&Deep> = deep.iter().filter(|one| one.grows(incident)).collect();
    let told = *growing.first().unwrap_or(&&deep[0]);
    let severity = match growing.is_empty() {
        true => Severity::Low,
        false if incident.dumps.len() >= DUMPS => Severity::High,
        false => Severity::Medium,
    };
    let grade = if growing.is_empty() { Grade::Pattern } else { Grade::Repeat };
    let runs = deep.iter().filter(|one| runs_on(incident, one.member)).count();
    Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence: grade.cap() - if growing.is_empty() { 0.1 } else { 0.0 },
        headline: headline(incident, &members, told, !growing.is_empty()),
        detail: format!(
            "The calls that repeat: {}. {}{runs} of {} run in the newest dump.",
            told.names.join(" < "),
            if told.cut { "The source shows no more of the stack. " } else { "" },
            members.len(),
        ),
        next_step: next_step(Some(&told.names[0])),
        frames: told.names.clone(),
        evidence: deep.iter().take(TOLD).flat_map(evidence).collect(),
        members,
        ..Finding::default()
    }
}

/// So many members are told of one by one.
const TOLD: usize = 5;

fn headline(incident: &Incident, members: &[MemberId], told: &Deep, grows: bool) -> String {
    let who = phrase::count(incident, members);
    let of_calls = told.sights.last().map_or(0, |&(_, calls)| calls);
    let is = if members.len() == 1 { "is" } else { "are" };
    let place = &told.names[0];
    match grows {
        true => format!("{who} {is} ever deeper in {place}, which calls itself: {of_calls} calls"),
        false => format!("{who} {is} {of_calls} calls deep in {place}, which calls itself"),
    }
}

fn evidence(deep: &Deep) -> Vec<Evidence> {
    let fact =
        |&(dump, calls): &(usize, usize)| repeats(&deep.names, calls, dump, Some(deep.member));
    deep.sights.iter().map(fact).collect()
}

fn repeats(names: &[String], calls: usize, dump: usize, member: Option<MemberId>) -> Evidence {
    Evidence {
        text: format!("{calls} calls repeat {}", phrase::number(names.len(), "function")),
        dump: Some(dump),
        member,
        value: Some(calls as f64),
    }
}

fn next_step(place: Option<&str>) -> String {
    let place = place.unwrap_or("the function that calls itself");
    format!(
        "Find what was to end {place}: a cycle in the data that it walks, a base case that is never \
         met. A larger stack only moves the end."
    )
}

// --- Repetition ---------------------------------------------------------------------------------

/// Calls that repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repetition {
    /// How many calls lie above them.
    start: usize,
    /// How many functions make one round.
    period: usize,
    /// How many calls repeat.
    calls: usize,
}

/// The longest run of calls that repeats a few functions, of equally long ones that with the
/// fewest.
fn repetition(calls: &[&str]) -> Option<Repetition> {
    let of_period = |period: usize| {
        let (mut best, mut begun) = (None::<Repetition>, 0);
        for at in 0..calls.len().saturating_sub(period) {
            if calls[at] != calls[at + period] {
                begun = at + 1;
                continue;
            }
            let run = Repetition { start: begun, period, calls: at + 1 - begun + period };
            if best.is_none_or(|best| run.calls > best.calls) {
                best = Some(run);
            }
        }
        best.filter(|run| run.calls >= ROUNDS * period)
    };
    let runs = (1..=LONGEST_PERIOD).filter_map(of_period);
    runs.reduce(|best, run| if run.calls > best.calls + best.period { run } else { best })
}

/// The functions of one round, innermost first.
fn names(calls: &[&str], run: Repetition) -> Vec<String> {
    calls[run.start..run.start + run.period].iter().map(|&name| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{NoticeKind, Runtime};

    use super::*;
    use crate::model::scene::Scene;

    /// A stack that ends in so many calls of these functions in turn.
    fn stack(leaf: &'static str, circle: &[&'static str], calls: usize) -> Vec<&'static str> {
        let repeated = circle.iter().copied().cycle().take(calls);
        [leaf].into_iter().chain(repeated).chain(["shop.Main.main"]).collect()
    }

    /// One thread, so deep in each dump.
    fn found(calls: &[usize], cut: Option<Truncation>) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Jvm);
        for (second, &calls) in (0..).zip(calls) {
            scene = scene.dump(second, |dump| {
                dump.thread(
                    "walker",
                    &stack("shop.Node.id", &["shop.Tree.a", "shop.Tree.b"], calls),
                );
                dump.dump.stacks[0].truncated = cut;
            });
        }
        detect(&scene.incident())
    }

    #[test]
    fn a_stack_that_grows_runs_away() {
        let findings = found(&[600, 900, 1400, 2000, 2600], None);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::High, Grade::Repeat));
        assert_eq!(finding.frames, ["shop.Tree.a", "shop.Tree.b"]);
        assert_eq!(found(&[600, 900], None)[0].severity, Severity::Medium);
    }

    #[test]
    fn deep_is_not_yet_running_away() {
        assert_eq!(found(&[600, 600, 600], None)[0].severity, Severity::Low);
        assert_eq!(found(&[1022; 5], Some(Truncation::PrintLimit))[0].severity, Severity::Low);
        assert_eq!(found(&[60], Some(Truncation::Elided))[0].severity, Severity::Low);
        assert_eq!(found(&[60], None), []);
        assert_eq!(found(&[480; 5], None), []);
    }

    #[test]
    fn who_waits_deep_down_has_arrived() {
        let frames = stack("java.lang.Thread.sleep", &["shop.Tree.a"], 600);
        let scene = Scene::of(Runtime::Jvm).dump(0, |dump| _ = dump.thread("t", &frames));
        assert_eq!(detect(&scene.incident()), []);
    }

    #[test]
    fn deep_without_repetition_is_nothing() {
        let names: Vec<String> = (0..2000).map(|number| format!("shop.Step{number}.run")).collect();
        let frames: Vec<&str> = names.iter().map(String::as_str).collect();
        let scene = Scene::of(Runtime::Jvm).dump(0, |dump| _ = dump.thread("t", &frames));
        assert_eq!(detect(&scene.incident()), []);
    }

    #[test]
    fn what_the_runtime_said_is_proof() {
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            dump.thread("main", &stack("runtime.morestack", &["main.walk"], 60));
            dump.notice(NoticeKind::Fatal, "stack overflow", &["main"]);
        });
        let findings = detect(&scene.incident());
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Critical, Grade::Proof));
        assert_eq!(finding.frames, ["main.walk"]);
    }

    #[test]
    fn a_round_is_the_shortest_one() {
        let run = repetition(&stack("leaf", &["a", "b"], 40));
        assert_eq!(run, Some(Repetition { start: 1, period: 2, calls: 40 }));
        assert_eq!(repetition(&["a"; 9]), None);
        assert_eq!(repetition(&["a"; 10]).map(|run| run.period), Some(1));
        assert_eq!(repetition(&[]), None);
    }
}
