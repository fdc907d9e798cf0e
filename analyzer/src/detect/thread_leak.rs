//! Threads and goroutines that are made and never end.

mod passed_by;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sigquit_dump::{Kind, Nanos};

use super::{Detector, Evidence, Finding, Grade, Severity, forsaken, phrase};
use crate::model::{Activity, Idle, Incident, MemberId, Sort};

pub(super) const DETECTOR: Detector =
    Detector { name: "thread-leak", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# thread-leak

Threads, virtual threads or goroutines of one kind that are made and never end: they wait for a
message that nobody sends, for a receiver that is gone, for work that does not come.

## Evidence

- The runtime's own word: goroutines that its garbage collector found to be beyond reach are proof, and so are those
  at a channel that was never made (`nil chan`): low for fewer than ten of these, as one may block so on purpose.
- Growth: more of one kind, in one place, in each of five dumps at least than in the one before, by
  twenty or more, to fifty or to twice as many, and none of them has ended. Low of those who wait for what is outside of
  the process, which may be connections that are meant to stay.
- The same where some have ended, and none of them had been there in three dumps: half of the first dump's and twenty at
  least are still there in the last, and of those who have been there in three there are more each time. Whoever does
  not end soon does not end then, as where only failures leave a thread behind. Connections are not told of so.
- A mass: a thousand of one kind in one place that have waited for ten minutes.
- A thousand goroutines that wait in one place for somebody to receive what they send: at rest nobody
  does. Medium where two dumps or more show them and none went on; low in one dump. Medium for a
  hundred as well, where each dump shows more of them than the one before.
- Ten that wait in one place for others to arrive, to be done, or to receive, in two dumps in which
  nothing in the process moves: nobody comes, goes or uses CPU time. Something from outside may still wake them, so
  medium; low where a timer is pending and CPU times do not say that they stand, or where a goroutine in a channel
  may be the one who receives.
- Ten that wait likewise in a function whose name says for what: for an answer, or for what is brought about once
  (`awaitReply`, `waitForConfig`); or, in Go, that hand something on in a `select` (`send`, called by another function). Low, as
  only a name says that they are no workers without work.
- Five that wait for one wait group in three dumps, in a function in which others wait for other ones and go on: whoever
  was to be done with it may have failed. Low, as it may be at it still.
- One that waits for others to be done, in a function that its main function calls, in two dumps in which nothing
  moves, while no other is in the program's own code. Low: a request or a signal may end the wait. Where somebody
  listens to what is outside, only of a wait group, as a latch may stand for the end of the process.

Workers of pools without work count where the pools become more, by the numbers in their names or, of tokio, by the
workers that drive a runtime, of which each runtime has one: it is a pool or a runtime that is made and kept.

What they have in common is who created them, or what they began with, and the function in which they
wait. Medium; low for a pool's workers without work, unless the pools themselves become more, for members
of which connections come along, and for a mass that has nothing to do.

## Limits

- Growth is never claimed on fewer than five dumps, and growth within seconds can be the start of a
  wave of work. That none has ended speaks against that and does not exclude it.
- Who waits for a lock, a pool or a peer piles up rather than leaks: that is `avalanche`.
- Go counts waiting times in whole minutes, and from the first collection that saw the wait.
- Who waits for a word, at a channel, in a `select`, or to be notified, may be a worker without work: in the dumps
  these and those who wait in vain are the same, and neither is told of before they are a mass or grow. Go's
  `goroutineleak` profile tells some of them apart.

## What to do

Look at the function that creates them and at what they wait for: who was to send, receive or close at
the other end, and where did that one give up? Tie their life to their request's: a context that is
cancelled, a channel with room for the one answer, an executor that is shut down and made once.
";

/// Fewer are no leak worth a word, unless they were half as many.
const SOME: usize = 50;
/// Growth by fewer is no trend.
const GROWTH: usize = 20;
/// Growth is claimed on no fewer dumps.
const DUMPS: usize = 5;
/// Who was there in so many did not end soon.
const OLD: usize = 3;
/// So many that wait for so long are a mass.
const MANY: usize = 1000;
/// So many of whom none goes on while others come are no queue of producers.
const COMING: usize = 100;
const LONG: Nanos = Nanos(600_000_000_000);
/// How Go says of a goroutine that no live one can wake it.
const LEAKED: &str = "(leaked)";
/// How Go says that a goroutine waits at no channel at all.
const NIL: &str = "(nil chan)";
/// So many do not block on purpose.
const NOT_MEANT: usize = 10;

fn detect(incident: &Incident) -> Vec<Finding> {
    let kinds = kinds(incident);
    let leaks = kinds.iter().filter_map(|(kind, sights)| leak(incident, kind, sights, &kinds));
    let leaks: Vec<Finding> = leaks.collect();
    let told = |found: &Finding| leaks.iter().any(|leak| leak.members == found.members);
    let masses = forsaken::masses(incident).into_iter().filter(|found| !told(found));
    let masses: Vec<Finding> = masses.collect();
    let alone = forsaken::left_alone(incident);
    let passed = if masses.is_empty() { passed_by::findings(incident) } else { Vec::new() };
    leaks.into_iter().chain(masses).chain(alone).chain(passed).collect()
}

/// What makes members of one kind: how they were made, and where they wait.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Likes {
    made_by: String,
    place: String,
}

