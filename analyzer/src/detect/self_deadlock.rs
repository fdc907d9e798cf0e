//! Threads that wait for what they hold themselves.

pub(super) mod own_channel;
mod own_end;
pub(super) mod own_permit;
mod own_pipe;

use sigquit_dump::{LockKind, Nanos, OwnerSource, WaitFor};

use super::cycle::{SeenCycle, cycles};
use super::{Detector, Finding, Grade, phrase};
use crate::model::{Incident, MemberId};

pub(super) const DETECTOR: Detector =
    Detector { name: "self-deadlock", documentation: DOCUMENTATION, detect: self_deadlocks };

pub(super) const LOCK_UPGRADE: Detector = Detector {
    name: "lock-upgrade",
    documentation: LOCK_UPGRADE_DOCUMENTATION,
    detect: lock_upgrades,
};

const DOCUMENTATION: &str = "\
# self-deadlock

A thread or task that waits for a lock which it holds itself, and so waits for ever.

A mutex that cannot be locked twice is locked twice by one thread: mostly a method that locks calls
another method of the same type that locks too. Of a read-write lock: it is held for writing and wanted
again, or held for reading and wanted for reading again while a writer waits in between. (Held for reading and
wanted for writing is `lock-upgrade`.)

## Evidence

- A thread that waits for a lock whose owner it is, by the runtime or the lock's own memory: proof.
- The same with an inferred owner, in every dump.
- Of a semaphore that serves as a lock: the only one behind the line at which all others wait for a permit waits for one
  itself, in every dump.
- Of a channel in Go: a goroutine that begins in a method of a type waits to send in another one, in which others wait as
  well, with the same values on its stack in three dumps, and nobody else is in that type's code. So it would have to receive
  that itself. Medium, high where ten or more wait behind it.
- Of a JVM's piped streams: a thread waits for room in a pipe in three dumps, and in none of them anybody reads from one.
  Medium, and low where others are at work, who may be to read.
- Of a server in Go: a handler inside `Server.Shutdown` in every dump, which returns when all requests are done, of which
  its own is one. That it is its own server is inferred: the goroutine that served is in `Serve` no more. Medium.

## Limits

- Whether `Shutdown` was given a context that ends is not in a dump.

- Locks that one owner may take again (JVM monitors, reentrant locks) do not come here.
- The owner of a plain Rust or Go mutex is nowhere in memory. It is inferred when the one that
  waits was called from another function of the type that uses the lock, everyone else in sight
  who uses that type waits too, and nothing of it moves between the dumps. One dump says nothing, unless the runtime
  counts minutes for which it has waited (Go).
- Nor is the thread in memory that makes what is made once (Rust's `OnceLock`, `LazyLock` and `Once`, Go's `sync.Once`,
  `pthread_once`). It is inferred when everybody's whole stack is known and one thread alone is in an initialiser. So is who
  runs a JVM's `FutureTask` for all who ask: the only one that runs such tasks in the function in which all wait for them,
  when nobody is in a task who does not wait.

## What to do

Restart the process. Split the method that is called under the lock in two: one that locks, and one
that expects the lock to be held. Do not call back into unknown code (listeners, destructors, log
formatting) under a lock. What is made once must not ask for itself while it is made, by whatever way.
";

const LOCK_UPGRADE_DOCUMENTATION: &str = "\
# lock-upgrade

A thread that holds a read-write lock for reading and waits to have it for writing: it waits until
all readers leave, and is one of them.

From then on nobody gets the lock: other writers queue, and where writers come first, new readers
queue behind them.

## Evidence

- The thread is among the known owners of the lock for which it waits: proof.
- Inferred: a writer has come past all other writers and waits for readers to leave; everyone in
  sight whose code uses the lock waits for it; and the writer was called from another function
  of the type that uses the lock. Several that do the same are each in all others' way. One dump is
  a hint, the same in several is more. In a JVM: the only
  writer, while all others wait behind it or are idle, in every dump.

## Limits

- Few sources name the readers of a lock. A reader that left without unlocking looks alike, when
  the writer happens to be called by a function that reads too.

## What to do

Restart the process. Release the read lock before taking the write lock, and look again under the
write lock whether there is still something to do, since another writer may have come between.
Where that happens often, use a lock with an upgradable read, or compute first and lock for
writing only to store.
";

fn self_deadlocks(incident: &Incident) -> Vec<Finding> {
    let of_locks = of_one(incident, false);
    of_locks
        .into_iter()
        .chain(own_permit::findings(incident))
        .chain(own_end::findings(incident))
        .chain(own_pipe::finding(incident))
        .chain(
            own_channel::findings(incident).into_iter().filter(|one| one.detector == DETECTOR.name),
        )
        .collect()
}

fn lock_upgrades(incident: &Incident) -> Vec<Finding> {
    of_one(incident, true)
}

