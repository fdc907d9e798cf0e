//! Futex waits of machine code, read as what they are: a mutex, a read-write lock, a condition.
//!
//! The agent records facts: a thread waits on a word at an address. Which lock is built on the
//! word, and where that lock lies, is known from the function that entered the kernel; the rules
//! are in [`RULES`]. Afterwards a native dump speaks of locks, waiters and owners as a JVM's does.
//! Where no rule fits (a stripped binary), the wait stays unknown.
//!
//! ```text
//! before   lock 0x5000 futex, words [2, ...]       thread: waits on 0x5000 for unknown
//!          frames: syscall < futex_wait < std::sys::sync::mutex::futex::Mutex::lock_contended
//! after    lock 0x5000 mutex, owned by ... [inferred]     thread: waits on 0x5000 exclusively
//! ```

use std::collections::HashMap;

use sigquit_dump::{
    Dump, Hold, Lock, LockId, LockKind, Owner, OwnerSource, Thread, ThreadState, Wait, WaitFor,
};

use super::call::Call;
use super::pattern::{matches, matches_any};

/// What a waiting function waits for, and where that lies.
struct Rule {
    /// The function that waits, normalized.
    function: &'static str,
    kind: LockKind,
    wait_for: WaitFor,
    place: Place,
    /// What it is called, where the kind alone does not tell.
    type_name: Option<&'static str>,
}

/// Where the lock lies whose futex is waited on.
#[derive(Clone, Copy)]
enum Place {
    /// At the futex.
    Futex,
    /// So many bytes below it.
    Below(u64),
    /// So many bytes below the eight-byte word that holds the futex, which may be either half.
    BelowWord(u64),
    /// parking_lot: at the key under which the thread is parked, but for so many low bits.
    ParkingKey { tag_bits: u32 },
    /// A pthread mutex: at the futex, whose third word is the owner's tid.
    OwnerInThirdWord,
    /// The futex is the tid of a thread, which the kernel clears when that thread ends.
    Tid,
}

const fn rule(function: &'static str, kind: LockKind, wait_for: WaitFor, place: Place) -> Rule {
    Rule { function, kind, wait_for, place, type_name: None }
}

const fn named(
    function: &'static str,
    kind: LockKind,
    wait_for: WaitFor,
    place: Place,
    type_name: &'static str,
) -> Rule {
    Rule { function, kind, wait_for, place, type_name: Some(type_name) }
}

use LockKind::{Channel, Condition, Mutex, Once, Parker, RwLock, Semaphore};
use WaitFor::{Exclusive, Notification, Shared};

/// The functions that wait on futexes. The innermost call that a rule knows decides, except that
/// [`PARKED_FOR`] says more about a parked thread.
const RULES: &[Rule] = &[
    // std, on futexes.
    named("std::sys::*::lock_contended", Mutex, Exclusive, Place::Futex, "std::sync::Mutex"),
    named("std::sys::*::read_contended", RwLock, Shared, Place::Futex, "std::sync::RwLock"),
    named("std::sys::*::write_contended", RwLock, Exclusive, Place::Below(4), "std::sync::RwLock"),
    named("std::sys::*ondvar::wait*", Condition, Notification, Place::Futex, "std::sync::Condvar"),
    named(
        "std::sys::*ondvar::futex::Condvar::wait*",
        Condition,
        Notification,
        Place::Futex,
        "std::sync::Condvar",
    ),
    named("std::sys::*once::futex::Once::*", Once, Notification, Place::Futex, "std::sync::Once"),
    named(
        "std::sync::*Condvar::wait*",
        Condition,
        Notification,
        Place::Futex,
        "std::sync::Condvar",
    ),
    rule("std::sys::*Parker::park*", Parker, Notification, Place::Futex),
    rule("std::thread::*park*", Parker, Notification, Place::Futex),
    // parking_lot, which parks threads in a table of its own.
    named("parking_lot::raw_mutex::*", Mutex, Exclusive, PARKING_MUTEX, "parking_lot::Mutex"),
    named(
        "parking_lot::raw_rwlock::*lock_shared_slow",
        RwLock,
        Shared,
        PARKING_RWLOCK,
        "parking_lot::RwLock",
    ),
    // Not `lock_common`, in which readers and writers wait alike.
    named(
        "parking_lot::raw_rwlock::*lock_exclusive_slow",
        RwLock,
        Exclusive,
        PARKING_RWLOCK,
        "parking_lot::RwLock",
    ),
    named(
        "parking_lot::raw_rwlock::*wait_for_readers",
        RwLock,
        Exclusive,
        PARKING_RWLOCK,
        "parking_lot::RwLock",
    ),
    named(
        "parking_lot::raw_rwlock::*upgrad*_slow",
        RwLock,
        Exclusive,
        PARKING_RWLOCK,
        "parking_lot::RwLock",
    ),
    named(
        "parking_lot::condvar::*",
        Condition,
        Notification,
        PARKING_MUTEX,
        "parking_lot::Condvar",
    ),
    named("parking_lot::once::*", Once, Notification, PARKING_MUTEX, "parking_lot::Once"),
    named("dashmap::lock::*lock_shared_slow", RwLock, Shared, PARKING_RWLOCK, "dashmap::RwLock"),
    named(
        "dashmap::lock::*lock_exclusive_slow",
        RwLock,
        Exclusive,
        PARKING_RWLOCK,
        "dashmap::RwLock",
    ),
    // pthread.
    rule("*pthread_mutex_*lock*", Mutex, Exclusive, Place::OwnerInThirdWord),
    rule("*pthread_rwlock_*rdlock*", RwLock, Shared, Place::BelowWord(8)),
    rule("*pthread_rwlock_*wrlock*", RwLock, Exclusive, Place::BelowWord(8)),
    rule("*pthread_cond_*wait*", Condition, Notification, Place::BelowWord(40)),
    named("*pthread_*join*", LockKind::Unknown, Exclusive, Place::Tid, "end of a thread"),
    named("*pthread_once*", Once, Notification, Place::Futex, "pthread_once_t"),
    rule("*sem_*wait*", Semaphore, Notification, Place::Futex),
];

