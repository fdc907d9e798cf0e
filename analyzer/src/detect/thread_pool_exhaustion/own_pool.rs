//! A program's own pool whose workers all wait in the pool's own code for what only they can do: what
//! `thread-pool-exhaustion` says of pools that no library knows.
//!
//! ```text
//! Countdown::wait < Studio::run_all < shop::restore_reel < Studio::work      each of the workers
//! Countdown::wait < Studio::run_all < shop::order                            others, behind them
//! ```
//!
//! ```text
//! (*future).get < (*atelier).layOut < (*crew).work     each of the workers
//! (*future).get < main.order                           others
//! ```
//!
//! `Studio::work` does a piece of work, which calls another method of the type and waits there. Where everyone who is in
//! `Studio::work` with a piece of work stands so, the pieces that they wait for are in the queue. Workers of the same type
//! that are idle belong to another pool: one of the same would have taken a piece.

use std::collections::BTreeMap;

use crate::detect::{Evidence, Finding, Grade, Severity, phrase, thread_pool_exhaustion};
use crate::model::{Activity, FunctionName, Incident, MemberId, type_of, words};

/// Dumps in which nobody may have gone on.
const STANDS: usize = 3;
/// One that waits alone may wait for another pool of the type.
const SOME: usize = 2;
/// The wait is so near to the method: a latch, or a future of the program's own, may be in between.
const NEAR: usize = 3;
/// That it is their own pool is concluded from the type.
const INFERRED: f64 = 0.6;

/// How a worker came to wait for its own pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way<'a> {
    /// The outermost function of the pool's type, in which its workers are.
    works: &'a str,
    /// The method in which it waits.
    waits: &'a str,
    /// That this is for a result is said by its name.
    by_name: bool,
}

/// One finding for each such pool.
pub(super) fn findings(incident: &Incident) -> Vec<Finding> {
    let newest = incident.dumps.len() - 1;
    if newest + 1 < STANDS {
        return Vec::new();
    }
    let mut ways: BTreeMap<Way, Vec<MemberId>> = BTreeMap::new();
    for (id, way) in incident.found(newest, |id| way(incident, id, newest)) {
        ways.entry(way).or_default().push(id);
    }
    ways.retain(|_, workers| workers.len() >= SOME);
    let stuck = ways.into_iter().filter(|(way, workers)| {
        nobody_works(incident, way, workers)
            && (!way.by_name || !behind(incident, way, workers).is_empty())
    });
    let stuck: Vec<(Way, Vec<MemberId>)> = stuck.collect();
    // Of two such crews at one method each may work for the other.
    let alone = |way: &Way| {
        !way.by_name || stuck.iter().filter(|(other, _)| other.waits == way.waits).count() == 1
    };
    let told = stuck.iter().filter(|(way, _)| alone(way));
    told.map(|(way, workers)| finding(incident, way, workers.clone())).collect()
}

/// How a member waits in a method of a type, called by a piece of work that a method of the same type does.
fn way(incident: &Incident, id: MemberId, dump: usize) -> Option<Way<'_>> {
    if incident.activity(id, dump) != Activity::Event || incident.idle(id, dump).is_some() {
        return None;
    }
    let own: Vec<&str> =
        incident.application_calls(id, dump).map(|call| call.function.as_str()).collect();
    let within = own.iter().take(NEAR).enumerate().find_map(|(at, waits)| {
        let its = type_of(waits);
        let same = |function: &&&str| its.is_some() && type_of(function) == its;
        let outer = &own[at + 1..];
        let piece = outer.iter().position(|function| !same(&function))?;
        let works = outer[piece..].iter().rfind(same)?;
        Some(Way { works, waits, by_name: false })
    });
    within.or_else(|| match own[..] {
        // Who waits for a result as well, and began in no type, is whom they work for.
        [waits, _, .., works] if gives_result(waits) && type_of(works).is_some() => {
            Some(Way { works, waits, by_name: true })
        }
        _ => None,
    })
}

/// Types of results to come, and methods that wait for them, by words of their names.
const RESULTS: &[&str] = &["deferred", "future", "promise", "result", "ticket"];
const WAITS: &[&str] = &["await", "get", "join", "result", "value", "wait"];

/// Whether a method waits for the result of what others do, by its name.
fn gives_result(function: &str) -> bool {
    let name = FunctionName::of(function);
    let of_type = words(name.type_name);
    let of_method = words(name.method);
    of_type.iter().any(|word| RESULTS.contains(&word.as_str()))
        && of_method.first().is_some_and(|word| WAITS.contains(&word.as_str()))
}

/// Whether all who are in the function in which the pool's workers are stand on that way, or have nothing to do.
fn nobody_works(incident: &Incident, way: &Way, workers: &[MemberId]) -> bool {
    let free = |dump: usize| {
        let works = |id: MemberId| {
            let is_there = incident.is_inside(id, dump, way.works);
            (is_there && incident.idle(id, dump).is_none()).then_some(())
        };
        let mut there = incident.found(dump, works);
        there.any(|(id, ())| workers.binary_search(&id).is_err())
    };
    workers.iter().all(|&id| incident.is_seen_to_stand(id)) && !(0..incident.dumps.len()).any(free)
}

