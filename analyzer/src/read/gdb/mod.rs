//! What gdb prints of threads: `thread apply all bt`, with and without `full`, `bt` of one, and
//! the `pstack` and `gstack` scripts that call it.
//!
//! ```text
//! Thread 3 (Thread 0x7ff82681c6c0 (LWP 14817) "teller-west"):
//! #0  futex_wait (private=0, expected=2, futex_word=0x55b6743ee420 <east+32>) at ../sysdeps/nptl/futex-internal.h:146
//! #3  ___pthread_mutex_lock (mutex=0x55b6743ee420 <east+32>) at ./nptl/pthread_mutex_lock.c:93
//! #4  0x000055b6743e8483 in transfer (from=0x55b6743ee3a0 <west>, to=0x55b6743ee400 <east>) at night.cpp:32
//!         mine = {_M_device = 0x55b6743ee3a0 <west>, _M_owns = true}
//! ```
//!
//! Where gdb cannot tell a value, or has no debug information, there is less: then an owner that
//! nothing tells stays unknown.

mod frame;
mod header;
mod value;

use std::borrow::Cow;
use std::collections::HashSet;

use sigquit_dump::{Dump, Thread, Truncation, Warning};

use self::header::Header;
use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::native::{Building, Guard, Open};
use super::text::Lines;
use super::{Format, Line, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "gdb",
    looks_like: "a line `Thread 2 (Thread 0x7f12 (LWP 345) \"name\"):` of gdb",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let mut recognition = Recognition::No;
    for line in text.lines() {
        if header::read(line.text).is_some() {
            return Recognition::Yes;
        }
        if recognition == Recognition::No && begins_stack(line.text) {
            recognition = Recognition::Perhaps;
        }
    }
    recognition
}

/// The leaf frame of a stack without a header.
fn begins_stack(text: &str) -> bool {
    text.starts_with("#0  ") && frame::read(text.into()).is_some()
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Building<'t>>,
    /// The numbers of the threads in this dump.
    seen: HashSet<u64>,
    last: Last,
    /// The address that the last command of the session named.
    asked: Option<u64>,
    /// Said before the threads: the dump after it is of that process.
    pid: Option<u64>,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Building<'t>;

    fn dumps(&mut self) -> &mut Dumps<Building<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, following: &mut Lines<'t>) {
        let text = line.text.strip_prefix(PAGER).unwrap_or(line.text);
        if let Some(header) = header::read(text) {
            self.thread(line.number, header);
        } else if frame::begins(text) {
            self.frame(line.number, joined(text, following));
        } else if let Some(command) = command(text) {
            self.asked = value::address(command);
        } else if let Some((object, tid)) = value::printed_owner(text) {
            if let Some(object) = object.or(self.asked) {
                self.dumps.building.printed_owner(object, tid);
            }
        } else {
            self.other_line(line.number, text);
        }
    }

    fn end_dump(&mut self) {
        self.seen.clear();
        let last = std::mem::take(&mut self.last);
        let Some(dump) = self.dumps.end() else { return };
        dump.process.pid = self.pid;
        if let Some(warning) = last.lacks_end(dump.threads.len()) {
            dump.truncated = true;
            self.dumps.warnings.push(warning);
        }
    }
}

impl<'t> Reader<'t> {
    fn thread(&mut self, line: u64, header: Header<'t>) {
        if !self.seen.insert(header.number) {
            self.end_dump();
            self.seen.insert(header.number);
        }
        self.last = Last {
            descends: self.seen.len() > 1 && header.number < self.last.number,
            number: header.number,
            line,
        };
        let thread = Thread {
            name: header.name.to_owned(),
            os_id: header.os_id,
            number: header.os_id.is_none().then_some(header.number),
            line: Some(line),
            ..Thread::default()
        };
        self.dumps.open(Open { thread, ..Open::default() });
    }

    fn frame(&mut self, line: u64, text: Cow<'t, str>) {
        let Some((number, frame)) = frame::read(text) else {
            return self.dumps.not_understood.note(line);
        };
        // A stack without a header: gdb was asked for one thread's.
        let is_next = |open: &Open| open.frames.is_empty() || number != 0;
        if self.dumps.open.as_ref().is_none_or(|open| !is_next(open)) {
            if number != 0 {
                return self.dumps.not_understood.note(line);
            }
            let thread = Thread { line: Some(line), ..Thread::default() };
            self.dumps.open(Open { thread, ..Open::default() });
        }
        if let Some(open) = &mut self.dumps.open {
            // A pc is printed of every frame but those that stand at the call of an inlined one.
            let inlined =
                frame.address.is_none() && number != 0 && !frame.function.starts_with('<');
            if let Some(inner) = open.frames.last_mut().filter(|_| inlined) {
                inner.inlined = true;
            }
            open.frames.push(frame);
        }
    }