/// For each dump, who is there.
type Sights = Vec<Vec<MemberId>>;

fn kinds(incident: &Incident) -> BTreeMap<Likes, Sights> {
    let mut kinds: BTreeMap<Likes, Sights> = BTreeMap::new();
    for dump in 0..incident.dumps.len() {
        let mut known: HashMap<Sort, Option<Likes>> = HashMap::new();
        for id in incident.shown(dump).filter(|&id| may_leak(incident, id, dump)) {
            let Some(sort) = incident.sort(id, dump) else { continue };
            let likes = known.entry(sort).or_insert_with(|| likes(incident, id, dump));
            if let Some(likes) = likes {
                let none = || vec![Vec::new(); incident.dumps.len()];
                kinds.entry(likes.clone()).or_insert_with(none)[dump].push(id);
            }
        }
    }
    let newest = incident.dumps.len() - 1;
    kinds.retain(|_, sights| !sights[newest].is_empty());
    kinds
}

/// Whether a member can be evidence at all: where there are too few dumps for growth, only one that
/// has waited long, or that the runtime calls leaked.
fn may_leak(incident: &Incident, id: MemberId, dump: usize) -> bool {
    incident.thread(id, dump).is_some_and(|thread| {
        let alone = thread.waiting_since >= Some(LONG)
            || thread.state_text.contains(LEAKED)
            || thread.state_text.contains(NIL)
            || incident.sends(id, dump);
        let tells = alone || incident.dumps.len() >= DUMPS;
        tells && thread.kind != Kind::Task && !thread.runtime_helper
    })
}

/// Only of those who wait for another part of the program; or of those who wait for what is outside, which may become
/// more.
fn likes(incident: &Incident, id: MemberId, dump: usize) -> Option<Likes> {
    let outside = waits_outside(incident, id, dump);
    if outside && incident.dumps.len() < DUMPS
        || !outside && !waits_for_an_event(incident, id, dump)
    {
        return None;
    }
    let own = incident.application_calls(id, dump).next();
    let runtimes = |outside| {
        let mut calls = incident.calls(id, dump);
        if outside { calls.next() } else { calls.last() }
    };
    let place = own.or_else(|| runtimes(outside))?.function.clone();
    let made_by = incident.made_by(id, dump).unwrap_or_else(|| place.clone());
    Some(Likes { made_by, place })
}

fn waits_for_an_event(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let event = matches!(incident.activity(id, dump), Activity::Event | Activity::Sleeping)
        || drives(incident, id, dump);
    let queues = incident.waits_for_others(id, dump) || incident.asks_peer(id, dump).is_some();
    event && !queues
}

/// How a worker of tokio without work waits for its runtime's connections and timers, for all workers of that runtime.
const DRIVES: &str = "tokio::runtime::io::driver::Driver::turn";

fn drives(incident: &Incident, id: MemberId, dump: usize) -> bool {
    let rests = incident.idle(id, dump) == Some(Idle::Worker);
    rests && incident.is_inside(id, dump, DRIVES)
}

fn waits_outside(incident: &Incident, id: MemberId, dump: usize) -> bool {
    match incident.idle(id, dump) {
        Some(idle) => idle == Idle::Listener,
        None => {
            matches!(incident.activity(id, dump), Activity::Network | Activity::ChildProcess)
        }
    }
}

/// Members of one kind in the dump that tells most of them.
struct Group<'a> {
    incident: &'a Incident,
    likes: &'a Likes,
    sights: &'a Sights,
    dump: usize,
    counts: Vec<usize>,
}

