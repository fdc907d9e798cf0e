//! Who is on a CPU throughout, and in what: found out once, so that the detectors that speak of
//! it agree, and each member is in one finding only, under the most exact name.
//!
//! ```text
//! hot         who wants a CPU all the time
//! progress    whether it comes back to the same states: looks at the registers
//! map         ... inside a map that several threads broke
//! wait_loop   ... in a loop that waits
//! asking      ... where several are met at nothing but questions
//! held        who spins for a lock whose owner stands
//! refused     who asks for connections and is refused at once
//! belief      how sure that is
//! thresholds  the figures, with their reasons
//! telling     the sentences
//! ```

mod asking;
mod belief;
mod held;
mod hot;
mod map;
mod progress;
mod refused;
mod telling;
mod thresholds;
mod wait_loop;

use std::collections::BTreeSet;

use sigquit_dump::Runtime;

use crate::model::{Activation, Call, Cpu, FunctionName, Incident, Inside, MemberId, Origin};

pub(super) use asking::questions;
pub(super) use belief::{Belief, belief};
pub(super) use hot::Hot;
pub(super) use map::{BrokenMap, InMap};
pub(super) use progress::Progress;
pub(super) use refused::refused;
pub(super) use telling::{behaviour, cpu_used, evidence, frames, places, short, verb};
pub(super) use wait_loop::WaitSign;

use thresholds::{LEAST_SAMPLED, NEAR_LEAF, NEVER_LEFT, NOW_AND_THEN, SAME_DUMPS, TIGHT_LOOP};

/// Everyone who is on a CPU throughout, class by class.
pub(super) struct OnCpu {
    /// All of them.
    pub all: Vec<Candidate>,
    /// Those who are caught in broken maps, one entry a map.
    pub maps: Vec<BrokenMap>,
    /// Those in loops that wait, by what their loops belong to.
    pub waits: Vec<Vec<usize>>,
    /// Those that seem to wait, as several in one function are met at nothing but questions.
    pub asks: Vec<Vec<usize>>,
    /// Those in loops without progress, by what their loops belong to.
    pub spins: Vec<Vec<usize>>,
    /// The rest.
    pub hot: Vec<usize>,
}

impl OnCpu {
    /// The candidates at these places.
    pub fn these(&self, places: &[usize]) -> Vec<&Candidate> {
        places.iter().map(|&at| &self.all[at]).collect()
    }
}

/// One member that is on a CPU throughout.
pub(super) struct Candidate {
    /// Who.
    pub member: MemberId,
    /// How that is known.
    pub hot: Hot,
    /// In which calls it stayed.
    pub activation: Option<Activation>,
    /// What looks at its registers say.
    pub progress: Progress,
    /// Where it is in a map's code.
    pub in_map: Option<InMap>,
    /// What makes its calls a wait loop.
    pub wait: Option<WaitSign>,
    /// Who seems to own what it waits for.
    pub owner: Option<MemberId>,
    /// How many of its samples are in the calls in which it stayed, when it was sampled.
    pub sampled: Option<Inside>,
}

impl Candidate {
    /// Its whole stack was the same, to the line, in enough dumps to mean something.
    pub fn is_unmoved(&self) -> bool {
        let stays =
            |activation: &Activation| activation.whole && activation.above.len() >= SAME_DUMPS;
        !matches!(self.progress, Progress::Moves(_)) && self.activation.as_ref().is_some_and(stays)
    }

    /// It gave the CPU away of itself again and again, to wait for something. On a starved machine such a thread
    /// hardly runs from one look at its registers to the next, and seems to come back to its states.
    fn sleeps(&self) -> bool {
        let waits = self.hot.used().and_then(|used| used.waits);
        waits.is_some_and(|waits| waits > NOW_AND_THEN)
    }

    /// Samples show it outside the calls in which the dumps found it: it comes and goes.
    fn was_elsewhere(&self) -> bool {
        let enough = self.sampled.filter(|sampled| sampled.all >= LEAST_SAMPLED);
        enough.is_some_and(|sampled| sampled.share() < NEVER_LEFT)
    }
}

