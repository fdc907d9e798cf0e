//! The text of `java.lang.management.ThreadInfo`, which programs print to their own logs:
//! `for (ThreadInfo info : threads.dumpAllThreads(true, true)) log(info)`.
//!
//! ```text
//! "mx-blocked-0" daemon prio=5 Id=13 BLOCKED on java.lang.Object@4617c264 owned by "mx-holder" Id=12
//!     at app//mx.tern.MxDump.rec(MxDump.java:4)
//!     -  blocked on java.lang.Object@4617c264
//!     at app//mx.tern.MxDump.rec(MxDump.java:4)
//!     ...
//!
//!     Number of locked synchronizers = 1
//!     - java.util.concurrent.locks.ReentrantLock$NonfairSync@7a81197d
//! ```
//!
//! It prints eight frames of a stack, and three dots for the rest.

use std::collections::HashSet;

use sigquit_dump::{Dump, Thread, ThreadState, Truncation, Warning};

use super::super::by_line::{self, ByLine, Dumps};
use super::super::foreign::is_log_line;
use super::super::{Format, Line, Lines, Read, Recognition, Text};
use super::managed::{self, Managed, Open};
use super::mark::{Mark, Object};

pub(in crate::read) const FORMAT: Format = Format {
    name: "thread-info",
    looks_like: "a line `\"main\" prio=5 Id=1 RUNNABLE` of java.lang.management",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| header(line.text).is_some()) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Managed<'t>>,
    /// A blank line came: what is not set in after it is the program's log again.
    over: bool,
    /// The numbers of the threads in this dump.
    seen: HashSet<u64>,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Managed<'t>;

    fn dumps(&mut self) -> &mut Dumps<Managed<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let body = line.text.trim();
        if let Some(header) = header(line.text) {
            return self.thread(line.number, header);
        }
        let Some(open) = &mut self.dumps.open else { return };
        if let Some(call) = body.strip_prefix("at ").filter(|call| call.ends_with(')')) {
            open.frames.push(call);
        } else if let Some(mark) = mark(body) {
            open.mark(mark);
        } else if body == "..." {
            open.truncated = Some(Truncation::Elided);
        } else if body.is_empty() {
            self.over = true;
        } else if !(self.over || body.starts_with("Number of locked") || is_log_line(body)) {
            self.dumps.not_understood.note(line.number);
        }
    }

    fn end_dump(&mut self) {
        self.close();
        self.seen.clear();
        self.dumps.end();
    }
}

impl<'t> Reader<'t> {
    fn thread(&mut self, line: u64, header: Header<'t>) {
        self.close();
        if !self.seen.insert(header.number) {
            self.end_dump();
            self.seen.insert(header.number);
        }
        let thread = Thread {
            name: header.name.to_owned(),
            number: Some(header.number),
            daemon: header.daemon,
            line: Some(line),
            ..Thread::default()
        };
        let mut open = Open { thread, owner: header.owner, ..Open::default() };
        open.state(header.state);
        open.thread.state = state(open.thread.state, header.waits_on);
        if let Some(object) = header.waits_on.filter(|_| header.state != "BLOCKED") {
            open.marks.push((0, Mark::Parking(object)));
        }
        self.over = false;
        self.dumps.open(open);
    }

    fn close(&mut self) {
        if let Some(open) = &mut self.dumps.open {
            // The header says once more what the innermost frame waits for. It knows the object,
            // and the frame whether that is a monitor or what the thread is parked for.
            let is_parked = open.frames.first().is_some_and(|leaf| leaf.contains(".park"));
            let is_annotated =
                open.marks.iter().any(|(_, mark)| matches!(mark, Mark::WaitingOn(_)));
            open.marks.retain(|(_, mark)| match mark {
                Mark::Parking(_) => is_parked || !is_annotated,
                Mark::WaitingOn(_) => !is_parked,
                _ => true,
            });
        }
        self.dumps.close();
    }
}

/// A thread that is parked for nothing is not blocked by anybody.
fn state(state: ThreadState, waits_on: Option<Object>) -> ThreadState {
    if state == ThreadState::Blocked && waits_on.is_none() { ThreadState::Waiting } else { state }
}

struct Header<'t> {
    name: &'t str,
    number: u64,
    daemon: bool,
    state: &'t str,
    waits_on: Option<Object<'t>>,
    owner: Option<u64>,
}