const PARKING_MUTEX: Place = Place::ParkingKey { tag_bits: 0 };
/// A writer that waits for the readers to leave parks under the lock's address plus one.
const PARKING_RWLOCK: Place = Place::ParkingKey { tag_bits: 1 };

/// What a thread is parked for, by the function that parked it.
const PARKED_FOR: &[(&str, LockKind, &str)] = &[
    ("std::sync::mpsc::*", Channel, "std::sync::mpsc"),
    ("std::sync::mpmc::*", Channel, "std::sync::mpsc"),
    ("crossbeam_channel::*", Channel, "crossbeam_channel"),
    ("flume::*", Channel, "flume"),
    ("std::sys::*once::queue*", Once, "std::sync::Once"),
    ("tokio::sync::*", Semaphore, "tokio::sync"),
];

/// Functions between the kernel and the one that says what is waited for.
const PLUMBING: &[&str] = &[
    "syscall",
    "*futex*",
    "__lll_*",
    "lll_*",
    "__libc_*",
    "__gthread_*",
    "std::*",
    "core::*",
    "parking_lot*::*",
    "lock_api::*",
    "dashmap::lock::*",
    "sigquit::sync::*",
    "crossbeam_*::*",
    "flume::*",
    "tokio::*",
    "pthread_*",
    "__pthread_*",
    "___pthread_*",
    "__GI_*",
    "sem_*",
    "__new_sem_*",
    "libc.so*",
    "libc-*",
    "libpthread*",
];

/// Where such functions' sources lie. Debug information of lines alone tells the bare names (`park`) of
/// functions that are inlined, and then the file says whose they are.
const PLUMBING_SOURCES: &[&str] = &[
    "*/core/src/*",
    "*/std/src/*",
    "*/parking_lot*/src/*",
    "*/lock_api*/src/*",
    "*/crossbeam*/src/*",
    "*/flume*/src/*",
    "*/tokio-*/src/*",
];

fn is_plumbing(call: &Call) -> bool {
    let is_bare = !call.function.contains("::");
    let file = call.location.as_ref().map_or("", |location| &location.file);
    matches_any(PLUMBING, &call.function) || is_bare && matches_any(PLUMBING_SOURCES, file)
}

