//! Who owns a lock of which no source says so, inferred from where everyone stands.
//!
//! Two inferences, both only where nothing better is known, both marked as inferred:
//!
//! *Past the gate.* Everyone waits for the lock in one function, at one line. One thread, which
//! does not wait for it, is in the same function behind that line: it went through and has not
//! come out. When two are, neither is named. A source without lines (.NET's) tells it by the calls: whoever is in
//! that function and in anything but the lock's own call. That may lie before the lock, so it has to be so in
//! every dump of a series, where nobody moves.
//!
//! ```text
//! waiters   sync.(*Mutex).Lock < main.(*Ledger).Append at line 26
//! owner     net.(*conn).Read < main.(*Ledger).flush < main.(*Ledger).Append at line 27
//! ```
//!
//! *In its own way.* Everyone in sight who uses the lock waits for it. So a waiter must hold it: the
//! one that was called from another function of the same type. Of a read-write lock it is the
//! writer that has come past all other writers, and it holds the lock for reading; or it is a reader that wants to read
//! again, behind a writer that waits for it. Where nobody waits for readers to leave, it holds it for writing. Of a JVM's lock,
//! which code of any type may use, it is the only writer, when nobody else does anything at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use sigquit_dump::{
    Dump, Hold, LockId, LockKind, Owner, OwnerSource, Runtime, StackId, Thread, WaitFor,
};

use super::call::{Call, CallId, Origin};
use super::idle::{self, Marks};
use super::incident::{Incident, MemberId};
use super::name::{FunctionName, words};
use super::pattern::matches_any;
use super::rule::Rules;

/// The calls of one dump's stacks.
#[derive(Clone, Copy)]
pub(crate) struct Stacks<'a> {
    pub(crate) stacks: &'a [Vec<(CallId, u32)>],
    /// For each thread its stack.
    pub(crate) of_thread: &'a [Option<StackId>],
    /// Those who wait for anything, in ascending order.
    pub(crate) waiting: &'a [usize],
    pub(crate) calls: &'a [Call],
    /// For each call what the rules of idleness say of it.
    pub(crate) marks: &'a [Marks],
    pub(crate) rules: &'a Rules,
}

impl<'a> Stacks<'a> {
    /// A thread's calls, innermost first.
    fn of(
        self,
        thread: &Thread,
    ) -> impl DoubleEndedIterator<Item = &'a Call> + ExactSizeIterator + Clone + use<'a> {
        self.ids(thread).iter().map(move |&(call, _)| &self.calls[call.0 as usize])
    }

    /// Whether a thread does something that is the program's.
    fn acts(self, runtime: Runtime, thread: &Thread) -> bool {
        let marks = self.ids(thread).iter().map(|&(call, _)| self.marks[call.0 as usize]);
        let beyond_runtime = self.of(thread).any(|call| call.origin != Origin::Runtime);
        beyond_runtime && idle::idle(self.rules, runtime, thread, marks).is_none()
    }

    /// The gate of each stack.
    fn gates(self) -> Vec<Option<Gate<'a>>> {
        let calls = |stack: &'a Vec<(CallId, u32)>| {
            stack.iter().map(move |&(call, _)| &self.calls[call.0 as usize])
        };
        self.stacks.iter().map(|stack| gate(calls(stack))).collect()
    }

    /// For each stack whether a call on it is one of those. Large dumps have many threads, and few
    /// stacks.
    fn with(self, is_one: &[bool]) -> Vec<bool> {
        let has =
            |stack: &Vec<(CallId, u32)>| stack.iter().any(|&(call, _)| is_one[call.0 as usize]);
        self.stacks.iter().map(has).collect()
    }

    fn ids(self, thread: &Thread) -> &'a [(CallId, u32)] {
        let stack = thread.stack.and_then(|stack| self.stacks.get(stack.0 as usize));
        stack.map_or(&[], Vec::as_slice)
    }
}

