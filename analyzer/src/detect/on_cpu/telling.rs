//! The sentences in which the detectors tell what they saw.

use sigquit_dump::Nanos;

use crate::detect::Evidence;
use crate::detect::phrase::{duration, list, number, who};
use crate::model::{FunctionName, Incident, MemberId};

use super::thresholds::RECURS;
use super::{Candidate, Hot, Progress, loop_call};

/// Members that a finding tells of one by one.
const TOLD: usize = 12;
/// Functions that a finding names.
const FUNCTIONS: usize = 10;

/// One fact a member: where it stayed, what CPU it used, what its registers showed.
pub(in crate::detect) fn evidence(incident: &Incident, members: &[&Candidate]) -> Vec<Evidence> {
    members.iter().take(TOLD).map(|candidate| fact(incident, candidate)).collect()
}

fn fact(incident: &Incident, candidate: &Candidate) -> Evidence {
    let used = candidate.hot.used();
    let parts = [
        stayed(incident, candidate).or_else(|| seen_in(incident, candidate)),
        used_cpu(candidate.hot),
        looked_at(candidate.progress),
        sampled(incident, candidate),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Evidence {
        text: format!("{}: {}", who(incident, candidate.member), parts.join("; ")),
        dump: None,
        member: Some(candidate.member),
        value: match candidate.hot {
            Hot::Share(share) => Some(share),
            _ => used.map(|used| used.wanted().unwrap_or(used.share())),
        },
    }
}

fn stayed(incident: &Incident, candidate: &Candidate) -> Option<String> {
    let activation = candidate.activation.as_ref()?;
    let call = match candidate.in_map {
        Some(_) => activation.innermost(incident)?,
        None => loop_call(incident, candidate)?,
    };
    let whole = if activation.whole { ", stack unchanged" } else { "" };
    let dumps = in_all(activation.above.len());
    Some(format!("in {} in {dumps}{whole}", short(&call.function)))
}

/// Of one dump: where it is.
fn seen_in(incident: &Incident, candidate: &Candidate) -> Option<String> {
    matches!(candidate.hot, Hot::Share(_)).then_some(())?;
    let place = incident.application_calls(candidate.member, 0).next();
    let place = place.or_else(|| incident.calls(candidate.member, 0).next())?;
    Some(format!("in {}", short(&place.function)))
}

fn used_cpu(hot: Hot) -> Option<String> {
    Some(match hot {
        Hot::Wanted(used) => {
            let queued = used.delayed.unwrap_or_default();
            format!(
                "ran {} and queued {} of {}",
                duration(used.used),
                duration(queued),
                duration(used.over)
            )
        }
        Hot::Beside(used) => {
            let (cpu, over, share) =
                (duration(used.used), duration(used.over), 100.0 * used.beside_most());
            format!("used {cpu} of CPU in {over}, {share:.0} % of what the busiest got")
        }
        Hot::Runnable => "runnable in each; CPU time is not counted".into(),
        Hot::Share(share) => {
            format!("{:.0} % of a CPU in the table beside the dump", 100.0 * share)
        }
    })
}

fn looked_at(progress: Progress) -> Option<String> {
    match progress {
        Progress::Recurs(looks) => {
            let round = if looks.goes_round() { ", pointers go round" } else { "" };
            let code = looks.code;
            let seen = match looks.recurrence() < RECURS && looks.goes_on() {
                true => format!(
                    "in {} of {} looks its loop's conditions came back, while it counts",
                    code.recurring, code.samples
                ),
                false => {
                    format!("{} of {} register states came back", looks.recurring, looks.samples)
                }
            };
            let alone = match code.asks_nobody() {
                true => ", and its loop reads no memory that changes",
                false => "",
            };
            Some(format!("{seen}{round}{alone}"))
        }
        Progress::Moves(looks) => {
            Some(format!("{} register states, hardly one came back", looks.samples))
        }
        Progress::Unknown => None,
    }
}

/// `97% of 480 samples in it`, of the calls in which it stayed; or else where most of them are.
fn sampled(incident: &Incident, candidate: &Candidate) -> Option<String> {
    let samples = incident.samples_of(candidate.member).filter(|samples| samples.total > 0)?;
    let total = number(samples.total as usize, "sample");
    let stayed =
        candidate.sampled.filter(|inside| inside.all > 0 && candidate.activation.is_some());
    match (stayed, samples.places.first()) {
        (Some(inside), _) => Some(format!("{:.0} % of {total} there", 100.0 * inside.share())),
        (None, Some(place)) => {
            let (share, function) = (samples.percent(place.count), short(&place.function));
            Some(format!("{share:.0} % of {total} in {function}"))
        }
        (None, None) => None,
    }
}

/// The functions that matter to these members, innermost first, each once.
pub(in crate::detect) fn frames(incident: &Incident, members: &[&Candidate]) -> Vec<String> {
    let stacks: Vec<Vec<String>> = members
        .iter()
        .map(|candidate| match &candidate.activation {
            Some(activation) => activation.frames(incident),
            None if matches!(candidate.hot, Hot::Share(_)) => {
                incident.frames_in(candidate.member, 0)
            }
            None => Vec::new(),
        })
        .collect();
    let depth = stacks.iter().map(Vec::len).max().unwrap_or(0);
    let mut frames: Vec<String> = Vec::new();
    for frame in (0..depth).flat_map(|at| stacks.iter().filter_map(move |stack| stack.get(at))) {
        if frames.len() < FUNCTIONS && !frames.contains(frame) {
            frames.push(frame.clone());
        }
    }
    frames
}

/// A verb that agrees with its number of members.
pub(in crate::detect) fn verb(
    members: &[MemberId],
    one: &'static str,
    many: &'static str,
) -> &'static str {
    if members.len() == 1 { one } else { many }
}

