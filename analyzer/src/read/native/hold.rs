//! Who holds the mutexes for which others wait: by what a debugger printed of them, and by what
//! threads have in hand.
//!
//! Three sources, the best first:
//!
//! ```text
//! $1 = {__data = {__lock = 2, __count = 0, __owner = 14817, ...      the mutex says it itself
//! mine = {_M_device = 0x55bbacd822e0 <day>, _M_owns = true}          a guard says it (bt full)
//! transfer (from=0x55b6743ee3a0 <west>, to=0x55b6743ee400 <east>)    it has the object in hand
//! ```
//!
//! To have an object in hand is not to have locked it. So that alone names an owner only where
//! single threads that have each other's objects in hand wait for each other in a circle.

use std::collections::{BTreeMap, HashSet};

use sigquit_dump::{Dump, Hold, LockId, LockKind, Owner, OwnerSource};

use super::{Guard, NativeFrame, is_plumbing};

/// What the threads of a dump have in hand, in the order in which they stand in it.
#[derive(Debug, Default)]
pub(super) struct Hands {
    of_threads: Vec<Hand>,
    /// Mutexes, or objects that hold one, and the tids that were printed as their owners.
    printed: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Hand {
    /// Addresses among the arguments of the program's own calls.
    objects: Vec<u64>,
    /// Those of the call that locks.
    caller: Vec<u64>,
    /// It is in a mutex's own code.
    wants_mutex: bool,
    /// The function that locks.
    locks_in: Option<String>,
    /// Every function of the program's own on the stack.
    functions: Vec<String>,
    guards: Vec<Guard>,
}

/// How much is kept of a thread.
const MOST: usize = 64;

/// Smaller figures are no addresses.
const LOWEST: u64 = 1 << 16;

/// Locks in larger objects are not looked for.
const LARGEST: u64 = 1 << 12;

impl Hands {
    /// Notes a thread that was added to the dump.
    pub fn note(&mut self, frames: &[NativeFrame], guards: Vec<Guard>) {
        let wants_mutex = frames.iter().take_while(|frame| is_plumbing(frame)).any(is_of_mutex);
        // Who waits for a condition has left the mutex that its guard still names.
        let waits_for_condition =
            frames.iter().take_while(|frame| is_plumbing(frame)).any(is_of_condition);
        let guards = if waits_for_condition { Vec::new() } else { guards };
        let mut hand = Hand { guards, wants_mutex, ..Hand::default() };
        let own = frames.iter().filter(|frame| !frame.function.is_empty() && !is_plumbing(frame));
        for frame in own.take(MOST) {
            let numbers = frame.named_arguments().filter_map(|(_, value)| value);
            let objects: Vec<u64> = numbers.filter(|&value| value >= LOWEST).collect();
            if hand.locks_in.is_none() {
                hand.locks_in = Some(frame.function.clone().into_owned());
                hand.caller.clone_from(&objects);
            }
            hand.functions.push(frame.function.clone().into_owned());
            hand.objects.extend(objects);
        }
        hand.objects.truncate(MOST);
        self.of_threads.push(hand);
    }

    /// Notes a mutex's value that was printed.
    pub fn printed_owner(&mut self, address: u64, tid: u64) {
        self.printed.push((address, tid));
    }

    /// Enters what is known of owners into the dump.
    pub fn resolve(&self, dump: &mut Dump) {
        self.enter_printed(dump);
        self.enter_guards(dump);
        let sought = self.sought(dump);
        for (lock, thread) in self.circles(dump, &sought) {
            own(dump, lock, thread, None, OwnerSource::Inferred);
        }
    }

    /// The futex of a pthread mutex is its beginning, and its third word the owner.
    fn enter_printed(&self, dump: &mut Dump) {
        for &(object, tid) in &self.printed {
            let near = |address: u64| address.checked_sub(object).filter(|at| *at < LARGEST);
            let futexes = dump.locks.iter_mut().filter(|lock| lock.kind == LockKind::Futex);
            let placed = futexes.filter_map(|lock| Some((near(lock.address?)?, lock)));
            if let (Some((_, lock)), Ok(tid)) =
                (placed.min_by_key(|(distance, _)| *distance), u32::try_from(tid))
            {
                lock.words.get_or_insert_default()[2] = tid;
            }
        }
    }

