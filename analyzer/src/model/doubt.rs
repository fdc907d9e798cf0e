//! Inferences that only hold when every dump bears them out.
//!
//! That the one who waits for a lock holds it himself is inferred from one moment, in which nobody
//! else is in sight who could. A queue before a busy lock looks like that for a moment too; but
//! there everyone moves on. The same goes for the one who stands behind a gate in an unknown runtime: where sources
//! print no lines, whether he is behind the lock or still before it is not known.

use std::collections::BTreeSet;

use sigquit_dump::{Dump, LockId, LockKind, OwnerSource, Runtime};

use super::incident::{Incident, MemberId};

/// Takes back that a member holds such a lock, unless it stays so in every dump.
pub(super) fn take_back(incident: &mut Incident) {
    let mut doubted: Vec<(usize, usize, LockId)> = Vec::new();
    for id in suspects(incident) {
        let found = found(incident, id);
        if !found.is_empty() && !is_borne_out(incident, id, found.len()) {
            doubted.extend(found);
        }
    }
    for (dump, thread, lock) in doubted {
        let dump = &mut incident.dumps[dump];
        dump.locks[lock.0 as usize].owners.retain(|owner| owner.thread as usize != thread);
        dump.threads[thread].holds.retain(|hold| hold.lock != lock);
    }
}

/// Everyone who seems to hold such a lock in any dump. Few do.
fn suspects(incident: &Incident) -> BTreeSet<MemberId> {
    let of_dump = |(at, dump): (usize, &Dump)| {
        let owners = dump.locks.iter().flat_map(|lock| &lock.owners);
        let threads = owners.map(|owner| owner.thread as usize);
        let threads = threads.filter(|&thread| doubtful(dump, thread).is_some());
        threads.filter_map(|thread| incident.member_of(at, thread)).collect::<Vec<_>>()
    };
    incident.dumps.iter().enumerate().flat_map(of_dump).collect()
}

/// The dumps in which a member seems to hold such a lock, and as which thread.
fn found(incident: &Incident, id: MemberId) -> Vec<(usize, usize, LockId)> {
    let seen = incident.member(id).seen.iter().enumerate();
    let seen = seen.filter_map(|(dump, &thread)| Some((dump, thread?)));
    seen.filter_map(|(dump, thread)| {
        doubtful(&incident.dumps[dump], thread).map(|lock| (dump, thread, lock))
    })
    .collect()
}

/// Such a lock that a thread seems to hold.
fn doubtful(dump: &Dump, thread: usize) -> Option<LockId> {
    own_wait(dump, thread).or_else(|| behind_a_gate(dump, thread))
}

fn behind_a_gate(dump: &Dump, thread: usize) -> Option<LockId> {
    let mut holds = dump.threads.get(thread)?.holds.iter();
    let inferred = holds.find(|hold| hold.source == OwnerSource::Inferred)?;
    (dump.process.runtime == Runtime::Unknown).then_some(inferred.lock)
}

fn own_wait(dump: &Dump, thread: usize) -> Option<LockId> {
    let id = dump.threads.get(thread)?.wait.as_ref()?.lock;
    let lock = dump.lock(id);
    let mut owners = lock.owners.iter();
    let itself = owners
        .any(|owner| owner.thread as usize == thread && owner.source == OwnerSource::Inferred);
    let of_one_moment = match lock.kind {
        LockKind::Mutex => true,
        LockKind::RwLock => dump.process.runtime == Runtime::Jvm,
        _ => false,
    };
    (itself && of_one_moment).then_some(id)
}

fn is_borne_out(incident: &Incident, id: MemberId, dumps: usize) -> bool {
    dumps == incident.dumps.len() && incident.same_activation(id).is_some_and(|one| one.whole)
}
