//! Locks that somebody waits for, each over all dumps.

use std::collections::BTreeSet;

use sigquit_dump::{Lock, LockId, LockKind, Nanos, NoticeKind, OwnerSource, Runtime, WaitFor};

use super::activity::Activity;
use super::idle::Idle;
use super::incident::{Incident, MemberId};

/// Who waits goes to sleep anew after each dump that asks for its stack; once more may be another signal's
/// doing.
pub(super) const ASKED: u64 = 2;

/// More CPU time than a thread needs to wake and go back to sleep inside one call.
pub(crate) const A_BREATH: Nanos = Nanos(20_000);

/// How likely it may be at most that a lock which is handed on is met with the same owner in every dump. Among
/// five who take turns that is 4 % in three dumps, among three in four; among two it takes six dumps.
const BY_CHANCE: f64 = 0.05;

/// One lock over the dumps in which somebody waits until its owners leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contention {
    /// What each of these dumps shows, in time order; at least one.
    pub sights: Vec<Sight>,
}

/// A lock that is waited for, as one dump shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Which dump.
    pub dump: usize,
    /// The lock's number in it.
    pub lock: LockId,
    /// Who waits.
    pub waiters: Vec<MemberId>,
    /// Who owns it, as far as known.
    pub owners: Vec<(MemberId, OwnerSource)>,
}

impl Contention {
    /// The newest sight of it.
    pub fn last(&self) -> &Sight {
        &self.sights[self.sights.len() - 1]
    }

