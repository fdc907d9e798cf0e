//! Tracked locks in dumps, in one process: the agent is installed once, and every test dumps.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use sigquit::dump::{
    Dump, Hold, Location, Lock, LockKind, OwnerSource, Thread, ThreadState, WaitFor,
};
use sigquit::sync::{Condvar, Mutex, RwLock};

/// The system's allocator, counted on each thread.
struct Counted;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn dump() -> Dump {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        sigquit::builder().directory(folder).install().unwrap();
    });
    let file = sigquit::dump_now().unwrap();
    let (mut dumps, warnings) = sigquit::dump::read(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(warnings, []);
    dumps.remove(0)
}

/// Takes dumps until one shows what is to come about.
fn dump_in_which(is_it: impl Fn(&Dump) -> bool) -> Dump {
    std::iter::repeat_with(dump).find(is_it).unwrap()
}

fn named<'a>(dump: &'a Dump, name: &str) -> Option<&'a Thread> {
    dump.threads.iter().find(|thread| thread.name == name)
}

/// The lock for which a thread waits, and how.
fn awaited<'a>(dump: &'a Dump, name: &str) -> Option<(&'a Lock, WaitFor)> {
    let wait = named(dump, name)?.wait.as_ref()?;
    Some((dump.lock(wait.lock), wait.wait_for))
}

/// Whether a thread waits, and the lock says of what kind it is.
fn waits_at(kind: LockKind, name: &str) -> impl Fn(&Dump) -> bool {
    move |dump| awaited(dump, name).is_some_and(|(lock, _)| lock.kind == kind)
}

fn holds_of<'a>(dump: &'a Dump, name: &str) -> &'a [Hold] {
    named(dump, name).map_or(&[], |thread| &thread.holds)
}

/// The names of a lock's owners, sorted.
fn owners<'a>(dump: &'a Dump, lock: &Lock) -> Vec<&'a str> {
    let name = |owner: &sigquit::dump::Owner| {
        assert_eq!(owner.source, OwnerSource::Tracked);
        &*dump.threads[owner.thread as usize].name
    };
    let mut names: Vec<&str> = lock.owners.iter().map(name).collect();
    names.sort_unstable();
    names
}

/// A place in this file.
fn here(line: u32, at: &Option<Location>) -> bool {
    at.as_ref().is_some_and(|at| at.file.ends_with("tests/sync.rs") && at.line == Some(line))
}

/// Keeps a thread from going on until it is opened or dropped.
fn gate() -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
    mpsc::channel()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(run).unwrap()
}