/// The cycles of one thread: those that are upgrades of a read-write lock, or the others.
fn of_one(incident: &Incident, upgrades: bool) -> Vec<Finding> {
    let cycles = cycles(incident);
    let own = cycles.iter().filter(|cycle| cycle.members.len() == 1);
    let own = own.filter(|cycle| upgrades || is_sure(incident, cycle));
    own.filter(|cycle| is_upgrade(incident, cycle) == upgrades)
        .map(|cycle| finding(incident, cycle, upgrades))
        .collect()
}

/// A queue before a mutex moves within moments: that its one waiter is its owner is inferred only
/// of one that stays, in every dump, or by the runtime's own count of minutes.
fn is_sure(incident: &Incident, cycle: &SeenCycle) -> bool {
    let stays = || {
        let activation = incident.same_activation(cycle.members[0]);
        cycle.dumps.len() == incident.dumps.len() && activation.is_some_and(|one| one.whole)
    };
    let counted = || {
        let waited =
            incident.thread(cycle.members[0], cycle.dump()).and_then(|one| one.waiting_since);
        incident.dumps.len() == 1 && waited > Some(Nanos(0))
    };
    cycle.source() != OwnerSource::Inferred || stays() || counted()
}

fn is_upgrade(incident: &Incident, cycle: &SeenCycle) -> bool {
    let wait = incident.thread(cycle.members[0], cycle.dump()).and_then(|one| one.wait.as_ref());
    wait.is_some_and(|wait| {
        wait.wait_for == WaitFor::Exclusive
            && incident.dumps[cycle.dump()].lock(wait.lock).kind == LockKind::RwLock
            && !incident.waits_for_a_writer(cycle.members[0], cycle.dump())
    })
}

fn finding(incident: &Incident, cycle: &SeenCycle, upgrade: bool) -> Finding {
    let member = cycle.members[0];
    let victims = cycle.victims(incident);
    let wait = incident.thread(member, cycle.dump()).and_then(|one| one.wait.as_ref());
    let lock = wait.map(|wait| incident.dumps[cycle.dump()].lock(wait.lock));
    let grade = cycle.grade();
    let (detector, next_step) = match upgrade {
        true => (LOCK_UPGRADE.name, upgrade_step(incident, cycle, member)),
        false => (DETECTOR.name, step(incident, cycle, member)),
    };
    Finding {
        detector,
        severity: cycle.severity(incident, &victims),
        grade,
        confidence: grade.cap(),
        headline: headline(incident, cycle, member, upgrade, &victims),
        detail: detail(incident, cycle, &victims),
        next_step,
        members: vec![member],
        victims,
        holders: Vec::new(),
        lock: lock.map(phrase::lock_of),
        owner: Some(member),
        owner_source: Some(cycle.source()),
        frames: cycle.frames(incident),
        evidence: cycle.evidence(incident),
    }
}

fn headline(
    incident: &Incident,
    cycle: &SeenCycle,
    member: MemberId,
    upgrade: bool,
    victims: &[MemberId],
) -> String {
    let is_inferred = cycle.source() == OwnerSource::Inferred;
    let seems = match (cycle.is_of_initialisers(incident), is_inferred) {
        (true, true) => "seems to be in",
        (true, false) => "is in",
        (false, true) => "seems to hold",
        (false, false) => "holds",
    };
    let what = match upgrade {
        true => "a read-write lock for reading and waits to have it for writing",
        false if cycle.is_of_initialisers(incident) => {
            "the one-time initialisation that it waits for"
        }
        false => "the lock that it waits for",
    };
    let stuck = match victims.len() {
        0 => String::new(),
        _ => format!("; {} can never go on", phrase::count(incident, victims)),
    };
    format!("{} {seems} {what}{stuck}", phrase::who(incident, member))
}

fn detail(incident: &Incident, cycle: &SeenCycle, victims: &[MemberId]) -> String {
    let mut detail = vec![format!(
        "It stands in {}.",
        phrase::list(&cycle.frames(incident)).replace(" and ", ", called by "),
    )];
    let edge = cycle.cycle.iter().flat_map(|cycle| &cycle.edges).next();
    let taken =
        edge.and_then(|edge| phrase::taken(incident, cycle.members[0], cycle.dump(), edge.lock));
    detail.extend(taken.map(|taken| format!("The lock was {taken}.")));
    if !victims.is_empty() {
        detail.push(format!("Behind it: {}.", phrase::those(incident, victims)));
    }
    if cycle.source() == OwnerSource::Inferred && cycle.is_of_initialisers(incident) {
        let inferred =
            "That it is in this initialisation itself is inferred: nobody else in sight may be.";
        detail.push(inferred.into());
    } else if cycle.source() == OwnerSource::Inferred {
        detail.push(match cycle.grade() {
            Grade::Pattern => "That it holds the lock itself is inferred, from one dump: everyone \
                               else in sight who uses the lock waits for it too.",
            _ => "That it holds the lock itself is inferred: everyone else in sight who uses the \
                  lock waits for it too, in several dumps.",
        }.into());
    }
    detail.join(" ")
}

