//! Who holds what and who waits for what, from the annotations of a thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use sigquit_dump::{
    Dump, Frame, FrameId, Hold, Lock, LockId, LockKind, Owner, OwnerSource, ThreadState, Wait,
    WaitFor,
};

use super::mark::{Mark, Object};

/// The locks of one dump by what identifies them.
#[derive(Debug, Default)]
pub(super) struct Locks {
    by_address: HashMap<u64, LockId, RandomState>,
    by_class: HashMap<String, LockId>,
}

/// An annotation and the place of its frame, counted from the leaf.
pub(super) type Placed<'t> = (u32, Mark<'t>);

impl Locks {
    /// The lock of that object. What it is used as decides its kind; a synchronizer's class
    /// says more than that somebody parks for it.
    pub fn find(&mut self, dump: &mut Dump, object: Object, kind: LockKind) -> LockId {
        *self.by_address.entry(object.address).or_insert_with(|| {
            let class = (!object.class.is_empty()).then(|| object.class.to_owned());
            let address = Some(object.address);
            dump.add_lock(Lock { address, kind, type_name: class, ..Lock::default() })
        })
    }

    /// The lock that a class holds while it is initialised.
    pub fn of_class(&mut self, dump: &mut Dump, class: &str) -> LockId {
        if let Some(&known) = self.by_class.get(class) {
            return known;
        }
        let kind = LockKind::ClassInitialisation;
        let type_name = Some(class.to_owned());
        let id = dump.add_lock(Lock { kind, type_name, ..Lock::default() });
        self.by_class.insert(class.to_owned(), id);
        id
    }

    /// What a thread waits for and what it holds, from its annotations, leaf first.
    ///
    /// `- locked <X>` does not always mean that it owns X: in `Object.wait()` a thread has left
    /// the monitor, and yet the frame that entered it says `locked`. So a lock that the thread
    /// waits for, in whichever way, is not held by it.
    pub fn settle(
        &mut self,
        dump: &mut Dump,
        state: ThreadState,
        marks: &[Placed],
        calls: &[FrameId],
    ) -> (Option<Wait>, Vec<Hold>) {
        let wait = self.wait(dump, state, marks, calls);
        let mut holds: Vec<Hold> = Vec::new();
        // Most hold a few: those are sooner looked through than hashed.
        const FEW: usize = 16;
        let mut places: Option<HashMap<LockId, usize, RandomState>> =
            (marks.len() > FEW).then(HashMap::default);
        for &(depth, mark) in marks {
            let (object, kind, frame) = match mark {
                Mark::Locked(object) => (object, LockKind::Monitor, Some(depth)),
                Mark::Synchronizer(object) => (object, synchronizer(object.class), None),
                _ => continue,
            };
            let lock = self.find(dump, object, kind);
            if wait.as_ref().is_some_and(|wait| wait.lock == lock) {
                continue;
            }
            let place = match &mut places {
                Some(places) => *places.entry(lock).or_insert(holds.len()),
                None => holds.iter().position(|hold| hold.lock == lock).unwrap_or(holds.len()),
            };
            match holds.get_mut(place) {
                // Of several frames that entered it the outermost acquired it.
                Some(known) => known.frame = known.frame.max(frame),
                None => {
                    // One is the rule, and of a hundred thousand threads each would have room for
                    // four.
                    holds.reserve_exact(usize::from(holds.is_empty()));
                    holds.push(Hold::new(lock, frame, OwnerSource::Runtime));
                }
            }
        }
        (wait, holds)
    }