    fn other_line(&mut self, line: u64, text: &'t str) {
        if let Some(pid) = process(text) {
            self.pid = Some(pid);
        }
        let Some(open) = &mut self.dumps.open else { return };
        if let Some((mutex, source)) = value::guarded_mutex(text) {
            let frame = open.frames.len().saturating_sub(1) as u32;
            open.guards.push(Guard { mutex, frame, source });
        } else if let Some(truncation) = truncation(text) {
            open.truncated = Some(truncation);
        } else if !(is_filler(text) || is_log_line(text)) {
            self.dumps.not_understood.note(line);
        }
    }
}

/// The thread that was shown last. gdb counts down to 1, so that a missing end can be seen: gdb
/// fails at times in the middle of `bt full`.
#[derive(Default)]
struct Last {
    number: u64,
    descends: bool,
    line: u64,
}

impl Last {
    fn lacks_end(&self, threads: usize) -> Option<Warning> {
        let number = self.number;
        (self.descends && number > 1).then(|| Warning {
            line: self.line,
            message: format!(
                "gdb's threads end at number {number} and not at 1: {threads} threads, a lower bound"
            ),
        })
    }
}

/// What gdb's pager leaves in a log.
const PAGER: &str = "--Type <RET> for more, q to quit, c to continue without paging--";

/// A frame whose line gdb wrapped for a terminal: what follows is set in by four spaces, local
/// variables by eight.
///
/// ```text
/// #3  0x00007ff8270aa482 in ___pthread_mutex_lock (mutex=0x55b6743ee420 <east+32>)
///     at ./nptl/pthread_mutex_lock.c:93
/// ```
fn joined<'t>(text: &'t str, following: &mut Lines<'t>) -> Cow<'t, str> {
    const MOST: usize = 16;
    let mut joined = Cow::Borrowed(text);
    for _ in 0..MOST {
        let next = following.clone().next().map_or("", |line| line.text);
        match next.strip_prefix("    ").filter(|rest| !rest.starts_with(' ') && !rest.is_empty()) {
            Some(rest) => {
                let joined = joined.to_mut();
                joined.push(' ');
                joined.push_str(rest);
                following.next();
            }
            None => break,
        }
    }
    joined
}

/// `(gdb) print *(pthread_mutex_t *) 0x55b6743ee3c0`, or with tracing `+print ...`
fn command(text: &str) -> Option<&str> {
    text.strip_prefix("(gdb) ").or_else(|| text.strip_prefix('+')).filter(|text| !text.is_empty())
}