/// Finds everyone who is on a CPU throughout, and puts each into one class.
pub(super) fn classify(incident: &Incident) -> OnCpu {
    let cpu = Cpu::of(incident);
    let mut all: Vec<Candidate> =
        incident.ids().filter_map(|member| candidate(incident, &cpu, member)).collect();
    for (at, owner) in held::for_owner_that_stands(incident, &all) {
        all[at].wait = all[at].wait.max(Some(WaitSign::Name));
        all[at].owner = Some(owner);
    }
    let maps = map::broken_maps(&all);
    let mut free: Vec<usize> = (0..all.len()).collect();
    free.retain(|at| !maps.iter().any(|map| map.members.contains(at)));
    let mut waits = take(&mut free, |at| is_wait(incident, &all[at]));
    waits.extend(take(&mut free, |at| is_like(incident, &all, at, &waits)));
    let together = stuck_together(incident, &all, &free);
    let mut spins = take(&mut free, |at| is_spin(&all[at]) || together.contains(&at));
    spins.extend(take(&mut free, |at| is_like(incident, &all, at, &spins)));
    let asks = asking::ask_together(incident, &all, &free);
    let asking: BTreeSet<usize> = asks.iter().flatten().copied().collect();
    free.retain(|at| !asking.contains(at));
    let by_place = |members: Vec<usize>| by_place(incident, &all, &members);
    let (waits, spins) = (by_place(waits), by_place(spins));
    OnCpu { all, maps, waits, asks, spins, hot: free }
}

fn take(free: &mut Vec<usize>, is_taken: impl Fn(usize) -> bool) -> Vec<usize> {
    let taken = free.iter().copied().filter(|&at| is_taken(at)).collect();
    free.retain(|&at| !is_taken(at));
    taken
}

fn candidate(incident: &Incident, cpu: &Cpu, member: MemberId) -> Option<Candidate> {
    let hot = hot::hot(incident, cpu, member)?;
    let activation = incident.same_activation(member);
    let wait = activation.as_ref().and_then(|activation| wait_sign(incident, activation));
    let in_map = activation.as_ref().and_then(|activation| map::in_map(incident, activation));
    let progress = progress::progress(incident, member);
    let innermost = activation.as_ref().and_then(|activation| activation.innermost(incident));
    let sampled = innermost.and_then(|call| incident.samples_in(member, &call.function));
    Some(Candidate { member, hot, activation, progress, in_map, wait, owner: None, sampled })
}

/// Whether an activation's innermost common call is nearly the leaf in every dump, and what it
/// calls is not the program's own code, but for functions that belong to the loop.
fn is_near_leaf(
    incident: &Incident,
    activation: &Activation,
    belongs: impl Fn(&str) -> bool,
) -> bool {
    activation.above.iter().all(|&(dump, above)| {
        let mut inner = incident.calls(activation.member, dump).take(above);
        above <= NEAR_LEAF
            && inner.all(|call| call.origin != Origin::Application || belongs(&call.function))
    })
}

/// What makes the calls from the leaf to the program's own innermost common one a wait loop.
fn wait_sign(incident: &Incident, activation: &Activation) -> Option<WaitSign> {
    let sign = |call: &Call| wait_loop::wait_sign(&call.function);
    if !is_near_leaf(incident, activation, |function| wait_loop::wait_sign(function).is_some()) {
        return None;
    }
    let common = activation.calls.iter().map(|&call| incident.call(call));
    let own = common.clone().position(|call| call.origin == Origin::Application);
    let zone = own.map_or(activation.calls.len(), |own| own + 1).min(NEAR_LEAF);
    let named = common.take(zone).filter_map(sign).max();
    let in_dump = |&(dump, above): &(usize, usize)| {
        incident.calls(activation.member, dump).take(above + zone).filter_map(sign).max()
    };
    let hinted = activation.above.iter().filter_map(in_dump).max();
    let in_all = activation.above.iter().map(in_dump).min().flatten();
    let sign = hinted.filter(|&sign| sign == WaitSign::Hint).or(named.max(in_all));
    let look = only_looks(incident, activation).then_some(WaitSign::Look);
    sign.filter(|&sign| sign > WaitSign::Look).or(look)
}

/// It is met at one line, or in the look at a word that this line takes, and nowhere else. Work
/// that looks now and then is met at its work.
fn only_looks(incident: &Incident, activation: &Activation) -> bool {
    let is_look = |call: &Call| wait_loop::wait_sign(&call.function) == Some(WaitSign::Look);
    let is_own = |call: &&Call| call.origin == Origin::Application;
    let sights: Vec<(Option<&Call>, usize)> = activation
        .above
        .iter()
        .map(|&(dump, _)| {
            let own = incident.calls(activation.member, dump).find(is_own);
            let inner = incident.calls(activation.member, dump).take_while(|call| !is_own(call));
            let inner: Vec<&Call> = inner.filter(|call| !is_preemption(&call.function)).collect();
            (own.filter(|_| inner.iter().all(|call| is_look(call))), inner.len())
        })
        .collect();
    let same_line = sights.windows(2).all(|pair| pair[0].0.is_some() && pair[0].0 == pair[1].0);
    sights.len() >= SAME_DUMPS && same_line && sights.iter().any(|&(_, looks)| looks > 0)
}