/// Why a group is taken for a leak.
#[derive(Clone, Copy)]
enum Why {
    /// They wait at a channel that was never made.
    NoChannel,
    /// The runtime's collector found them beyond reach.
    BeyondReach,
    /// They are the workers of ever more pools, without work.
    MorePools,
    /// They become more, and none has ended.
    Growth,
    /// They become more, and none has ended who did not soon.
    Rest,
    /// Very many have waited for so long.
    Mass(Nanos),
    /// They wait for somebody to receive.
    Sending,
}

fn leak(
    incident: &Incident,
    likes: &Likes,
    sights: &Sights,
    kinds: &BTreeMap<Likes, Sights>,
) -> Option<Finding> {
    let group = Group::of(incident, likes, sights);
    let why = group.why()?;
    let (severity, grade) = group.weight(why);
    if grade != Grade::Proof && group.is_a_rest(kinds) {
        return None;
    }
    let members = group.members();
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence: if grade == Grade::Proof { grade.cap() } else { grade.cap() - 0.1 },
        headline: group.headline(why),
        detail: format!(
            "Made by {}. In the dumps, one after the other: {}.",
            likes.made_by,
            phrase::figures(&group.counts)
        ),
        next_step: next_step(likes, why),
        frames: phrase::telling_frames(incident, members[0], group.dump),
        evidence: Evidence::per_dump(&group.counts, |count| {
            format!("{count} waiting in {}", likes.place)
        }),
        members: members.to_vec(),
        ..Finding::default()
    })
}

impl<'a> Group<'a> {
    /// What a runtime says of them in any dump counts more than what the newest shows.
    fn of(incident: &'a Incident, likes: &'a Likes, sights: &'a Sights) -> Group<'a> {
        let newest = incident.dumps.len() - 1;
        let said = (0..=newest).rev().find(|&dump| is_beyond_reach(incident, &sights[dump], dump));
        let counts = sights.iter().map(Vec::len).collect();
        Group { incident, likes, sights, dump: said.unwrap_or(newest), counts }
    }

    fn members(&self) -> &'a [MemberId] {
        &self.sights[self.dump]
    }

    fn why(&self) -> Option<Why> {
        let &Group { incident, sights, dump, .. } = self;
        let members = self.members();
        if all_say(incident, members, dump, NIL) {
            return Some(Why::NoChannel);
        }
        if all_say(incident, members, dump, LEAKED) {
            return Some(Why::BeyondReach);
        }
        if grows(&self.counts) && none_ended(incident, sights) {
            let pools = self.rests() && pools_grow(incident, sights);
            return Some(if pools { Why::MorePools } else { Why::Growth });
        }
        if members.iter().any(|&id| waits_outside(incident, id, dump)) {
            return None;
        }
        if grows(&self.counts) && !self.rests() && only_the_young_end(incident, sights) {
            return Some(Why::Rest);
        }
        let median = median_wait(incident, members, dump);
        if members.len() >= MANY && median >= LONG {
            return Some(Why::Mass(median));
        }
        send_to_nobody(incident, members, dump, sights).then_some(Why::Sending)
    }

    fn weight(&self, why: Why) -> (Severity, Grade) {
        let count = self.members().len();
        match why {
            Why::NoChannel if count < NOT_MEANT => (Severity::Low, Grade::Proof),
            Why::NoChannel | Why::BeyondReach if count >= SOME => (Severity::High, Grade::Proof),
            Why::NoChannel | Why::BeyondReach => (Severity::Medium, Grade::Proof),
            Why::Growth if self.rests() || come_with_connections(self.incident, &self.counts) => {
                (Severity::Low, Grade::Repeat)
            }
            Why::Rest if come_with_connections(self.incident, &self.counts) => {
                (Severity::Low, Grade::Repeat)
            }
            Why::MorePools | Why::Growth | Why::Rest => (Severity::Medium, Grade::Repeat),
            Why::Mass(_) if self.has_nothing_to_do() => (Severity::Low, Grade::Pattern),
            Why::Mass(_) => (Severity::Medium, Grade::Pattern),
            Why::Sending if none_went_on(self.incident, self.sights) => {
                (Severity::Medium, Grade::Repeat)
            }
            Why::Sending => (Severity::Low, Grade::Pattern),
        }
    }