    /// The lock, as the newest sight shows it.
    pub fn lock<'a>(&self, incident: &'a Incident) -> &'a Lock {
        incident.dumps[self.last().dump].lock(self.last().lock)
    }

    /// How many wait, for each dump of the incident.
    pub fn waiters_per_dump(&self, incident: &Incident) -> Vec<usize> {
        let mut counts = vec![0; incident.dumps.len()];
        self.sights.iter().for_each(|sight| counts[sight.dump] = sight.waiters.len());
        counts
    }

    /// The same without those that were just notified and come back to the lock: a crowd of
    /// them is how notifying works, and over in a moment.
    pub fn queued_per_dump(&self, incident: &Incident) -> Vec<usize> {
        let mut counts = vec![0; incident.dumps.len()];
        for sight in &self.sights {
            let comes_back = |&&waiter: &&MemberId| {
                let wait = incident.thread(waiter, sight.dump).and_then(|one| one.wait.as_ref());
                wait.is_some_and(|wait| wait.wait_for == WaitFor::Reacquire)
            };
            let back = sight.waiters.iter().filter(comes_back).count();
            counts[sight.dump] = sight.waiters.len() - back;
        }
        counts
    }

    /// Whether everyone here has nothing to do: the owner waits for work with the lock in its
    /// hand, and the others wait for their turn to do so, in the same code. Not at a Go channel, from which many
    /// receive without a lock.
    pub fn is_turn_taking(&self, incident: &Incident) -> bool {
        self.newest_owner().is_some_and(|(dump, owner, _)| {
            incident.idle(owner, dump).is_some_and(Idle::awaits_work)
                && !is_at_go_channel(incident, owner, dump)
                && self.waits_where(incident, owner, dump)
        })
    }

    /// Whether all that wait in a dump are in a function in which the owner is as well. Another wants the lock for
    /// something else.
    fn waits_where(&self, incident: &Incident, owner: MemberId, dump: usize) -> bool {
        let of_owner: BTreeSet<&str> =
            incident.application_calls(owner, dump).map(|call| call.function.as_str()).collect();
        let sight = self.sights.iter().find(|sight| sight.dump == dump);
        let mut waiters = sight.iter().flat_map(|sight| &sight.waiters);
        waiters.all(|&waiter| {
            let place = incident.application_calls(waiter, dump).next();
            place.is_none_or(|call| of_owner.contains(call.function.as_str()))
        })
    }

    /// Whether it is handed on at the pace at which room comes in a queue: mostly whoever owns it waits for that, in the
    /// code in which the others wait, and got it between the dumps. Then it is the queue that holds them back.
    pub fn is_held_back(&self, incident: &Incident) -> bool {
        let awaits_room = |sight: &&Sight| {
            let mut owners = sight.owners.iter().map(|&(owner, _)| owner);
            let waits = |owner| {
                incident.awaits_room(owner, sight.dump)
                    && self.waits_where(incident, owner, sight.dump)
            };
            !sight.owners.is_empty() && owners.all(waits)
        };
        let works = |sight: &Sight| {
            let mut owners = sight.owners.iter();
            owners.all(|&(id, _)| incident.activity(id, sight.dump) == Activity::Computing)
        };
        let room = self.sights.iter().filter(awaits_room).count();
        let others = self.sights.iter().filter(|sight| !awaits_room(sight));
        let mut owners = vec![Vec::new(); incident.dumps.len()];
        for sight in &self.sights {
            owners[sight.dump] = sorted(sight.owners.iter().map(|&(owner, _)| owner));
        }
        let owners: Vec<&[MemberId]> = owners.iter().map(Vec::as_slice).collect();
        room * 2 > self.sights.len()
            && others.into_iter().all(works)
            && incident.queue_moves(&owners)
    }

    /// Whether it was free between two of these dumps: someone who waits for it, and whom only its release
    /// wakes, went to sleep more often than the dumps are to blame for. False where sleeps are not counted.
    pub fn was_free(&self, incident: &Incident) -> bool {
        self.sights.windows(2).any(|pair| {
            let slept = |&waiter: &MemberId| incident.slept(waiter, pair[0].dump, pair[1].dump);
            pair[0].waiters.iter().filter_map(slept).any(|times| times > ASKED)
        })
    }

    /// Whether none of those who wait seems to have got it between the dumps: everyone who waits in one of them
    /// still waits in the last, none of them ran, and its owner is the same one more often than by chance.
    pub fn is_kept(&self, incident: &Incident) -> bool {
        let [first, later @ ..] = &self.sights[..] else { return false };
        let waits = |sight: &Sight| sorted(sight.waiters.iter().copied());
        let mut waiting = waits(first);
        let nobody_left = later.iter().all(|sight| {
            let before = std::mem::replace(&mut waiting, waits(sight));
            before.iter().all(|one| waiting.binary_search(one).is_ok())
        });
        let used = |one| incident.cpu_used(one).map_or(Nanos(0), |(used, _)| used);
        let most = |one| incident.breath(one, first.dump, self.last().dump);
        let ran = |&one: &MemberId| used(one) > most(one);
        // Only the first in the queue for a monitor looks at it by itself.
        let looked = waiting.iter().filter(|&&one| used(one) > A_BREATH).count();
        let turns = (first.waiters.len() + 1) as f64;
        let chance = turns.powi(-i32::try_from(later.len()).unwrap_or(i32::MAX));
        nobody_left
            && chance <= BY_CHANCE
            && self.only_owner().is_some()
            && looked <= 1
            && !waiting.iter().any(ran)
            && !self.was_free(incident)
    }

    /// Everyone who was seen owning it.
    pub fn owners(&self) -> Vec<MemberId> {
        sorted(self.sights.iter().flat_map(|sight| sight.owners.iter().map(|&(owner, _)| owner)))
    }

    /// The one owner that every sight shows, and the least certain way in which that is known.
    pub fn only_owner(&self) -> Option<(MemberId, OwnerSource)> {
        let [owner] = self.owners()[..] else { return None };
        let known = self.sights.iter().map(|sight| sight.owners.first().map(|&(_, source)| source));
        known.collect::<Option<Vec<_>>>()?.into_iter().max().map(|source| (owner, source))
    }

    /// The newest owner known, and the dump that shows it.
    pub fn newest_owner(&self) -> Option<(usize, MemberId, OwnerSource)> {
        self.sights.iter().rev().find_map(|sight| {
            sight.owners.first().map(|&(owner, source)| (sight.dump, owner, source))
        })
    }
}