/// How Go stops a goroutine at any instruction.
fn is_preemption(function: &str) -> bool {
    function.starts_with("runtime.asyncPreempt")
}

/// A loop that waits.
fn is_wait(incident: &Incident, candidate: &Candidate) -> bool {
    let Some(activation) = &candidate.activation else { return false };
    let is_deliberate = activation.calls.iter().any(|&call| {
        crate::model::pattern::matches_any(wait_loop::DELIBERATE, &incident.call(call).function)
    });
    if is_deliberate {
        return false;
    }
    let named = candidate.wait >= Some(WaitSign::Name);
    match candidate.progress {
        Progress::Recurs(looks) => {
            activation.most_above() <= NEAR_LEAF
                && (candidate.wait > Some(WaitSign::Look) || looks.is_constant())
        }
        Progress::Moves(looks) => named && looks.most_places <= TIGHT_LOOP,
        // A goroutine that yields is queued right there until its turn comes: where it is met
        // says nothing of how much it works in between.
        Progress::Unknown if candidate.wait == Some(WaitSign::Look) => true,
        Progress::Unknown if incident.process.runtime == Runtime::Go => {
            named || candidate.wait == Some(WaitSign::Attempt)
        }
        Progress::Unknown => candidate.wait.is_some(),
    }
}

/// A loop without progress, as looks at the registers show.
fn is_spin(candidate: &Candidate) -> bool {
    let near = |activation: &Activation| activation.most_above() <= NEAR_LEAF;
    matches!(candidate.progress, Progress::Recurs(_))
        && candidate.activation.as_ref().is_some_and(near)
        && !candidate.was_elsewhere()
        && !candidate.sleeps()
}

/// At whose registers nobody could look is judged by others that are in the same call and whose
/// registers were seen to come back: a starved thread gives no looks.
fn is_like(incident: &Incident, all: &[Candidate], at: usize, judged: &[usize]) -> bool {
    let place = |candidate: &Candidate| {
        let activation = candidate.activation.as_ref()?;
        let stays =
            activation.most_above() <= NEAR_LEAF && (activation.whole || activation.by_address);
        let function = activation.innermost(incident)?.function.clone();
        stays.then_some(function)
    };
    let is_seen = |other: &usize| matches!(all[*other].progress, Progress::Recurs(_));
    let here = place(&all[at]);
    all[at].progress == Progress::Unknown
        && here.is_some()
        && !all[at].was_elsewhere()
        && !all[at].sleeps()
        && judged.iter().filter(|other| is_seen(other)).any(|&other| place(&all[other]) == here)
}

/// Without a look at the registers: several that stay at the same line of the program's own
/// code, to which they came from different functions. Healthy work moves on in at least one.
fn stuck_together(incident: &Incident, all: &[Candidate], free: &[usize]) -> Vec<usize> {
    let place = |at: usize| -> Option<(&Call, Option<&str>)> {
        let candidate = &all[at];
        let activation = candidate.activation.as_ref()?;
        let call = activation.innermost(incident)?;
        let caller = activation.calls.get(1).map(|&call| incident.call(call).function.as_str());
        let stays =
            activation.whole && activation.above.len() >= SAME_DUMPS && !candidate.was_elsewhere();
        let own = call.origin == Origin::Application;
        (stays && own && candidate.progress == Progress::Unknown).then_some((call, caller))
    };
    let same_place_elsewhere = |at: usize| {
        place(at).is_some_and(|(here, caller)| {
            free.iter()
                .filter_map(|&other| place(other))
                .any(|(there, other)| there == here && other != caller)
        })
    };
    free.iter().copied().filter(|&at| same_place_elsewhere(at)).collect()
}

/// Members whose loops belong to the same type or module, together.
fn by_place(incident: &Incident, all: &[Candidate], members: &[usize]) -> Vec<Vec<usize>> {
    let mut places: Vec<(String, Vec<usize>)> = Vec::new();
    for &at in members {
        let owner =
            loop_call(incident, &all[at]).map(|call| FunctionName::of(&call.function).owner);
        let owner = owner.unwrap_or_default();
        match places.iter_mut().find(|(known, _)| known == owner) {
            Some((_, members)) => members.push(at),
            None => places.push((owner.to_owned(), vec![at])),
        }
    }
    places.into_iter().map(|(_, members)| members).collect()
}

/// The call that a loop is named for: the program's own innermost common one.
pub(super) fn loop_call<'a>(incident: &'a Incident, candidate: &Candidate) -> Option<&'a Call> {
    let activation = candidate.activation.as_ref()?;
    let mut calls = activation.calls.iter().map(|&call| incident.call(call));
    calls.find(|call| call.origin == Origin::Application).or_else(|| activation.innermost(incident))
}