    /// One leak is told once, where most of it is, though some were met elsewhere on their way.
    fn is_a_rest(&self, kinds: &BTreeMap<Likes, Sights>) -> bool {
        kinds.iter().any(|(other, sights)| {
            other != self.likes
                && other.made_by == self.likes.made_by
                && sights[self.dump].len() > self.members().len() * 10
        })
    }

    fn headline(&self, why: Why) -> String {
        let who = phrase::count(self.incident, self.members());
        let Likes { made_by, place } = self.likes;
        match why {
            Why::NoChannel => {
                format!("{who} in {place} can never go on: the channel there was never made")
            }
            Why::BeyondReach => {
                format!("{who} in {place} can never go on: the runtime found them beyond reach")
            }
            Why::MorePools => format!(
                "{who} of ever more pools never end: each pool has no work, and none is shut down"
            ),
            Why::Growth => {
                format!("{who} of {made_by} never end, and more come: they wait in {place}")
            }
            Why::Rest => format!(
                "{who} of {made_by}, and more come: some ended soon, and none later; they wait in {place}"
            ),
            Why::Mass(median) => format!(
                "{who} of {made_by} have waited {} and longer in {place}",
                phrase::duration(median),
            ),
            Why::Sending => format!("{who} of {made_by} wait in {place} for somebody to receive"),
        }
    }

    /// Whether most are a pool's workers without work.
    fn rests(&self) -> bool {
        self.are_mostly(|idle| idle == Idle::Worker)
    }

    fn has_nothing_to_do(&self) -> bool {
        self.are_mostly(|_| true)
    }

    fn are_mostly(&self, idle: impl Fn(Idle) -> bool) -> bool {
        let is = |&&id: &&MemberId| self.incident.idle(id, self.dump).is_some_and(&idle);
        self.members().iter().filter(is).count() * 2 > self.members().len()
    }
}

fn next_step(likes: &Likes, why: Why) -> String {
    match why {
        Why::NoChannel => format!(
            "Make the channel of {} before it is used: one that was declared and not made lets nobody go \
             on.",
            likes.place
        ),
        Why::MorePools => {
            "Look at who makes the pools: make one and keep it, or shut each down when its work is done.".into()
        }
        _ => format!(
            "Look at {}: who was to act at the other end of what they wait for, and why does that \
             one not do it? Let them end with what they were made for.",
            likes.made_by
        ),
    }
}

/// Whether the runtime calls all of them leaked, or says that they wait at no channel.
fn is_beyond_reach(incident: &Incident, members: &[MemberId], dump: usize) -> bool {
    all_say(incident, members, dump, LEAKED) || all_say(incident, members, dump, NIL)
}

fn all_say(incident: &Incident, members: &[MemberId], dump: usize, word: &str) -> bool {
    let says = |&id: &MemberId| {
        incident.thread(id, dump).is_some_and(|thread| thread.state_text.contains(word))
    };
    !members.is_empty() && members.iter().all(says)
}

/// Whether they are a mass that waits for a receiver, or none went on while others came.
fn send_to_nobody(incident: &Incident, members: &[MemberId], dump: usize, sights: &Sights) -> bool {
    let more = sights.windows(2).all(|pair| pair[0].len() < pair[1].len());
    let coming = more && none_went_on(incident, sights);
    (members.len() >= MANY || coming) && members.iter().all(|&id| incident.sends(id, dump))
}

/// Whether two dumps or more show as many, of whom everyone is where the first dump showed it.
fn none_went_on(incident: &Incident, sights: &Sights) -> bool {
    let (Some(first), Some(last)) = (sights.first(), sights.last()) else { return false };
    let stays = |id: &MemberId| is_known(incident, *id) && last.binary_search(id).is_ok();
    sights.len() > 1 && first.len() >= COMING && first.iter().all(stays)
}

/// Whether there are more each time, by as many as a trend takes.
pub(super) fn grows(counts: &[usize]) -> bool {
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return false };
    counts.len() >= DUMPS
        && (last >= SOME || last >= first * 2)
        && last >= first + GROWTH
        && counts.windows(2).all(|pair| pair[0] < pair[1])
}

/// Whether a member is known again in another dump: who has neither name nor number is not.
fn is_known(incident: &Incident, id: MemberId) -> bool {
    let member = incident.member(id);
    !(member.id.is_empty() && member.name.is_empty())
}