    /// The futex lies at the beginning of a C++ mutex, and at one of the first words of Rust's.
    fn enter_guards(&self, dump: &mut Dump) {
        const NEAR: u64 = 64;
        let by_address: BTreeMap<u64, LockId> = futexes(dump).collect();
        let mut held: BTreeMap<LockId, Vec<(u32, Guard)>> = BTreeMap::new();
        for (thread, hand) in (0..).zip(&self.of_threads) {
            for &guard in &hand.guards {
                let near = by_address.range(guard.mutex..guard.mutex.saturating_add(NEAR)).next();
                if let Some((_, &lock)) = near {
                    held.entry(lock).or_default().push((thread, guard));
                }
            }
        }
        for (lock, guards) in held {
            let is_sure = |(_, guard): &&(u32, Guard)| guard.source == OwnerSource::Tracked;
            let (first, one) = guards.iter().find(is_sure).copied().unwrap_or(guards[0]);
            let alone = guards.iter().all(|&(thread, _)| thread == first);
            if alone || one.source == OwnerSource::Tracked {
                own(dump, lock, first, Some(one.frame), one.source);
            }
        }
    }

    /// The locks without a known owner, and what their waiters show of where they lie.
    fn sought(&self, dump: &Dump) -> BTreeMap<LockId, Sought<'_>> {
        let mut sought: BTreeMap<LockId, Sought> = BTreeMap::new();
        for (thread, hand) in (0..).zip(&self.of_threads) {
            let Some(lock) = wanted(dump, thread).filter(|_| hand.wants_mutex) else { continue };
            let Some(address) = dump.lock(lock).address else { continue };
            let entry = sought.entry(lock).or_default();
            entry.waiters.insert(thread);
            entry.functions.extend(hand.locks_in.as_deref());
            entry.objects.insert(address);
            // The object nearest below the lock is the one in which it lies.
            let below = hand.caller.iter().copied().filter(|&object| object <= address);
            entry.objects.extend(below.max().filter(|&object| address - object < LARGEST));
        }
        let is_owned = |lock: &LockId| !dump.lock(*lock).owners.is_empty();
        sought.retain(|lock, _| !is_owned(lock));
        sought
    }

    /// Who has in hand what others wait for, where that leads round in a circle.
    fn circles(&self, dump: &Dump, sought: &BTreeMap<LockId, Sought>) -> BTreeMap<LockId, u32> {
        let holders: BTreeMap<LockId, u32> = sought
            .iter()
            .filter_map(|(&lock, sought)| Some((lock, self.only_holder(sought)?)))
            .collect();
        let next = |lock: LockId| wanted(dump, *holders.get(&lock)?);
        let leads_round = |lock: LockId| {
            let way = std::iter::successors(next(lock), |&lock| next(lock));
            way.take(holders.len()).any(|reached| reached == lock)
        };
        holders
            .iter()
            .filter(|(lock, _)| leads_round(**lock))
            .map(|(&lock, &one)| (lock, one))
            .collect()
    }

    /// The single thread, beside the waiters, that can have the object in hand: nobody else is
    /// in a function that locks it with nobody knows what.
    fn only_holder(&self, sought: &Sought) -> Option<u32> {
        let has = |hand: &Hand| hand.objects.iter().any(|object| sought.objects.contains(object));
        let may_have = |hand: &Hand| {
            let locks = |function: &String| sought.functions.contains(function.as_str());
            hand.objects.is_empty() && hand.functions.iter().any(locks)
        };
        let others =
            (0..).zip(&self.of_threads).filter(|(thread, _)| !sought.waiters.contains(thread));
        let mut able = others.filter(|(_, hand)| has(hand) || may_have(hand));
        let (one, hand) = able.next()?;
        (able.next().is_none() && has(hand)).then_some(one)
    }
}

fn is_of_condition(frame: &NativeFrame) -> bool {
    ["pthread_cond_", "ondvar"].iter().any(|word| frame.function.contains(word))
}

/// Only a mutex's owner is a single thread that leaves it.
fn is_of_mutex(frame: &NativeFrame) -> bool {
    frame.function.contains("mutex")
}

/// A lock without a known owner.
#[derive(Debug, Default)]
struct Sought<'h> {
    waiters: HashSet<u32>,
    /// The functions that lock it.
    functions: HashSet<&'h str>,
    /// Where it, or the object in which it lies, is.
    objects: HashSet<u64>,
}

fn futexes(dump: &Dump) -> impl Iterator<Item = (u64, LockId)> {
    let locks = (0..).map(LockId).zip(&dump.locks);
    locks
        .filter(|(_, lock)| lock.kind == LockKind::Futex)
        .filter_map(|(id, lock)| Some((lock.address?, id)))
}

fn wanted(dump: &Dump, thread: u32) -> Option<LockId> {
    dump.threads.get(thread as usize)?.wait.as_ref().map(|wait| wait.lock)
}

pub(super) fn own(
    dump: &mut Dump,
    lock: LockId,
    thread: u32,
    frame: Option<u32>,
    source: OwnerSource,
) {
    if wanted(dump, thread) == Some(lock) && source == OwnerSource::Inferred {
        return;
    }
    dump.locks[lock.0 as usize].owners.push(Owner { thread, source });
    dump.threads[thread as usize].holds.push(Hold::new(lock, frame, source));
}