/// Adds the owners that can be inferred.
///
/// Nobody is past the gate in an agent's dump: there the agent has followed the code itself, which
/// knows better than lines do who will release what, and its silence is an answer. Not always
/// when a thread is in its own way: what comes after the lock that it never gets is hard to tell.
pub(crate) fn infer(dump: &mut Dump, stacks: Stacks) {
    unite_nameless_locks(dump, stacks);
    let queues = queues(dump, stacks);
    if queues.is_empty() {
        return;
    }
    let mut owners = match dump.process.runtime {
        Runtime::Rust => BTreeMap::new(),
        _ => past_the_gate(dump, stacks, &queues),
    };
    let crowd = Crowd::of(dump, stacks);
    for queue in &queues {
        owners.entry(queue.lock).or_insert_with(|| in_its_own_way(dump, stacks, queue, &crowd));
    }
    for (lock, threads) in owners {
        threads.into_iter().for_each(|thread| own(dump, lock, thread, None));
    }
}

/// Enters that a thread seems to own a lock, which it took in that frame.
pub(super) fn own(dump: &mut Dump, lock: LockId, thread: usize, frame: Option<u32>) {
    let source = OwnerSource::Inferred;
    dump.locks[lock.0 as usize].owners.push(Owner { thread: thread as u32, source });
    dump.threads[thread].holds.push(Hold::new(lock, frame, source));
}

/// Those who wait for one lock without a known owner.
struct Queue<'a> {
    lock: LockId,
    kind: LockKind,
    /// By index in the dump, ascending.
    waiters: Vec<usize>,
    /// Where they came to wait.
    gates: HashSet<Gate<'a>>,
}

/// Where a thread came to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Gate<'a> {
    /// The innermost function that is not there to lock something, as printed: a closure is
    /// another function than the one that wrote it.
    function: &'a str,
    /// The type, or the module, whose code uses the lock.
    user: &'a str,
    /// The line at which it is.
    line: Option<u32>,
    /// What it called on the way to the wait.
    through: Option<&'a str>,
}

/// Libraries that are nothing but locks.
const LOCK_CRATES: &[&str] = &["lock_api::*", "parking_lot*::*"];

/// The gate at which a thread waits: its innermost call beyond the runtime's own, and beyond
/// functions that only wrap the locking (`Pool::lock`, `acquireWriteLock`).
fn gate<'a>(calls: impl Iterator<Item = &'a Call>) -> Option<Gate<'a>> {
    let mut through: Option<&Call> = None;
    for call in calls {
        let of_lock = matches_any(LOCK_CRATES, &call.function);
        if call.origin != Origin::Runtime && !of_lock && !only_locks(&call.function) {
            return Some(Gate {
                function: &call.printed,
                user: FunctionName::of(&call.function).owner,
                line: call.line(),
                through: through.map(|call| call.function.as_str()),
            });
        }
        through = Some(call);
    }
    None
}

fn only_locks(function: &str) -> bool {
    let method = words(FunctionName::of(function).method);
    method.last().is_some_and(|word| matches!(word.as_str(), "lock" | "locked" | "rlock" | "wlock"))
        && method.len() <= 3
}

/// Locks whose owner leaves when it is done with its own work. A JVM always tells a monitor's owner.
fn has_hidden_owner(runtime: Runtime, kind: LockKind) -> bool {
    use LockKind::{Monitor, Mutex, Once, RwLock, Synchronizer};
    matches!(kind, Mutex | RwLock | Synchronizer | Once)
        || kind == Monitor && runtime != Runtime::Jvm
}

/// The queues before locks of whose owner nothing is known.
fn queues<'a>(dump: &Dump, stacks: Stacks<'a>) -> Vec<Queue<'a>> {
    let gates = stacks.gates();
    let mut owned = vec![false; dump.locks.len()];
    for hold in dump.threads.iter().flat_map(|thread| &thread.holds) {
        owned.get_mut(hold.lock.0 as usize).into_iter().for_each(|owned| *owned = true);
    }
    let mut queues: BTreeMap<LockId, Queue> = BTreeMap::new();
    for &index in stacks.waiting {
        let thread = &dump.threads[index];
        let Some(wait) = &thread.wait else { continue };
        let Some(lock) = dump.locks.get(wait.lock.0 as usize) else { continue };
        let is_known = !lock.owners.is_empty() || owned[wait.lock.0 as usize];
        let hides = has_hidden_owner(dump.process.runtime, lock.kind);
        if !wait.wait_for.needs_owner_to_leave() || !hides || is_known {
            continue;
        }
        let queue = queues.entry(wait.lock).or_insert_with(|| Queue {
            lock: wait.lock,
            kind: lock.kind,
            waiters: Vec::new(),
            gates: HashSet::new(),
        });
        queue.waiters.push(index);
        queue.gates.extend(of_stack(&gates, thread).copied().flatten());
    }
    queues.into_values().collect()
}