/// Whether everyone whom an earlier dump shows there, and who is known again, is still in the newest.
fn none_ended(incident: &Incident, sights: &Sights) -> bool {
    let newest = incident.dumps.len() - 1;
    let mut earlier = sights.iter().flatten().copied();
    earlier.all(|id| !is_known(incident, id) || incident.thread(id, newest).is_some())
}

/// Whether some have ended, but nobody who had been there in three dumps, while these become more: then there are some who
/// end soon, and others who do not end at all. In a wave of work that takes now short, now long, somebody would have
/// ended who had been there for some time.
fn only_the_young_end(incident: &Incident, sights: &Sights) -> bool {
    let newest = incident.dumps.len() - 1;
    let shown =
        |id: MemberId| (0..=newest).filter(move |&dump| incident.thread(id, dump).is_some());
    let everyone: BTreeSet<MemberId> = sights.iter().flatten().copied().collect();
    let stays = |id: MemberId| incident.thread(id, newest).is_some();
    let ended_late = |&id: &MemberId| !stays(id) && shown(id).count() >= OLD;
    if !everyone.iter().all(|&id| is_known(incident, id)) || everyone.iter().any(ended_late) {
        return false;
    }
    let first = &sights[0];
    let stayed = first.iter().filter(|&&id| stays(id)).count();
    // For each dump from the third on, how many have been there in three at least.
    let old = |dump: usize| {
        let is_old = |&&id: &&MemberId| shown(id).take_while(|&at| at <= dump).count() >= OLD;
        sights[dump].iter().filter(is_old).count()
    };
    let old: Vec<usize> = (OLD - 1..=newest).map(old).collect();
    stayed >= GROWTH && stayed * 2 >= first.len() && old.windows(2).all(|pair| pair[0] < pair[1])
}

/// Whether it is pools that grow in number, and not one pool in size: by names that differ in the pool's number, as
/// in `pool-17-thread-1`; or by the drivers of async runtimes, of which each has one.
fn pools_grow(incident: &Incident, sights: &Sights) -> bool {
    let pools = |members: &Vec<MemberId>| {
        let names = members.iter().map(|&id| incident.pool_of(id));
        names.flatten().collect::<BTreeSet<&str>>().len()
    };
    let counts: Vec<usize> = sights.iter().map(pools).collect();
    grows(&counts) || runtimes_grow(incident, sights)
}

/// Whether there are more and more runtimes, by those who drive them: in each dump more, and twice as many at the end.
fn runtimes_grow(incident: &Incident, sights: &Sights) -> bool {
    let drivers = |(dump, members): (usize, &Vec<MemberId>)| {
        members.iter().filter(|&&id| drives(incident, id, dump)).count()
    };
    let counts: Vec<usize> = sights.iter().enumerate().map(drivers).collect();
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return false };
    first > 0 && last >= first * 2 && counts.windows(2).all(|pair| pair[0] < pair[1])
}

/// Whether those who listen to peers become more at the pace of these: then these are what belongs
/// to new connections.
fn come_with_connections(incident: &Incident, counts: &[usize]) -> bool {
    let listeners = |dump: usize| {
        let listens = |id: &MemberId| {
            let helper = incident.thread(*id, dump).is_some_and(|thread| thread.runtime_helper);
            !helper
                && (incident.idle(*id, dump) == Some(Idle::Listener)
                    || incident.activity(*id, dump) == Activity::Network)
        };
        incident.shown(dump).filter(listens).count()
    };
    let (Some(&first), Some(&last)) = (counts.first(), counts.last()) else { return false };
    let newest = incident.dumps.len() - 1;
    listeners(newest).saturating_sub(listeners(0)) * 2 >= last - first
}

