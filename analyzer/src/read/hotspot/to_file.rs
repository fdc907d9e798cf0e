//! The text of `jcmd PID Thread.dump_to_file`, with virtual threads; JDK 21 and later.
//!
//! ```text
//! 15462
//! 2026-11-22T21:04:05.251168152Z
//! 25.0.3+9-LTS
//!
//! #29 "entrant-3" virtual WAITING 2026-11-26T11:13:34.788855200Z
//!     at java.base/java.lang.VirtualThread.park(VirtualThread.java:742)
//!     - parking to wait for <java.util.concurrent.locks.ReentrantLock$NonfairSync@425a87e4>
//! ```
//!
//! JDK 21 prints neither states nor locks, and its frames without `at`.

use sigquit_dump::{Dump, Kind, Thread, Truncation, Warning};

use super::super::by_line::{self, ByLine, Dumps};
use super::super::foreign::is_log_line;
use super::super::{Format, Line, Lines, Read, Recognition, Text};
use super::managed::{self, Managed, Open};
use super::mark::Mark;

pub(in crate::read) const FORMAT: Format = Format {
    name: "hotspot-file",
    looks_like: "a line `#1 \"main\" RUNNABLE 2026-...` of HotSpot's Thread.dump_to_file",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let mut lines = text.lines();
    match lines.find(|line| header(line.text).is_some()).and_then(|_| lines.next()) {
        Some(next) if next.text.trim().is_empty() || is_frame(next.text) => Recognition::Yes,
        Some(_) => Recognition::Perhaps,
        None => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Managed<'t>>,
    /// The lines that stand before the threads, newest last.
    before: Vec<&'t str>,
    last: u64,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Managed<'t>;

    fn dumps(&mut self) -> &mut Dumps<Managed<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let body = line.text.trim();
        self.last = line.number;
        if let Some(header) = header(line.text) {
            self.thread(line.number, header);
        } else if let Some(open) =
            self.dumps.open.as_mut().filter(|_| line.text.starts_with([' ', '\t']))
        {
            if let Some(mark) = mark(body) {
                open.mark(mark);
            } else if is_frame(line.text) {
                open.frames.push(body.strip_prefix("at ").unwrap_or(body));
            } else {
                self.dumps.not_understood.note(line.number);
            }
        } else if !body.is_empty() && !is_log_line(body) || managed::time(body).is_some() {
            self.before.push(body);
        }
    }

    fn end(&mut self, text: &Text) {
        self.cut(text);
        self.end_dump();
    }
}

impl<'t> Reader<'t> {
    /// Process id, time and version stand before the first thread.
    fn thread(&mut self, line: u64, header: Header<'t>) {
        if let [.., pid, time, version] = self.before[..]
            && let (Ok(pid), Some(time)) = (pid.parse(), managed::time(time))
        {
            self.end_dump();
            let dump = &mut self.dumps.building.dump;
            dump.time = Some(time);
            dump.process.pid = Some(pid);
            dump.process.runtime_version = Some(version.to_owned());
        }
        self.before.clear();
        let kind = if header.is_virtual { Kind::VirtualThread } else { Kind::Thread };
        let thread = Thread {
            kind,
            name: header.name.to_owned(),
            number: Some(header.number),
            line: Some(line),
            ..Thread::default()
        };
        let mut open = Open { thread, ..Open::default() };
        open.state(header.state);
        self.dumps.open(open);
    }

    /// The JVM ends every thread with a blank line.
    fn cut(&mut self, text: &Text) {
        let is_whole = text.as_str().ends_with("\n\n") || text.as_str().ends_with("\n\r\n");
        if let Some(open) = self.dumps.open.as_mut().filter(|open| !is_whole && open.has_frames()) {
            let ends_a_line = text.as_str().ends_with('\n');
            if !ends_a_line {
                open.truncated = Some(Truncation::InputEnded);
                self.dumps.not_understood.forget_cut(self.last);
                self.dumps.building.dump.truncated = true;
                let message = "the dump ends within a thread: the threads are a lower bound".into();
                self.dumps.warnings.push(Warning { line: self.last, message });
            }
        }
    }
}

