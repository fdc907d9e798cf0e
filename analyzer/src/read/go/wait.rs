//! What a goroutine waits for, from the calls at the leaf of its stack.
//!
//! A dump names neither the lock nor its owner. The lock's address is to be had from
//! arguments: the lock's own methods' first, when it is certain; the semaphore's on which the
//! runtime queues the goroutine, which lies at a known place in the lock; or the receiver of
//! the method that locks, which often is the struct that begins with the lock.

use sigquit_dump::{LockKind, WaitFor};

use super::frame::Call;

/// A lock as a goroutine's stack shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'t> {
    pub kind: LockKind,
    /// `sync.Mutex`, ...
    pub type_name: &'static str,
    pub wait_for: WaitFor,
    pub address: Option<u64>,
    /// The first function outside the runtime and its locks: it called `Lock`. And its place
    /// among the calls.
    pub caller: Option<(usize, Call<'t>)>,
}

/// What the calls, leaf first, say of a goroutine that does not run.
///
/// ```text
/// runtime.semacquire1(0xc0000644cc, 0x0?, 0x3, 0x0)
/// sync.runtime_SemacquireMutex(0x0?, 0x0?, 0x0?)
/// sync.(*RWMutex).RLock(...)
/// main.(*PriceBook).Get(0xc0000644c0?, {0x76a480?, 0x1?})
/// ```
pub(super) fn wanted<'t>(calls: &[Call<'t>]) -> Option<Wanted<'t>> {
    let mut found: Option<Wanted> = None;
    let mut semaphore = None;
    for (place, &call) in calls.iter().enumerate() {
        if !is_lock_code(call.function) {
            if let Some(found) = &mut found {
                found.caller = Some((place, call));
            }
            break;
        }
        if matches!(call.function, "runtime.semacquire1" | "sync.runtime_notifyListWait") {
            semaphore = call.first();
        }
        if let Some(lock) = lock(call.function) {
            found = Some(merge(found, lock, call.first(), semaphore));
        }
    }
    found.map(|wanted| Wanted {
        address: wanted.address.or_else(|| wanted.receiver(Call::first)),
        ..wanted
    })
}

impl<'t> Wanted<'t> {
    /// An address that nothing vouches for but that it is the caller's receiver, maybe stale.
    pub fn doubtful(&self) -> Option<u64> {
        self.receiver(Call::first_even_if_stale)
    }

    fn receiver(&self, first: fn(&Call<'t>) -> Option<u64>) -> Option<u64> {
        let (_, caller) = self.caller.as_ref()?;
        let is_lock = matches!(self.kind, LockKind::Mutex | LockKind::RwLock);
        first(caller).filter(|_| is_lock && caller.function.contains(".("))
    }
}

/// The outer call says what it is: a read-write lock's `Lock` calls a mutex's.
fn merge<'t>(
    inner: Option<Wanted<'t>>,
    outer: Lock,
    first: Option<u64>,
    semaphore: Option<u64>,
) -> Wanted<'t> {
    let queued = semaphore.and_then(|address| address.checked_sub(outer.semaphore));
    let inner = inner.and_then(|inner| inner.address).filter(|_| outer.begins_with_inner);
    Wanted {
        kind: outer.kind,
        type_name: outer.type_name,
        wait_for: outer.wait_for,
        address: inner.or(first).or(queued.filter(|_| outer.semaphore > 0)),
        caller: None,
    }
}

/// A method of the library's locks.
#[derive(Clone, Copy)]
struct Lock {
    kind: LockKind,
    type_name: &'static str,
    wait_for: WaitFor,
    /// How far from the lock's beginning its semaphore or its list of waiters lies; 0 when it is not the same in all
    /// versions.
    semaphore: u64,
    /// The lock that it calls is its first field: both have one address.
    begins_with_inner: bool,
}