/// `"a" daemon prio=5 Id=13 BLOCKED on java.lang.Object@4617 owned by "b" Id=12`; 8 prints
/// neither `daemon` nor `prio`.
fn header(text: &str) -> Option<Header<'_>> {
    let (text, owner) = match text.strip_prefix('"')?.rsplit_once(" owned by \"") {
        Some((text, owner)) => (text, owner.rsplit_once(" Id=").and_then(|(_, id)| digits(id))),
        None => (&text[1..], None),
    };
    let (name, rest) = text.rsplit_once("\" ").filter(|(_, rest)| rest.contains("Id="))?;
    let (before, rest) = rest.split_once("Id=")?;
    let mut words = rest.split(' ');
    let number = words.next()?.parse().ok()?;
    let state = words.next()?.trim_end();
    let is_state = !state.is_empty() && super::thread::state(state) != ThreadState::Unknown;
    let on = rest
        .split_once(" on ")
        .and_then(|(_, object)| managed::object(object.split(' ').next().unwrap_or_default()));
    let daemon = before.contains("daemon");
    is_state.then_some(Header { name, number, daemon, state, waits_on: on, owner })
}

fn digits(text: &str) -> Option<u64> {
    text.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// ```text
/// -  blocked on java.lang.Object@4617c264
/// -  waiting on java.lang.ref.ReferenceQueue$Lock@7440e464
/// -  locked java.lang.Object@4617c264
/// - java.util.concurrent.locks.ReentrantLock$NonfairSync@7a81197d
/// ```
fn mark(body: &str) -> Option<Mark<'_>> {
    let body = body.strip_prefix('-')?.trim_start();
    let object = |verb| body.strip_prefix(verb).and_then(|rest| managed::object(rest.trim()));
    if let Some(object) = object("blocked on ") {
        return Some(Mark::WaitingToLock(object));
    }
    if let Some(object) = object("waiting on ") {
        return Some(Mark::WaitingOn(Some(object)));
    }
    if let Some(object) = object("locked ") {
        return Some(Mark::Locked(object));
    }
    managed::object(body).filter(|object| !object.class.contains(' ')).map(Mark::Synchronizer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::WaitFor;

    const DUMP: &str = "up
\"holder\" daemon prio=5 Id=12 TIMED_WAITING
\tat java.base@17.0.15/java.lang.Thread.sleep(Native Method)
\tat app//mx.Dump$1.run(Dump.java:5)
\t-  locked java.lang.Object@4617c264

\tNumber of locked synchronizers = 1
\t- java.util.concurrent.locks.ReentrantLock$NonfairSync@7a81197d

\"waiter\" Id=13 BLOCKED on java.lang.Object@4617c264 owned by \"holder\" Id=12
\tat app//mx.Dump.rec(Dump.java:4)
\t-  blocked on java.lang.Object@4617c264
\t...

\"entrant\" Id=14 WAITING on java.util.concurrent.locks.ReentrantLock$NonfairSync@7a81197d owned by \"holder\" Id=12
\tat java.base@17.0.15/jdk.internal.misc.Unsafe.park(Native Method)
\tat java.base@17.0.15/java.util.concurrent.locks.AbstractQueuedSynchronizer.acquire(AbstractQueuedSynchronizer.java:715)

ready
";

    #[test]
    fn monitors_synchronizers_and_who_holds_them() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        assert_eq!(dump.threads[0].holds.len(), 2);
        for waiter in [1, 2] {
            let wait = dump.threads[waiter].wait.as_ref().expect("a wait");
            assert_eq!(wait.wait_for, WaitFor::Exclusive);
            assert_eq!(dump.lock(wait.lock).owners[0].thread, 0);
        }
        let stack = dump.stack(&dump.threads[1]).expect("a stack");
        assert_eq!(stack.truncated, Some(Truncation::Elided));
    }

    #[test]
    fn the_same_threads_again_are_another_dump() {
        assert_eq!(read(&Text::from_bytes(DUMP.repeat(3).as_bytes())).0.len(), 3);
    }

    #[test]
    fn what_is_no_header() {
        for text in [
            "\"a\" #1 prio=5 tid=0x7 nid=0x4",
            "\"a\" Id=x RUNNABLE",
            "\"a\" Id=1 went",
            "Id=1",
            "",
        ] {
            assert!(header(text).is_none(), "{text}");
        }
    }
}