fn upgrade_step(incident: &Incident, cycle: &SeenCycle, member: MemberId) -> String {
    let mut own = incident.application_calls(member, cycle.dump()).map(|call| &call.function);
    let (inner, outer) = (own.next(), own.next());
    let places = match (inner, outer) {
        // Which of them took it to read, the stack does not show.
        (Some(inner), Some(outer)) => format!(
            "give the read lock back before {inner} locks for writing (it was taken there or \
             further out, as in {outer}), and look again under the write lock whether there is \
             still something to do"
        ),
        _ => "release the read lock before the write lock is taken, and look again under the \
              write lock"
            .to_owned(),
    };
    format!("Restart the process; the lock cannot be freed. In the code, {places}.")
}

fn step(incident: &Incident, cycle: &SeenCycle, member: MemberId) -> String {
    let mut own = incident.application_calls(member, cycle.dump()).map(|call| &call.function);
    let place = own.next().map_or(String::new(), |function| format!(" ({function})"));
    if cycle.is_of_initialisers(incident) {
        return format!(
            "Restart the process; nothing ends that wait. In the code, what is made once must not ask for itself \
             while it is made{place}: hand on what is there already, or make it in two steps."
        );
    }
    format!(
        "Restart the process; the lock cannot be freed. In the code, split the function that is \
         called under the lock{place} into one that locks and one that expects the lock held."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Severity;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::Runtime;

    fn upgrade(dump: &mut Moment) {
        let lock = dump.lock(LockKind::RwLock, 0x10);
        dump.thread(
            "upgrader",
            &["sync.(*RWMutex).Lock:152", "main.(*Prices).load:45", "main.(*Prices).GetOrLoad:39"],
        )
        .waits(lock, WaitFor::Exclusive);
        for reader in ["r1", "r2"] {
            dump.thread(reader, &["sync.(*RWMutex).RLock:71", "main.(*Prices).Get:21"])
                .waits(lock, WaitFor::Shared);
        }
    }

    #[test]
    fn a_writer_in_its_own_way_is_an_upgrade() {
        let incident = Scene::of(Runtime::Go).dump(0, upgrade).dump(1, upgrade).incident();
        assert!(self_deadlocks(&incident).is_empty());
        let findings = lock_upgrades(&incident);
        assert_eq!(findings.len(), 1);
        let found = &findings[0];
        assert_eq!(incident.names(&found.members), ["upgrader"]);
        assert_eq!(incident.names(&found.victims), ["r1", "r2"]);
        assert_eq!(found.owner_source, Some(OwnerSource::Inferred));
        assert_eq!(found.grade, Grade::Repeat);
        for function in ["main.(*Prices).load locks for writing", "as in main.(*Prices).GetOrLoad"]
        {
            assert!(found.next_step.contains(function), "{}", found.next_step);
        }
        assert!(found.severity >= Severity::High);
    }

    #[test]
    fn a_mutex_locked_twice_is_a_self_deadlock() {
        let incident = Scene::of(Runtime::Native)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                dump.thread("t", &["pthread_mutex_lock", "log_line", "flush"])
                    .waits(lock, WaitFor::Exclusive)
                    .holds(lock);
            })
            .incident();
        assert!(lock_upgrades(&incident).is_empty());
        let findings = self_deadlocks(&incident);
        assert_eq!((findings.len(), findings[0].grade), (1, Grade::Proof));
    }

    #[test]
    fn what_is_made_once_and_asks_for_itself_is_no_lock() {
        let draw = |dump: &mut Moment| {
            let once = dump.lock(LockKind::Once, 0x10);
            dump.thread("t", &["shop::settings:9", "shop::defaults:5", "shop::settings:9"])
                .waits(once, WaitFor::Exclusive)
                .seems_to_hold(once);
        };
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let found = &self_deadlocks(&incident)[0];
        assert!(found.headline.contains("seems to be in the one-time initialisation"));
        assert!(found.next_step.contains("must not ask for itself"), "{}", found.next_step);
        assert!(found.evidence[0].text.contains("which it runs itself"));
        assert!(found.detail.contains("nobody else in sight may be"), "{}", found.detail);
    }

    #[test]
    fn the_only_user_of_a_mutex_that_waits_for_it_in_every_dump_holds_it() {
        let draw = |dump: &mut Moment| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            let stack = ["shop::Stock::total:9", "shop::Stock::add:5", "shop::serve:2"];
            dump.thread("t", &stack).waits(lock, WaitFor::Exclusive);
        };
        let lasting = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let findings = self_deadlocks(&lasting);
        assert_eq!((findings.len(), findings[0].grade), (1, Grade::Repeat));
        let once = Scene::of(Runtime::Rust).dump(0, draw).incident();
        assert!(self_deadlocks(&once).is_empty());
    }

    #[test]
    fn a_writer_that_waits_for_a_reader_in_sight_is_neither() {
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                upgrade(dump);
                dump.thread("busy", &["main.parse:3", "main.(*Prices).All:70"]);
            })
            .incident();
        assert!(self_deadlocks(&incident).is_empty() && lock_upgrades(&incident).is_empty());
    }
}
