//! Dumps that the JVM's own Java code writes. Their objects have no addresses but a class and an
//! identity hash, which tells them apart as well.
//!
//! ```text
//! java.util.concurrent.locks.ReentrantLock$NonfairSync@425a87e4
//! ```

use std::collections::HashMap;

use sigquit_dump::{
    Dump, FrameId, Kind, Lock, LockId, LockKind, Owner, OwnerSource, Process, Runtime, Stack,
    Thread, ThreadState, Truncation, Wait, WaitFor,
};

use super::super::by_line::Build;
use super::super::intern::Interned;
use super::locks::{Locks, Placed, own};
use super::mark::{Mark, Object};
use super::{frame, known, thread};

/// A dump while its threads are read. `'t` is the text of their frames.
#[derive(Debug)]
pub(in crate::read) struct Managed<'t> {
    pub dump: Dump,
    interned: Interned<&'t str>,
    locks: Locks,
    /// Locks whose owner was told where somebody waits for them, and the owner's number.
    told: Vec<(LockId, u64)>,
}

/// A thread that is being read.
#[derive(Debug, Default)]
pub(in crate::read) struct Open<'t> {
    /// All that is said of it beside its stack.
    pub thread: Thread,
    /// `java.base/java.lang.Thread.run(Thread.java:840)`, innermost first.
    pub frames: Vec<&'t str>,
    pub marks: Vec<Placed<'t>>,
    /// The number of the thread that holds what it waits for.
    pub owner: Option<u64>,
    pub truncated: Option<Truncation>,
}

impl Default for Managed<'_> {
    fn default() -> Self {
        let process = Process { runtime: Runtime::Jvm, ..Process::default() };
        Managed {
            dump: Dump { process, ..Dump::default() },
            interned: Interned::default(),
            locks: Locks::default(),
            told: Vec::new(),
        }
    }
}

impl<'t> Open<'t> {
    /// Adds an annotation of the frame that was read last.
    pub fn mark(&mut self, mark: Mark<'t>) {
        self.marks.push((self.frames.len().saturating_sub(1) as u32, mark));
    }

    /// Sets the state by the JVM's word for it.
    pub fn state(&mut self, word: &str) {
        self.thread.state = thread::state(word);
        self.thread.state_text = word.to_owned();
    }

    /// Whether anything but a name was read.
    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }
}

impl<'t> Build for Managed<'t> {
    type Open = Open<'t>;

    fn add(&mut self, open: Open<'t>) {
        let Open { mut thread, frames, marks, owner, truncated } = open;
        let dump = &mut self.dump;
        let mut intern = |text: &'t str| self.interned.frame(dump, text, || frame::read(text));
        let calls: Vec<FrameId> = frames.iter().map(|&text| intern(text)).collect();
        if frames.last().is_some_and(|root| root.contains("java.lang.VirtualThread.run(")) {
            thread.kind = Kind::VirtualThread;
        }
        thread.runtime_helper |= known::is_own_thread(&thread.name);
        (thread.wait, thread.holds) = self.locks.settle(dump, thread.state, &marks, &calls);
        if thread.state == ThreadState::Unknown && thread.wait.is_none() {
            thread.wait = unsaid_wait(dump, &frames);
        }
        if thread.state == ThreadState::Unknown && thread.wait.is_some() {
            thread.state = ThreadState::Waiting;
        }
        own(dump, dump.threads.len() as u32, &thread.holds);
        self.told.extend(thread.wait.as_ref().map(|wait| wait.lock).zip(owner));
        if !calls.is_empty() {
            let stack = Stack { truncated, ..Stack::from(calls) };
            thread.stack = Some(self.interned.stack(dump, stack));
        }
        dump.threads.push(thread);
    }

    fn finish(mut self) -> Dump {
        let threads = (0..).zip(&self.dump.threads);
        let by_number: HashMap<u64, u32> =
            threads.filter_map(|(index, thread)| Some((thread.number?, index))).collect();
        for (lock, number) in self.told {
            let lock = &mut self.dump.locks[lock.0 as usize];
            if let (Some(&thread), true) = (by_number.get(&number), lock.owners.is_empty()) {
                lock.owners.push(Owner { thread, source: OwnerSource::Runtime });
            }
        }
        self.dump
    }
}

/// What a parked thread waits for where the dump says nothing of locks: by the method that it is
/// in. Which lock it is, nobody knows.
fn unsaid_wait(dump: &mut Dump, frames: &[&str]) -> Option<Wait> {
    const PLUMBING: usize = 12;
    frames.first().filter(|leaf| leaf.contains("ark("))?;
    let near = frames.iter().take(PLUMBING);
    let (class, kind, wait_for) = LOCKING.iter().copied().find(|(class, ..)| {
        let method = format!("{class}.lock");
        near.clone().any(|frame| frame.contains(&method))
    })?;
    let type_name = Some(format!("java.util.concurrent.locks.{class}"));
    let lock = dump.add_lock(Lock { kind, type_name, ..Lock::default() });
    Some(Wait { lock, wait_for })
}

/// The locks of `java.util.concurrent.locks`.
const LOCKING: &[(&str, LockKind, WaitFor)] = &[
    ("ReentrantLock", LockKind::Synchronizer, WaitFor::Exclusive),
    ("ReentrantReadWriteLock$WriteLock", LockKind::RwLock, WaitFor::Exclusive),
    ("ReentrantReadWriteLock$ReadLock", LockKind::RwLock, WaitFor::Shared),
];

/// `java.lang.Object@7852e922`; the hash stands for the address.
pub(in crate::read) fn object(text: &str) -> Option<Object<'_>> {
    let (class, hash) = text.rsplit_once('@')?;
    let address = u64::from_str_radix(hash, 16).ok()?;
    Some(Object { address, class })
}

/// `2026-11-22T21:04:00.197545858Z`
pub(in crate::read) fn time(text: &str) -> Option<sigquit_dump::Nanos> {
    let time = humantime::parse_rfc3339(text.trim()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok().map(sigquit_dump::Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_locks_are_not_said_the_method_tells() {
        let mut managed = Managed::default();
        let frames = vec![
            "java.base/java.lang.VirtualThread.park(VirtualThread.java:592)",
            "java.base/java.util.concurrent.locks.ReentrantLock.lock(Unknown Source)",
            "shop.Cart.add(Cart.java:8)",
        ];
        managed.add(Open { frames, ..Open::default() });
        managed.add(Open { frames: vec!["shop.Lock.lock(Lock.java:8)"], ..Open::default() });
        let dump = managed.finish();
        assert_eq!(
            dump.threads[0].wait.as_ref().map(|wait| wait.wait_for),
            Some(WaitFor::Exclusive)
        );
        assert_eq!(dump.threads[1].wait, None);
    }

    #[test]
    fn objects_and_times() {
        let read = object("java.lang.Object@7852e922");
        assert_eq!(read, Some(Object { address: 0x7852e922, class: "java.lang.Object" }));
        assert_eq!(object("java.lang.Object"), None);
        assert!(time("2026-11-22T21:04:00.197545858Z").is_some() && time("now").is_none());
    }
}