/// What there is of a thread's stack.
fn of_stack<'s, T>(of_stacks: &'s [T], thread: &Thread) -> Option<&'s T> {
    of_stacks.get(thread.stack?.0 as usize)
}

// --- Past the gate -----------------------------------------------------------------------------

/// More than so many inside at once are not readers but a wrong guess.
const MOST_READERS: usize = 16;

/// For each lock who stands behind its gate, where that is one, or some readers.
fn past_the_gate(dump: &Dump, stacks: Stacks, queues: &[Queue]) -> BTreeMap<LockId, Vec<usize>> {
    let gates = gates_by_call(stacks.calls, queues);
    let is_gate: Vec<bool> = gates.iter().map(Option::is_some).collect();
    let has_gate = stacks.with(&is_gate);
    let mut inside: BTreeMap<LockId, Vec<usize>> = BTreeMap::new();
    for (index, stack) in stacks.of_thread.iter().enumerate() {
        if stack.and_then(|stack| has_gate.get(stack.0 as usize)) != Some(&true) {
            continue;
        }
        let thread = &dump.threads[index];
        let mut within: Option<&Call> = None;
        for call in stacks.ids(thread).iter().map(|&(call, _)| call) {
            let here = &stacks.calls[call.0 as usize];
            if let Some((queue, gate)) = &gates[call.0 as usize]
                && is_past(dump.process.runtime, gate, here, within)
                && thread.wait.as_ref().is_none_or(|wait| wait.lock != queue.lock)
            {
                let known = inside.entry(queue.lock).or_default();
                if known.last() != Some(&index) {
                    known.push(index);
                }
            }
            within = Some(here);
        }
    }
    inside.retain(|lock, threads| {
        let shared =
            queues.iter().any(|queue| queue.lock == *lock && queue.kind == LockKind::RwLock);
        threads.len() == 1 || shared && threads.len() <= MOST_READERS
    });
    inside
}

/// The gate of each call of a gate's function, unless the function is the gate of several locks:
/// then nothing tells behind which of them one stands.
fn gates_by_call<'q, 'a>(
    calls: &[Call],
    queues: &'q [Queue<'a>],
) -> Vec<Option<(&'q Queue<'a>, Gate<'a>)>> {
    let mut by_function: HashMap<&str, Option<(&Queue, Gate)>> = HashMap::new();
    for queue in queues {
        for gate in &queue.gates {
            let entry = by_function.entry(gate.function).or_insert(Some((queue, *gate)));
            match entry {
                Some((other, _)) if other.lock != queue.lock => *entry = None,
                Some((_, first)) if gate.line < first.line => *first = *gate,
                _ => {}
            }
        }
    }
    let of = |call: &Call| by_function.get(call.printed.as_str()).copied().flatten();
    calls.iter().map(of).collect()
}

/// Whether a call of the gate's function is behind the gate: on a later line, or on the same line
/// and inside of something else. In an unknown runtime lines that are not told are one; elsewhere they say nothing.
fn is_past(runtime: Runtime, gate: &Gate, here: &Call, within: Option<&Call>) -> bool {
    match (gate.line, here.line()) {
        (Some(gate_line), Some(line)) if line != gate_line => line > gate_line,
        (None, None) if runtime != Runtime::Unknown => false,
        (Some(_), Some(_)) | (None, None) => {
            within.is_some_and(|call| Some(call.function.as_str()) != gate.through)
        }
        _ => false,
    }
}

// --- In its own way ----------------------------------------------------------------------------

/// Functions in which a writer waits that has come before all other writers, for the readers to
/// leave; and those in which it still waits for the other writers.
const LOCKS_FOR_WRITING: &[&str] =
    &["sync.(*RWMutex).Lock", "*.ReentrantReadWriteLock$WriteLock.lock*"];
const BEHIND_OTHER_WRITERS: &[&str] = &["*sync.(*Mutex).*"];

