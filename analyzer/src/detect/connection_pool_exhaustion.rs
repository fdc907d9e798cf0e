//! Borrowers that wait for a pooled resource, and who has it.

mod async_borrow;
mod async_permits;
mod lost_slots;

use std::collections::BTreeMap;

use sigquit_dump::{Lock, LockId, OwnerSource};

use super::self_deadlock::own_permit;
use super::{Detector, Evidence, Finding, Severity, phrase, queue_length};
use crate::model::{Activity, Incident, MemberId, PoolUse};

pub(super) const DETECTOR: Detector =
    Detector { name: "connection-pool-exhaustion", documentation: DOCUMENTATION, detect };

const DOCUMENTATION: &str = "\
# connection-pool-exhaustion

Members that wait to borrow from a pool which has nothing left to lend: connections, sessions,
clients, permits.

Names who waits, and who has what they wait for: what the holders are doing is the cause, the
empty pool its effect. Where those who wait have borrowed before, by the lines at which they stand, they wait for each other. Where no holder is
in sight the pool leaks: something was borrowed and not given back.

## Evidence

- Members inside a pool's borrowing function that wait for something to come back. Known pools are
  known by their functions; others by a type with \"pool\" in its name and a method like acquire,
  borrow, checkout, get or take, or by waiting for a semaphore's permit in a method that says that
  it lends: borrow, lease, getConnection; or by waiting at a condition or a queue in one that says what: getConnection,
  takeSession, or Sessions.current of a type that keeps them; or in one that lends for as long as it runs: withConnection,
  Sessions.with. Who is behind that wait in the same function has borrowed.
- Members that wait for a semaphore's permit in a function in which others are behind that line: these have one each.
- Async tasks that wait for permits of a semaphore in every dump and are not polled meanwhile, where no task of the same
  work goes on: medium for ten or more when no other task goes on either, low for four.
- The same of tasks that wait in a function whose name says that it takes something out of a pool, whatever for: an async lock,
  a message, a notification.
- Ten or more requests in Go (`net/http`) that wait at one line to send to a channel, with the same values on their stacks in
  three dumps, in a function in which nobody else is in any of them: a channel that serves as a semaphore, whose slots
  were not given back. Medium.
- What a pool says of itself (`sigquit::pool`): how many it has, who waits, who has borrowed, and where.
- Where it says nothing, holders: members inside a borrowed resource's own functions, or in the function that borrows,
  behind the line at which the others wait. The second is inferred.

High when ten or more wait in every dump, or more than a quarter of all that are not idle; medium
when three or more wait in every dump; low otherwise, and where the queue moves: between two dumps, a few seconds
apart, hardly anyone waited throughout (they used CPU time, slept anew, or have other values on their stacks), and most
holders are others. One or two now and then are normal.

## Limits

- How large a pool is stands in a dump only when it says so itself.
- A holder that passed its connection to code which the stack does not show (another thread, a
  suspended task, a field) is not seen. Then it looks like a leak.
- Two pools of one type are taken for one.

## What to do

Look at the holders first. In I/O: the database or peer is slow; see its own queries and locks, and
give calls a timeout. Computing or spinning: see that finding. Waiting for a lock or another pool:
borrow later, give back earlier. No holder: find the path that borrows and does not give back, an
error path most of the time, and turn on the pool's leak detection. A larger pool hides all of these
for a while.
";

fn detect(incident: &Incident) -> Vec<Finding> {
    let pools = incident.pools();
    // Who waits for the permit that it has itself is told as such.
    let own = |sights: &Sights| own_permit::whose(incident, sights).is_some();
    let pools = pools.iter().filter(|(_, sights)| !own(sights));
    let found = pools.filter_map(|(pool, sights)| finding(incident, pool, sights));
    found
        .chain(async_permits::queue(incident))
        .chain(lost_slots::findings(incident))
        .chain(async_borrow::findings(incident))
        .collect()
}

/// What each dump shows of one pool.
type Sights = [PoolUse];

