//! Thread dumps of JRockit.
//!
//! ```text
//! ===== FULL THREAD DUMP ===============
//! Fri Feb 12 13:59:23 2021
//! Oracle JRockit(R) R28.3.2-14-160877-1.6.0_37-20131211-2121-linux-x86_64
//!
//! "Worker 1" id=17 idx=0x50 tid=3712 prio=5 alive, blocked, native_blocked, daemon
//!     -- Blocked trying to get lock: shop/Ledger@0xa8b0c4d8[fat lock]
//!     at jrockit/vm/Locks.monitorEnter(Locks.java:2170)[optimized]
//!     at shop/Ledger.post(Ledger.java:35)
//!     ^-- Holding lock: java/lang/Object@0xa8b0c4e0[thin lock]
//!     -- end of trace
//! ===== END OF THREAD DUMP ===============
//! ```

use sigquit_dump::{Dump, Nanos, Thread, ThreadState, Warning};

use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::hotspot::title;
use super::jvm::{Building, Does, Named, Row};
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "jrockit",
    looks_like: "a line `===== FULL THREAD DUMP ===============` of JRockit",
    recognize,
    read: Read::Whole(read),
};

const BEGINS: &str = "===== FULL THREAD DUMP ====";
const ENDS: &str = "===== END OF THREAD DUMP ====";