    /// Who initialises the classes that others wait for: the thread that runs their
    /// initialiser. Read from frames, so not certain.
    pub fn find_initialisers(&self, dump: &mut Dump) {
        if self.by_class.is_empty() {
            return;
        }
        let initialises = |frame: &Frame| {
            let function = &frame.symbols.first()?.function;
            self.by_class.get(function.strip_suffix(".<clinit>")?).copied()
        };
        let frames: Vec<Option<LockId>> = dump.frames.iter().map(initialises).collect();
        let mut found = Vec::new();
        for (index, thread) in (0..).zip(&dump.threads) {
            let calls = dump.stack(thread).map_or(&[][..], |stack| &stack.frames);
            let locks = calls.iter().map(|id| frames.get(id.0 as usize).copied().flatten());
            found.extend((0..).zip(locks).filter_map(|(depth, lock)| Some((index, depth, lock?))));
        }
        for (thread, depth, lock) in found {
            own_class(dump, lock, thread, Some(depth));
        }
    }

    fn wait(
        &mut self,
        dump: &mut Dump,
        state: ThreadState,
        marks: &[Placed],
        calls: &[FrameId],
    ) -> Option<Wait> {
        let place = marks.iter().position(|(_, mark)| is_wait(mark))?;
        let (lock, wait_for) = match marks[place].1 {
            Mark::WaitingToLock(object) => {
                (self.find(dump, object, LockKind::Monitor), WaitFor::Exclusive)
            }
            Mark::ClassInitialisation(class) => (self.of_class(dump, class), WaitFor::Exclusive),
            Mark::Parking(object) => {
                let (kind, wait_for) = parked(object.class, &names(dump, calls));
                (self.find(dump, object, kind), wait_for)
            }
            Mark::WaitingToRelock(object) => {
                let notified = !is_waiting(state);
                (self.find(dump, object, LockKind::Monitor), notification(notified))
            }
            Mark::WaitingOn(object) => {
                let notified = state == ThreadState::Blocked;
                let object = object.or_else(|| monitor_left(&marks[place + 1..]));
                let lock = match object {
                    Some(object) => self.find(dump, object, LockKind::Monitor),
                    None => dump.add_lock(Lock { kind: LockKind::Monitor, ..Lock::default() }),
                };
                (lock, notification(notified))
            }
            _ => return None,
        };
        Some(Wait { lock, wait_for })
    }
}

/// Records who initialises a class.
pub(super) fn own_class(dump: &mut Dump, lock: LockId, thread: u32, frame: Option<u32>) {
    let source = OwnerSource::Inferred;
    dump.locks[lock.0 as usize].owners.push(Owner { thread, source });
    dump.threads[thread as usize].holds.push(Hold::new(lock, frame, source));
}

/// Records who owns the locks that a thread holds.
pub(super) fn own(dump: &mut Dump, thread: u32, holds: &[Hold]) {
    for hold in holds {
        if let Some(lock) = dump.locks.get_mut(hold.lock.0 as usize) {
            lock.owners.push(Owner { thread, source: hold.source });
        }
    }
}

fn is_wait(mark: &Mark) -> bool {
    !matches!(mark, Mark::Locked(_) | Mark::Synchronizer(_) | Mark::Nothing)
}

fn is_waiting(state: ThreadState) -> bool {
    matches!(state, ThreadState::Waiting | ThreadState::TimedWaiting)
}

fn notification(notified: bool) -> WaitFor {
    if notified { WaitFor::Reacquire } else { WaitFor::Notification }
}

/// The monitor that a thread in `Object.wait()` has left, when the JVM does not say: the one
/// that it is to lock again, or else the one that it entered last.
fn monitor_left<'t>(outer: &[Placed<'t>]) -> Option<Object<'t>> {
    let relock = outer.iter().find_map(|(_, mark)| match mark {
        Mark::WaitingToRelock(object) => Some(*object),
        _ => None,
    });
    relock.or_else(|| {
        outer.iter().find_map(|(_, mark)| match mark {
            Mark::Locked(object) => Some(*object),
            _ => None,
        })
    })
}

/// What an owned synchronizer is, by its class.
fn synchronizer(class: &str) -> LockKind {
    match class {
        _ if class.contains("ReadWriteLock") || class.ends_with(".StampedLock") => LockKind::RwLock,
        _ if class.contains(".Semaphore$") => LockKind::Semaphore,
        _ => LockKind::Synchronizer,
    }
}