/// `[Inferior 1 (process 14814) detached]`, `Attaching to process 14814`
fn process(text: &str) -> Option<u64> {
    let told = text.starts_with("[Inferior ") || text.starts_with("Attaching to ");
    let (_, rest) = text.split_once("process ").filter(|_| told)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

fn truncation(text: &str) -> Option<Truncation> {
    if text.starts_with("(More stack frames follow") {
        Some(Truncation::PrintLimit)
    } else if text.starts_with("Backtrace stopped: previous frame") {
        Some(Truncation::DidNotAdvance)
    } else if text.starts_with("Backtrace stopped:") {
        Some(Truncation::BadUnwindTable)
    } else {
        None
    }
}

/// Whether a line says nothing of who is where: a local variable, what gdb says of itself.
///
/// ```text
/// No locals.
///         __ret = -512
/// [New LWP 14816]
/// 57    ./nptl/futex-internal.c: No such file or directory.
/// ```
fn is_filler(text: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "No locals.",
        "No symbol table",
        "        ",
        "\t",
        "0x",
        "[",
        "Using host libthread_db",
        "Detaching from program",
        "A debugging session is active",
        "warning: ",
        "Reading symbols",
        "(gdb)",
        "quit",
        "$",
        "PC not saved",
    ];
    let source = text.split('\t').next().is_some_and(|number| number.parse::<u64>().is_ok());
    text.trim().is_empty() || source || BEGINNINGS.iter().any(|known| text.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::OwnerSource;

    fn read(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        super::read(&Text::from_bytes(text.as_bytes()))
    }

    fn waiter(number: u64, lock: u64, last: &str) -> String {
        format!(
            "Thread {number} (Thread 0x7f{number} (LWP 10{number}) \"t{number}\"):
#0  futex_wait (private=0, expected=2, futex_word={lock:#x}) at ../sysdeps/futex-internal.h:146
#1  ___pthread_mutex_lock (mutex={lock:#x}) at ./nptl/pthread_mutex_lock.c:93
{last}

"
        )
    }

    fn owners(text: &str) -> Vec<(u64, OwnerSource, u64)> {
        let dump = read(text).0.pop().expect("a dump");
        let mut owners: Vec<_> = dump
            .locks
            .iter()
            .flat_map(|lock| lock.owners.iter().map(move |owner| (lock.address, owner)))
            .map(|(address, owner)| {
                let tid = dump.threads[owner.thread as usize].os_id;
                (address.unwrap_or(0), owner.source, tid.unwrap_or(0))
            })
            .collect();
        owners.sort_by_key(|(address, ..)| *address);
        owners
    }

    const A: u64 = 0x55b6743ee3c0;
    const B: u64 = 0x55b6743ee420;

    #[test]
    fn who_have_each_others_objects_in_hand_wait_for_each_other() {
        let east = waiter(
            2,
            B,
            "#2  0x1 in transfer (from=0x55b6743ee3a0, to=0x55b6743ee400) at n.cpp:32",
        );
        let west = waiter(
            3,
            A,
            "#2  0x1 in transfer (from=0x55b6743ee400, to=0x55b6743ee3a0) at n.cpp:32",
        );
        let circle = format!("{east}{west}");
        let inferred = OwnerSource::Inferred;
        assert_eq!(owners(&circle), [(A, inferred, 102), (B, inferred, 103)]);
        let third =
            "Thread 4 (Thread 0x7f4 (LWP 104)):\n#0  transfer (from=<optimized out>) at n.cpp:33\n";
        assert_eq!(owners(&format!("{circle}{third}")), [], "a third can hold either");
    }

    #[test]
    fn a_guard_and_a_printed_mutex_say_who_holds_it() {
        let holds = "        mine = {_M_device = 0x55b6743ee420 <b>, _M_owns = true}";
        let text = waiter(2, A, &format!("#2  f () at n.cpp:32\n{holds}"))
            + &waiter(3, B, "#2  g () at n.cpp:40");
        assert_eq!(owners(&text), [(B, OwnerSource::Tracked, 102)]);
        let printed = format!(
            "{}(gdb) p *(pthread_mutex_t *) {A:#x}\n$1 = {{__data = {{__lock = 2, __count = 0, __owner = 103,\n",
            waiter(2, A, "#2  f () at n.cpp:32")
        );
        let dump = read(&printed).0.pop().expect("a dump");
        assert_eq!(dump.locks[0].words, Some([2, 0, 103, 0]));
    }

    #[test]
    fn wrapped_lines_and_inlined_frames() {
        let (dumps, warnings) = read(
            "Thread 1 (LWP 7):
#0  inner (x=1) at a.c:1
#1  outer (x=<optimized out>, y=2)
    at a.c:2
#2  0x0000000000401136 in main () at a.c:3
Backtrace stopped: previous frame identical to this frame (corrupt stack?)
",
        );
        let calls: Vec<_> = dumps[0].calls(&dumps[0].threads[0]).collect();
        let shown: Vec<_> =
            calls.iter().map(|(_, _, call)| (call.function.as_str(), call.inlined)).collect();
        assert_eq!(shown, [("inner", true), ("outer", false), ("main", false)]);
        assert_eq!(calls[1].2.location.as_ref().and_then(|at| at.line), Some(2));
        let stack = dumps[0].stack(&dumps[0].threads[0]).expect("a stack");
        assert_eq!(stack.truncated, Some(Truncation::DidNotAdvance));
        assert_eq!(warnings, []);
    }

    #[test]
    fn the_same_threads_again_are_another_dump() {
        let once = waiter(2, A, "#2  f () at n.cpp:32") + "[Inferior 1 (process 101) detached]\n";
        let dumps = read(&once.repeat(3)).0;
        assert_eq!(dumps.len(), 3);
        assert_eq!(dumps[2].process.pid, Some(101));
    }

    #[test]
    fn a_missing_end_is_said() {
        let text = waiter(4, A, "#2  f () at n.cpp:32") + &waiter(3, B, "#2  g () at n.cpp:32");
        let (dumps, warnings) = read(&text);
        assert!(dumps[0].truncated && warnings.len() == 1);
    }

    #[test]
    fn one_stack_without_a_header() {
        let text = Text::from_bytes(
            b"#0  0x1 in read () from /lib/libc.so.6\n#1  0x2 in main () at a.c:3\n",
        );
        assert_eq!(recognize(&text), Recognition::Perhaps);
        assert_eq!(super::read(&text).0[0].threads.len(), 1);
    }
}
