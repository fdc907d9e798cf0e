//! Tracked locks in dumps, in one process: the agent is installed once, and every test dumps.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod counted;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use counted::allocations;
use sigquit::dump::{
    Dump, Hold, Location, Lock, LockKind, OwnerSource, Thread, ThreadState, WaitFor,
};
use sigquit::sync::{Condvar, Mutex, RwLock};

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
    let before = allocations();
    for _ in 0..100 {
        *mutex.lock().unwrap() += 1;
        drop(lock.read().unwrap());
        *lock.write().unwrap() += 1;
    }
    assert_eq!(allocations(), before);
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

/// The lock of that kind that a thread of that name owns.
fn owned<'a>(dump: &'a Dump, name: &str, kind: LockKind) -> Option<(&'a Lock, &'a Hold)> {
    let holds = holds_of(dump, name).iter();
    holds.map(|hold| (dump.lock(hold.lock), hold)).find(|(lock, _)| lock.kind == kind)
}

#[cfg(feature = "lock_api")]
#[test]
fn a_raw_lock_around_another_library_s_names_its_owner() {
    use sigquit::sync::{RawMutex, RawRwLock};

    let mutex = Arc::new(lock_api::Mutex::<RawMutex<parking_lot::RawMutex>, _>::new(0));
    let lock = Arc::new(lock_api::RwLock::<RawRwLock<parking_lot::RawRwLock>, _>::new(0));
    let (open, closed) = gate();
    let (tell, told) = gate();
    let taken = line!() + 3;
    let (held, read) = (mutex.clone(), lock.clone());
    let owner = spawn("l-owner", move || {
        let (_guard, _reader) = (held.lock(), read.read());
        tell.send(()).unwrap();
        let _ = closed.recv();
    });
    told.recv().unwrap();
    let (wanted, written) = (mutex.clone(), lock.clone());
    let waiter = spawn("l-waiter", move || *wanted.lock() += 1);
    let writer = spawn("l-writer", move || *written.write() += 1);

    let dump = dump_in_which(|dump| {
        waits_at(LockKind::Mutex, "l-waiter")(dump) && waits_at(LockKind::RwLock, "l-writer")(dump)
    });
    for (name, kind) in [("l-waiter", LockKind::Mutex), ("l-writer", LockKind::RwLock)] {
        let (lock, wait_for) = awaited(&dump, name).unwrap();
        assert_eq!(wait_for, WaitFor::Exclusive);
        assert_eq!(owners(&dump, lock), ["l-owner"]);
        let (_, hold) = owned(&dump, "l-owner", kind).unwrap();
        assert!(here(taken, &hold.taken_at), "{hold:?}");
    }
    drop(open);
    [owner, waiter, writer].into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((*mutex.lock(), *lock.read()), (1, 1));
    assert!(!mutex.is_locked());
}

#[cfg(feature = "lock_api")]
#[test]
fn raw_locks_may_be_given_back_in_any_order() {
    use sigquit::sync::{RawMutex, RawRwLock};

    type RawLock = lock_api::RwLock<RawRwLock<parking_lot::RawRwLock>, u8>;
    spawn("o-owner", || {
        let held = || {
            let dump = dump();
            let kinds = holds_of(&dump, "o-owner").iter().map(|hold| dump.lock(hold.lock).kind);
            kinds.collect::<Vec<LockKind>>()
        };
        let first = lock_api::Mutex::<RawMutex<parking_lot::RawMutex>, _>::new(0);
        let second: RawLock = RawLock::new(0);
        let (mutex, one, other) = (first.lock(), second.read(), second.read());
        assert_eq!(held(), [LockKind::Mutex, LockKind::RwLock, LockKind::RwLock]);
        drop(one);
        assert_eq!(held(), [LockKind::Mutex, LockKind::RwLock]);
        drop(mutex);
        assert_eq!(held(), [LockKind::RwLock]);
        let mutex = first.lock();
        drop(other);
        assert_eq!(held(), [LockKind::Mutex]);
        drop(mutex);
        assert_eq!(held(), []);
    })
    .join()
    .unwrap();
}