fn recognize(text: &Text) -> Recognition {
    let is_thread = |line: Line| header(line.text).is_some();
    match text.lines().any(is_thread) {
        true if text.as_str().contains(BEGINS) => Recognition::Yes,
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader {
    dumps: Dumps<Building>,
    /// Threads are read, and not the lists of lock chains behind them.
    in_threads: bool,
    has_dumps: bool,
}

impl<'t> ByLine<'t> for Reader {
    type Building = Building;

    fn dumps(&mut self) -> &mut Dumps<Building> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let body = line.text.trim();
        if body.starts_with(BEGINS) {
            self.end_dump();
            self.in_threads = true;
        } else if body.starts_with(ENDS) {
            self.end_whole();
        } else if body.ends_with("lock chains") {
            self.in_threads = false;
        } else if let Some(row) = header(body).filter(|_| self.in_threads || !self.has_dumps) {
            let thread = Thread { line: Some(line.number), ..row.thread };
            self.dumps.open(Row { thread, ..row });
            self.in_threads = true;
        } else if !self.in_threads {
            // The lock chains, or somebody's log.
        } else if let Some(row) = &mut self.dumps.open {
            let is_known = match body.strip_prefix("at ") {
                Some(text) => call(text).map(|call| row.frames.push(call)).is_some(),
                None => lock(row, body),
            };
            if !(is_known || body.is_empty() || body == "-- end of trace" || is_log_line(body)) {
                self.dumps.not_understood.note(line.number);
            }
        } else if let Some(time) = time(body) {
            self.dumps.building.time = Some(time);
        } else if body.contains("JRockit(R)") {
            self.dumps.building.process.runtime_version = Some(body.to_owned());
        }
    }

    /// Ends a dump of which the JVM did not say that it ends. What comes before the lock chains is whole.
    fn end_dump(&mut self) {
        let is_whole = !self.in_threads;
        let Some(dump) = self.end_whole().filter(|_| !is_whole) else { return };
        dump.truncated = true;
        let line = dump.threads.last().and_then(|thread| thread.line).unwrap_or_default();
        let threads = dump.threads.len();
        let message = format!("the dump has no end: {threads} threads, a lower bound");
        self.dumps.warnings.push(Warning { line, message });
    }
}

impl Reader {
    fn end_whole(&mut self) -> Option<&mut Dump> {
        self.in_threads = false;
        let dump = self.dumps.end();
        self.has_dumps |= dump.is_some();
        dump
    }
}

/// `"Worker 1" id=17 idx=0x50 tid=3712 prio=5 alive, blocked, native_blocked, daemon`; threads that are
/// none of Java's have `id=?`.
fn header(text: &str) -> Option<Row> {
    let (name, rest) = text.strip_prefix('"')?.rsplit_once("\" ")?;
    let (ids, doing) = rest.strip_prefix("id=")?.split_once(" prio=")?;
    let mut ids = ids.split(' ');
    let number = match ids.next()? {
        "?" => None,
        digits => Some(digits.parse().ok()?),
    };
    ids.next()?.strip_prefix("idx=")?;
    let os_id = ids.next()?.strip_prefix("tid=")?.parse().ok();
    let (_, doing) = doing.split_once(' ')?;
    let thread = Thread {
        name: name.to_owned(),
        number,
        os_id,
        daemon: doing.ends_with("daemon"),
        runtime_helper: name.starts_with('(') && name.ends_with(')'),
        ..Thread::default()
    };
    let mut row = Row { thread, ..Row::default() };
    row.state(state(doing), doing.strip_suffix(", daemon").unwrap_or(doing));
    Some(row)
}

fn state(doing: &str) -> ThreadState {
    let mut words = doing.split(", ");
    let is_alive = words.next() == Some("alive");
    match words.find(|word| !matches!(*word, "suspended" | "interrupted" | "daemon")) {
        _ if !is_alive => ThreadState::Unknown,
        Some("blocked") => ThreadState::Blocked,
        Some("waiting" | "parked") => ThreadState::Waiting,
        Some("sleeping") => ThreadState::TimedWaiting,
        _ => ThreadState::Runnable,
    }
}

/// Whether a line tells of a lock. What a thread waits for stands above its frames.
///
/// ```text
/// -- Blocked trying to get lock: shop/Ledger@0xa8b0c4d8[fat lock]
/// -- Waiting for notification on: shop/Ledger@0xa8b0c4d8[fat lock]
/// -- Parking to wait for: java/util/concurrent/locks/ReentrantLock$NonfairSync@0xa8b0c4d8
/// ^-- Lock released while waiting: shop/Ledger@0xa8b0c4d8[fat lock]
/// ^-- Holding lock: java/lang/Object@0xa8b0c4e0[thin lock]
/// ```
fn lock(row: &mut Row, body: &str) -> bool {
    let Some((verb, object)) = body.split_once(": ") else { return false };
    let Some(object) = Named::at(object) else { return false };
    match verb {
        "-- Blocked trying to get lock" => row.mark(Does::WaitToLock, object),
        "-- Waiting for notification on" => row.mark(Does::WaitOn, object),
        "-- Parking to wait for" => row.mark(Does::Park, object),
        "^-- Holding lock" => row.mark(Does::Lock, object),
        "^-- Lock released while waiting" => {}
        _ => return false,
    }
    true
}

/// `shop/Ledger.post(ILjava/lang/Object;)V(Ledger.java:35)[inlined]` -> `shop.Ledger.post(Ledger.java:35)`
fn call(text: &str) -> Option<String> {
    let function = text.split('(').next()?.replace('/', ".");
    let end = text.rfind(')')?;
    let begin = text[..end].rfind('(')?;
    let place = &text[begin + 1..end];
    (!function.is_empty()).then(|| format!("{function}({place})"))
}

/// `Fri Feb 12 13:59:23 2021`
fn time(text: &str) -> Option<Nanos> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_whitespace().skip(1);
    let (month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? / 3 + 1;
    let day: u64 = day.parse().ok()?;
    title::time(&format!("{year}-{month:02}-{day:02} {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "
===== FULL THREAD DUMP ===============
Fri Feb 12 13:59:23 2021
Oracle JRockit(R) R28.3.2-14-160877-1.6.0_37-20131211-2121-linux-x86_64

\"Worker 1\" id=17 idx=0x50 tid=3712 prio=5 alive, blocked, native_blocked, daemon
    -- Blocked trying to get lock: shop/Ledger@0xa8b0c4d8[fat lock]
    at jrockit/vm/Locks.monitorEnter(Locks.java:2170)[optimized]
    at shop/Ledger.post(ILjava/lang/Object;)V(Ledger.java:35)
    ^-- Holding lock: java/lang/Object@0xa8b0c4e0[thin lock]
    -- end of trace

\"Worker 2\" id=18 idx=0x54 tid=3713 prio=5 alive, in native
    at java/net/SocketInputStream.socketRead0(Native Method)
    at shop/Ledger.read(Ledger.java:9)
    ^-- Holding lock: shop/Ledger@0xa8b0c4d8[fat lock]
    -- end of trace

\"(GC Worker Thread 1)\" id=? idx=0x10 tid=4128 prio=5 alive, in native, daemon

Blocked lock chains
===================
Chain 1:
\"Worker 1\" id=17 idx=0x50 tid=3712 waiting for shop/Ledger@0xa8b0c4d8 held by:
\"Worker 2\" id=18 idx=0x54 tid=3713 in chain 1

===== END OF THREAD DUMP ===============
";

    fn read_text(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn threads_and_their_locks() {
        let (dumps, warnings) = read_text(DUMP);
        assert_eq!((dumps.len(), &warnings[..]), (1, &[][..]));
        let dump = &dumps[0];
        assert_eq!((dump.threads.len(), dump.threads[2].number), (3, None));
        let wait = dump.threads[0].wait.as_ref().expect("a wait");
        assert_eq!(dump.lock(wait.lock).owners[0].thread, 1);
        assert_eq!(dump.threads[0].holds.len(), 1);
        assert!(dump.threads[2].runtime_helper && dump.time == title::time("2021-02-12 13:59:23"));
        let post = dump.calls(&dump.threads[0]).nth(1).expect("a call").2;
        assert_eq!(post.function, "shop.Ledger.post");
        assert_eq!(post.location.as_ref().and_then(|at| at.line), Some(35));
    }

    #[test]
    fn a_cut_and_several_dumps() {
        let cut = &DUMP[..DUMP.find("^-- Holding lock: shop").expect("it is there")];
        let (dumps, warnings) = read_text(&format!("{DUMP}{cut}"));
        assert_eq!((dumps.len(), dumps[1].threads.len()), (2, 2));
        assert!(dumps[1].truncated && !dumps[0].truncated && !warnings.is_empty());
    }
}