/// Whether a goroutine waits to send or to receive.
fn is_at_go_channel(incident: &Incident, member: MemberId, dump: usize) -> bool {
    let state = incident.thread(member, dump).map_or("", |thread| &thread.state_text);
    incident.process.runtime == Runtime::Go && (state.starts_with("chan ") || state == "select")
}

/// Whether it is a lock that its owner leaves when it is done, so that the next may enter. Who
/// waits for the end of a thread stands in no queue.
fn is_door(kind: LockKind) -> bool {
    matches!(
        kind,
        LockKind::Mutex
            | LockKind::RwLock
            | LockKind::Monitor
            | LockKind::Synchronizer
            | LockKind::ClassInitialisation
            | LockKind::Once
    )
}

fn sorted(members: impl Iterator<Item = MemberId>) -> Vec<MemberId> {
    let mut members: Vec<MemberId> = members.collect();
    members.sort_unstable();
    members.dedup();
    members
}

impl Incident {
    /// The locks that somebody waits for, without those whose owners are dead in a cycle: these
    /// no longer change hands.
    pub fn contentions(&self) -> Vec<Contention> {
        let mut found: Vec<Contention> = Vec::new();
        for dump in 0..self.dumps.len() {
            let dead = self.dead(dump);
            let locks = self.wait_for(dump).wanted();
            let locks = locks.filter(|&lock| is_door(self.dumps[dump].lock(lock).kind));
            let sights = locks.map(|lock| self.sight(dump, lock));
            let is_alive = |sight: &Sight| {
                let owners = sight.owners.iter().map(|(owner, _)| owner);
                !owners.chain(&sight.waiters).any(|member| dead.binary_search(member).is_ok())
            };
            for sight in sights.filter(is_alive).collect::<Vec<_>>() {
                match found.iter_mut().find(|known| self.is_same(known.last(), &sight)) {
                    Some(known) => known.sights.push(sight),
                    None => found.push(Contention { sights: vec![sight] }),
                }
            }
        }
        found
    }

    /// Who is in a cycle of one dump, or waits behind one. Sorted.
    fn dead(&self, dump: usize) -> Vec<MemberId> {
        let graph = self.wait_for(dump);
        let told = self.dumps[dump].notices.iter();
        let told = told.filter(|notice| notice.kind == NoticeKind::Deadlock);
        let mut threads: Vec<u32> =
            told.flat_map(|notice| notice.threads.iter().copied()).collect();
        threads
            .extend(graph.cycles().iter().flat_map(|cycle| &cycle.edges).map(|edge| edge.waiter));
        let behind = graph.blocked_by_all(&threads);
        threads.extend(behind);
        sorted(threads.iter().filter_map(|&thread| self.member_of(dump, thread as usize)))
    }

    fn sight(&self, dump: usize, lock: LockId) -> Sight {
        let graph = self.wait_for(dump);
        let member = |thread: u32| self.member_of(dump, thread as usize);
        let owners = graph.owners(lock).iter();
        Sight {
            dump,
            lock,
            waiters: graph.waiters(lock).iter().filter_map(|&thread| member(thread)).collect(),
            owners: owners.filter_map(|one| Some((member(one.thread)?, one.source))).collect(),
        }
    }

    /// Whether two sights in different dumps are of one lock: it lies in the same place, or, as
    /// a garbage collector may have moved it, most of its waiters are still the same.
    fn is_same(&self, earlier: &Sight, later: &Sight) -> bool {
        let [one, other] = [earlier, later].map(|sight| self.dumps[sight.dump].lock(sight.lock));
        let alike = earlier.dump != later.dump
            && one.kind == other.kind
            && one.type_name == other.type_name;
        let moves = self.process.runtime == Runtime::Jvm || one.address.is_none();
        let same_waiters = || {
            let known = sorted(earlier.waiters.iter().copied());
            let stayed =
                later.waiters.iter().filter(|one| known.binary_search(one).is_ok()).count();
            stayed * 2 > later.waiters.len().min(known.len())
        };
        let same_place = one.address.is_some() && one.address == other.address;
        let nameless = one.address.is_none() && self.are_nameless_at_one_place(earlier, later);
        alike && (same_place || moves && same_waiters() || nameless)
    }