/// Those who wait in the same method throughout, and are no workers.
fn behind(incident: &Incident, way: &Way, workers: &[MemberId]) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let waits = |id: MemberId| {
        let is_there = incident.is_inside(id, newest, way.waits);
        let works = incident.is_inside(id, newest, way.works);
        (is_there && !works && incident.waits_throughout(id)).then_some(())
    };
    let there = incident.found(newest, waits).map(|(id, ())| id);
    there.filter(|id| workers.binary_search(id).is_err()).collect()
}

fn finding(incident: &Incident, way: &Way, workers: Vec<MemberId>) -> Finding {
    let newest = incident.dumps.len() - 1;
    let Way { works, waits, .. } = *way;
    let (all, dumps) = (workers.len(), phrase::number(newest + 1, "dump"));
    let victims = behind(incident, way, &workers);
    let also = match victims.len() {
        0 => String::new(),
        _ => format!("; {} behind them", phrase::count(incident, &victims)),
    };
    Finding {
        detector: thread_pool_exhaustion::DETECTOR.name,
        severity: Severity::Medium,
        grade: Grade::Repeat,
        confidence: INFERRED,
        headline: format!(
            "all {all} who work in {works} wait in {waits} for what only such workers do, and none of them is free{also}"
        ),
        detail: format!(
            "Each does a piece of work that has called {waits}, and is in the same call in all of {dumps}. Nobody else in \
             {works} is at work, so what they wait for seems to be in the queue behind them. What is in the queue is not in \
             a dump, nor which pool of the type it is: that is inferred."
        ),
        next_step: format!(
            "Restart the process: they do not free themselves. In the code, do not wait in {waits} within a piece of work \
             for others of the same pool: let the worker do them itself, hand on what is to be done afterwards, or give them a \
             pool of their own."
        ),
        frames: phrase::telling_frames(incident, workers[0], newest),
        evidence: vec![Evidence {
            dump: Some(newest),
            value: Some(all as f64),
            ..Evidence::text(format!(
                "{all} of {all} at work in {works} wait in {waits} in {dumps}"
            ))
        }],
        victims,
        holders: workers.clone(),
        members: workers,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Nanos, Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const WAIT: &str = "std::sys::sync::condvar::futex::Condvar::wait";
    const WITHIN: &[&str] = &[
        WAIT,
        "shop::Countdown::wait:3",
        "shop::Studio::run_all:9",
        "shop::restore:20",
        "shop::Studio::work:7",
    ];

    fn thread(dump: &mut Moment, name: &str, stack: &[&str], used: u64) {
        let counted = Some(Nanos(5_000_000 + used));
        dump.thread(name, stack).is(ThreadState::Waiting).cpu = counted;
    }

    fn found(other: impl Fn(&mut Moment, u64)) -> Vec<(Severity, usize, usize)> {
        let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                for name in ["reel-0", "reel-1", "reel-2"] {
                    thread(dump, name, WITHIN, 0);
                }
                let orders =
                    &[WAIT, "shop::Countdown::wait:3", "shop::Studio::run_all:9", "shop::order:8"];
                thread(dump, "order-0", orders, 0);
                other(dump, second);
            })
        });
        let found = findings(&scene.incident());
        found.iter().map(|one| (one.severity, one.members.len(), one.victims.len())).collect()
    }

    #[test]
    fn all_workers_wait_for_their_own_pool() {
        let told = [(Severity::Medium, 3, 1)];
        assert_eq!(found(|_, _| ()), told);
        let idle = &[WAIT, "shop::Studio::next:5", "shop::Studio::work:6"];
        assert_eq!(found(|dump, _| thread(dump, "print-0", idle, 0)), told, "another pool rests");
    }

    #[test]
    fn all_workers_wait_for_results_that_only_they_make() {
        let scene = |clients: u64| {
            (0..3).fold(Scene::of(Runtime::Go), |scene, second| {
                scene.dump(second, |dump| {
                    for number in 0..3 {
                        let stack =
                            ["main.(*future).get:3", "main.(*floor).lay:9", "main.(*crew).work:7"];
                        thread(dump, &format!("{number}"), &stack, 0);
                    }
                    for number in 0..clients {
                        let stack = ["main.(*future).get:3", "main.order:9", "main.serve:8"];
                        thread(dump, &format!("order-{number}"), &stack, 0);
                    }
                })
            })
        };
        let count = |clients| findings(&scene(clients).incident()).len();
        assert_eq!((count(4), count(0)), (1, 0), "who makes them is seen by who else waits");
    }

    #[test]
    fn one_that_is_free_or_gets_on_ends_the_wait() {
        let works = &["shop::scan:30", "shop::Studio::work:7"];
        let at_it = |dump: &mut Moment, second: u64| {
            dump.thread("reel-3", works).cpu = Some(Nanos(second * 900_000_000));
        };
        assert_eq!(found(at_it), []);
        let moves =
            |dump: &mut Moment, second: u64| thread(dump, "reel-3", WITHIN, second * 900_000);
        assert_eq!(found(moves), [], "it got what it waited for");
    }
}
