//! Waits for a class to be initialised, where the JVM does not print them.
//!
//! Before 12 nothing but the header tells, which gives the state of the thread in the VM while the
//! state line gives that in Java:
//!
//! ```text
//! "init-b" #9 prio=5 os_prio=0 tid=0x00007f809c179800 nid=0x64e5 in Object.wait() [0x00007f8067efe000]
//!    java.lang.Thread.State: RUNNABLE
//!         at shop.B.<clinit>(B.java:38)
//!         at shop.Main.lambda$start$6(Main.java:39)
//! ```
//!
//! Java code that calls `Object.wait` is `WAITING` there, so it is the VM that waits, for another
//! thread to initialise a class. Which one is inferred: one of those whose initialisers run.

use sigquit_dump::{Dump, Lock, LockId, LockKind, ThreadState, Wait, WaitFor};

use super::locks::{Locks, own_class};

/// Whether a thread's header and its state say that the VM waits in it.
pub(super) fn waits_in_vm(state: ThreadState, doing: &str) -> bool {
    state == ThreadState::Runnable && doing == "in Object.wait()"
}

/// Enters for which class each of these threads waits, as far as that can be inferred.
pub(super) fn resolve(dump: &mut Dump, locks: &mut Locks, waiting: &[u32]) {
    if waiting.is_empty() {
        return;
    }
    let initialised = initialised(dump);
    let mut any_of_them: Option<LockId> = None;
    let mut unseen: Option<LockId> = None;
    for &waiter in waiting {
        let own: Vec<&str> = of(&initialised, |thread| thread == waiter);
        let mut others: Vec<&str> = of(&initialised, |thread| thread != waiter);
        others.retain(|class| !own.contains(class));
        let lock = match (&others[..], own.is_empty()) {
            ([], false) if waiting.len() > 1 => *unseen.get_or_insert_with(|| nobodys_class(dump)),
            ([], _) | ([_, _, ..], false) => continue,
            ([class], _) => locks.of_class(dump, class),
            (_, true) => *any_of_them.get_or_insert_with(|| any_class(dump, &initialised)),
        };
        let wait = Wait { lock, wait_for: WaitFor::Exclusive };
        dump.threads[waiter as usize].wait = Some(wait);
    }
}

/// Who initialises which class.
fn initialised(dump: &Dump) -> Vec<(u32, String)> {
    let mut initialised = Vec::new();
    for (index, thread) in (0..).zip(&dump.threads) {
        for &frame in dump.stack(thread).map_or(&[][..], |stack| &stack.frames) {
            let symbol = dump.frame(frame).symbols.first();
            let class = symbol.and_then(|symbol| symbol.function.strip_suffix(".<clinit>"));
            initialised.extend(class.map(|class| (index, class.to_owned())));
        }
    }
    initialised
}

fn of(initialised: &[(u32, String)], is_one: impl Fn(u32) -> bool) -> Vec<&str> {
    let mut classes: Vec<&str> = initialised
        .iter()
        .filter(|(thread, _)| is_one(*thread))
        .map(|(_, class)| class.as_str())
        .collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// What those wait for who wait for one of several classes, nobody knows which.
fn any_class(dump: &mut Dump, initialised: &[(u32, String)]) -> LockId {
    let kind = LockKind::ClassInitialisation;
    let lock = dump.add_lock(Lock { kind, ..Lock::default() });
    let mut threads: Vec<u32> = initialised.iter().map(|(thread, _)| *thread).collect();
    threads.dedup();
    threads.into_iter().for_each(|thread| own_class(dump, lock, thread, None));
    lock
}

/// What one in the only initialiser in sight waits for: another class, and whoever has begun it is not in its
/// initialiser.
fn nobodys_class(dump: &mut Dump) -> LockId {
    dump.add_lock(Lock { kind: LockKind::ClassInitialisation, ..Lock::default() })
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Frame, Stack, Symbol, Thread};

    use super::*;
    use crate::model::WaitForGraph;

    /// A dump of threads in these functions; all of them wait in the VM.
    fn dump(stacks: &[&[&str]]) -> Dump {
        let mut dump = Dump::default();
        for functions in stacks {
            let frames: Vec<_> = functions
                .iter()
                .map(|&function| dump.intern_frame(Frame::named(Symbol::function(function))))
                .collect();
            let stack = Some(dump.intern_stack(Stack::from(frames)));
            dump.threads.push(Thread { stack, ..Thread::default() });
        }
        let mut locks = Locks::default();
        let waiting: Vec<u32> = (0..stacks.len() as u32).collect();
        resolve(&mut dump, &mut locks, &waiting);
        locks.find_initialisers(&mut dump);
        dump
    }

    #[test]
    fn two_that_initialise_what_the_other_needs_wait_for_each_other() {
        let dump = dump(&[&["a.A.<clinit>", "a.Main.run"], &["a.B.<clinit>"], &["a.Main.late"]]);
        let graph = WaitForGraph::new(&dump);
        let cycles = graph.cycles();
        assert_eq!(cycles.len(), 1);
        assert_eq!(graph.blocked_by_all(&[0, 1]), [2]);
        let late = dump.threads[2].wait.as_ref().map(|wait| wait.wait_for);
        assert_eq!(late, Some(WaitFor::Exclusive));
    }

    #[test]
    fn one_of_three_that_wait_cannot_be_told_whom_it_needs() {
        let dump = dump(&[&["a.A.<clinit>"], &["a.B.<clinit>"], &["a.C.<clinit>"]]);
        assert!(dump.threads.iter().all(|thread| thread.wait.is_none()));
    }

    #[test]
    fn without_an_initialiser_in_sight_nothing_is_inferred() {
        let dump = dump(&[&["a.Main.run"], &["a.Main.run"]]);
        assert!(dump.locks.is_empty());
    }

    #[test]
    fn the_only_one_in_an_initialiser_waits_for_what_nobody_is_seen_to_initialise() {
        let dump = dump(&[&["a.A.<clinit>", "a.Main.run"], &["a.Main.late"]]);
        let lock = |thread: usize| dump.threads[thread].wait.as_ref().map(|wait| wait.lock);
        let owners = |thread| lock(thread).map(|lock| dump.lock(lock).owners.len());
        assert_eq!((owners(0), owners(1)), (Some(0), Some(1)));
        assert_ne!(lock(0), lock(1));
    }

    #[test]
    fn java_code_that_waits_for_a_notification_is_not_runnable() {
        assert!(waits_in_vm(ThreadState::Runnable, "in Object.wait()"));
        assert!(!waits_in_vm(ThreadState::Waiting, "in Object.wait()"));
        assert!(!waits_in_vm(ThreadState::Runnable, "runnable"));
    }
}