/// Rewrites a dump's futex waits. `waiting` are those who wait for anything; `calls` gives a
/// thread's calls, innermost first.
pub(crate) fn recognize<'a, Calls>(
    dump: &mut Dump,
    waiting: &[usize],
    calls: impl Fn(usize) -> Calls,
) where
    Calls: Iterator<Item = &'a Call>,
{
    let waits: Vec<(usize, Recognized)> = waiting
        .iter()
        .filter_map(|&thread| Some((thread, recognize_wait(dump, thread, calls(thread))?)))
        .collect();
    if waits.is_empty() {
        return;
    }
    let mut places = Places::of(dump);
    for (thread, wait) in waits {
        let lock = places.lock_of(dump, &wait);
        places.same.insert(wait.raw, lock);
        let waiter = &mut dump.threads[thread];
        waiter.wait = Some(Wait { lock, wait_for: wait.wait_for });
        waiter.state = state(waiter.state, wait.wait_for);
    }
    keep_known_owners(dump, &places);
    own_what_will_be_released(dump, &places);
}

/// Owners that the source knew of a futex are owners of the lock that it turned out to be.
fn keep_known_owners(dump: &mut Dump, places: &Places) {
    for thread in &mut dump.threads {
        for hold in &mut thread.holds {
            hold.lock = places.same.get(&hold.lock).copied().unwrap_or(hold.lock);
        }
    }
    for (raw, lock) in &places.same {
        let known = std::mem::take(&mut dump.locks[raw.0 as usize].owners);
        dump.locks[lock.0 as usize].owners.extend(known);
    }
}

/// A wait that was understood.
struct Recognized {
    raw: LockId,
    kind: LockKind,
    wait_for: WaitFor,
    /// None where the source does not say on which futex the thread waits.
    address: Option<u64>,
    type_name: Option<&'static str>,
    /// The owner's tid, where the lock's memory says it.
    owner_tid: Option<u64>,
}

fn recognize_wait<'a>(
    dump: &Dump,
    thread: usize,
    calls: impl Iterator<Item = &'a Call>,
) -> Option<Recognized> {
    let wait = dump.threads[thread].wait.as_ref()?;
    let futex = dump.locks.get(wait.lock.0 as usize)?;
    if futex.kind != LockKind::Futex || wait.wait_for != WaitFor::Unknown {
        return None;
    }
    let calls = calls.take_while(|call| is_plumbing(call)).map(|call| call.function.as_str());
    let calls: Vec<&str> = calls.collect();
    let rule =
        calls.iter().find_map(|call| RULES.iter().find(|rule| matches(rule.function, call)))?;
    let (kind, type_name) = match rule.kind {
        Parker => parked_for(&calls),
        kind => (kind, rule.type_name),
    };
    let address = lock_address(futex, rule.place);
    if futex.address.is_some() && address.is_none() {
        return None;
    }
    Some(Recognized {
        raw: wait.lock,
        kind,
        wait_for: rule.wait_for,
        address,
        type_name,
        owner_tid: owner_tid(futex, rule.place),
    })
}

/// The outermost word counts: a channel's `recv` parks through several of std's own.
fn parked_for(calls: &[&str]) -> (LockKind, Option<&'static str>) {
    let known = |call: &&str| PARKED_FOR.iter().find(|(function, ..)| matches(function, call));
    let found = calls.iter().rev().find_map(known);
    found.map_or((Parker, None), |&(_, kind, type_name)| (kind, Some(type_name)))
}

fn lock_address(futex: &Lock, place: Place) -> Option<u64> {
    let address = futex.address?;
    match place {
        Place::Futex | Place::OwnerInThirdWord | Place::Tid => Some(address),
        Place::Below(bytes) => address.checked_sub(bytes),
        Place::BelowWord(bytes) => (address & !7).checked_sub(bytes),
        Place::ParkingKey { tag_bits } => {
            let key = futex.parking_key? >> tag_bits << tag_bits;
            (key != 0).then_some(key)
        }
    }
}

fn owner_tid(futex: &Lock, place: Place) -> Option<u64> {
    let words = futex.words?;
    let tid = match place {
        Place::OwnerInThirdWord => words[2],
        Place::Tid => words[0],
        _ => 0,
    };
    (tid != 0).then_some(u64::from(tid))
}

fn state(state: ThreadState, wait_for: WaitFor) -> ThreadState {
    match (state, wait_for) {
        (ThreadState::Running | ThreadState::Uninterruptible, _) => state,
        (_, WaitFor::Notification) => ThreadState::Waiting,
        _ => ThreadState::Blocked,
    }
}

/// The locks that were found, by where they lie.
#[derive(Default)]
struct Places {
    locks: HashMap<(u64, LockKind), LockId>,
    /// Which lock a futex turned out to be the word of.
    same: HashMap<LockId, LockId>,
    /// The threads by tid.
    threads: HashMap<u64, usize>,
}

