//! The javacore of OpenJ9 and of IBM's JVMs, which `kill -3` writes: its sections THREADS and LOCKS, and
//! what TITLE, GPINFO and ENVINFO say of the process.
//!
//! ```text
//! 1TIDATETIME    Date: 2026/02/10 at 09:30:11:224 (UTC)
//! 3XMTHREADINFO      "Worker 1" J9VMThread:0x92A3EC00, omrthread_t:0x92A3C2B0, java/lang/Thread:0xB5666778, state:B, prio=5
//! 3XMJAVALTHREAD            (java/lang/Thread getId:0x13, isDaemon:false)
//! 3XMTHREADINFO1            (native thread ID:0x52CF, native priority:0x5, native policy:UNKNOWN, vmstate:B, ...)
//! 3XMCPUTIME               CPU usage total: 0.004365543 secs, current category="Application"
//! 3XMTHREADBLOCK     Blocked on: java/lang/Object@0xB5666688 Owned by: "Worker 2" (J9VMThread:0x94501D00, ...)
//! 4XESTACKTRACE                at shop/Ledger.post(Ledger.java:35(Compiled Code))
//! 5XESTACKTRACE                   (entered lock: java/lang/Object@0xB5666678, entry count: 1)
//! ```
//!
//! Each line begins with the tag of what it says.

mod field;
mod notice;

use std::collections::HashMap;

use sigquit_dump::{Dump, Heap, Nanos, Process, Thread, Warning};

use self::field::{
    call, cpu, first_number, hex_after, in_brackets, largest_heap, state, time, wanted,
};
use self::notice::Told;
use super::foreign::NotUnderstood;
use super::jvm::{self, Does, Named, Row};
use super::{Format, Line, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "openj9",
    looks_like: "a line `3XMTHREADINFO \"main\" J9VMThread:0x...` of a javacore",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let is_thread = |line: Line| tagged(line.text).is_some_and(|(tag, _)| tag == "3XMTHREADINFO");
    let is_section = |line: Line| line.text.starts_with("0SECTION ");
    match text.lines().any(is_thread) {
        true => Recognition::Yes,
        false if text.lines().any(is_section) => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let mut reader = Reader::default();
    let (mut dumps, mut warnings) = (Vec::new(), Vec::new());
    let mut threads = 0;
    for line in text.lines() {
        let Some((tag, said)) = tagged(line.text) else {
            reader.foreign(line);
            continue;
        };
        if tag == "1TISIGINFO" && !reader.rows.is_empty() {
            dumps.extend(std::mem::take(&mut reader).finish(&mut warnings));
        }
        if tag == "3XMTHREADINFO" && !said.is_empty() {
            threads += 1;
            if threads > text.limits().threads {
                warnings.push(too_many_threads(line.number, text.limits().threads));
                break;
            }
        }
        reader.line(line.number, tag, said);
    }
    dumps.extend(reader.finish(&mut warnings));
    (dumps, warnings)
}

/// `3XMCPUTIME               CPU usage total: 0.004365543 secs` -> tag and what it says. A tag is a
/// digit and capitals.
fn tagged(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (tag, said) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let is_tag = tag.len() > 3
        && tag.starts_with(|first: char| first.is_ascii_digit())
        && tag.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && tag.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_tag || tag == "NULL").then_some((tag, said.trim()))
}

#[derive(Default)]
struct Reader {
    process: Process,
    time: Option<Nanos>,
    heap: Heap,
    rows: Vec<Row>,
    /// The place of the thread that is being read, unless it was read before.
    open: Option<usize>,
    /// Threads by the addresses of their structures, by which others refer to them.
    by_address: HashMap<u64, usize>,
    /// Whom threads wait for.
    waits_for: Vec<(usize, u64)>,
    told: Told,
    current: Option<usize>,
    in_current: bool,
    has_ended: bool,
    not_understood: NotUnderstood,
}

