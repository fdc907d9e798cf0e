//! A pile-up that grows behind one cause.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sigquit_dump::Nanos;

use super::{Detector, Evidence, Finding, Grade, Severity, phrase};
use crate::model::{Activity, Incident, MemberId, Sort};

pub(super) const DETECTOR: Detector =
    Detector { name: "avalanche", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# avalanche

Work piles up and the pile grows: from dump to dump more members wait for a lock, for a pool, for
room in a queue, for a peer's answer, or to try again. New work comes in faster than it leaves.

This is an effect. What stands at the head of the pile is the cause, and is named where a dump shows
it: the owner of the lock, the holders of the pool, the workers behind the queue.

## Evidence

- More members wait in one function in each of five dumps at least than in the one before: five
  figures in rising order come about by chance once in 120 times.
- Twenty of them in the newest dump, ten more than in the first and half as many again.

High when they are half of all that are not idle; medium otherwise.

## Limits

- Never claimed on fewer than five dumps.
- A wave of new work looks the same while it rolls in, as long as it waits for something.
- Retries are known by the names of functions (`retry`, `backoff`), and only told.

## What to do

Look at the finding that this one follows from, and end that first. Meanwhile keep new work out: shed
load, lower the clients' retries, shorten timeouts; a pile of this kind can outlive its cause.
";

/// Growth is claimed on no fewer dumps.
const DUMPS: usize = 5;
/// Fewer in the newest dump are no pile.
const PILE: usize = 20;
/// Growth by fewer is no trend.
const GROWTH: usize = 10;

fn detect(incident: &Incident) -> Vec<Finding> {
    if incident.dumps.len() < DUMPS {
        return Vec::new();
    }
    let mut places: BTreeMap<&str, Vec<Vec<MemberId>>> = BTreeMap::new();
    for dump in 0..incident.dumps.len() {
        let mut known: HashMap<Sort, Option<&str>> = HashMap::new();
        for id in incident.shown(dump).filter(|&id| incident.idle(id, dump).is_none()) {
            let Some(sort) = incident.sort(id, dump) else { continue };
            let place = known.entry(sort).or_insert_with(|| piles_up(incident, id, dump));
            if let Some(place) = *place {
                let sights =
                    places.entry(place).or_insert_with(|| vec![Vec::new(); incident.dumps.len()]);
                sights[dump].push(id);
            }
        }
    }
    places.retain(|_, sights| sights.windows(2).all(|pair| pair[0].len() < pair[1].len()));
    finding(incident, &places).into_iter().collect()
}

/// The function in which a member waits for what others have, or to try again.
fn piles_up(incident: &Incident, id: MemberId, dump: usize) -> Option<&str> {
    let waits = match incident.activity(id, dump) {
        Activity::Lock => true,
        Activity::Sleeping => incident.tries_again(id, dump),
        _ => incident.queues(id, dump) || incident.asks_peer(id, dump).is_some(),
    };
    let own = incident.application_calls(id, dump).next();
    let place = own.or_else(|| incident.calls(id, dump).next()).filter(|_| waits)?;
    Some(&place.function)
}

fn finding(incident: &Incident, places: &BTreeMap<&str, Vec<Vec<MemberId>>>) -> Option<Finding> {
    let newest = incident.dumps.len() - 1;
    let in_dump = |dump: usize| places.values().map(|sights| sights[dump].len()).sum::<usize>();
    let counts: Vec<usize> = (0..=newest).map(in_dump).collect();
    let (first, last) = (counts[0], counts[newest]);
    if last < PILE || last < first + GROWTH || last * 2 < first * 3 {
        return None;
    }
    let members: BTreeSet<MemberId> =
        places.values().flat_map(|sights| &sights[newest]).copied().collect();
    let members: Vec<MemberId> = members.into_iter().collect();
    let mut largest: Vec<(&str, usize)> =
        places.iter().map(|(place, sights)| (*place, sights[newest].len())).collect();
    largest.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let retrying = members.iter().filter(|&&id| incident.tries_again(id, newest)).count();
    let half = last * 2 >= incident.busy(newest);
    let who = phrase::count(incident, &members);
    Some(Finding {
        detector: DETECTOR.name,
        severity: if half { Severity::High } else { Severity::Medium },
        grade: Grade::Repeat,
        confidence: Grade::Repeat.cap(),
        headline: format!(
            "{who} wait and more come: {} in the dumps, most of them in {}",
            phrase::figures(&counts),
            largest[0].0
        ),
        detail: detail(incident, &counts, &largest, retrying),
        next_step: "End what stands at the head of the queue; keep new work out until it has \
                    drained: shed load, and let clients retry less."
            .into(),
        holders: holders(incident, &members),
        frames: phrase::telling_frames(incident, places[largest[0].0][newest][0], newest),
        evidence: Evidence::per_dump(&counts, |count| {
            format!("{count} waiting for what others have")
        }),
        members,
        ..Finding::default()
    })
}

fn detail(
    incident: &Incident,
    counts: &[usize],
    places: &[(&str, usize)],
    retrying: usize,
) -> String {
    let told: Vec<String> =
        places.iter().take(TOLD).map(|(place, count)| format!("{count} in {place}")).collect();
    let mut detail = format!("They wait in these functions: {}.", phrase::list(&told));
    if let Some(time) = doubling(incident, counts) {
        detail += &format!(" At this pace they double in {}.", phrase::duration(time));
    }
    if retrying > 0 {
        detail += &format!(" {retrying} of them wait to try again.");
    }
    detail
}

/// So many places are told.
const TOLD: usize = 3;

/// The time in which so many become twice as many, when they grow at a constant rate.
fn doubling(incident: &Incident, counts: &[usize]) -> Option<Nanos> {
    let (first, last) = (incident.dumps.first()?, incident.dumps.last()?);
    let clock = first.monotonic.zip(last.monotonic).or(first.time.zip(last.time));
    let over = clock.map(|(first, last)| last.since(first))?;
    let grown = (*counts.last()? as f64 / (*counts.first()?).max(1) as f64).log2();
    (grown > 0.0).then(|| Nanos::from_secs_f64(over.as_secs_f64() / grown))
}

/// Who has what they wait for: the owners of locks, the holders of pools, the workers behind full
/// queues; as the newest dump shows them, and without those who wait themselves.
fn holders(incident: &Incident, members: &[MemberId]) -> Vec<MemberId> {
    let newest = incident.dumps.len() - 1;
    let graph = incident.wait_for(newest);
    let thread = |id: MemberId| incident.member(id).seen[newest].map(|at| at as u32);
    let locks = members.iter().filter_map(|&id| graph.wants(thread(id)?));
    let owners = locks.flat_map(|lock| graph.owners(lock));
    let mut holders: BTreeSet<MemberId> =
        owners.filter_map(|owner| incident.member_of(newest, owner.thread as usize)).collect();
    let concerned =
        |waiting: &[MemberId]| waiting.iter().any(|id| members.binary_search(id).is_ok());
    for (_, sights) in incident.pools() {
        if concerned(&sights[newest].borrowers) {
            holders.extend(&sights[newest].holders);
        }
    }
    for (_, sights) in incident.full_queues() {
        if concerned(&sights[newest].submitters) {
            holders.extend(incident.takers(&sights[newest], newest));
        }
    }
    holders.retain(|id| members.binary_search(id).is_err());
    holders.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, WaitFor};

    use super::*;
    use crate::model::scene::{Draw, Scene};

    /// So many wait for the owner of a lock in each dump; others are at work.
    fn found(counts: &[u64], at_work: u64) -> (Vec<Finding>, Incident) {
        let mut scene = Scene::of(Runtime::Jvm);
        for (second, &count) in (0..).zip(counts) {
            scene = scene.dump(second, |dump| {
                let lock = dump.lock(LockKind::Monitor, 0x10);
                dump.thread("owner", &["shop.Book.write:3"]).holds(lock);
                for number in 0..count {
                    dump.thread(
                        &format!("request-{number}"),
                        &["shop.Book.read:7", "shop.Page.show:2"],
                    )
                    .waits(lock, WaitFor::Exclusive);
                }
                for number in 0..at_work {
                    dump.thread(&format!("worker-{number}"), &["shop.Price.of:1"]);
                }
            });
        }
        let incident = scene.incident();
        (detect(&incident), incident)
    }

    #[test]
    fn a_pile_that_grows_is_told_with_who_holds_it_up() {
        let (findings, incident) = found(&[5, 9, 14, 22, 40], 3);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::High, 40));
        assert_eq!(incident.names(&finding.holders), ["owner"]);
        assert!(finding.detail.contains("double in 1.3 s"), "{}", finding.detail);
        assert_eq!(found(&[5, 9, 14, 22, 40], 90).0[0].severity, Severity::Medium);
    }

    #[test]
    fn a_pile_that_does_not_grow_in_every_dump_is_none() {
        for counts in [
            &[5, 9, 14, 40][..],
            &[40, 40, 40, 40, 40],
            &[10, 30, 20, 40, 60],
            &[30, 31, 32, 33, 34],
            &[2, 3, 5, 8, 14],
        ] {
            assert_eq!(found(counts, 3).0, [], "{counts:?}");
        }
    }

    #[test]
    fn who_retries_is_counted_and_who_works_is_not() {
        let grown = |stack: &'static [&'static str]| {
            let mut scene = Scene::of(Runtime::Jvm);
            for second in 0..5u64 {
                scene = scene.dump(second, |dump| {
                    (0..10 + 5 * second)
                        .for_each(|number| _ = dump.thread(&format!("call-{number}"), stack));
                });
            }
            detect(&scene.incident())
        };
        let again = [
            "java.lang.Thread.sleep",
            "shop.Client.retryWithBackoff",
            "shop.A.b",
            "shop.C.d",
            "shop.E.f",
        ];
        let findings = grown(Box::leak(Box::new(again)));
        assert!(findings[0].detail.contains("30 of them wait to try again"), "{findings:?}");
        assert_eq!(grown(&["shop.Price.of"]), []);
    }
}