fn lock(function: &str) -> Option<Lock> {
    let function = function.strip_prefix("internal/").unwrap_or(function);
    let new = |kind, type_name, wait_for, semaphore, begins_with_inner| {
        Some(Lock { kind, type_name, wait_for, semaphore, begins_with_inner })
    };
    match function.strip_prefix("sync.")? {
        "(*Mutex).Lock" | "(*Mutex).lockSlow" => {
            new(LockKind::Mutex, "sync.Mutex", WaitFor::Exclusive, 4, true)
        }
        "(*RWMutex).Lock" => new(LockKind::RwLock, "sync.RWMutex", WaitFor::Exclusive, 8, true),
        "(*RWMutex).RLock" => new(LockKind::RwLock, "sync.RWMutex", WaitFor::Shared, 12, true),
        "(*Once).Do" | "(*Once).doSlow" => {
            new(LockKind::Once, "sync.Once", WaitFor::Exclusive, 0, false)
        }
        "(*WaitGroup).Wait" => {
            new(LockKind::Condition, "sync.WaitGroup", WaitFor::Notification, 0, false)
        }
        "(*Cond).Wait" => new(LockKind::Condition, "sync.Cond", WaitFor::Notification, 16, false),
        _ => None,
    }
}

fn is_lock_code(function: &str) -> bool {
    ["runtime.", "sync.", "internal/sync."].iter().any(|package| function.starts_with(package))
}

/// Whether a goroutine in that state may wait for a lock: one that runs, or is ready to, does
/// not.
pub(super) fn may_wait(state: &str) -> bool {
    state.starts_with("sync.") || state.starts_with("semacquire")
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    fn wanted_by(stack: &str) -> (LockKind, WaitFor, Option<u64>) {
        let calls: Vec<Call> = stack.lines().filter_map(frame::call).collect();
        let wanted = wanted(&calls).unwrap();
        (wanted.kind, wanted.wait_for, wanted.address)
    }

    #[test]
    fn a_mutex_by_its_own_argument() {
        let stack = "internal/sync.runtime_SemacquireMutex(0x489f76?, 0xd0?, 0x497c0a?)
internal/sync.(*Mutex).lockSlow(0x24237c567a70)
internal/sync.(*Mutex).Lock(...)
sync.(*Mutex).Lock(...)
main.(*Ledger).Append(0x24237c523f80?, {0x24237c612078, 0x7})";
        assert_eq!(wanted_by(stack), (LockKind::Mutex, WaitFor::Exclusive, Some(0x24237c567a70)));
    }

    #[test]
    fn a_read_write_lock_by_the_semaphore() {
        let reader = "runtime.semacquire1(0xc0000644cc, 0x0?, 0x3, 0x0)
sync.runtime_SemacquireMutex(0x0?, 0x0?, 0x0?)
sync.(*RWMutex).RLock(...)
main.(*PriceBook).Get(0xc0000644c0?, {0x76a480?, 0x1?})";
        assert_eq!(wanted_by(reader), (LockKind::RwLock, WaitFor::Shared, Some(0xc0000644c0)));
        let writer = "runtime.semacquire1(0xc0000644c8, 0x60?, 0x3, 0x0)
sync.runtime_SemacquireMutex(0x76aa00?, 0x18?, 0x697840?)
sync.(*RWMutex).Lock(0x6eba1d?)
main.(*PriceBook).load(0x1, {0x6ea7d1, 0x2})";
        assert_eq!(wanted_by(writer), (LockKind::RwLock, WaitFor::Exclusive, Some(0xc0000644c0)));
        let at_the_gate = "runtime.semacquire1(0xc0000644c4, 0x40?, 0x3, 0x1)
sync.runtime_SemacquireMutex(0x0?, 0x0?, 0x0?)
sync.(*Mutex).lockSlow(0x90de80?)
sync.(*Mutex).Lock(...)
sync.(*RWMutex).Lock(0x90de80?)
main.(*PriceBook).Set(0x1, {0x76a480, 0x1}, 0x2)";
        assert_eq!(
            wanted_by(at_the_gate),
            (LockKind::RwLock, WaitFor::Exclusive, Some(0xc0000644c0))
        );
    }

    #[test]
    fn the_receiver_of_the_caller_as_the_last_resort() {
        let stack = "sync.runtime_SemacquireMutex(0x76aa00?, 0x18?, 0x697840?)
sync.(*RWMutex).Lock(0x6eba1d?)
main.(*PriceBook).load(0xc0000644c0, {0x6ea7d1, 0x2})";
        assert_eq!(wanted_by(stack).2, Some(0xc0000644c0));
        assert_eq!(wanted_by(&stack.replace("644c0,", "644c0?,")).2, None);
    }

    #[test]
    fn no_lock() {
        let calls = [Call { function: "runtime.gopark", arguments: "" }];
        assert_eq!(wanted(&calls), None);
        assert!(!may_wait("runnable") && !may_wait("chan receive") && may_wait("semacquire"));
    }
}