fn median_wait(incident: &Incident, members: &[MemberId], dump: usize) -> Nanos {
    let since = |&id: &MemberId| incident.thread(id, dump)?.waiting_since;
    let mut waits: Vec<Nanos> = members.iter().filter_map(since).collect();
    waits.sort_unstable();
    let known = waits.len() * 2 >= members.len();
    waits.get(waits.len() / 2).copied().filter(|_| known).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Runtime, ThreadState};

    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};

    const SENDING: &[&str] = &["runtime.gopark", "runtime.chansend1", "main.fetch.func1:9"];
    const SERVING: &[&str] = &["internal/poll.runtime_pollWait", "net/http.(*conn).serve"];

    fn goroutine(dump: &mut Moment, number: u64, state: &str, stack: &[&str], waited: u64) {
        let thread = dump.thread("", stack).is(ThreadState::Waiting);
        (thread.kind, thread.number) = (Kind::Goroutine, Some(number));
        thread.state_text = state.into();
        thread.waiting_since = Some(Nanos::from_millis(waited * 60_000));
    }

    /// Goroutines numbered from the first on, so many in each dump, and so many connections.
    fn found(firsts: &[u64], counts: &[u64], connections: &[u64], waited: u64) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Go);
        for (second, (&first, &count)) in (0..).zip(firsts.iter().zip(counts)) {
            scene = scene.dump(second, |dump| {
                (first..first + count)
                    .for_each(|number| goroutine(dump, number, "chan send", SENDING, waited));
                let open = connections.get(second as usize).copied().unwrap_or(0);
                (0..open)
                    .for_each(|number| goroutine(dump, 1_000_000 + number, "IO wait", SERVING, 0));
            });
        }
        detect(&scene.incident())
    }

    /// Runtimes of tokio, so many in each dump, with so many workers each, of which one drives its runtime.
    fn runtimes(counts: [u64; 5], workers: [u64; 5]) -> Option<Severity> {
        const PARKS: &[&str] = &["syscall", "tokio::runtime::park::Inner::park", "start_thread"];
        let drives = ["epoll_wait", DRIVES, "start_thread"];
        let mut scene = Scene::of(Runtime::Rust);
        for second in 0..5 {
            scene = scene.dump(second, |dump| {
                let (runtimes, workers) = (counts[second as usize], workers[second as usize]);
                for number in 0..runtimes * workers {
                    let stack = if number < runtimes { &drives[..] } else { PARKS };
                    let thread = dump.thread("letters-io", stack).is(ThreadState::Waiting);
                    thread.os_id = Some(100 + number);
                }
            });
        }
        let findings = detect(&scene.incident());
        findings.first().map(|finding| finding.severity)
    }

    #[test]
    fn runtimes_that_are_made_and_kept_are_ever_more_pools() {
        assert_eq!(runtimes([11, 14, 20, 25, 29], [2; 5]), Some(Severity::Medium));
    }

    #[test]
    fn workers_of_one_runtime_that_become_more_are_no_more_pools() {
        assert_eq!(runtimes([1; 5], [22, 28, 40, 50, 58]), Some(Severity::Low));
        assert_eq!(runtimes([29; 5], [2; 5]), None, "one for each core, from the beginning");
    }

    #[test]
    fn goroutines_that_grow_and_never_end() {
        let findings = found(&[1; 5], &[60, 70, 85, 99, 120], &[], 0);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.members.len()), (Severity::Medium, 120));
        assert_eq!(finding.grade, Grade::Repeat);
    }

    #[test]
    fn fewer_than_five_dumps_show_no_growth() {
        assert_eq!(found(&[1; 4], &[60, 600, 700, 900], &[], 0), []);
    }

    #[test]
    fn what_comes_and_goes_is_no_leak() {
        assert_eq!(found(&[1, 10, 20, 30, 40], &[60, 70, 85, 99, 120], &[], 0), []);
        let as_before = found(&[1; 5], &[120; 5], &[1; 5], 0);
        let [standing] = &as_before[..] else { panic!("{as_before:?}") };
        assert!(standing.headline.contains("nobody is at work"), "they stand, and do not grow");
        assert_eq!(found(&[1; 5], &[120; 5], &[], 0), [], "that is everyone, and a deadlock");
    }

    /// Threads that come, twenty-four from dump to dump, sleep in one place, and end as told: by number and dump.
    fn sleepers(ends: impl Fn(u64, u64) -> bool) -> Vec<Finding> {
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..5 {
            scene = scene.dump(second, |dump| {
                for number in (0..48 + 24 * second).filter(|&number| !ends(number, second)) {
                    let stack = ["java.lang.Thread.sleep", "shop.Lease.run:9"];
                    let thread = dump.thread(&format!("lease-{number}"), &stack);
                    thread.is(ThreadState::TimedWaiting).number = Some(number);
                }
            });
        }
        detect(&scene.incident())
    }

    /// The dump in which a thread is shown first.
    fn begins(number: u64) -> u64 {
        number.saturating_sub(24) / 24
    }

    #[test]
    fn where_some_end_soon_the_others_never_do() {
        let findings = sleepers(|number, second| number % 3 == 0 && second > begins(number) + 1);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.severity, finding.grade), (Severity::Medium, Grade::Repeat));
        assert!(finding.headline.contains("some ended soon"), "{}", finding.headline);
    }

    #[test]
    fn a_wave_of_work_some_of_which_takes_longer_is_no_leak() {
        let takes = |number: u64| 1 + number % 7;
        assert_eq!(sleepers(|number, second| second > begins(number) + takes(number)), []);
    }

    #[test]
    fn what_belongs_to_new_connections_is_said_softly() {
        let findings = found(&[1; 5], &[60, 70, 85, 99, 120], &[60, 70, 85, 99, 120], 0);
        assert_eq!(findings[0].severity, Severity::Low);
    }

    #[test]
    fn a_mass_that_has_waited_long() {
        assert_eq!(found(&[1], &[2000], &[], 15)[0].severity, Severity::Medium);
        assert_eq!(found(&[1], &[2000], &[], 2)[0].severity, Severity::Low);
        assert_eq!(found(&[1], &[200], &[], 15), []);
    }

    #[test]
    fn a_mass_that_sends_and_that_nobody_receives_from() {
        let once = found(&[1], &[2000], &[], 0);
        assert_eq!((once[0].severity, once[0].grade), (Severity::Low, Grade::Pattern));
        let twice = found(&[1, 1], &[2000, 2100], &[], 0);
        assert_eq!((twice[0].severity, twice[0].grade), (Severity::Medium, Grade::Repeat));
        assert_eq!(
            found(&[1, 9], &[2000, 2100], &[], 0)[0].severity,
            Severity::Low,
            "some went on"
        );
        assert_eq!(found(&[1], &[900], &[], 0), []);
    }

    #[test]
    fn the_runtimes_own_word_is_proof() {
        let scene = Scene::of(Runtime::Go).dump(0, |dump| {
            (1..4).for_each(|number| goroutine(dump, number, "chan send (leaked)", SENDING, 0));
        });
        let findings = detect(&scene.incident());
        assert_eq!((findings[0].grade, findings[0].severity), (Grade::Proof, Severity::Medium));
    }

    #[test]
    fn a_channel_that_was_never_made_lets_nobody_go_on() {
        let found = |count: u64| {
            let scene = Scene::of(Runtime::Go).dump(0, |dump| {
                let state = "chan receive (nil chan)";
                (0..count).for_each(|number| goroutine(dump, number, state, &["main.follow"], 0));
            });
            let findings = detect(&scene.incident());
            findings.iter().map(|found| (found.grade, found.severity)).collect::<Vec<_>>()
        };
        assert_eq!(found(12), [(Grade::Proof, Severity::Medium)]);
        assert_eq!(found(1), [(Grade::Proof, Severity::Low)], "some block for ever in that way");
    }

    #[test]
    fn idle_workers_of_a_pool_that_grows_are_said_softly() {
        const RESTING: &[&str] = &[
            "jdk.internal.misc.Unsafe.park",
            "java.util.concurrent.ThreadPoolExecutor.getTask",
            "java.lang.Thread.run",
        ];
        let mut scene = Scene::of(Runtime::Jvm);
        for second in 0..5 {
            scene = scene.dump(second, |dump| {
                for number in 0..60 + 10 * second {
                    let name = format!("pool-1-thread-{number}");
                    dump.thread(&name, RESTING).is(ThreadState::Waiting).number = Some(number);
                }
            });
        }
        assert_eq!(detect(&scene.incident())[0].severity, Severity::Low);
    }

    #[test]
    fn pools_that_are_made_and_never_shut_down() {
        const RESTING: &[&str] =
            &["java.util.concurrent.ThreadPoolExecutor.getTask", "java.lang.Thread.run"];
        let found = |name: fn(u64) -> String| {
            let mut scene = Scene::of(Runtime::Jvm);
            for second in 0..5 {
                scene = scene.dump(second, |dump| {
                    for number in 0..60 + 10 * second {
                        let thread = dump.thread(&name(number), RESTING);
                        thread.is(ThreadState::Waiting).number = Some(number);
                    }
                });
            }
            detect(&scene.incident())[0].severity
        };
        assert_eq!(found(|number| format!("pool-{number}-thread-1")), Severity::Medium);
        assert_eq!(found(|number| format!("pool-1-thread-{number}")), Severity::Low);
    }
}