fn finding(incident: &Incident, pool: &str, sights: &Sights) -> Option<Finding> {
    let waiting: Vec<usize> = sights.iter().map(|sight| sight.borrowers.len()).collect();
    let severity = queue_length::severity(incident, &waiting)?;
    let moves = moves(incident, sights);
    let severity = if moves { severity.min(Severity::Low) } else { severity };
    let (grade, confidence) = queue_length::sureness(&waiting);
    let newest = sights.iter().rposition(|sight| !sight.borrowers.is_empty())?;
    let sight = &sights[newest];
    let holders = doings(incident, &sight.holders, newest);
    let told = sight.pool.map(|pool| incident.dumps[newest].lock(pool));
    Some(Finding {
        detector: DETECTOR.name,
        severity,
        grade,
        confidence,
        headline: headline(incident, pool, sight, &holders, told),
        detail: detail(incident, sights, newest, &holders, moves),
        next_step: next_step(&holders, sight, told),
        members: sight.borrowers.clone(),
        victims: Vec::new(),
        holders: sight.holders.clone(),
        lock: told.map(phrase::lock_of),
        owner: None,
        owner_source: told.map(|_| OwnerSource::Tracked),
        frames: frames(incident, sight, newest),
        evidence: evidence(incident, sights),
    })
}

/// Whether those who wait get what they want from dump to dump, and others hold it.
fn moves(incident: &Incident, sights: &Sights) -> bool {
    let borrowers: Vec<&[MemberId]> = sights.iter().map(|sight| &sight.borrowers[..]).collect();
    let holders: Vec<&[MemberId]> = sights.iter().map(|sight| &sight.holders[..]).collect();
    incident.queue_moves(&borrowers) && incident.changes_hands(&holders)
}

/// Holders by what they do and where, the most frequent first.
type Doings = Vec<(Activity, String, Vec<MemberId>)>;

fn doings(incident: &Incident, holders: &[MemberId], dump: usize) -> Doings {
    let mut by_doing: BTreeMap<(Activity, String), Vec<MemberId>> = BTreeMap::new();
    for &holder in holders {
        let place = incident.application_calls(holder, dump).next();
        let place = place.or_else(|| incident.calls(holder, dump).next());
        let place = place.map_or(String::new(), |call| call.function.clone());
        by_doing.entry((incident.activity(holder, dump), place)).or_default().push(holder);
    }
    let mut doings: Doings =
        by_doing.into_iter().map(|((does, place), who)| (does, place, who)).collect();
    doings.sort_by_key(|(.., who)| std::cmp::Reverse(who.len()));
    doings
}

fn headline(
    incident: &Incident,
    pool: &str,
    sight: &PoolUse,
    holders: &Doings,
    told: Option<&Lock>,
) -> String {
    let waiting = phrase::count(incident, &sight.borrowers);
    let verb = if sight.borrowers.len() == 1 { "waits" } else { "wait" };
    let hold = match &holders[..] {
        [] if !sight.again.is_empty() => format!(
            "{} of them {} to have borrowed already",
            sight.again.len(),
            if sight.again.len() == 1 { "seems" } else { "seem" },
        ),
        [] => nobody(told),
        [(does, place, _)] => format!(
            "{} in sight {}",
            phrase::number(sight.holders.len(), "holder"),
            doing(*does, place, sight.holders.len()),
        ),
        [(does, place, who), ..] => format!(
            "of {} in sight {} {}",
            phrase::number(sight.holders.len(), "holder"),
            who.len(),
            doing(*does, place, who.len()),
        ),
    };
    format!("{waiting} {verb} to borrow from {pool}; {hold}")
}

/// Nobody in sight holds anything: it leaks, unless the pool says that it has not lent all.
fn nobody(pool: Option<&Lock>) -> String {
    match pool.and_then(room) {
        Some(room) if room > 0 => format!("it has {room} that it does not lend"),
        _ => "no holder is in sight: a leak".to_owned(),
    }
}

/// `are in network I/O in shop.Wire.call`.
fn doing(does: Activity, place: &str, how_many: usize) -> String {
    let verb = if how_many == 1 { does.to_string() } else { does.of_several().to_owned() };
    format!("{verb} in {place}")
}