/// The waiter that holds the lock itself, as far as everyone in sight tells. A read-write lock may
/// be held for reading by several who all want to write.
fn in_its_own_way(dump: &Dump, stacks: Stacks, queue: &Queue, crowd: &Crowd) -> Vec<usize> {
    let once_only = matches!(queue.kind, LockKind::RwLock | LockKind::Mutex | LockKind::Once);
    if !once_only {
        return Vec::new();
    }
    let mut is_user = vec![false; crowd.numbers.len()];
    for gate in queue.gates.iter().filter(|gate| !gate.user.is_empty()) {
        crowd.numbers.get(gate.user).into_iter().for_each(|&user| is_user[user] = true);
    }
    let is_use: Vec<bool> = crowd.users.iter().map(|&user| is_user[user]).collect();
    let has_use = stacks.with(&is_use);
    let mut others = crowd.on_stack.clone();
    for stack in queue.waiters.iter().filter_map(|&waiter| dump.threads[waiter].stack) {
        others.get_mut(stack.0 as usize).into_iter().for_each(|others| *others -= 1);
    }
    if others.iter().zip(has_use).any(|(&others, has_use)| has_use && others > 0) {
        return Vec::new();
    }
    let others = || {
        let threads = dump.threads.iter().enumerate();
        threads.filter(|(index, _)| queue.waiters.binary_search(index).is_err())
    };
    // A lock that its user knows by a field of another type: then nobody at all may be about.
    let runtime = dump.process.runtime;
    let alone = runtime == Runtime::Jvm
        && queue.waiters.len() > 1
        && !others().any(|(_, thread)| stacks.acts(runtime, thread))
        && queue.waiters.iter().filter(|&&index| wants_alone(&dump.threads[index])).count() == 1;
    // Who reads already may be kept from reading again by a writer that waits for the readers to leave.
    let for_reading = queue.kind == LockKind::RwLock && !alone;
    let writer_waits = queue.waiters.iter().any(|&index| wants_alone(&dump.threads[index]));
    // Where nobody waits for readers to leave, it is owned for writing: by one who is let in again in a JVM only.
    let waits_for_readers = |&&index: &&usize| {
        let thread = &dump.threads[index];
        wants_alone(thread) && is_first_writer(stacks.of(thread))
    };
    let for_writing = for_reading
        && runtime != Runtime::Jvm
        && !queue.waiters.iter().any(|index| waits_for_readers(&index));
    let holds_it = |&&index: &&usize| {
        let thread = &dump.threads[index];
        let uses = stacks.ids(thread).iter().filter(|(call, _)| is_use[call.0 as usize]);
        let mut used = uses.map(|&(call, _)| stacks.calls[call.0 as usize].function.as_str());
        let first = used.next();
        let uses_several = used.any(|function| Some(function) != first);
        let comes_first = queue.kind != LockKind::RwLock || is_first_writer(stacks.of(thread));
        let wants = if wants_alone(thread) { comes_first } else { for_reading && writer_waits };
        (wants || for_writing) && (uses_several || alone)
    };
    let mut candidates: Vec<usize> = queue.waiters.iter().filter(holds_it).copied().collect();
    if candidates.len() > 1 && (for_writing || queue.kind != LockKind::RwLock) {
        candidates.clear();
    }
    candidates
}

/// Everyone in sight: found once for all queues.
struct Crowd<'a> {
    /// How many threads are on each stack.
    on_stack: Vec<usize>,
    /// The types and modules to which functions belong, by number.
    numbers: HashMap<&'a str, usize, RandomState>,
    /// For each call the number of its function's.
    users: Vec<usize>,
}

impl<'a> Crowd<'a> {
    fn of(dump: &Dump, stacks: Stacks<'a>) -> Crowd<'a> {
        let mut on_stack = vec![0; dump.stacks.len()];
        for stack in stacks.of_thread.iter().flatten() {
            on_stack.get_mut(stack.0 as usize).into_iter().for_each(|count| *count += 1);
        }
        let mut numbers = HashMap::default();
        let user = |call: &'a Call| {
            let next = numbers.len();
            *numbers.entry(FunctionName::of(&call.function).owner).or_insert(next)
        };
        let users = stacks.calls.iter().map(user).collect();
        Crowd { on_stack, numbers, users }
    }
}

fn wants_alone(thread: &Thread) -> bool {
    thread.wait.as_ref().is_some_and(|wait| wait.wait_for == WaitFor::Exclusive)
}