impl Places {
    fn of(dump: &Dump) -> Places {
        let by_tid = |(at, thread): (usize, &Thread)| Some((thread.os_id?, at));
        let threads = dump.threads.iter().enumerate().filter_map(by_tid).collect();
        // A lock that keeps records of itself is in the dump, with a waiter or without.
        let known = (0..).map(LockId).zip(&dump.locks);
        let known = known.filter(|(_, lock)| matches!(lock.kind, Mutex | RwLock | Condition));
        let locks = known.filter_map(|(id, lock)| Some(((lock.address?, lock.kind), id)));
        Places { locks: locks.collect(), threads, ..Places::default() }
    }

    /// The lock at that place. Readers and writers of one lock wait on different words of it.
    fn lock_of(&mut self, dump: &mut Dump, wait: &Recognized) -> LockId {
        let lock = Lock {
            address: wait.address,
            kind: wait.kind,
            type_name: wait.type_name.map(str::to_owned),
            ..Lock::default()
        };
        let id = match wait.address {
            Some(address) => {
                *self.locks.entry((address, wait.kind)).or_insert_with(|| dump.add_lock(lock))
            }
            None => dump.add_lock(lock),
        };
        let owner = wait.owner_tid.and_then(|tid| self.threads.get(&tid));
        if let Some(&thread) = owner {
            own(dump, id, thread, OwnerSource::Runtime);
        }
        id
    }
}

/// Who will release a lock before acquiring it holds it. That is said of a thread that waits for
/// the lock only when it will release it once more than it will have acquired it: it waits for
/// itself. Two that would release a mutex are one
/// too many: then nobody is named.
fn own_what_will_be_released(dump: &mut Dump, places: &Places) {
    let mut candidates: HashMap<LockId, Vec<usize>> = HashMap::new();
    for (thread, holder) in dump.threads.iter().enumerate() {
        for raw in &holder.will_release {
            let Some(lock) = released_lock(dump, places, *raw) else { continue };
            let named = candidates.entry(lock).or_default();
            if !named.contains(&thread) {
                named.push(thread);
            }
        }
    }
    for (lock, holders) in candidates {
        let shared = dump.lock(lock).kind == RwLock;
        if dump.lock(lock).owners.is_empty() && (shared || holders.len() == 1) {
            holders.into_iter().for_each(|one| own(dump, lock, one, OwnerSource::Inferred));
        }
    }
}

/// The recognised lock that a raw one is: the futex itself, or whatever lies at its address.
fn released_lock(dump: &Dump, places: &Places, raw: LockId) -> Option<LockId> {
    let at_address = || {
        let address = dump.locks.get(raw.0 as usize)?.address?;
        let kinds = [Mutex, RwLock];
        kinds.iter().find_map(|&kind| places.locks.get(&(address, kind)).copied())
    };
    places.same.get(&raw).copied().or_else(at_address)
}

