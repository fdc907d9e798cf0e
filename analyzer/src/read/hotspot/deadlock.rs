//! The JVM's own search for deadlocks, printed after the threads (by `jhsdb` before them). It may be all that was kept
//! of a dump, or carried to a ticket: then its threads are those that it lists.
//!
//! ```text
//! Found one Java-level deadlock:
//! =============================
//! "auditor-7":
//!   waiting to lock monitor 0x00007f42ec002598 (object 0x0000000742762398, a bank.kestrel.TransferDesk$Account),
//!   which is held by "teller-east"
//! "teller-east":
//!   waiting for ownable synchronizer 0x000000069ec1a368, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),
//!   which is held by "teller-west"
//! ...
//! Java stack information for the threads listed above:
//! ===================================================
//! ...
//! Found 1 deadlock.
//! ```

use std::collections::{HashMap, HashSet};

use sigquit_dump::{
    Dump, Hold, LockId, LockKind, Notice, NoticeKind, Owner, OwnerSource, Thread, ThreadState,
    Wait, WaitFor,
};

use super::locks::Locks;
use super::mark::{Object, address};

/// Whether a line begins such a section.
pub(super) fn begins(body: &str) -> bool {
    body.starts_with("Found one Java-level deadlock")
}

/// One deadlock as printed.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub line: u64,
    entries: Vec<Entry>,
    name: Option<String>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    wait: String,
    owner: Option<String>,
}

impl Section {
    pub fn new(line: u64) -> Section {
        Section { line, ..Section::default() }
    }

    /// Takes one line. False when it is none of this section.
    pub fn line(&mut self, text: &str) -> bool {
        let body = text.trim();
        if let Some(name) = self.name.take() {
            self.name_goes_on(name, text);
            return true;
        }
        if body.is_empty() || body.bytes().all(|byte| byte == b'=') {
            return true;
        }
        if let Some(owner) = owner(body) {
            if let Some(entry) = self.entries.last_mut() {
                entry.owner = entry.owner.take().or(owner.map(str::to_owned));
            }
            return true;
        }
        if body.starts_with("waiting ") {
            self.waits(body);
            return true;
        }
        if let Some(name) = text.strip_prefix('"') {
            self.name_goes_on(String::new(), name);
            return true;
        }
        body.starts_with("in JNI")
    }

    /// `teller-east":` ends a name; anything else is one line of a name of several.
    fn name_goes_on(&mut self, mut name: String, text: &str) {
        const LONGEST: usize = 1 << 16;
        match text.trim_end().strip_suffix("\":") {
            Some(end) => {
                name.push_str(end);
                self.entries.push(Entry { name, wait: String::new(), owner: None });
            }
            None if name.len() < LONGEST => {
                name.push_str(text);
                name.push('\n');
                self.name = Some(name);
            }
            None => {}
        }
    }

    fn waits(&mut self, body: &str) {
        if let Some(entry) = self.entries.last_mut() {
            entry.wait = body.trim_end_matches(',').to_owned();
        }
    }

    /// Adds those of whom no stack is printed: where nothing else shows them, at least their names and waits.
    pub fn add_threads(&self, dump: &mut Dump, locks: &mut Locks) {
        let known: HashSet<String> = dump.threads.iter().map(|one| one.name.clone()).collect();
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.name)) {
            let lock = object(&entry.wait).map(|object| locks.find(dump, object, kind(entry)));
            dump.threads.push(Thread {
                name: entry.name.clone(),
                state: ThreadState::Blocked,
                wait: lock.map(|lock| Wait { lock, wait_for: WaitFor::Exclusive }),
                line: Some(self.line),
                ..Thread::default()
            });
        }
    }

    /// Finds the threads, records the owners that only this section knows, and makes the notice.
    pub fn resolve(&self, dump: &mut Dump, locks: &mut Locks, names: &Names) {
        if self.entries.is_empty() {
            return;
        }
        let waits = |entry: &Entry| Some(locks.find(dump, object(&entry.wait)?, kind(entry)));
        let waits: Vec<Option<LockId>> = self.entries.iter().map(waits).collect();
        let entries = self.entries.iter().zip(&waits);
        let threads: Vec<Option<u32>> =
            entries.map(|(entry, &lock)| names.find(&entry.name, lock)).collect();
        let by_name: HashMap<&str, Option<u32>> =
            self.entries.iter().map(|entry| &entry.name[..]).zip(threads.iter().copied()).collect();
        for (place, entry) in self.entries.iter().enumerate() {
            let next =
                self.entries.get(place + 1).filter(|next| entry.owner.as_ref() == Some(&next.name));
            let owner = match next {
                Some(_) => threads.get(place + 1).copied().flatten(),
                None => {
                    let name = entry.owner.as_deref();
                    name.and_then(|name| by_name.get(name).copied().flatten())
                }
            };
            if let (Some(lock), Some(owner)) = (waits[place], owner) {
                record(dump, lock, owner);
            }
        }
        dump.notices.push(self.notice(&threads));
    }

    fn notice(&self, threads: &[Option<u32>]) -> Notice {
        let begin = self.cycle_begins();
        let message: Vec<String> = self.entries.iter().skip(begin).map(sentence).collect();
        Notice {
            kind: NoticeKind::Deadlock,
            message: message.join("\n"),
            threads: threads.iter().skip(begin).copied().flatten().collect(),
            line: Some(self.line),
            ..Notice::default()
        }
    }

    /// The list may begin with threads that only wait for one in the circle: the last entry's
    /// owner tells where it begins.
    fn cycle_begins(&self) -> usize {
        let closes = self.entries.last().and_then(|last| last.owner.as_deref());
        let begin = self.entries.iter().position(|entry| Some(entry.name.as_str()) == closes);
        begin.unwrap_or(0)
    }
}

