//! All tasks that are tracked.
//!
//! In shards, each a list behind a lock of its own: a task that begins or ends holds one for a
//! few nanoseconds, and a dump holds one at a time for as long as it takes to copy its references.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::Entry;

/// Enough that threads seldom meet at one, and a million tasks make short lists.
const SHARDS: usize = 64;
/// How long a dump tries to get at a shard: a thread that holds one can be off the CPU.
const PATIENCE: Duration = Duration::from_millis(50);

/// On a cache line of its own.
#[repr(align(64))]
struct Shard(Mutex<Vec<Arc<Entry>>>);

static SHARDS_OF_TASKS: [Shard; SHARDS] = [const { Shard(Mutex::new(Vec::new())) }; SHARDS];

fn shard(id: u64) -> &'static Mutex<Vec<Arc<Entry>>> {
    &SHARDS_OF_TASKS[id as usize % SHARDS].0
}

/// Adds a task.
pub(super) fn add(entry: &Arc<Entry>) {
    let entry = entry.clone();
    let mut list = shard(entry.id).lock().unwrap_or_else(|lock| lock.into_inner());
    entry.place.store(list.len() as u32, Relaxed);
    list.push(entry);
}

/// Removes a task that was added.
pub(super) fn remove(entry: &Entry) {
    let mut list = shard(entry.id).lock().unwrap_or_else(|lock| lock.into_inner());
    let place = entry.place.load(Relaxed) as usize;
    let removed = list.swap_remove(place);
    if let Some(moved) = list.get(place) {
        moved.place.store(place as u32, Relaxed);
    }
    drop(list);
    debug_assert_eq!(removed.id, entry.id);
}

/// All tasks, by number, and how many could not be reached because a thread held their list all
/// the time: at least one for each such list.
pub(super) fn all() -> (Vec<Arc<Entry>>, u32) {
    let mut tasks = Vec::new();
    let mut out_of_reach = 0;
    let deadline = Instant::now() + PATIENCE;
    for shard in &SHARDS_OF_TASKS {
        match lock_before(&shard.0, deadline) {
            Some(list) => tasks.extend(list.iter().cloned()),
            None => out_of_reach += 1,
        }
    }
    tasks.sort_unstable_by_key(|task: &Arc<Entry>| task.id);
    (tasks, out_of_reach)
}

/// Takes a lock that others hold for moments only, unless one of them does not run until then.
pub(crate) fn lock_before<T>(
    mutex: &Mutex<T>,
    deadline: Instant,
) -> Option<std::sync::MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(lock)) => return Some(lock.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_micros(50));
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}