fn detail(
    incident: &Incident,
    sights: &Sights,
    newest: usize,
    holders: &Doings,
    moves: bool,
) -> String {
    let sight = &sights[newest];
    let mut detail = Vec::new();
    if sights.len() > 1 {
        let waiting: Vec<usize> = sights.iter().map(|sight| sight.borrowers.len()).collect();
        let dumps = phrase::number(sights.len(), "dump");
        detail.push(format!("Waiting in {dumps}: {}.", phrase::figures(&waiting)));
    }
    if moves {
        detail.push(
            "The queue moves: whoever waits went on from dump to dump, and others hold.".into(),
        );
    }
    if let Some(&borrower) = sight.borrowers.first() {
        let frames = phrase::telling_frames(incident, borrower, newest);
        detail.push(format!("They wait in {}.", frames.join(" < ")));
    }
    for (does, place, who) in holders.iter().take(3) {
        detail.push(format!(
            "Holding: {}, {}.",
            phrase::those(incident, who),
            doing(*does, place, who.len()).replace("are ", "").replace("is ", ""),
        ));
    }
    if let Some(pool) = sight.pool {
        detail.extend(told(incident, newest, pool));
        return detail.join(" ");
    }
    if holders.is_empty() && !sight.again.is_empty() {
        detail.push(format!(
            "{} {} where they have borrowed before: that they still hold it is inferred from the lines.",
            phrase::those(incident, &sight.again),
            if sight.again.len() == 1 { "waits" } else { "wait" },
        ));
        return detail.join(" ");
    }
    detail.push(match holders.is_empty() {
        true => "Nobody in the dump is inside a borrowed resource or behind the line that \
                 borrows: what was borrowed was not given back, or is held where stacks do not \
                 show it."
            .into(),
        false => "That they hold it is inferred from their stacks.".into(),
    });
    detail.join(" ")
}

/// How many a pool could lend and does not.
fn room(pool: &Lock) -> Option<u64> {
    Some(pool.capacity?.saturating_sub(pool.in_use?))
}