#[test]
fn a_pool_says_who_has_borrowed_and_who_waits() {
    let pool = Arc::new(sigquit::pool::Pool::new("connections", 2));
    let made = line!() - 1;
    let (open, closed) = gate();
    let (tell, told) = gate();
    let taken = line!() + 3;
    let lends = pool.clone();
    let holder = spawn("b-holder", move || {
        let _borrowed = [lends.borrow(), lends.borrow()];
        tell.send(()).unwrap();
        let _ = closed.recv();
    });
    let (end, ended) = gate();
    let asked = pool.clone();
    let waiter = spawn("b-waiter", move || {
        let _waiting = asked.wait();
        let _ = ended.recv();
    });
    told.recv().unwrap();

    let is_pool = |lock: &&Lock| lock.kind == LockKind::Pool;
    let shown =
        |dump: &Dump| dump.locks.iter().find(is_pool).is_some_and(|pool| !pool.waiters.is_empty());
    let dump = dump_in_which(shown);
    let lock = dump.locks.iter().find(is_pool).unwrap();
    assert_eq!(lock.name.as_deref(), Some("connections"));
    assert_eq!((lock.capacity, lock.in_use, lock.waits), (Some(2), Some(2), Some(1)));
    assert!(here(made, &lock.made_at), "{:?}", lock.made_at);
    assert_eq!(owners(&dump, lock), ["b-holder", "b-holder"]);
    assert!(here(taken, &owned(&dump, "b-holder", LockKind::Pool).unwrap().1.taken_at));
    let waiting: Vec<&str> =
        lock.waiters.iter().map(|&at| &*dump.threads[at as usize].name).collect();
    assert_eq!(waiting, ["b-waiter"]);

    drop((open, end));
    [holder, waiter].into_iter().for_each(|thread| thread.join().unwrap());
    drop(pool);
    assert!(!self::dump().locks.iter().any(|lock| is_pool(&lock)));
}

#[cfg(feature = "tokio")]
mod tasks {
    use sigquit::sync::tokio::{Mutex, RwLock, Semaphore};
    use sigquit::task;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    }

    #[test]
    fn a_task_owns_what_it_took_and_others_wait_for_it() {
        let runtime = runtime();
        let (mutex, lock) = (Arc::new(Mutex::new(0)), Arc::new(RwLock::new(0)));
        let permits = Arc::new(Semaphore::new(1));
        let taken = line!() + 3;
        let (held, read, permit) = (mutex.clone(), lock.clone(), permits.clone());
        runtime.spawn(task::track_named("t-owner", async move {
            let _all = (held.lock().await, read.read().await, permit.acquire_owned().await);
            std::future::pending::<()>().await;
        }));
        while mutex.try_lock().is_ok() || permits.available_permits() > 0 {
            thread::yield_now();
        }
        let wanted = mutex.clone();
        runtime.spawn(task::track_named("t-mutex", async move { *wanted.lock().await += 1 }));
        let written = lock.clone();
        runtime.spawn(task::track_named("t-writer", async move { *written.write().await += 1 }));
        let asked = permits.clone();
        runtime.spawn(task::track_named("t-permit", async move { drop(asked.acquire().await) }));

        let waits = [
            ("t-mutex", LockKind::Mutex, WaitFor::Exclusive),
            ("t-writer", LockKind::RwLock, WaitFor::Exclusive),
            ("t-permit", LockKind::Semaphore, WaitFor::Notification),
        ];
        let all_wait =
            |dump: &Dump| waits.iter().all(|(name, kind, _)| waits_at(*kind, name)(dump));
        let dump = dump_in_which(all_wait);
        for (name, kind, wanted) in waits {
            let (lock, wait_for) = awaited(&dump, name).unwrap();
            assert_eq!(wait_for, wanted, "{name}");
            assert_eq!(owners(&dump, lock), ["t-owner"], "{name}");
            let (_, hold) = owned(&dump, "t-owner", kind).unwrap();
            assert!(here(taken, &hold.taken_at), "{hold:?}");
        }
    }

    #[test]
    fn a_task_that_takes_a_free_lock_for_ever_lets_others_run() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ended = AtomicBool::new(false);
        let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
        let permits = Semaphore::new(1);
        // Without an end, unless its budget is used up in between.
        let greedy = async {
            while !ended.load(SeqCst) {
                *mutex.lock().await += 1;
                *lock.write().await += 1;
                drop(lock.read().await);
                drop(permits.acquire().await);
            }
        };
        runtime.block_on(async { tokio::join!(greedy, async { ended.store(true, SeqCst) }) });
    }

    #[test]
    fn a_task_that_waits_for_something_else_too_may_go_on_without_the_lock() {
        let runtime = runtime();
        let mutex = Arc::new(Mutex::new(0));
        let _held = mutex.try_lock().unwrap();
        let wanted = mutex.clone();
        runtime.spawn(task::track_named("s-selects", async move {
            tokio::select! {
                _guard = wanted.lock() => {}
                () = tokio::time::sleep(Duration::from_secs(1000)) => {}
            }
        }));
        let dump = dump_in_which(waits_at(LockKind::Mutex, "s-selects"));
        let (lock, wait_for) = awaited(&dump, "s-selects").unwrap();
        assert_eq!(wait_for, WaitFor::Unknown);
        assert_eq!(owners(&dump, lock).len(), 1, "the thread of this test");
    }
}
