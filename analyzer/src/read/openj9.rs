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

use std::collections::HashMap;

use sigquit_dump::{Dump, Heap, Nanos, Notice, NoticeKind, Process, Thread, ThreadState, Warning};

use super::foreign::NotUnderstood;
use super::hotspot::title;
use super::jvm::{self, Does, Named, Row, number};
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
    /// Chains of deadlocks, by the same addresses, and where they begin.
    chains: Vec<(u64, Vec<u64>)>,
    /// What made the JVM write.
    event: Option<(u64, String)>,
    current: Option<usize>,
    in_current: bool,
    has_ended: bool,
    not_understood: NotUnderstood,
}

impl Reader {
    fn line(&mut self, number: u64, tag: &str, said: &str) {
        match tag {
            "1TISIGINFO" => self.event = Some((number, said.to_owned())),
            "1TIDATETIME" => self.time = time(said),
            "1CIJAVAVERSION" => self.process.runtime_version = Some(said.to_owned()),
            "1CIPROCESSID" => self.process.pid = first_number(said, "Process ID: "),
            "2CIUSERARG" => self.heap.limit = largest_heap(said).unwrap_or(self.heap.limit),
            "1STHEAPINUSE" => self.heap.used = first_number(said, ":").unwrap_or_default(),
            "1LKDEADLOCK" => self.chains.push((number, Vec::new())),
            "2LKDEADLOCKTHR" => {
                if let (Some((_, chain)), Some(address)) =
                    (self.chains.last_mut(), in_brackets(said))
                {
                    chain.push(address);
                }
            }
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
        dump.notices = self.notices();
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

    fn notices(&self) -> Vec<Notice> {
        let circles = self.chains.iter().filter_map(|(line, chain)| {
            let threads: Option<Vec<u32>> =
                chain.iter().map(|address| Some(*self.by_address.get(address)? as u32)).collect();
            let threads = circle(&threads?)?.to_vec();
            let message = "Deadlock detected".to_owned();
            let line = Some(*line);
            Some(Notice { kind: NoticeKind::Deadlock, message, threads, line, ..Notice::default() })
        });
        let fatal = self.event.as_ref().and_then(|(line, event)| {
            let message = ended_by(event)?;
            let threads = self.current.map(|current| current as u32).into_iter().collect();
            let kind = NoticeKind::Fatal;
            Some(Notice { kind, message, threads, line: Some(*line), ..Notice::default() })
        });
        circles.chain(fatal).collect()
    }
}

/// A chain that ends with a thread which it holds already is a circle from there on.
fn circle(chain: &[u32]) -> Option<&[u32]> {
    let (last, before) = chain.split_last()?;
    let from = before.iter().position(|thread| thread == last)?;
    Some(&before[from..])
}

/// What ended the JVM, when that is why it wrote.
///
/// ```text
/// Dump Event "user" (00004000) received
/// Dump Event "gpf" (00002000) received
/// Dump Event "systhrow" (00040000) Detail "java/lang/OutOfMemoryError" "Java heap space" received
/// ```
fn ended_by(event: &str) -> Option<String> {
    let mut quoted = event.split('"').skip(1).step_by(2);
    match (quoted.next()?, quoted.next()) {
        ("gpf", _) => Some("general protection fault".into()),
        ("abort", _) => Some("abort".into()),
        ("systhrow", Some(error)) if error.ends_with("OutOfMemoryError") => {
            let detail = quoted.next().map_or(String::new(), |detail| format!(": {detail}"));
            Some(format!("{}{detail}", error.replace('/', ".")))
        }
        _ => None,
    }
}

/// `Blocked on: java/lang/Object@0xB5666688 Owned by: ...`
fn wanted(said: &str) -> Option<(Does, Named)> {
    let (verb, object) = said.split_once(" on: ")?;
    let does = match verb {
        "Blocked" => Does::WaitToLock,
        "Waiting" => Does::WaitOn,
        "Parked" => Does::Park,
        _ => return None,
    };
    let object = object.split(" Owned by:").next().unwrap_or(object);
    Some((does, Named::at(object)?))
}

/// `at shop/Ledger.post(Ledger.java:35(Compiled Code))` -> `shop.Ledger.post(Ledger.java:35)`
fn call(said: &str) -> Option<String> {
    let (function, place) = said.strip_prefix("at ")?.split_once('(')?;
    let place = place.split(['(', ')']).next().unwrap_or_default();
    Some(format!("{}({place})", function.replace('/', ".")))
}

/// What the letters mean, by the documents of the VM.
fn state(word: &str) -> ThreadState {
    match word {
        "R" => ThreadState::Runnable,
        "B" => ThreadState::Blocked,
        "CW" | "P" => ThreadState::Waiting,
        "CW-T" | "P-T" => ThreadState::TimedWaiting,
        "S" => ThreadState::Stopped,
        "Z" => ThreadState::Ended,
        _ => ThreadState::Unknown,
    }
}

/// `2026/02/10 at 09:30:11:224 (UTC)`
fn time(said: &str) -> Option<Nanos> {
    let (date, time) = said.strip_prefix("Date: ")?.split_once(" at ")?;
    let seconds = time.get(..8)?;
    let whole = title::time(&format!("{} {seconds}", date.trim().replace('/', "-")))?;
    let millis = time.get(9..12).and_then(|millis| millis.parse::<u64>().ok()).unwrap_or_default();
    whole.0.checked_add(millis * 1_000_000).map(Nanos)
}

/// `CPU usage total: 0.004365543 secs, user: ...`
fn cpu(said: &str) -> Option<Nanos> {
    let (_, rest) = said.split_once("total: ")?;
    let seconds: f64 = rest.split(' ').next()?.parse().ok()?;
    (0.0..1e9).contains(&seconds).then_some(Nanos((seconds * 1e9) as u64))
}

/// `-Xmx512m`
fn largest_heap(said: &str) -> Option<u64> {
    let size = said.strip_prefix("-Xmx")?;
    let digits = size.trim_end_matches(|char: char| !char.is_ascii_digit());
    let unit = match size[digits.len()..].to_ascii_lowercase().as_str() {
        "g" => 1 << 30,
        "m" => 1 << 20,
        "k" => 1 << 10,
        _ => 1,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn hex_after(text: &str, field: &str) -> Option<u64> {
    let (_, rest) = text.split_once(field)?;
    number(rest.split([',', ' ', ')']).next()?)
}

fn first_number(text: &str, after: &str) -> Option<u64> {
    let (_, rest) = text.split_once(after)?;
    rest.trim_start().split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// `"Worker 2" (J9VMThread:0x94501D00, java/lang/Thread:0xB56668D0)`, `"Worker 2" (0x94501D00)`
fn in_brackets(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once('(')?;
    number(rest.strip_prefix("J9VMThread:").unwrap_or(rest).split([',', ')']).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::WaitFor;

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
    fn what_made_the_jvm_write() {
        let ended = |event| ended_by(event).unwrap_or_default();
        assert_eq!(ended("Dump Event \"user\" (00004000) received"), "");
        assert_eq!(ended("Dump Event \"gpf\" (00002000) received"), "general protection fault");
        assert_eq!(
            ended(
                "Dump Event \"systhrow\" (00040000) Detail \"java/lang/OutOfMemoryError\" \"Java heap space\" received"
            ),
            "java.lang.OutOfMemoryError: Java heap space"
        );
        assert_eq!(read_text(&DUMP.repeat(2)).0.len(), 2);
    }
}