fn own(dump: &mut Dump, lock: LockId, thread: usize, source: OwnerSource) {
    let owners = &mut dump.locks[lock.0 as usize].owners;
    if owners.iter().any(|owner| owner.thread as usize == thread) {
        return;
    }
    owners.push(Owner { thread: thread as u32, source });
    dump.threads[thread].holds.push(Hold::new(lock, None, source));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Moment, Scene};
    use crate::model::{Incident, MemberId};
    use sigquit_dump::{Location, Runtime};

    const MUTEX: [&str; 4] = [
        "syscall",
        "std::sys::pal::unix::futex::futex_wait",
        "std::sys::sync::mutex::futex::Mutex::lock_contended",
        "journal::append",
    ];

    fn futex(dump: &mut Moment, address: u64) -> LockId {
        dump.lock(LockKind::Futex, address)
    }

    fn incident(draw: impl FnOnce(&mut Moment)) -> Incident {
        Scene::of(Runtime::Rust).dump(0, draw).incident()
    }

    /// What a member waits for: kind, address, how.
    fn wait_of(incident: &Incident, member: u32) -> (LockKind, Option<u64>, WaitFor) {
        let wait = incident.thread(MemberId(member), 0).and_then(|thread| thread.wait.clone());
        let wait = wait.expect("it waits");
        let lock = incident.dumps[0].lock(wait.lock);
        (lock.kind, lock.address, wait.wait_for)
    }

    fn check(stack: &[&str], address: u64, expected: (LockKind, Option<u64>, WaitFor)) {
        let incident = incident(|dump| {
            let lock = futex(dump, address);
            dump.dump.locks[0].parking_key = Some(0x7001);
            dump.thread("t", stack).waits(lock, WaitFor::Unknown);
        });
        assert_eq!(wait_of(&incident, 0), expected, "{stack:?}");
    }

    #[test]
    fn a_bare_inlined_name_is_whose_its_file_is() {
        let kind = |file: &str| {
            let incident = incident(|dump| {
                let lock = futex(dump, 0x50);
                dump.dump.locks[0].parking_key = Some(0x7001);
                let stack =
                    ["syscall", "park < parking_lot::raw_rwlock::RawRwLock::lock_shared_slow"];
                dump.thread("t", &stack).waits(lock, WaitFor::Unknown);
                for frame in &mut dump.dump.frames {
                    let inlined = frame.symbols.iter_mut().filter(|symbol| symbol.inlined);
                    inlined.for_each(|symbol| {
                        symbol.location = Some(Location { file: file.into(), ..<_>::default() });
                    });
                }
            });
            wait_of(&incident, 0).0
        };
        assert_eq!(kind("/registry/parking_lot_core-0.9.12/src/parking_lot.rs"), RwLock);
        assert_eq!(kind("/app/src/parking.rs"), LockKind::Futex);
    }

    #[test]
    fn std_locks_are_told_apart_by_the_function_that_waits() {
        check(&MUTEX, 0x50, (Mutex, Some(0x50), Exclusive));
        let read = ["syscall", "std::sys::sync::rwlock::futex::RwLock::read_contended", "app::get"];
        check(&read, 0x50, (RwLock, Some(0x50), Shared));
        let write =
            ["syscall", "std::sys::sync::rwlock::futex::RwLock::write_contended", "app::put"];
        check(&write, 0x54, (RwLock, Some(0x50), Exclusive));
        let condvar = [
            "syscall",
            "std::sys::sync::condvar::futex::Condvar::wait_optional_timeout",
            "std::sync::poison::condvar::Condvar::wait",
            "app::pop",
        ];
        check(&condvar, 0x50, (Condition, Some(0x50), Notification));
        let once = ["syscall", "std::sys::sync::once::futex::Once::call", "app::config"];
        check(&once, 0x50, (Once, Some(0x50), Notification));
        let v0 = ["syscall", "<std::sys::sync::mutex::futex::Mutex>::lock_contended", "app::get"];
        check(&v0, 0x50, (Mutex, Some(0x50), Exclusive));
    }

    #[test]
    fn a_parked_thread_is_told_by_who_parked_it() {
        let park = [
            "syscall",
            "std::sys::sync::thread_parking::futex::Parker::park",
            "std::thread::park",
            "app::idle",
        ];
        check(&park, 0x50, (Parker, Some(0x50), Notification));
        let recv = [
            "syscall",
            "std::sys::sync::thread_parking::futex::Parker::park",
            "std::thread::park",
            "std::sync::mpmc::context::Context::wait_until",
            "std::sync::mpmc::list::Channel<T>::recv",
            "std::sync::mpsc::Receiver<T>::recv",
            "app::work",
        ];
        check(&recv, 0x50, (Channel, Some(0x50), Notification));
    }

    #[test]
    fn parking_lot_locks_lie_at_the_parking_key() {
        let mutex = [
            "syscall",
            "parking_lot_core::parking_lot::park",
            "parking_lot::raw_mutex::RawMutex::lock_slow",
            "app::get",
        ];
        check(&mutex, 0x50, (Mutex, Some(0x7001), Exclusive));
        let shared =
            ["syscall", "parking_lot::raw_rwlock::RawRwLock::lock_shared_slow", "app::get"];
        check(&shared, 0x50, (RwLock, Some(0x7000), Shared));
        let exclusive =
            ["syscall", "parking_lot::raw_rwlock::RawRwLock::lock_exclusive_slow", "app::put"];
        check(&exclusive, 0x50, (RwLock, Some(0x7000), Exclusive));
    }

    #[test]
    fn pthread_conditions_lie_below_the_futex() {
        check(
            &["libc.so.6+0x8a1b2", "pthread_cond_timedwait", "render"],
            0x7c,
            (Condition, Some(0x50), Notification),
        );
        check(
            &["__futex_abstimed_wait_common64", "pthread_cond_wait", "render"],
            0x78,
            (Condition, Some(0x50), Notification),
        );
    }

    #[test]
    fn a_pthread_mutex_and_a_join_name_the_owner_themselves() {
        let incident = incident(|dump| {
            let mutex = futex(dump, 0x50);
            dump.dump.locks[0].words = Some([2, 1, 1002, 1]);
            let tid = futex(dump, 0x90);
            dump.dump.locks[1].words = Some([1001, 0, 0, 0]);
            dump.thread("waiter", &["__lll_lock_wait", "pthread_mutex_lock", "f"])
                .waits(mutex, WaitFor::Unknown)
                .os_id = Some(1001);
            dump.thread(
                "owner",
                &[
                    "__futex_abstimed_wait_common",
                    "__pthread_clockjoin_ex",
                    "std::sys::thread::unix::Thread::join",
                ],
            )
            .waits(tid, WaitFor::Unknown)
            .os_id = Some(1002);
        });
        let cycles = incident.wait_for(0).cycles();
        assert_eq!(cycles.len(), 1);
        assert_eq!(cycles[0].source(), OwnerSource::Runtime);
    }

    #[test]
    fn who_will_release_the_lock_owns_it() {
        let incident = incident(|dump| {
            let word = futex(dump, 0x50);
            let object = futex(dump, 0x50);
            dump.thread("owner", &["fsync", "journal::append"]).will_release = vec![object];
            for name in ["a", "b"] {
                dump.thread(name, &MUTEX).waits(word, WaitFor::Unknown);
            }
        });
        let graph = incident.wait_for(0);
        let lock = graph.wants(1).expect("it waits for the mutex");
        assert_eq!(graph.owners(lock), [Owner { thread: 0, source: OwnerSource::Inferred }]);
        assert_eq!(graph.waiters(lock), [1, 2]);
    }

    #[test]
    fn who_waits_for_the_lock_that_it_will_release_waits_for_itself() {
        let frames = MUTEX.map(|function| format!("{function} pc=40 cfa=100"));
        let draw = |dump: &mut Moment| {
            let word = futex(dump, 0x50);
            let itself = dump.thread("itself", &frames.each_ref().map(String::as_str));
            itself.waits(word, WaitFor::Unknown).will_release = vec![word];
        };
        let incident = Scene::of(Runtime::Rust).dump(0, draw).dump(1, draw).incident();
        let graph = incident.wait_for(0);
        let lock = graph.wants(0).expect("it waits for the mutex");
        assert_eq!(graph.owners(lock), [Owner { thread: 0, source: OwnerSource::Inferred }]);
    }

    #[test]
    fn two_who_would_release_a_mutex_leave_its_owner_unknown() {
        let incident = incident(|dump| {
            let word = futex(dump, 0x50);
            for name in ["one", "other"] {
                dump.thread(name, &["journal::append"]).will_release = vec![word];
            }
            dump.thread("waiter", &MUTEX).waits(word, WaitFor::Unknown);
        });
        let graph = incident.wait_for(0);
        assert!(graph.owners(graph.wants(2).expect("it waits")).is_empty());
    }

    #[test]
    fn readers_and_writers_of_one_lock_wait_for_one_lock() {
        let incident = incident(|dump| {
            let readers = futex(dump, 0x50);
            let writers = futex(dump, 0x54);
            dump.thread("r", &["std::sys::sync::rwlock::futex::RwLock::read_contended"])
                .waits(readers, WaitFor::Unknown);
            dump.thread("w", &["std::sys::sync::rwlock::futex::RwLock::write_contended"])
                .waits(writers, WaitFor::Unknown);
        });
        assert_eq!(incident.wait_for(0).wants(0), incident.wait_for(0).wants(1));
    }

    #[test]
    fn what_no_rule_knows_stays_unknown() {
        let stripped = ["syscall", "server+0x12345", "server+0x23456"];
        check(&stripped, 0x50, (LockKind::Futex, Some(0x50), WaitFor::Unknown));
        // The waiting function is the program's own; that it runs inside a Once says nothing.
        let inside = ["syscall", "app::wait_on_word", "std::sys::sync::once::futex::Once::call"];
        check(&inside, 0x50, (LockKind::Futex, Some(0x50), WaitFor::Unknown));
    }
}