struct Header<'t> {
    number: u64,
    name: &'t str,
    is_virtual: bool,
    state: &'t str,
}

/// `#29 "entrant-3" virtual WAITING 2026-11-26T11:13:34.788855200Z`, `#520 "gate-holder" virtual`
fn header(text: &str) -> Option<Header<'_>> {
    let (number, rest) = text.strip_prefix('#')?.split_once(" \"")?;
    let (name, rest) = rest.rsplit_once('"')?;
    let mut words = rest.split_ascii_whitespace().peekable();
    let is_virtual = words.next_if_eq(&"virtual").is_some();
    let state = words.next().unwrap_or_default();
    let is_state = state.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let number = number.parse().ok()?;
    is_state.then_some(Header { number, name, is_virtual, state })
}

/// `    at java.base/java.lang.Thread.run(Thread.java:840)`, before 24 with six blanks for `at`
fn is_frame(text: &str) -> bool {
    text.starts_with([' ', '\t']) && text.contains('(') && text.trim_end().ends_with(')')
}

/// `- waiting to lock <java.lang.Object@7f2801c6>`
fn mark(body: &str) -> Option<Mark<'_>> {
    let (verb, object) = body.strip_prefix("- ")?.split_once(" <")?;
    let object = managed::object(object.split_once('>')?.0)?;
    Some(match verb {
        "locked" => Mark::Locked(object),
        "waiting to lock" => Mark::WaitingToLock(object),
        "waiting on" => Mark::WaitingOn(Some(object)),
        "parking to wait for" => Mark::Parking(object),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::ThreadState;

    const DUMP: &str = "15462
2026-11-22T21:04:05.251168152Z
25.0.3+9-LTS

#3 \"main\" TIMED_WAITING 2026-11-22T21:04:05.303299739Z
    at java.base/java.lang.Thread.sleep(Thread.java:540)

#29 \"say \"hi\"\" virtual BLOCKED 2026-11-26T11:13:34.788855200Z
    at shop.Cart.add(Cart.java:8)
    - waiting to lock <java.lang.Object@7f2801c6>
    at java.base/java.lang.VirtualThread.run(VirtualThread.java:460)

#30 \"owner\" virtual TIMED_WAITING 2026-11-26T11:13:34.788855200Z
    at shop.Cart.slow(Cart.java:9)
    - locked <java.lang.Object@7f2801c6>
    at java.base/java.lang.VirtualThread.run(VirtualThread.java:460)

";

    #[test]
    fn threads_of_both_kinds_with_their_locks() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let dump = &dumps[0];
        assert_eq!((dump.process.pid, dump.threads.len()), (Some(15462), 3));
        let waiter = &dump.threads[1];
        assert_eq!((waiter.name.as_str(), waiter.kind), ("say \"hi\"", Kind::VirtualThread));
        assert_eq!(waiter.state, ThreadState::Blocked);
        let lock = dump.lock(waiter.wait.as_ref().expect("a wait").lock);
        assert_eq!(lock.owners[0].thread, 2);
    }

    #[test]
    fn the_text_of_21_has_less() {
        let text = "7\n2026-11-22T21:04:05.25Z\n21.0.8\n\n#520 \"gate\" virtual\n      java.base/java.lang.VirtualThread.park(VirtualThread.java:742)\n\n";
        let dump = read(&Text::from_bytes(text.as_bytes())).0.pop().expect("a dump");
        assert_eq!(dump.threads[0].kind, Kind::VirtualThread);
        assert_eq!(dump.stacks[0].frames.len(), 1);
    }

    #[test]
    fn two_dumps_and_a_cut() {
        let text = format!("{DUMP}{}", &DUMP[..DUMP.len() - 20]);
        let (dumps, warnings) = read(&Text::from_bytes(text.as_bytes()));
        assert_eq!((dumps.len(), warnings.len()), (2, 1));
        assert!(dumps[1].truncated && !dumps[0].truncated);
    }
}