    /// A source that counts goroutines and numbers none shows nobody twice. Then those who wait in
    /// one function for a lock of one kind wait for one lock.
    fn are_nameless_at_one_place(&self, earlier: &Sight, later: &Sight) -> bool {
        let nameless = |sight: &Sight| {
            let mut members = sight.waiters.iter().map(|&id| self.member(id));
            members.all(|member| member.id.is_empty() && member.name.is_empty())
        };
        let place = |sight: &Sight| {
            let waiter = *sight.waiters.first()?;
            let call = self.application_calls(waiter, sight.dump).next()?;
            Some(call.function.clone())
        };
        nameless(earlier) && nameless(later) && place(earlier) == place(later)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Incident;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{LockKind, Runtime, ThreadState, WaitFor};

    fn queue(dump: &mut Moment, address: u64, owner: &str, waiters: &[&str]) {
        let lock = dump.lock(LockKind::Monitor, address);
        dump.thread(owner, &["shop.Journal.append:3"]).holds(lock);
        for waiter in waiters {
            dump.thread(waiter, &["shop.Journal.append:2"]).waits(lock, WaitFor::Exclusive);
        }
    }

    fn told(incident: &Incident) -> Vec<(Vec<usize>, usize)> {
        let contentions = incident.contentions();
        contentions.iter().map(|one| (one.waiters_per_dump(incident), one.owners().len())).collect()
    }

    #[test]
    fn a_lock_is_known_again_by_its_place_or_by_its_waiters() {
        let moved = Scene::of(Runtime::Jvm)
            .dump(0, |dump| queue(dump, 0x10, "a", &["b", "c", "d"]))
            .dump(1, |dump| queue(dump, 0x10, "b", &["c", "d", "a"]))
            .dump(2, |dump| queue(dump, 0x90, "c", &["d", "a", "b"]))
            .incident();
        assert_eq!(told(&moved), [(vec![3, 3, 3], 3)]);
        let native = Scene::of(Runtime::Rust)
            .dump(0, |dump| queue(dump, 0x10, "a", &["b", "c"]))
            .dump(1, |dump| queue(dump, 0x90, "a", &["b", "c"]))
            .incident();
        assert_eq!(told(&native).len(), 2);
    }

    #[test]
    fn a_lock_held_over_a_go_channel_is_not_taken_in_turns() {
        let of = |state: &str| {
            let incident = Scene::of(Runtime::Go)
                .dump(0, |dump| {
                    let lock = dump.lock(LockKind::Mutex, 0x10);
                    let owner = dump.thread("1", &["main.publish:3"]).holds(lock);
                    (owner.state, owner.state_text) = (ThreadState::Waiting, state.into());
                    dump.thread("2", &["main.publish:2"]).waits(lock, WaitFor::Exclusive);
                })
                .incident();
            incident.contentions()[0].is_turn_taking(&incident)
        };
        assert!(!of("chan receive") && !of("select"));
        assert!(of("sync.Cond.Wait"), "which lets go of the lock");
    }

    #[test]
    fn who_waits_for_the_end_of_a_thread_stands_in_no_queue() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let end = dump.lock(LockKind::Unknown, 0x10);
                dump.thread("worker", &["app::work"]).holds(end);
                dump.thread("main", &["app::main"]).waits(end, WaitFor::Exclusive);
            })
            .incident();
        assert!(told(&incident).is_empty());
    }

    #[test]
    fn a_lock_whose_owner_is_in_a_cycle_is_not_contended_but_dead() {
        let incident = Scene::of(Runtime::Jvm)
            .dump(0, |dump| {
                let (one, other) =
                    (dump.lock(LockKind::Monitor, 1), dump.lock(LockKind::Monitor, 2));
                dump.thread("a", &["f:1"]).waits(other, WaitFor::Exclusive).holds(one);
                dump.thread("b", &["g:1"]).waits(one, WaitFor::Exclusive).holds(other);
                dump.thread("c", &["h:1"]).waits(one, WaitFor::Exclusive);
            })
            .incident();
        assert!(told(&incident).is_empty());
    }
}