/// The threads of a dump by name. Names repeat: what a thread waits for tells them apart.
#[derive(Debug, Default)]
pub(super) struct Names {
    first: HashMap<String, u32>,
    waiting: HashMap<(String, LockId), u32>,
}

impl Names {
    pub fn of(dump: &Dump) -> Names {
        let mut names = Names::default();
        for (index, thread) in (0..).zip(&dump.threads) {
            names.first.entry(thread.name.clone()).or_insert(index);
            if let Some(wait) = &thread.wait {
                names.waiting.entry((thread.name.clone(), wait.lock)).or_insert(index);
            }
        }
        names
    }

    fn find(&self, name: &str, waits_for: Option<LockId>) -> Option<u32> {
        let waiting = waits_for.and_then(|lock| self.waiting.get(&(name.to_owned(), lock)));
        waiting.or_else(|| self.first.get(name)).copied()
    }
}

/// `which is held by "teller-west"`; `which is held by UNKNOWN_owner_addr=0x0`
fn owner(body: &str) -> Option<Option<&str>> {
    let (_, owner) = body.split_once("which is held by ")?;
    Some(owner.strip_prefix('"').and_then(|name| name.strip_suffix('"')))
}

/// `waiting to lock monitor 0x00007f42ec002598 (object 0x0000000742762398, a bank.Account),`
/// `waiting to lock Monitor@0x00007f42ec002598 (Object@0x0000000742762398, a bank/Account),`
/// `waiting for ownable synchronizer 0x000000069ec1a368, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),`
fn object(body: &str) -> Option<Object<'_>> {
    let (_, class) = body.rsplit_once("a ")?;
    let class = class.split([')', ',']).next()?;
    let place = body.find("bject 0x").or_else(|| body.find("bject@0x"));
    let place = place.or_else(|| body.find("ynchronizer 0x"))?;
    let hex = body[place..].split_once("0x")?.1;
    let end = hex.find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(hex.len());
    Some(Object { address: address(&hex[..end])?, class })
}

fn kind(entry: &Entry) -> LockKind {
    match entry.wait.contains("synchronizer") {
        true => LockKind::Synchronizer,
        false => LockKind::Monitor,
    }
}

/// Enters an owner that nothing else tells: without `-l`, nothing else tells who owns a
/// synchronizer.
fn record(dump: &mut Dump, id: LockId, thread: u32) {
    let source = OwnerSource::Runtime;
    let (Some(lock), Some(owner)) =
        (dump.locks.get_mut(id.0 as usize), dump.threads.get_mut(thread as usize))
    else {
        return;
    };
    if lock.owners.is_empty() {
        lock.owners.push(Owner { thread, source });
        owner.holds.push(Hold::new(id, None, source));
    }
}

fn sentence(entry: &Entry) -> String {
    let owner = entry.owner.as_deref().unwrap_or("an unknown thread");
    format!("\"{}\" {}, which is held by \"{owner}\"", entry.name, entry.wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        let mut section = Section::new(1);
        for line in text.lines() {
            assert!(section.line(line), "{line}");
        }
        section
    }

    fn dump(names: &[&str]) -> Dump {
        let thread = |&name: &&str| Thread { name: name.to_owned(), ..Thread::default() };
        Dump { threads: names.iter().map(thread).collect(), ..Dump::default() }
    }

    const BYSTANDER: &str = "=====
\"b\":
  waiting to lock monitor 0x00007f42ec002598 (object 0x10, a bank.Account),
  which is held by \"e\"
\"e\":
  waiting to lock monitor 0x00007f430c0066e8 (object 0x20, a bank.Account),
  which is held by \"w\"

\"w\":
  waiting for ownable synchronizer 0x30, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),
  which is held by \"e\"
";

    #[test]
    fn the_lead_in_is_no_part_of_the_cycle() {
        let (mut dump, mut locks) = (dump(&["w", "e", "b"]), Locks::default());
        let names = Names::of(&dump);
        section(BYSTANDER).resolve(&mut dump, &mut locks, &names);
        assert_eq!(dump.notices[0].threads, [1, 0]);
        let owned: Vec<_> = dump.locks.iter().map(|lock| lock.owners[0].thread).collect();
        assert_eq!(owned, [1, 0, 1]);
        assert_eq!(dump.locks[2].kind, LockKind::Synchronizer);
        assert_eq!(dump.threads[0].holds.len(), 1);
    }

    #[test]
    fn names_that_repeat_are_told_by_what_they_wait_for() {
        let (mut dump, mut locks) = (dump(&["e", "e", "w"]), Locks::default());
        let waited = Object { address: 0x20, class: "bank.Account" };
        let lock = locks.find(&mut dump, waited, LockKind::Monitor);
        dump.threads[1].wait = Some(Wait { lock, wait_for: WaitFor::Exclusive });
        let names = Names::of(&dump);
        section(BYSTANDER).resolve(&mut dump, &mut locks, &names);
        assert_eq!(dump.notices[0].threads, [1, 2]);
    }

    #[test]
    fn unknown_owners_and_debugger_words() {
        assert_eq!(owner("which is held by UNKNOWN_owner_addr=0x0"), Some(None));
        assert_eq!(owner("in JNI, which is held by \"a\"b\""), Some(Some("a\"b")));
        let object = object("waiting to lock Monitor@0x1 (Object@0x20, a java/lang/Object),");
        assert_eq!(object, Some(Object { address: 0x20, class: "java/lang/Object" }));
    }

    #[test]
    fn a_name_of_two_lines() {
        let section = section("\"new\nline\":\n  which is held by \"x\"");
        assert_eq!(section.entries[0].name, "new\nline");
    }
}