/// Synchronizers that are waited for as a lock is and that nobody owns: they tell of what has come back to a pool.
const SIGNALS: &[&str] = &["io.agroal.pool.util.AgroalSynchronizer"];

/// What a parked thread waits for. The object's class tells locks from conditions; for the
/// read-write locks and for a program's own synchronizers the calls that lead to `park` tell.
fn parked(class: &str, calls: &[&str]) -> (LockKind, WaitFor) {
    let leads =
        |names: &[&str]| calls.iter().any(|call| names.iter().any(|name| call.ends_with(name)));
    if class.ends_with("$ConditionObject") {
        return (LockKind::Condition, WaitFor::Notification);
    }
    let kind = synchronizer(class);
    let is_lock = class.contains("ReentrantLock$") || kind == LockKind::RwLock;
    if is_lock && leads(&["$ConditionObject.await", "$ConditionObject.awaitNanos"]) {
        return (kind, WaitFor::Reacquire);
    }
    if kind == LockKind::RwLock && leads(SHARED) {
        return (kind, WaitFor::Shared);
    }
    if is_lock {
        return (kind, WaitFor::Exclusive);
    }
    if SIGNALS.iter().any(|name| class.ends_with(name)) {
        return (LockKind::Parker, WaitFor::Notification);
    }
    if leads(EXCLUSIVE) && !leads(SHARED) {
        return (kind, WaitFor::Exclusive);
    }
    match kind {
        LockKind::Semaphore => (kind, WaitFor::Notification),
        _ => (LockKind::Parker, WaitFor::Notification),
    }
}

/// The functions nearest the leaf: those of the library that parks.
fn names<'d>(dump: &'d Dump, calls: &[FrameId]) -> Vec<&'d str> {
    let symbols = calls.iter().take(12).filter_map(|&id| dump.frame(id).symbols.first());
    symbols.map(|symbol| symbol.function.as_str()).collect()
}

/// Calls that ask for the whole of a synchronizer.
const EXCLUSIVE: &[&str] = &[
    "Synchronizer.acquire",
    "Synchronizer.acquireQueued",
    "Synchronizer.acquireInterruptibly",
    "Synchronizer.doAcquireInterruptibly",
    "Synchronizer.doAcquireNanos",
    "Synchronizer.tryAcquireNanos",
];

