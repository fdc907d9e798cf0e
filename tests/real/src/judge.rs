//! What the analyzer says of who holds which lock, held against what the program knows.

use std::collections::{BTreeMap, BTreeSet};

use sigquit_analyzer::model::Incident;
use sigquit_dump::{LockId, OwnerSource};

use crate::stage::Standing;

/// What the dumps of a program said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub dumps: u32,
    /// Threads that the program knows to wait for a lock, and how many of them the dumps show so.
    pub queued: u32,
    pub waiting: u32,
    /// Locks that somebody waits for and whose owners the program knows; and how many those are.
    pub locks: u32,
    pub owners: u32,
    /// Owners that are named: from machine code, or because the lock says so.
    pub inferred: u32,
    pub said: u32,
    pub unknown: u32,
    pub wrong: u32,
    /// Locks of the program's threads of which it knows no owner, and those named for them.
    pub other_locks: u32,
    pub other_owners: u32,
}

/// Adds what one dump says of the locks that these threads wait for. `around`: the library has a lock
/// around all its things. Returns what is wrong, in words.
pub fn judge(
    incident: &Incident,
    standing: &[Standing],
    around: bool,
    tally: &mut Tally,
) -> Vec<String> {
    let (dump, graph) = (&incident.dumps[0], incident.wait_for(0));
    let by_tid: BTreeMap<u64, &Standing> =
        standing.iter().map(|one| (u64::from(one.tid), one)).collect();
    let who = |thread: u32| by_tid.get(&dump.threads[thread as usize].os_id?).copied();
    let queues: Vec<(LockId, Vec<&Standing>)> = graph
        .wanted()
        .map(|lock| (lock, graph.waiters(lock).iter().filter_map(|&one| who(one)).collect()))
        .filter(|(_, waiters): &(_, Vec<&Standing>)| !waiters.is_empty())
        .collect();
    tally.dumps += 1;
    tally.queued += standing.iter().filter(|one| one.queues).count() as u32;
    let mut mistakes = Vec::new();
    for (lock, waiters) in &queues {
        tally.waiting += waiters.len() as u32;
        if !around && things(waiters).len() > 1 {
            tally.wrong += 1;
            mistakes.push(format!("several things have one lock: {waiters:?}"));
            continue;
        }
        let truth = owners(waiters, standing, &queues);
        let named = graph.owners(*lock);
        if truth.is_empty() {
            tally.other_locks += 1;
            tally.other_owners += named.len() as u32;
            continue;
        }
        tally.locks += 1;
        tally.owners += truth.len() as u32;
        let mut found = BTreeSet::new();
        for owner in named {
            let tid = who(owner.thread).map(|one| one.tid);
            if tid.is_some_and(|tid| truth.contains(&tid)) {
                let is_new = found.insert(tid);
                let is_inferred = owner.source == OwnerSource::Inferred;
                tally.inferred += u32::from(is_new && is_inferred);
                tally.said += u32::from(is_new && !is_inferred);
            } else {
                tally.wrong += 1;
                let thread = &dump.threads[owner.thread as usize];
                let lock = &dump.locks[lock.0 as usize];
                mistakes.push(format!("{:?} of {lock:?}, which {truth:?} hold", thread.os_id));
            }
        }
        tally.unknown += (truth.len() - found.len()) as u32;
    }
    mistakes
}

/// Who holds the lock for which these wait, as far as the program knows.
///
/// Those inside hold the lock of the thing that they use. Where a library has a lock around all its
/// things (users of several wait for it), whoever is inside holds that too; and who waits for it has
/// come past the lock of its own thing, which nobody else can have then.
fn owners(
    waiters: &[&Standing],
    standing: &[Standing],
    queues: &[(LockId, Vec<&Standing>)],
) -> BTreeSet<u32> {
    let things = things(waiters);
    let users =
        || standing.iter().filter(|one| one.uses.is_some_and(|uses| things.contains(&uses)));
    let inside = || standing.iter().filter(|one| one.inside);
    if things.len() > 1 {
        return inside().map(|one| one.tid).collect();
    }
    let of_thing: BTreeSet<u32> = users().filter(|one| one.inside).map(|one| one.tid).collect();
    if !of_thing.is_empty() {
        return of_thing;
    }
    let around = queues.iter().filter(|(_, waiters)| self::things(waiters).len() > 1);
    let past = around.flat_map(|(_, waiters)| waiters);
    past.filter(|one| things.contains(&one.uses.unwrap_or(0))).map(|one| one.tid).collect()
}

fn things(waiters: &[&Standing]) -> BTreeSet<usize> {
    waiters.iter().filter_map(|one| one.uses).collect()
}