/// Whether nobody else's writing is in a writer's way, as far as its frames tell.
fn is_first_writer<'a>(calls: impl Iterator<Item = &'a Call>) -> bool {
    let locking = calls.take_while(|call| call.origin == Origin::Runtime);
    locking
        .take_while(|call| !matches_any(LOCKS_FOR_WRITING, &call.function))
        .all(|call| !matches_any(BEHIND_OTHER_WRITERS, &call.function))
}

impl Incident {
    /// Whether a writer still waits for another writer, as far as its frames tell: then that one has the lock.
    pub fn waits_for_a_writer(&self, id: MemberId, dump: usize) -> bool {
        !is_first_writer(self.calls(id, dump))
    }
}

// --- Locks without an address ------------------------------------------------------------------

/// A source that does not print a lock's address gives every waiter a lock of its own. Those of
/// one kind that are used by one type's code are taken for one, and for the one with an address,
/// when that type has no two. How an unknown runtime names types is not known: there those are taken for one whose
/// gate one other thread has passed, which explains all of them.
fn unite_nameless_locks(dump: &mut Dump, stacks: Stacks) {
    let gates = stacks.gates();
    let by_type = dump.process.runtime != Runtime::Unknown;
    let passed = if by_type { HashSet::new() } else { passed_gates(dump, stacks, &gates) };
    let mut by_user: BTreeMap<(LockKind, &str), Vec<LockId>> = BTreeMap::new();
    for thread in stacks.waiting.iter().map(|&index| &dump.threads[index]) {
        let Some(wait) = &thread.wait else { continue };
        let Some(lock) = dump.locks.get(wait.lock.0 as usize) else { continue };
        let Some(gate) = of_stack(&gates, thread).copied().flatten() else { continue };
        // A lock whose owner is told is no other than that owner's.
        let is_told = lock.address.is_none() && !lock.owners.is_empty();
        let hides = has_hidden_owner(dump.process.runtime, lock.kind);
        let user = if by_type { gate.user } else { gate.function };
        let is_one = by_type || passed.contains(user);
        if wait.wait_for.needs_owner_to_leave() && hides && !is_told && is_one {
            by_user.entry((lock.kind, user)).or_default().push(wait.lock);
        }
    }
    let mut same: HashMap<LockId, LockId> = HashMap::new();
    for locks in by_user.values() {
        let (placed, nameless): (Vec<LockId>, Vec<LockId>) =
            locks.iter().partition(|lock| dump.lock(**lock).address.is_some());
        let several = placed.iter().any(|lock| *lock != placed[0]);
        if let (false, Some(&one)) = (several, placed.first().or(nameless.first())) {
            same.extend(nameless.iter().map(|&lock| (lock, one)));
        }
    }
    for &index in stacks.waiting {
        if let Some(wait) = &mut dump.threads[index].wait {
            wait.lock = same.get(&wait.lock).copied().unwrap_or(wait.lock);
        }
    }
}