/// Calls that ask for a share of a synchronizer: a read lock, a latch, a permit.
const SHARED: &[&str] = &[
    "Synchronizer.acquireShared",
    "Synchronizer.acquireSharedInterruptibly",
    "Synchronizer.doAcquireShared",
    "Synchronizer.doAcquireSharedInterruptibly",
    "Synchronizer.doAcquireSharedNanos",
    "Synchronizer.tryAcquireSharedNanos",
    "StampedLock.acquireRead",
    "StampedLock.readLock",
    "StampedLock.readLockInterruptibly",
    "StampedLock.tryReadLock",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn object(address: u64, class: &str) -> Object<'_> {
        Object { address, class }
    }

    /// Settles annotations and tells the wait and the holds by address.
    fn settle(state: ThreadState, marks: &[Mark]) -> (Option<(u64, WaitFor)>, Vec<u64>) {
        let mut dump = Dump::default();
        let placed: Vec<Placed> = (0..).zip(marks.iter().copied()).collect();
        let (wait, holds) = Locks::default().settle(&mut dump, state, &placed, &[]);
        let address = |lock: LockId| dump.lock(lock).address.unwrap_or_default();
        (
            wait.map(|wait| (address(wait.lock), wait.wait_for)),
            holds.iter().map(|hold| address(hold.lock)).collect(),
        )
    }

    #[test]
    fn a_monitor_left_in_wait_is_not_held() {
        let (x, y) = (object(1, "X"), object(2, "Y"));
        let plain = [Mark::WaitingOn(Some(x)), Mark::Locked(x), Mark::Locked(y)];
        assert_eq!(
            settle(ThreadState::Waiting, &plain),
            (Some((1, WaitFor::Notification)), vec![2])
        );
        let notified_in_8 = [Mark::WaitingOn(Some(x)), Mark::Locked(x)];
        assert_eq!(
            settle(ThreadState::Blocked, &notified_in_8),
            (Some((1, WaitFor::Reacquire)), vec![])
        );
        let notified_in_11 = [Mark::WaitingOn(Some(x)), Mark::WaitingToRelock(x)];
        assert_eq!(
            settle(ThreadState::Blocked, &notified_in_11),
            (Some((1, WaitFor::Reacquire)), vec![])
        );
        assert_eq!(
            settle(ThreadState::Waiting, &notified_in_11),
            (Some((1, WaitFor::Notification)), vec![])
        );
        let notified_in_17 = [Mark::WaitingToRelock(x), Mark::Locked(x)];
        assert_eq!(
            settle(ThreadState::Blocked, &notified_in_17),
            (Some((1, WaitFor::Reacquire)), vec![])
        );
    }

    #[test]
    fn a_wait_for_an_object_that_is_not_said() {
        let (x, y) = (object(1, "X"), object(2, "Y"));
        let relock = [Mark::WaitingOn(None), Mark::Locked(y), Mark::WaitingToRelock(x)];
        assert_eq!(
            settle(ThreadState::Waiting, &relock),
            (Some((1, WaitFor::Notification)), vec![2])
        );
        let nearest = [Mark::WaitingOn(None), Mark::Locked(x), Mark::Locked(y)];
        assert_eq!(
            settle(ThreadState::Waiting, &nearest),
            (Some((1, WaitFor::Notification)), vec![2])
        );
        assert_eq!(
            settle(ThreadState::Waiting, &[Mark::WaitingOn(None)]),
            (Some((0, WaitFor::Notification)), vec![])
        );
    }

    #[test]
    fn the_outermost_frame_acquired_the_lock() {
        let mut dump = Dump::default();
        let marks = [(1, Mark::Locked(object(1, "X"))), (4, Mark::Locked(object(1, "X")))];
        let (_, holds) = Locks::default().settle(&mut dump, ThreadState::Runnable, &marks, &[]);
        assert_eq!(holds.iter().map(|hold| hold.frame).collect::<Vec<_>>(), [Some(4)]);
    }

    #[test]
    fn what_parked_threads_wait_for() {
        let through = |class: &str, call: &str| parked(class, &[call]);
        let juc = "java.util.concurrent.locks.";
        let aqs = |method: &str| format!("{juc}AbstractQueuedSynchronizer.{method}");
        assert_eq!(
            through(&format!("{juc}ReentrantLock$NonfairSync"), &aqs("acquireQueued")),
            (LockKind::Synchronizer, WaitFor::Exclusive)
        );
        assert_eq!(
            through(
                &format!("{juc}ReentrantLock$NonfairSync"),
                &aqs("AbstractQueuedSynchronizer$ConditionObject.await")
            ),
            (LockKind::Synchronizer, WaitFor::Reacquire)
        );
        let read_write = format!("{juc}ReentrantReadWriteLock$FairSync");
        assert_eq!(
            through(&read_write, &aqs("acquireShared")),
            (LockKind::RwLock, WaitFor::Shared)
        );
        assert_eq!(through(&read_write, &aqs("acquire")), (LockKind::RwLock, WaitFor::Exclusive));
        let condition = format!("{juc}AbstractQueuedSynchronizer$ConditionObject");
        assert_eq!(through(&condition, ""), (LockKind::Condition, WaitFor::Notification));
        assert_eq!(
            through("java.util.concurrent.CountDownLatch$Sync", &aqs("acquireSharedInterruptibly")),
            (LockKind::Parker, WaitFor::Notification)
        );
        assert_eq!(
            through("com.acme.Gate$Sync", &aqs("acquire")),
            (LockKind::Synchronizer, WaitFor::Exclusive)
        );
        assert_eq!(
            through("java.util.concurrent.SynchronousQueue$TransferStack", ""),
            (LockKind::Parker, WaitFor::Notification)
        );
    }
}
