//! Several in one function, ready to run in every dump, that are met at nothing but questions: in the loop itself, or
//! in a lock's operation, a yield or a look that it calls. Two that give way to each other for ever look like this, and
//! so do those that yield until a flag is set.
//!
//! So does work that takes a lock or yields at every step and calls nothing else, which is why this is no proof. One
//! alone says less still: in most programs a loop of that kind is meant to wait for a moment only.

use std::collections::BTreeMap;

use crate::model::pattern::matches_any;
use crate::model::{Call, Incident, MemberId, Origin};

use super::thresholds::SAME_DUMPS;
use super::wait_loop::{DELIBERATE, WaitSign, wait_sign};
use super::{Candidate, Progress, is_preemption, loop_call};

/// Taking a lock, and giving it back, by those who do not sleep meanwhile.
const LOCK_OPERATIONS: &[&str] = &[
    "java.util.concurrent.locks.*",
    "java.util.concurrent.Semaphore*",
    "jdk.internal.misc.Unsafe.compareAndSet*",
    "sync.(*Mutex).*",
    "sync.(*RWMutex).*",
    "internal/sync.(*Mutex).*",
    "std::sync::*utex*",
    "std::sync::*wlock*",
    "parking_lot*",
    "pthread_mutex_*",
    "pthread_rwlock_*",
    "pthread_spin_*",
];

/// Those of `free`, which ascends, that ask together, function by function. One who is met at work in the same function speaks for all
/// others there.
pub(super) fn ask_together(
    incident: &Incident,
    all: &[Candidate],
    free: &[usize],
) -> Vec<Vec<usize>> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, candidate) in all.iter().enumerate() {
        if let Some(call) = loop_call(incident, candidate) {
            places.entry(&call.function).or_default().push(at);
        }
    }
    let ask = |members: &Vec<usize>| {
        let asked: Option<Vec<usize>> = members
            .iter()
            .map(|&at| questions(incident, &all[at]).map(|asked| asked.len()))
            .collect();
        members.len() > 1
            && members.iter().all(|at| free.binary_search(at).is_ok())
            && asked.is_some_and(|asked| asked.iter().any(|&questions| questions > 0))
    };
    places.into_values().filter(ask).collect()
}

/// What the loop of a member asks, in the dumps that meet it at that; nothing where it may do anything else.
pub(in crate::detect) fn questions<'a>(
    incident: &'a Incident,
    candidate: &Candidate,
) -> Option<Vec<&'a Call>> {
    let activation = candidate.activation.as_ref().filter(|activation| {
        let deliberate = |&call: &_| matches_any(DELIBERATE, &incident.call(call).function);
        activation.above.len() >= SAME_DUMPS && !activation.calls.iter().any(deliberate)
    })?;
    let is_told = candidate.progress != Progress::Unknown;
    if is_told || candidate.was_elsewhere() || candidate.sleeps() {
        return None;
    }
    let own = loop_call(incident, candidate).filter(|own| own.origin == Origin::Application)?;
    let mut questions = Vec::new();
    for &(dump, _) in &activation.above {
        let (question, place) = question(incident, candidate.member, dump);
        place.filter(|place| place.function == own.function)?;
        questions.extend(question);
    }
    Some(questions)
}

/// The outermost of the questions that a member asks in one dump, and what it calls that from.
fn question(incident: &Incident, member: MemberId, dump: usize) -> (Option<&Call>, Option<&Call>) {
    let calls = incident.calls(member, dump);
    let mut calls = calls.filter(|call| !is_preemption(&call.function)).peekable();
    let is_question = |call: &&Call| call.origin != Origin::Application && asks(&call.function);
    let mut question = None;
    while let Some(inner) = calls.next_if(is_question) {
        question = Some(inner);
    }
    (question, calls.next())
}

fn asks(function: &str) -> bool {
    matches_any(LOCK_OPERATIONS, function)
        || wait_sign(function).is_some_and(|sign| sign != WaitSign::Name)
}