impl Reader {
    fn line(&mut self, number: u64, tag: &str, said: &str) {
        match tag {
            "1TISIGINFO" => self.told.event(number, said),
            "1TIDATETIME" => self.time = time(said),
            "1CIJAVAVERSION" => self.process.runtime_version = Some(said.to_owned()),
            "1CIPROCESSID" => self.process.pid = first_number(said, "Process ID: "),
            "2CIUSERARG" => self.heap.limit = largest_heap(said).unwrap_or(self.heap.limit),
            "1STHEAPINUSE" => self.heap.used = first_number(said, ":").unwrap_or_default(),
            "1LKDEADLOCK" => self.told.deadlock(number),
            "2LKDEADLOCKTHR" => self.told.deadlocked(in_brackets(said)),
            "1XMCURTHDINFO" => self.in_current = true,
            "1XMTHDINFO" => self.in_current = false,
            "3XMTHREADINFO" if !said.is_empty() => self.thread(number, said),
            "1XMTHDSUMMARY" => {
                self.open = None;
                self.has_ended = true;
            }
            _ => self.of_thread(tag, said),
        }
    }

    fn thread(&mut self, line: u64, said: &str) {
        let (name, rest) = match said.strip_prefix('"').and_then(|rest| rest.rsplit_once("\" ")) {
            Some((name, rest)) => (name, rest),
            None => ("", said),
        };
        let address = ["J9VMThread:", "TID:"].iter().find_map(|field| hex_after(rest, field));
        if let Some(&known) = address.as_ref().and_then(|address| self.by_address.get(address)) {
            // The thread that was current is told of twice.
            self.open = None;
            self.current = self.current.or(Some(known));
            return;
        }
        let word = rest.split_once("state:").map_or("", |(_, rest)| rest);
        let word = word.split([',', ' ', ')']).next().unwrap_or_default();
        let thread = Thread {
            name: if name.is_empty() { "native".into() } else { name.into() },
            os_id: hex_after(rest, "native ID:"),
            // Without a Java thread it is the JVM's own.
            runtime_helper: address.is_none(),
            line: Some(line),
            ..Thread::default()
        };
        let mut row = Row { thread, ..Row::default() };
        row.state(state(word), word);
        let place = self.rows.len();
        self.by_address.extend(address.map(|address| (address, place)));
        if self.in_current {
            self.current = Some(place);
        }
        self.rows.push(row);
        self.open = Some(place);
    }

    /// Lines that tell of the thread that is being read.
    fn of_thread(&mut self, tag: &str, said: &str) {
        let Some(place) = self.open else { return };
        let row = &mut self.rows[place];
        match tag {
            "3XMJAVALTHREAD" => {
                row.thread.number = hex_after(said, "getId:");
                row.thread.daemon = said.contains("isDaemon:true");
            }
            "3XMTHREADINFO1" => {
                row.thread.os_id = hex_after(said, "native thread ID:").or(row.thread.os_id);
            }
            "3XMCPUTIME" => {
                row.thread.cpu = cpu(said);
                row.thread.runtime_helper |=
                    said.contains("category=\"") && !said.contains("category=\"Application");
            }
            "3XMTHREADBLOCK" => {
                let Some((does, object)) = wanted(said) else { return };
                row.marks.push((0, does, object));
                let owner =
                    said.rsplit_once("Owned by: ").and_then(|(_, owner)| in_brackets(owner));
                self.waits_for.extend(owner.map(|owner| (place, owner)));
            }
            "4XESTACKTRACE" => row.frames.extend(call(said)),
            "5XESTACKTRACE" => {
                let object = said.strip_prefix("(entered lock: ").and_then(Named::at);
                if let Some(object) = object {
                    row.mark(Does::Lock, object);
                }
            }
            _ => {}
        }
    }

    fn foreign(&mut self, line: Line) {
        let text = line.text.trim();
        if self.open.is_some() && !text.is_empty() && !super::foreign::is_log_line(text) {
            self.not_understood.note(line.number);
        }
    }