/// The functions at whose gates some wait, and which one thread has passed that waits for no lock.
fn passed_gates<'a>(
    dump: &Dump,
    stacks: Stacks<'a>,
    gates: &[Option<Gate<'a>>],
) -> HashSet<&'a str> {
    let waits = |thread: &&Thread| {
        thread.wait.as_ref().is_some_and(|wait| wait.wait_for.needs_owner_to_leave())
    };
    let waiters = dump.threads.iter().filter(waits);
    let waited_at = waiters.filter_map(|thread| of_stack(gates, thread).copied().flatten());
    let by_function: HashMap<&str, Gate> = waited_at.map(|gate| (gate.function, gate)).collect();
    let mut passed: HashMap<&str, usize> = HashMap::new();
    for thread in dump.threads.iter().filter(|thread| !waits(thread)) {
        let calls = stacks.of(thread);
        let within = std::iter::once(None).chain(calls.clone().map(Some));
        let behind = calls.zip(within).filter_map(|(call, within)| {
            let gate = by_function.get(call.printed.as_str())?;
            is_past(dump.process.runtime, gate, call, within).then_some(gate.function)
        });
        for function in behind.collect::<HashSet<_>>() {
            *passed.entry(function).or_default() += 1;
        }
    }
    passed.into_iter().filter(|&(_, threads)| threads == 1).map(|(function, _)| function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use sigquit_dump::{Lock, ThreadState};

    const MUTEX: &str = "sync.(*Mutex).Lock:46";

    fn incident(draw: impl FnOnce(&mut Moment)) -> Incident {
        Scene::of(Runtime::Go).dump(0, draw).incident()
    }

    #[test]
    fn two_readers_that_both_want_to_write_are_in_each_others_way() {
        const UPGRADE: [&str; 3] = [
            "std::sys::sync::rwlock::futex::RwLock::write_contended",
            "shop::Prices::store:23",
            "shop::Prices::refresh:17",
        ];
        let draw = |dump: &mut Moment, others: &[&str]| {
            let lock = dump.lock(LockKind::RwLock, 0x10);
            for name in ["east", "west"] {
                dump.thread(name, &UPGRADE).waits(lock, WaitFor::Exclusive);
            }
            dump.thread("other", others);
        };
        let incident = |others: &[&str]| {
            Scene::of(Runtime::Rust).dump(0, |dump| draw(dump, others)).incident()
        };
        assert_eq!(owners(&incident(&["main::run:4"]), "east"), ["east", "west"]);
        assert!(owners(&incident(&["shop::Prices::first:9"]), "east").is_empty());
    }

    #[test]
    fn who_reads_and_wants_to_read_again_is_in_the_way_of_the_writer_between() {
        const AGAIN: [&str; 3] = [
            "std::sys::sync::rwlock::futex::RwLock::read_contended",
            "shop::Plan::area:23",
            "shop::Plan::draw:17",
        ];
        let draw = |dump: &mut Moment, writer: WaitFor| {
            let lock = dump.lock(LockKind::RwLock, 0x10);
            dump.thread("east", &AGAIN).waits(lock, WaitFor::Shared);
            dump.thread("guest", &AGAIN[..2]).waits(lock, WaitFor::Shared);
            dump.thread("writer", &[AGAIN[0], "shop::Plan::set:31"]).waits(lock, writer);
        };
        let of = |runtime, last| {
            owners(&Scene::of(runtime).dump(0, |dump| draw(dump, last)).incident(), "writer")
        };
        assert_eq!(of(Runtime::Rust, WaitFor::Exclusive), ["east"]);
        assert_eq!(of(Runtime::Rust, WaitFor::Shared), ["east"], "it holds it for writing");
        assert!(of(Runtime::Jvm, WaitFor::Shared).is_empty(), "who writes there may read");
    }

    /// The owners of the lock for which the thread of that name waits.
    fn owners(incident: &Incident, waiter: &str) -> Vec<String> {
        let graph = incident.wait_for(0);
        let thread = incident.member(incident.named(waiter)).seen[0].expect("the dump shows it");
        let lock = graph.wants(thread as u32).expect("it waits for a lock");
        let name = |owner: &Owner| {
            assert_eq!(owner.source, OwnerSource::Inferred);
            incident.dumps[0].threads[owner.thread as usize].name.clone()
        };
        graph.owners(lock).iter().map(name).collect()
    }

    #[test]
    fn who_went_through_the_gate_and_has_not_come_out_owns_the_lock() {
        let incident = incident(|dump| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &[MUTEX, "main.(*Ledger).Append:26", "main.serve:60"])
                .waits(lock, WaitFor::Exclusive);
            dump.thread(
                "o",
                &[
                    "net.(*conn).Read:196",
                    "main.(*Ledger).flush:34",
                    "main.(*Ledger).Append:27",
                    "main.serve:60",
                ],
            );
            dump.thread("elsewhere", &["time.Sleep:1", "main.serve:61"]);
        });
        assert_eq!(owners(&incident, "w"), ["o"]);
    }

    #[test]
    fn on_the_line_of_the_gate_one_is_inside_when_something_else_was_called() {
        let incident = incident(|dump| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &[MUTEX, "main.work:9"]).waits(lock, WaitFor::Exclusive);
            dump.thread("o", &["main.(*Jobs).Next:3", "main.work:9"]);
        });
        assert_eq!(owners(&incident, "w"), ["o"]);
    }

    #[test]
    fn a_function_that_only_locks_is_not_the_gate() {
        let incident = incident(|dump| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &[MUTEX, "main.(*Pool).lock:5", "main.(*Pool).Put:9"])
                .waits(lock, WaitFor::Exclusive);
            dump.thread("o", &["main.(*Pool).grow:40", "main.(*Pool).Put:11"]);
        });
        assert_eq!(owners(&incident, "w"), ["o"]);
    }

    #[test]
    fn two_behind_the_gate_or_two_locks_with_one_gate_leave_the_owner_unknown() {
        let two_inside = incident(|dump| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &[MUTEX, "main.work:9"]).waits(lock, WaitFor::Exclusive);
            dump.thread("a", &["main.step:3", "main.work:10"]);
            dump.thread("b", &["main.step:3", "main.work:12"]);
        });
        assert!(owners(&two_inside, "w").is_empty());
        let two_locks = incident(|dump| {
            for (name, address) in [("w", 0x10), ("v", 0x20)] {
                let lock = dump.lock(LockKind::Mutex, address);
                dump.thread(name, &[MUTEX, "main.work:9"]).waits(lock, WaitFor::Exclusive);
            }
            dump.thread("a", &["main.step:3", "main.work:10"]);
        });
        assert!(owners(&two_locks, "w").is_empty());
    }

    #[test]
    fn before_the_gate_or_without_lines_nobody_is_inside() {
        let incident = incident(|dump| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &[MUTEX, "main.work:9"]).waits(lock, WaitFor::Exclusive);
            dump.thread("before", &["main.step:3", "main.work:8"]);
            dump.thread("lineless", &["main.step", "main.work"]);
        });
        assert!(owners(&incident, "w").is_empty());
    }

    const FIRST_WRITER: [&str; 5] = [
        "sync.runtime_SemacquireMutex:77",
        "sync.(*RWMutex).Lock:152",
        "main.(*Prices).load:45",
        "main.(*Prices).GetOrLoad:39",
        "main.handle:58",
    ];
    const LATER_WRITER: [&str; 4] = [
        "sync.(*Mutex).lockSlow:171",
        "sync.(*RWMutex).Lock:147",
        "main.(*Prices).Set:27",
        "main.handle:55",
    ];

    fn upgrade(dump: &mut Moment) {
        let lock = dump.lock(LockKind::RwLock, 0x10);
        dump.thread("upgrader", &FIRST_WRITER).waits(lock, WaitFor::Exclusive);
        dump.thread("writer", &LATER_WRITER).waits(lock, WaitFor::Exclusive);
        dump.thread("reader", &["sync.(*RWMutex).RLock:71", "main.(*Prices).Get:21"])
            .waits(lock, WaitFor::Shared);
    }

    #[test]
    fn a_writer_that_nobody_else_can_hold_up_is_in_its_own_way() {
        assert_eq!(owners(&incident(upgrade), "upgrader"), ["upgrader"]);
    }

    #[test]
    fn a_writer_that_somebody_in_sight_can_hold_up_is_not() {
        let incident = incident(|dump| {
            upgrade(dump);
            dump.thread("busy", &["main.parse:3", "main.(*Prices).All:70"]);
        });
        assert!(owners(&incident, "upgrader").is_empty());
    }

    #[test]
    fn a_mutex_whose_only_user_in_sight_waits_for_it_is_held_by_that_one() {
        let stack = [MUTEX, "main.(*Stock).Total:9", "main.(*Stock).Add:5", "main.serve:2"];
        let draw = |dump: &mut Moment| {
            let lock = dump.lock(LockKind::Mutex, 0x10);
            dump.thread("w", &stack).waits(lock, WaitFor::Exclusive);
            dump.thread("elsewhere", &["main.parse:3", "main.serve:2"]);
        };
        let lasting = Scene::of(Runtime::Go).dump(0, draw).dump(1, draw).incident();
        assert_eq!(owners(&lasting, "w"), ["w"]);
        assert!(owners(&incident(draw), "w").is_empty(), "one dump says nothing");
        let moves = Scene::of(Runtime::Go).dump(0, draw).dump(1, |dump| {
            dump.thread("w", &stack[1..]);
        });
        assert!(owners(&moves.incident(), "w").is_empty(), "it went on");
    }

    #[test]
    fn a_lone_writer_behind_whom_all_others_wait_holds_it_for_reading() {
        const WRITE: &str = "java.util.concurrent.locks.ReentrantReadWriteLock$WriteLock.lock:9";
        const READ: &str = "java.util.concurrent.locks.ReentrantReadWriteLock$ReadLock.lock:9";
        let draw = |busy: bool, writers: usize| {
            move |dump: &mut Moment| {
                let lock = dump.lock(LockKind::RwLock, 0x10);
                for number in 0..writers {
                    dump.thread(&format!("w{number}"), &[WRITE, "shop.Prices.load:30"])
                        .waits(lock, WaitFor::Exclusive);
                }
                dump.thread("r", &[READ, "shop.Quote.of:31"]).waits(lock, WaitFor::Shared);
                dump.thread("main", &["java.lang.Thread.sleep", "shop.Main.main:3"])
                    .is(ThreadState::TimedWaiting);
                if busy {
                    dump.thread("busy", &["shop.Report.sum:4"]);
                }
            }
        };
        let lasting = |busy, writers| {
            let scene = Scene::of(Runtime::Jvm).dump(0, draw(busy, writers));
            scene.dump(1, draw(busy, writers)).incident()
        };
        assert_eq!(owners(&lasting(false, 1), "r"), ["w0"]);
        assert!(owners(&lasting(true, 1), "r").is_empty(), "another may hold it");
        assert!(owners(&lasting(false, 2), "r").is_empty(), "one of two writers");
        let once = Scene::of(Runtime::Jvm).dump(0, draw(false, 1)).incident();
        assert!(owners(&once, "r").is_empty(), "one dump says nothing");
    }

    #[test]
    fn a_closure_is_not_behind_the_gate_of_the_function_that_wrote_it() {
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                dump.thread("w", &["bank::Account::lock:22", "bank::run::{{closure}}:60"])
                    .waits(lock, WaitFor::Exclusive);
                dump.thread("main", &["std::thread::sleep", "bank::run:70"]);
            })
            .incident();
        assert!(owners(&incident, "w").is_empty());
    }

    /// Two dumps of .NET, which prints no lines and no locks.
    fn of_dotnet(second: &[&str]) -> Incident {
        const ENTERS: &[&str] =
            &["System.Threading.Monitor.Enter", "Shop.Ledger.Post", "Shop.Orders.Accept"];
        let draw = |dump: &mut Moment, inside: &[&str]| {
            for name in ["w0", "w1", "w2"] {
                let nameless =
                    dump.dump.add_lock(Lock { kind: LockKind::Monitor, ..Lock::default() });
                dump.thread(name, ENTERS).waits(nameless, WaitFor::Exclusive);
            }
            dump.thread("inside", inside);
        };
        let calls = ["Shop.Bank.Confirm", "Shop.Ledger.Post", "Shop.Orders.Accept"];
        let scene = Scene::of(Runtime::Unknown).dump(0, |dump| draw(dump, &calls));
        scene.dump(1, |dump| draw(dump, second)).incident()
    }

    #[test]
    fn without_lines_the_one_who_stays_in_another_call_of_the_gates_function_owns_the_lock() {
        let stays = of_dotnet(&["Shop.Bank.Confirm", "Shop.Ledger.Post", "Shop.Orders.Accept"]);
        assert_eq!(owners(&stays, "w0"), ["inside"]);
        assert_eq!(stays.wait_for(0).wanted().count(), 1, "all wait for one");
        let goes_on = of_dotnet(&["Shop.Bank.Confirm", "Shop.Orders.Accept"]);
        assert!(owners(&goes_on, "w0").is_empty(), "it may not have come to the lock yet");
        assert_eq!(goes_on.wait_for(1).wanted().count(), 3, "nothing tells that these are one");
    }

    #[test]
    fn locks_without_an_address_that_one_type_uses_are_one() {
        let incident = incident(|dump| {
            let placed = dump.lock(LockKind::RwLock, 0x10);
            dump.thread("writer", &LATER_WRITER).waits(placed, WaitFor::Exclusive);
            for name in ["a", "b"] {
                let nameless =
                    dump.dump.add_lock(Lock { kind: LockKind::RwLock, ..Lock::default() });
                dump.thread(name, &["sync.(*RWMutex).RLock:71", "main.(*Prices).Get:21"])
                    .waits(nameless, WaitFor::Shared);
            }
        });
        assert_eq!(incident.wait_for(0).wanted().count(), 1);
    }
}
