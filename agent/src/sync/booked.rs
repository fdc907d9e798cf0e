//! What books say -> threads, tasks and locks of a dump.

use std::collections::HashMap;
use std::sync::Arc;

use sigquit_dump::{
    Dump, Hold, Lock, LockId, LockKind, Nanos, Owner, OwnerSource, Thread, Wait, WaitFor,
};

use super::book::{Book, Holder, Seen, Waiter};
use super::nouns::location;
use crate::task::{TaskDump, Who, clock};

/// Adds what books say to a dump that has all its threads, and to the tasks that follow these in the
/// file.
pub(crate) fn add(dump: &mut Dump, books: &[(Arc<Book>, Seen)], tasks: &mut TaskDump) {
    let by_tid = |(at, thread): (usize, &Thread)| Some((u32::try_from(thread.os_id?).ok()?, at));
    let threads = dump.threads.iter().enumerate().filter_map(by_tid).collect();
    let mut adding = Adding { dump, tasks, threads, now: clock::now() };
    for (book, seen) in books {
        adding.book(book, seen);
    }
}

/// What books say on its way into a dump.
struct Adding<'a> {
    dump: &'a mut Dump,
    tasks: &'a mut TaskDump,
    /// The threads by tid.
    threads: HashMap<u32, usize>,
    /// In the units of the clock.
    now: u64,
}

/// Who holds or waits, in the dump.
#[derive(Clone, Copy)]
enum Standing {
    Thread(usize),
    /// By its place among the tasks.
    Task(usize),
}

impl Adding<'_> {
    fn book(&mut self, book: &Arc<Book>, seen: &Seen) {
        let in_use = seen.holders.len() as u64 + seen.beyond;
        if in_use == 0 && seen.waiters.is_empty() && book.about.kind != LockKind::Pool {
            return;
        }
        let lock = self.dump.add_lock(Lock {
            address: Some(Arc::as_ptr(book).addr() as u64),
            name: book.name.as_deref().map(str::to_owned),
            kind: book.about.kind,
            type_name: Some(book.about.type_name.to_owned()),
            made_at: Some(location(book.made)),
            capacity: book.capacity(),
            in_use: book.capacity().map(|_| in_use),
            waits: Some(seen.waits),
            waited: Some(clock::nanos(seen.waited)),
            ..Lock::default()
        });
        seen.holders.iter().for_each(|holder| self.hold(lock, holder));
        seen.waiters.iter().for_each(|waiter| self.wait(book.about.kind, lock, waiter));
    }

    fn hold(&mut self, lock: LockId, holder: &Holder) {
        let Some(standing) = self.standing(holder.who) else { return };
        let source = OwnerSource::Tracked;
        let hold = Hold {
            taken_at: holder.taken.map(location),
            held: Some(self.since(holder.since)),
            ..Hold::new(lock, None, source)
        };
        match standing {
            Standing::Thread(at) => self.dump.threads[at].holds.push(hold),
            Standing::Task(place) => self.tasks.booked(place).holds.push(hold),
        }
        let thread = self.number(standing);
        self.dump.locks[lock.0 as usize].owners.push(Owner { thread, source });
    }

    fn wait(&mut self, kind: LockKind, lock: LockId, waiter: &Waiter) {
        let Some(standing) = self.standing(waiter.who) else { return };
        match (standing, kind) {
            // What of the pool it waits on, its stack and its own wait tell.
            (_, LockKind::Pool) => {
                let number = self.number(standing);
                self.dump.locks[lock.0 as usize].waiters.push(number);
            }
            (Standing::Task(place), _) => self.task_waits(place, kind, lock, waiter),
            // It is parked until it is woken, whatever for; the frames tell.
            (Standing::Thread(_), _) => {}
        }
    }

    /// A task whose own waker was not left there waits within a combinator that has wakers of its own,
    /// and may go on without the lock; so may one that waits for two locks.
    fn task_waits(&mut self, place: usize, kind: LockKind, lock: LockId, waiter: &Waiter) {
        let wait_for = match (kind, waiter.shares) {
            (LockKind::Mutex | LockKind::RwLock, false) => WaitFor::Exclusive,
            (LockKind::Mutex | LockKind::RwLock, true) => WaitFor::Shared,
            _ => WaitFor::Notification,
        };
        let since = self.since(waiter.since);
        let is_own = self.tasks.wakes(place) == waiter.wakes;
        let booked = self.tasks.booked(place);
        let is_only = booked.wait.is_none() && is_own;
        let wait_for = match wait_for.needs_owner_to_leave() && !is_only {
            true => WaitFor::Unknown,
            false => wait_for,
        };
        booked.wait = Some(Wait { lock, wait_for });
        booked.waiting_since = Some(since);
    }

    fn standing(&self, who: Who) -> Option<Standing> {
        match who {
            Who::Unknown => None,
            Who::Task(number) => self.tasks.place_of(number).map(Standing::Task),
            Who::Thread(tid) => self.threads.get(&tid).copied().map(Standing::Thread),
        }
    }

    /// Its number among all threads of the file: the tasks come last.
    fn number(&self, standing: Standing) -> u32 {
        let number = match standing {
            Standing::Thread(at) => at,
            Standing::Task(place) => self.dump.threads.len() + place,
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn since(&self, at: u64) -> Nanos {
        clock::nanos(self.now.saturating_sub(at))
    }
}