/// What a pool says of itself.
fn told(incident: &Incident, dump: usize, id: LockId) -> Vec<String> {
    let shown = &incident.dumps[dump];
    let pool = shown.lock(id);
    let mut told = Vec::new();
    if let (Some(capacity), Some(in_use)) = (pool.capacity, pool.in_use) {
        told.push(format!("The pool says that {in_use} of {capacity} are borrowed."));
        let unknown = in_use.saturating_sub(pool.owners.len() as u64);
        if unknown > 0 {
            told.push(format!(
                "Of {unknown} of these the borrower is not in the dump: it has ended, or is a task that \
                 nobody tracks."
            ));
        }
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for hold in shown.threads.iter().flat_map(|thread| &thread.holds) {
        if let (true, Some(at)) = (hold.lock == id, &hold.taken_at) {
            let line = at.line.map_or(String::new(), |line| format!(":{line}"));
            *places.entry(format!("{}{line}", at.file)).or_default() += 1;
        }
    }
    let places = places.iter().take(3).map(|(place, count)| format!("{place} ({count})"));
    let places = places.collect::<Vec<_>>();
    if !places.is_empty() {
        told.push(format!("Borrowed at {}.", phrase::list(&places)));
    }
    told
}

fn next_step(holders: &Doings, sight: &PoolUse, told: Option<&Lock>) -> String {
    if told.and_then(room).is_some_and(|room| room > 0) {
        return "The pool has not lent all that it has: look at why it makes no more, first at whether \
                new connections can be opened."
            .into();
    }
    if holders.is_empty() && !sight.again.is_empty() {
        return "Borrow one for one piece of work, and hand it on to what is called meanwhile: where each wants a \
                second one, all wait for each other. Restart the process: none of them can go on."
            .into();
    }
    let Some((does, place, _)) = holders.first() else {
        return "Find the path that borrows and does not give back: look at error paths and early \
                returns first, and turn on the pool's leak detection. Restarting buys time; a \
                larger pool only a little."
            .into();
    };
    match does {
        Activity::Network | Activity::SystemCall => format!(
            "Look at what {place} talks to: the database or service behind it is slow or silent. \
             Give the call a timeout below the borrowers' patience. A larger pool moves the queue \
             there."
        ),
        Activity::File => format!(
            "Look at the disk behind {place}, and do not do file I/O with a connection in hand."
        ),
        Activity::ChildProcess => {
            format!("Give the connection back before {place} waits for another process.")
        }
        Activity::Computing => format!(
            "See whether {place} makes progress: while it runs it keeps what it borrowed. Fix \
             that, or give the connection back before computing."
        ),
        Activity::Sleeping => format!(
            "{place} sleeps with a connection in its hand: give it back before sleeping or \
             retrying."
        ),
        Activity::Lock => format!(
            "{place} waits for a lock with a connection in its hand: look at the owner of that \
             lock, and borrow after locking."
        ),
        Activity::Event => format!(
            "{place} waits for another thread with a connection in its hand: if that thread needs \
             one too, neither goes on. Borrow one connection for one unit of work."
        ),
        Activity::Unknown => format!("Look at what {place} does with what it borrowed."),
    }
}

fn frames(incident: &Incident, sight: &PoolUse, dump: usize) -> Vec<String> {
    let borrower = sight.borrowers.first();
    let borrower = borrower.map(|&one| phrase::telling_frames(incident, one, dump));
    let holder = sight.holders.first();
    let holder = holder.map(|&one| phrase::telling_frames(incident, one, dump));
    let mut frames = borrower.unwrap_or_default();
    for frame in holder.unwrap_or_default() {
        if !frames.contains(&frame) {
            frames.push(frame);
        }
    }
    frames
}

fn evidence(incident: &Incident, sights: &Sights) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for (dump, sight) in sights.iter().enumerate().filter(|(_, sight)| !sight.is_empty()) {
        let fact = |text: String, value: usize| Evidence {
            text,
            dump: Some(dump),
            member: None,
            value: Some(value as f64),
        };
        let waiting = phrase::count(incident, &sight.borrowers);
        evidence.push(fact(format!("{waiting} waiting to borrow"), sight.borrowers.len()));
        if sight.holders.is_empty() && !sight.again.is_empty() {
            let again = format!("{} of them behind a line that borrows", sight.again.len());
            evidence.push(fact(again, sight.again.len()));
        }
        for (does, place, who) in doings(incident, &sight.holders, dump).iter().take(3) {
            let text = format!(
                "{} in sight: {}",
                phrase::number(who.len(), "holder"),
                doing(*does, place, who.len())
            );
            evidence.push(Evidence { member: who.first().copied(), ..fact(text, who.len()) });
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Grade;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{Hold, Location, LockKind, Owner, Runtime, ThreadState};

    const BORROWING: [&str; 5] = [
        "syscall",
        "std::sys::sync::condvar::futex::Condvar::wait_optional_timeout",
        "shop::db::ConnectionPool::acquire_timeout:40",
        "shop::orders::checkout:70",
        "shop::orders::serve:20",
    ];
    const SPINNING: [&str; 3] =
        ["shop::cache::Map::get:9", "shop::orders::checkout:71", "shop::orders::serve:20"];
    const WORKING: [&str; 1] = ["shop::mail::render:5"];

    fn service(dump: &mut Moment, holders: usize, borrowers: usize) {
        for number in 0..holders {
            dump.thread(&format!("holder-{number}"), &SPINNING);
        }
        for number in 0..borrowers {
            dump.thread(&format!("borrower-{number}"), &BORROWING).is(ThreadState::Waiting);
        }
        (0..20).for_each(|number| {
            dump.thread(&format!("other-{number}"), &WORKING);
        });
    }

    fn incident(holders: usize, borrowers: [usize; 2]) -> Incident {
        Scene::of(Runtime::Rust)
            .dump(0, |dump| service(dump, holders, borrowers[0]))
            .dump(1, |dump| service(dump, holders, borrowers[1]))
            .incident()
    }

    #[test]
    fn borrowers_are_found_with_the_holders_and_what_they_do() {
        let incident = incident(6, [10, 10]);
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!((found.members.len(), found.holders.len()), (10, 6));
        assert_eq!((found.severity, found.grade), (Severity::High, Grade::Repeat));
        assert!(
            found.headline.contains("6 holders in sight are running in shop::cache::Map::get"),
            "{}",
            found.headline
        );
        assert_eq!(found.owner, None);
    }

    #[test]
    fn who_wants_a_second_one_waits_for_himself() {
        let second = [
            "syscall",
            BORROWING[1],
            BORROWING[2],
            "shop::orders::audit:90",
            "shop::orders::checkout:75",
        ];
        let draw = |dump: &mut Moment| {
            (0..4).for_each(|number| {
                dump.thread(&format!("web-{number}"), &second).is(ThreadState::Waiting);
            });
            (4..9).for_each(|number| {
                let first = &BORROWING[..4];
                dump.thread(&format!("web-{number}"), first).is(ThreadState::Waiting);
            });
        };
        let found = detect(&Scene::of(Runtime::Rust).dump(0, draw).incident());
        let [found] = &found[..] else { panic!("{found:?}") };
        assert!(
            found.headline.ends_with("4 of them seem to have borrowed already"),
            "{}",
            found.headline
        );
        assert!(found.next_step.contains("a second one"), "{}", found.next_step);
    }

    #[test]
    fn without_a_holder_in_sight_it_is_a_leak() {
        let incident = incident(0, [10, 10]);
        let found = &detect(&incident)[0];
        assert!(found.holders.is_empty());
        assert!(found.headline.ends_with("no holder is in sight: a leak"), "{}", found.headline);
    }

    #[test]
    fn a_busy_pool_with_a_borrower_now_and_then_is_healthy() {
        assert!(detect(&incident(6, [2, 0])).is_empty());
        assert!(detect(&incident(6, [0, 0])).is_empty());
    }

    /// A pool of four that says who has borrowed: two threads, and others that are gone.
    fn told(in_use: u64) -> Incident {
        let draw = |dump: &mut Moment| {
            let pool = dump.lock(LockKind::Pool, 0x10);
            for name in ["holder-1", "holder-2"] {
                let at = Location { file: "orders.rs".into(), line: Some(40), column: None };
                let hold = Hold::new(pool, None, OwnerSource::Tracked);
                let holder = dump.thread(name, &["fsync", "shop::orders::store"]);
                holder.holds.push(Hold { taken_at: Some(at), ..hold });
            }
            for name in ["a", "b", "c"] {
                dump.thread(name, &["syscall", "shop::db::get"]).is(ThreadState::Waiting);
            }
            let pool = &mut dump.dump.locks[0];
            (pool.name, pool.capacity) = (Some("orders database".into()), Some(4));
            pool.in_use = Some(in_use);
            let owner = |thread| Owner { thread, source: OwnerSource::Tracked };
            (pool.owners, pool.waiters) = (vec![owner(0), owner(1)], vec![2, 3, 4]);
        };
        Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident()
    }

    #[test]
    fn a_pool_that_keeps_records_names_its_holders_and_where_they_borrowed() {
        let incident = told(4);
        let findings = detect(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!(incident.names(&found.members), ["a", "b", "c"]);
        assert_eq!(incident.names(&found.holders), ["holder-1", "holder-2"]);
        assert_eq!(found.owner_source, Some(OwnerSource::Tracked));
        assert!(
            found.headline.contains("borrow from orders database; 2 holders in sight are in file")
        );
        for part in ["4 of 4 are borrowed", "Of 2 of these", "orders.rs:40 (2)"] {
            assert!(found.detail.contains(part), "{}", found.detail);
        }
    }

    #[test]
    fn a_pool_that_has_not_lent_all_is_not_kept_by_its_holders() {
        let found = &detect(&told(2))[0];
        assert!(found.next_step.contains("has not lent all"), "{}", found.next_step);
    }

    #[test]
    fn idle_workers_of_a_thread_pool_borrow_nothing() {
        let worker = [
            "jdk.internal.misc.Unsafe.park",
            "java.util.concurrent.LinkedBlockingQueue.take",
            "java.util.concurrent.ThreadPoolExecutor.getTask",
            "java.util.concurrent.ThreadPoolExecutor.runWorker",
        ];
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                (0..50).for_each(|number| {
                    dump.thread(&number.to_string(), &worker).is(ThreadState::Waiting);
                });
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }

    /// Twelve that wait for a semaphore's permit in a method, beside one at work.
    fn waiting_for_permits_in(method: &str) -> Vec<Finding> {
        let waiting = [
            "jdk.internal.misc.Unsafe.park",
            "java.util.concurrent.Semaphore.acquire:318",
            method,
            "shop.Order.run:9",
        ];
        let draw = |dump: &mut Moment| {
            (0..12).for_each(|number| {
                dump.thread(&number.to_string(), &waiting).is(ThreadState::Waiting);
            });
            dump.thread("at work", &["shop.Wire.send:4", "shop.Order.run:11"]);
        };
        detect(&Scene::of(Runtime::Jvm).dump(0, draw).dump(1, draw).incident())
    }

    #[test]
    fn permits_stand_for_what_is_lent_where_the_method_says_so() {
        let findings = waiting_for_permits_in("shop.Sessions.borrow:5");
        assert_eq!((findings.len(), findings[0].members.len()), (1, 12));
        assert_eq!(findings[0].holders.len(), 1);
        assert!(findings[0].headline.contains("from shop.Sessions"), "{}", findings[0].headline);
        assert!(waiting_for_permits_in("shop.Inbox.next:5").is_empty(), "a signal");
    }

    #[test]
    fn whoever_opens_a_connection_or_computes_in_the_pool_does_not_wait_for_one() {
        let opening = [
            "sun.nio.ch.Net.connect",
            "com.zaxxer.hikari.pool.HikariPool.getConnection",
            "shop.A.b",
        ];
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                (0..12).for_each(|number| {
                    dump.thread(&number.to_string(), &opening);
                });
            })
            .incident();
        assert!(detect(&incident).is_empty());
    }
}