/// What being seen in all of `dumps` dumps says of the time: the lower bound of a one-sided 95 %
/// confidence interval (Clopper and Pearson).
pub(in crate::detect) fn of_the_time(dumps: usize) -> String {
    let share = 0.05_f64.powf(1.0 / dumps.max(1) as f64);
    format!("at least {:.0} % of the time", 100.0 * share)
}

/// `both dumps`, `all 3 dumps`.
fn in_all(dumps: usize) -> String {
    if dumps == 2 { "both dumps".into() } else { format!("all {dumps} dumps") }
}

/// CPU time that members used, together; none where it is not counted.
pub(in crate::detect) fn cpu_used(members: &[&Candidate]) -> Option<Nanos> {
    let used = members.iter().filter_map(|candidate| candidate.hot.used());
    used.map(|used| used.used.0).reduce(u64::saturating_add).map(Nanos)
}

/// How the members' sameness was seen: by their registers, or by sight alone.
pub(in crate::detect) fn behaviour(members: &[&Candidate]) -> String {
    let looked = members.iter().any(|one| matches!(one.progress, Progress::Recurs(_)));
    let dumps = members.iter().filter_map(|one| Some(one.activation.as_ref()?.above.len())).min();
    let dumps = dumps.unwrap_or(0);
    match looked {
        true if members.iter().any(|one| comes_back(one.progress)) => {
            "Looks at the registers show that they come back to the same states.".into()
        }
        true => "Looks at the registers show that what decides whether the loop goes on comes back to the \
                 same."
            .into(),
        false => format!(
            "Nobody looked at the registers; they were there in {}, so {}.",
            in_all(dumps),
            of_the_time(dumps)
        ),
    }
}

/// Whether whole states came back, or pointers went round.
fn comes_back(progress: Progress) -> bool {
    match progress {
        Progress::Recurs(looks) => looks.recurrence() >= RECURS || looks.goes_round(),
        _ => false,
    }
}

/// A function without its package or crate: `HashMap$TreeNode.find`, `Map::get`.
pub(in crate::detect) fn short(function: &str) -> String {
    let name = FunctionName::of(function);
    let separator = if function.contains("::") { "::" } else { "." };
    match name.type_name {
        "" => name.method.to_owned(),
        type_name => format!("{type_name}{separator}{}", name.method),
    }
}

/// Where members are, for a headline: their loops' functions, the first two by name.
pub(in crate::detect) fn places(incident: &Incident, members: &[&Candidate]) -> String {
    let mut places: Vec<String> = Vec::new();
    for call in members.iter().filter_map(|candidate| loop_call(incident, candidate)) {
        let place = short(&call.function);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    match places.as_slice() {
        [] => "code without a name".into(),
        [first, second, _, _, ..] => {
            format!("{first}, {second} and {}", number(places.len() - 2, "other function"))
        }
        few => list(few),
    }
}