    fn finish(mut self, warnings: &mut Vec<Warning>) -> Option<Dump> {
        for (place, address) in std::mem::take(&mut self.waits_for) {
            let owner = self.by_address.get(&address).copied();
            self.rows[place].owner = owner.and_then(|owner| self.rows[owner].thread.number);
        }
        if self.heap.limit > 0 && self.heap.used > 0 {
            self.process.heap = Some(self.heap);
        }
        let mut dump = jvm::dump(self.process.clone(), &self.rows);
        if dump.threads.is_empty() {
            return None;
        }
        dump.time = self.time;
        dump.notices = self.told.notices(&self.by_address, self.current);
        warnings.extend(self.not_understood.warning());
        if !self.has_ended {
            dump.truncated = true;
            let message = format!(
                "the section THREADS does not end: {} threads, a lower bound",
                dump.threads.len()
            );
            let last = self.rows.last().and_then(|row| row.thread.line).unwrap_or_default();
            warnings.push(Warning { line: last, message });
        }
        Some(dump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::{ThreadState, WaitFor};

    const DUMP: &str = r#"0SECTION       TITLE subcomponent dump routine
1TISIGINFO     Dump Event "user" (00004000) received
1TIDATETIME    Date: 2026/02/10 at 09:30:11:224 (UTC)
1CIPROCESSID   Process ID: 29190 (0x7206)
1LKDEADLOCK    Deadlock detected !!!
2LKDEADLOCKTHR  Thread "clerk" (0xE0)
3LKDEADLOCKWTR    is waiting for:
2LKDEADLOCKTHR  Thread "east" (0xEA)
2LKDEADLOCKTHR  Thread "west" (0xEB)
2LKDEADLOCKTHR  Thread "east" (0xEA)
1XMTHDINFO     Thread Details
3XMTHREADINFO      "east" J9VMThread:0xEA, omrthread_t:0x1, java/lang/Thread:0x2, state:B, prio=5
3XMJAVALTHREAD            (java/lang/Thread getId:0x13, isDaemon:true)
3XMTHREADINFO1            (native thread ID:0x52CF, native priority:0x5, native policy:UNKNOWN, vmstate:B, vm thread flags:0x00000201)
3XMCPUTIME               CPU usage total: 1.5 secs, current category="Application"
3XMTHREADBLOCK     Blocked on: java/lang/Object@0xB2 Owned by: "west" (J9VMThread:0xEB, java/lang/Thread:0x3)
3XMTHREADINFO3           Java callstack:
4XESTACKTRACE                at shop/Ledger.post(Ledger.java:35(Compiled Code))
5XESTACKTRACE                   (entered lock: java/lang/Object@0xB1, entry count: 1)
NULL
3XMTHREADINFO      "west" J9VMThread:0xEB, omrthread_t:0x1, java/lang/Thread:0x3, state:P, prio=5
3XMJAVALTHREAD            (java/lang/Thread getId:0x14, isDaemon:false)
3XMTHREADBLOCK     Parked on: java/util/concurrent/locks/ReentrantLock$NonfairSync@0xB1 Owned by: "east" (J9VMThread:0xEA, java/lang/Thread:0x2)
4XESTACKTRACE                at jdk/internal/misc/Unsafe.park(Native Method)
3XMTHREADINFO      "clerk" J9VMThread:0xE0, omrthread_t:0x1, java/lang/Thread:0x4, state:R, prio=5
3XMTHREADINFO      Anonymous native thread
3XMTHREADINFO1            (native thread ID:0x52D0, native priority: 0x0, native policy:UNKNOWN)
1XMTHDSUMMARY  Threads CPU Usage Summary
"#;

    fn read_text(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn threads_and_their_locks() {
        let (dumps, warnings) = read_text(DUMP);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        let east = &dump.threads[0];
        assert_eq!((east.os_id, east.number, east.daemon), (Some(0x52CF), Some(0x13), true));
        assert_eq!((east.cpu, east.state), (Some(Nanos(1_500_000_000)), ThreadState::Blocked));
        for (waiter, owner) in [(0, 1), (1, 0)] {
            let wait = dump.threads[waiter].wait.as_ref().expect("a wait");
            assert_eq!(wait.wait_for, WaitFor::Exclusive);
            assert_eq!(dump.lock(wait.lock).owners[0].thread, owner);
        }
        let leaf = &dump.frames[0].symbols[0];
        assert_eq!(leaf.function, "shop.Ledger.post");
        assert!(dump.threads[3].runtime_helper);
        assert_eq!(dump.process.pid, Some(29190));
    }

    #[test]
    fn a_deadlock_without_those_who_wait_for_it() {
        let (dumps, _) = read_text(DUMP);
        assert_eq!(dumps[0].notices[0].threads, [0, 1]);
    }

    #[test]
    fn a_cut_leaves_the_threads_before_it() {
        let cut = &DUMP[..DUMP.find("\"clerk\" J9").expect("it is there")];
        let (dumps, warnings) = read_text(cut);
        assert_eq!((dumps[0].threads.len(), dumps[0].truncated, warnings.len()), (2, true, 1));
    }

    #[test]
    fn several_in_one_file() {
        assert_eq!(read_text(&DUMP.repeat(2)).0.len(), 2);
    }
}