#[test]
fn a_mutex_is_shown_with_its_owner_and_who_waits_for_it() {
    let mutex = Arc::new(Mutex::new(0));
    let made = line!() - 1;
    let (open, closed) = gate();
    let (tell, told) = gate();
    let taken = line!() + 3;
    let (held, wanted) = (mutex.clone(), mutex.clone());
    let owner = spawn("m-owner", move || {
        let _guard = held.lock().unwrap();
        tell.send(()).unwrap();
        let _ = closed.recv();
    });
    told.recv().unwrap();
    let waiter = spawn("m-waiter", move || *wanted.lock().unwrap() += 1);

    let dump = dump_in_which(waits_at(LockKind::Mutex, "m-waiter"));
    let (lock, wait_for) = awaited(&dump, "m-waiter").unwrap();
    assert_eq!(wait_for, WaitFor::Exclusive);
    assert_eq!(named(&dump, "m-waiter").unwrap().state, ThreadState::Blocked);
    assert!(named(&dump, "m-waiter").unwrap().waiting_since.is_some());
    assert_eq!(owners(&dump, lock), ["m-owner"]);
    assert!(here(made, &lock.made_at), "{:?}", lock.made_at);
    assert_eq!(lock.waits, Some(1));
    let [hold] = holds_of(&dump, "m-owner") else { panic!("it holds one lock") };
    assert!(here(taken, &hold.taken_at) && hold.held.is_some(), "{hold:?}");
    assert_eq!(dump.lock(hold.lock), lock);

    drop(open);
    owner.join().unwrap();
    waiter.join().unwrap();
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn every_reader_of_a_read_write_lock_is_its_owner() {
    let lock = Arc::new(RwLock::new(0));
    let mut ends = Vec::new();
    for name in ["r-one", "r-two"] {
        let (open, closed) = gate();
        let (tell, told) = gate();
        let read = lock.clone();
        let reader = spawn(name, move || {
            let _guard = read.read().unwrap();
            tell.send(()).unwrap();
            let _ = closed.recv();
        });
        told.recv().unwrap();
        ends.push((open, reader));
    }
    let written = lock.clone();
    let writer = spawn("r-writer", move || *written.write().unwrap() += 1);

    let dump = dump_in_which(waits_at(LockKind::RwLock, "r-writer"));
    let (shown, wait_for) = awaited(&dump, "r-writer").unwrap();
    assert_eq!(wait_for, WaitFor::Exclusive);
    assert_eq!(owners(&dump, shown), ["r-one", "r-two"]);

    for (open, reader) in ends {
        drop(open);
        reader.join().unwrap();
    }
    writer.join().unwrap();
}

#[test]
fn who_waits_to_be_notified_does_not_hold_the_mutex() {
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = pair.clone();
    let waiter = spawn("c-waiter", move || {
        let (mutex, condvar) = &*theirs;
        drop(condvar.wait_while(mutex.lock().unwrap(), |done| !*done).unwrap());
    });
    let dump = dump_in_which(waits_at(LockKind::Condition, "c-waiter"));
    let (lock, wait_for) = awaited(&dump, "c-waiter").unwrap();
    assert_eq!(wait_for, WaitFor::Notification);
    assert_eq!(lock.type_name.as_deref(), Some("sigquit::sync::Condvar"));
    assert_eq!(holds_of(&dump, "c-waiter"), []);
    *pair.0.lock().unwrap() = true;
    pair.1.notify_all();
    waiter.join().unwrap();
}

#[test]
fn a_poisoned_mutex_is_poisoned_and_nobody_s() {
    let mutex = Arc::new(Mutex::new(1));
    let panics = mutex.clone();
    let panicked = spawn("p-owner", move || {
        let _guard = panics.lock().unwrap();
        panic!("while it holds the lock");
    });
    assert!(panicked.join().is_err());
    assert!(mutex.is_poisoned());
    assert_eq!(*mutex.lock().unwrap_err().into_inner(), 1);
    let guard = mutex.lock().unwrap_or_else(sigquit::sync::PoisonError::into_inner);
    assert!(mutex.try_lock().is_err());
    drop(guard);
    mutex.clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn a_wait_with_a_time_limit_ends_and_says_so() {
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    let moment = Duration::from_millis(1);
    let guard = mutex.lock().unwrap();
    let (guard, result) = condvar.wait_timeout_while(guard, moment, |_| true).unwrap();
    assert!(result.timed_out());
    let (guard, result) = condvar.wait_timeout_while(guard, moment, |_| false).unwrap();
    assert!(!result.timed_out());
    drop(guard);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_lock_costs_no_allocation_after_a_thread_s_first() {
    let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
    drop(mutex.lock().unwrap());
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        *mutex.lock().unwrap() += 1;
        drop(lock.read().unwrap());
        *lock.write().unwrap() += 1;
    }
    assert_eq!(ALLOCATIONS.get(), before);
}

#[test]
fn a_mutex_that_changes_hands_has_one_owner_at_most() {
    let (mutex, ended) = (Arc::new(Mutex::new(0)), Arc::new(AtomicBool::new(false)));
    let users = ["u-1", "u-2", "u-3"].map(|name| {
        let (mutex, ended) = (mutex.clone(), ended.clone());
        spawn(name, move || {
            while !ended.load(SeqCst) {
                *mutex.lock().unwrap() += 1;
            }
        })
    });
    for _ in 0..5 {
        let dump = dump();
        let mutexes = dump.locks.iter().filter(|lock| lock.kind == LockKind::Mutex);
        assert!(mutexes.clone().all(|lock| lock.owners.len() <= 1), "{:?}", dump.locks);
    }
    ended.store(true, SeqCst);
    users.into_iter().for_each(|user| user.join().unwrap());
}
