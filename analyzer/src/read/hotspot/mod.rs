//! The text that HotSpot prints: `jstack`, `jcmd Thread.print`, `kill -3` into a log, `jhsdb
//! jstack`; from 1.4 on.
//!
//! A dump is a title, threads (a header, a state, frames with annotations, owned synchronizers),
//! and a tail: JNI references, deadlocks, the heap.
//!
//! ```text
//! 2026-11-22 20:52:40
//! Full thread dump Java HotSpot(TM) 64-Bit Server VM (25.212-b10 mixed mode):
//!
//! "teller-west" #9 prio=5 os_prio=0 tid=0x00007f43400dd000 nid=0x5aa3 waiting for monitor entry [0x00007f432a5fb000]
//!    java.lang.Thread.State: BLOCKED (on object monitor)
//!     at bank.kestrel.TransferDesk.move(TransferDesk.java:4)
//!     - waiting to lock <0x0000000742762398> (a bank.kestrel.TransferDesk$Account)
//!     - locked <0x00000007427623e0> (a bank.kestrel.TransferDesk$Account)
//!     at bank.kestrel.TransferDesk$2.run(TransferDesk.java:6)
//!
//!    Locked ownable synchronizers:
//!     - None
//!
//! JNI global references: 5
//! ```

pub(super) mod actuator;
mod building;
mod class_wait;
mod deadlock;
mod failure;
mod frame;
mod header;
mod heap;
pub(super) mod json;
mod known;
mod locks;
pub(super) mod managed;
pub(super) mod mark;
pub(super) mod thread;
pub(super) mod thread_info;
pub(super) mod title;
pub(super) mod to_file;

use std::borrow::Cow;

use sigquit_dump::{Dump, Warning};

use self::building::Building;
use self::header::Header;
use self::title::Title;
use super::{Format, Line, Piecewise, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "hotspot",
    looks_like: "a line `Full thread dump ...` of HotSpot",
    recognize,
    read: Read::Pieces { marks: &["\n\""], reader: || Box::<Piece>::default() },
};

fn recognize(text: &Text) -> Recognition {
    if text.lines().any(|line| begins(line.text)) {
        return Recognition::Yes;
    }
    match failure(text) {
        Some(_) => Recognition::Yes,
        None => Recognition::No,
    }
}

/// Whether only a thread dump has such a line.
fn begins(text: &str) -> bool {
    let body = text.trim_start();
    title::is_title(body)
        || deadlock::begins(body)
        || (body.contains(" tid=") && header::split(text).is_some())
}

/// Whether a line is the first of a thread.
pub(super) fn is_header(text: &str) -> bool {
    thread::header(text).is_some()
}

/// The tools' excuses are short; the same words in a long log are about something else.
fn failure<'t>(text: &'t Text) -> Option<Line<'t>> {
    const LONGEST: usize = 1 << 16;
    let short = text.as_str().len() < LONGEST;
    short.then(|| text.lines().find(|line| failure::is_failure(line.text)))?
}

#[derive(Default)]
struct Piece<'t> {
    reader: Reader,
    current: Option<Building<'t>>,
}

#[derive(Default)]
struct Reader {
    dumps: Vec<Dump>,
    warnings: Vec<Warning>,
    title: Title,
    threads: usize,
    last: u64,
    /// More threads were claimed than are read.
    full: bool,
}

impl Piecewise for Piece<'static> {
    fn piece(&mut self, text: &Text) {
        let Piece { reader, current } = std::mem::take(self).lines(text);
        *self = Piece { reader, current: current.map(Building::between_pieces) };
    }

    fn finish(self: Box<Self>, last: &Text) -> (Vec<Dump>, Vec<Warning>) {
        let mut piece = self.lines(last);
        piece.finish();
        let Reader { mut dumps, warnings, .. } = piece.reader;
        if dumps.is_empty() {
            dumps.extend(failure(last).map(failure::dump));
        }
        (dumps, warnings)
    }
}

impl<'t> Piece<'t> {
    fn lines(mut self, text: &'t Text) -> Piece<'t> {
        let most = text.limits().threads;
        let mut lines = text.lines();
        while !self.reader.full {
            if let Some(building) = &mut self.current {
                let (known, length) = building.guessed_frames(lines.rest());
                if known > 0 {
                    self.reader.last = lines.pass(known, length);
                }
            }
            let Some(line) = lines.next() else { break };
            self.reader.last = line.number;
            if let Some(building) = &mut self.current
                && building.stack_line(line)
            {
                continue;
            }
            if let Some((name, header)) = thread::header(line.text) {
                self.thread(line.number, name, header);
            } else if let Some((name, more, header)) = thread::name_of_several_lines(line, &lines) {
                self.thread(line.number, name, header);
                lines.by_ref().take(more).for_each(drop);
            } else {
                self.line(line);
            }
            self.reader.full = self.reader.threads > most;
            if self.reader.full {
                self.reader.warnings.push(too_many_threads(line.number, most));
            }
        }
        self
    }

    fn line(&mut self, line: Line<'t>) {
        let body = line.text.trim();
        if body.is_empty() {
            return;
        }
        if title::is_title(body) {
            self.begin(line.number, body);
        } else if self.current.is_none() && deadlock::begins(body) {
            let message = "nothing but the JVM's word of a deadlock: of the dump around it, and of all other threads, \
                           nothing is known";
            self.reader.warnings.push(Warning { line: line.number, message: message.into() });
            let building = self.begin(line.number, "");
            building.is_alone();
            building.lacks_beginning();
            building.line(line, body);
        } else if !self.reader.title.precedes(line.number, body)
            && let Some(building) = &mut self.current
        {
            building.line(line, body);
        }
    }

    fn thread(&mut self, line: u64, name: Cow<'t, str>, header: Header<'t>) {
        self.reader.threads += 1;
        self.building(line).thread(line, name, header);
    }

    fn begin(&mut self, line: u64, body: &str) -> &mut Building<'t> {
        self.finish();
        let dump = self.reader.title.dump(line, body);
        self.current.insert(Building::new(dump, body.starts_with("Full ")))
    }

    /// The dump being read; one whose beginning is missing when there is none.
    fn building(&mut self, line: u64) -> &mut Building<'t> {
        if self.current.as_ref().is_none_or(|building| building.ended) {
            let message = "a thread without the title line of its dump before it: the beginning \
                is missing, and the threads are a lower bound";
            self.reader.warnings.push(Warning { line, message: message.into() });
            self.begin(line, "").lacks_beginning();
        }
        let title = &mut self.reader.title;
        self.current.get_or_insert_with(|| Building::new(title.dump(line, ""), false))
    }

    fn finish(&mut self) {
        if let Some(building) = self.current.take() {
            let dump = building.finish(self.reader.last, &mut self.reader.warnings);
            self.reader.dumps.push(dump);
        }
    }
}
