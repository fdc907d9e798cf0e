//! The locks of a dump: who waits for which, and who seems to hold it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use sigquit_dump::{
    Dump, FrameId, Hold, Lock, LockId, LockKind, Owner, OwnerSource, Thread, ThreadState, Wait,
    WaitFor,
};

use super::objects::{self, Hands};
use super::sieve::Sieve;
use super::wait::Wanted;

/// What the goroutines of one dump want and have in hand, until all of them are known.
#[derive(Debug, Default)]
pub(super) struct Locks {
    wants: Vec<Want>,
    pub hands: Hands,
}

#[derive(Debug)]
struct Want {
    thread: u32,
    kind: LockKind,
    type_name: &'static str,
    wait_for: WaitFor,
    address: Option<u64>,
    /// An address that is believed when something else shows it.
    doubtful: Option<u64>,
    /// The frame that called `Lock`, and its first argument, when that is certain.
    caller: Option<(FrameId, Option<u64>)>,
}

impl Locks {
    /// Notes what a goroutine waits for.
    pub fn note(&mut self, thread: u32, wanted: Wanted, frames: &[FrameId]) {
        let caller = wanted.caller.as_ref();
        let caller = caller.and_then(|(place, call)| Some((*frames.get(*place)?, call.first())));
        let doubtful = wanted.doubtful();
        let Wanted { kind, type_name, wait_for, address, .. } = wanted;
        self.wants.push(Want { thread, kind, type_name, wait_for, address, doubtful, caller });
    }

    /// Enters the locks, the waits and the likely owners into the dump.
    pub fn resolve(mut self, dump: &mut Dump) {
        self.believe_corroborated();
        let mut known: HashMap<(u64, LockKind), LockId, RandomState> = HashMap::default();
        let mut callers = Callers::default();
        for want in &self.wants {
            let &Want { kind, type_name, wait_for, address, .. } = want;
            let mut add = || {
                let type_name = Some(type_name.to_owned());
                dump.add_lock(Lock { address, kind, type_name, ..Lock::default() })
            };
            let id = match address {
                Some(address) => *known.entry((address, kind)).or_insert_with(add),
                None => add(),
            };
            enter(&mut dump.threads[want.thread as usize], id, wait_for);
            if wait_for.needs_owner_to_leave() {
                callers.note(dump, id, want.caller.map(|(frame, _)| frame));
            }
        }
        self.find_owners(dump, &callers);
        self.find_by_object(dump);
    }

    /// A receiver that may be stale is believed when it is the address of a lock of that kind
    /// which another goroutine shows for certain.
    fn believe_corroborated(&mut self) {
        let certain: HashSet<(LockKind, u64)> =
            self.wants.iter().filter_map(|want| Some((want.kind, want.address?))).collect();
        for want in &mut self.wants {
            let doubtful = want.doubtful.filter(|&at| certain.contains(&(want.kind, at)));
            want.address = want.address.or(doubtful);
        }
    }

    /// A goroutine that is past the call of `Lock` in the function where others wait for the
    /// lock, and has the lock's address in sight, is likely to hold it: when it is the only one.
    fn find_owners(&self, dump: &mut Dump, callers: &Callers) {
        let mut seekers: HashMap<u64, Vec<LockId>, RandomState> = HashMap::default();
        for &id in callers.first.keys() {
            if let Some(address) = dump.lock(id).address {
                seekers.entry(address).or_default().push(id);
            }
        }
        if seekers.is_empty() {
            return;
        }
        let mut candidates: HashMap<LockId, Vec<(u32, u32)>> = HashMap::new();
        let sieve = Sieve::of(seekers.keys().copied());
        for (thread, shown) in (0..).zip(self.hands.shown()) {
            let sought = shown.filter(|&at| sieve.passes(at)).filter_map(|at| seekers.get(&at));
            let mut sought: Vec<LockId> = sought.flatten().copied().collect();
            sought.sort_unstable();
            sought.dedup();
            for id in sought {
                let depth = callers.past_lock(dump, thread, id);
                candidates.entry(id).or_default().extend(depth.map(|depth| (thread, depth)));
            }
        }
        for (lock, candidates) in candidates {
            if let [(thread, depth)] = candidates[..] {
                let source = OwnerSource::Inferred;
                dump.locks[lock.0 as usize].owners.push(Owner { thread, source });
                let holds = &mut dump.threads[thread as usize].holds;
                holds.push(Hold::new(lock, Some(depth), source));
            }
        }
    }
}

impl Locks {
    fn find_by_object(&self, dump: &mut Dump) {
        let seekers = self.wants.iter().map(|want| (want.thread, want.caller));
        let source = OwnerSource::Inferred;
        for (lock, thread) in objects::owners(dump, &self.hands, seekers) {
            dump.locks[lock.0 as usize].owners.push(Owner { thread, source });
            dump.threads[thread as usize].holds.push(Hold::new(lock, None, source));
        }
    }
}

fn enter(thread: &mut Thread, lock: LockId, wait_for: WaitFor) {
    thread.wait = Some(Wait { lock, wait_for });
    if wait_for.needs_owner_to_leave() && thread.state == ThreadState::Waiting {
        thread.state = ThreadState::Blocked;
    }
}

/// For each lock the functions in which goroutines wait for it, and their first line that calls
/// `Lock`.
#[derive(Default)]
struct Callers {
    first: HashMap<LockId, HashMap<String, u32>>,
}

impl Callers {
    fn note(&mut self, dump: &Dump, lock: LockId, caller: Option<FrameId>) {
        let first = self.first.entry(lock).or_default();
        let Some((function, line)) = caller.and_then(|caller| place(dump, caller)) else { return };
        match first.get_mut(function) {
            Some(known) => *known = line.min(*known),
            None => drop(first.insert(function.to_owned(), line)),
        }
    }

    /// How deep in a goroutine's stack the frame lies that took the lock, if one did.
    fn past_lock(&self, dump: &Dump, thread: u32, lock: LockId) -> Option<u32> {
        let thread = dump.threads.get(thread as usize)?;
        if thread.wait.as_ref().is_some_and(|wait| wait.lock == lock) {
            return None;
        }
        let first = self.first.get(&lock)?;
        let is_past = |&frame: &FrameId| {
            let (function, line) = place(dump, frame)?;
            Some(line > *first.get(function)?)
        };
        let frames = &dump.stack(thread)?.frames;
        let depth = frames.iter().rposition(|frame| is_past(frame) == Some(true));
        depth.map(|depth| depth as u32)
    }
}

fn place(dump: &Dump, frame: FrameId) -> Option<(&str, u32)> {
    let symbol = dump.frame(frame).symbols.first()?;
    Some((&symbol.function, symbol.location.as_ref()?.line?))
}
