//! What the readers of JVMs other than HotSpot share: threads whose frames and objects are written in
//! other ways, as HotSpot's Java code would write them.

use sigquit_dump::{Dump, Nanos, Process, Runtime, Thread, ThreadState, Truncation};

use super::by_line::Build;
use super::hotspot::managed::{Managed, Open};
use super::hotspot::mark::{Mark, Object};

/// A thread as its lines tell of it.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// All but its stack and its locks.
    pub thread: Thread,
    /// `java.lang.Object.wait(Object.java:221)`, innermost first.
    pub frames: Vec<String>,
    /// What it does with which objects, and the frame's place.
    pub marks: Vec<(u32, Does, Named)>,
    /// The number of the thread that holds what it waits for.
    pub owner: Option<u64>,
    /// Why the stack ends early.
    pub truncated: Option<Truncation>,
}

/// What a thread does with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Wants its monitor.
    WaitToLock,
    /// Waits to be notified.
    WaitOn,
    /// Is parked for it.
    Park,
    /// Has entered its monitor.
    Lock,
    /// Owns it, a synchronizer.
    Own,
}

/// An object: where it lies or what else tells it from others, and its class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub address: u64,
    pub class: String,
}

impl Named {
    /// `java/lang/Object@0xB5666688`, `java.util.TaskQueue@7311acb7`
    pub fn at(text: &str) -> Option<Named> {
        let (class, address) = text.trim().rsplit_once('@')?;
        let address =
            address.split(|char: char| !(char.is_ascii_hexdigit() || char == 'x')).next()?;
        Named::new(address, class)
    }

    /// `<0x0d3f1a2b> (a java.lang.Object)`, `<7311acb7> (a java.util.TaskQueue)`
    pub fn in_brackets(text: &str) -> Option<Named> {
        let (address, rest) = text.trim().strip_prefix('<')?.split_once('>')?;
        let class = rest.trim_start().strip_prefix("(a ")?.split(')').next()?;
        Named::new(address.strip_prefix("@addr=").unwrap_or(address), class)
    }

    fn new(address: &str, class: &str) -> Option<Named> {
        let address = number(address)?;
        Some(Named { address, class: class.trim().replace('/', ".") })
    }
}

/// `0x52CF` or `52CF`
pub(super) fn number(hex: &str) -> Option<u64> {
    let digits = hex.trim();
    u64::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok()
}

impl Row {
    /// Adds what it does in the frame that was read last.
    pub fn mark(&mut self, does: Does, object: Named) {
        self.marks.push((self.frames.len().saturating_sub(1) as u32, does, object));
    }

    /// Sets the state, in our words and in the source's.
    pub fn state(&mut self, state: ThreadState, text: &str) {
        (self.thread.state, self.thread.state_text) = (state, text.to_owned());
    }
}

/// A dump while its threads are read.
#[derive(Debug, Default)]
pub(super) struct Building {
    pub process: Process,
    pub time: Option<Nanos>,
    rows: Vec<Row>,
}

impl Build for Building {
    type Open = Row;

    fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn finish(self) -> Dump {
        Dump { time: self.time, ..dump(self.process, &self.rows) }
    }
}

/// The dump of these threads.
pub(super) fn dump(process: Process, rows: &[Row]) -> Dump {
    let mut managed = Managed::default();
    managed.dump.process = Process { runtime: Runtime::Jvm, ..process };
    for row in rows {
        managed.add(Open {
            thread: row.thread.clone(),
            frames: row.frames.iter().map(String::as_str).collect(),
            marks: row.marks.iter().map(mark).collect(),
            owner: row.owner,
            truncated: row.truncated,
        });
    }
    managed.finish()
}

/// As HotSpot's text would say it.
fn mark((depth, does, object): &(u32, Does, Named)) -> (u32, Mark<'_>) {
    let object = Object { address: object.address, class: &object.class };
    let mark = match does {
        Does::WaitToLock => Mark::WaitingToLock(object),
        Does::WaitOn => Mark::WaitingOn(Some(object)),
        Does::Park => Mark::Parking(object),
        Does::Lock => Mark::Locked(object),
        Does::Own => Mark::Synchronizer(object),
    };
    (*depth, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects() {
        let object = |address, class: &str| Some(Named { address, class: class.into() });
        assert_eq!(Named::at("java/lang/Object@0xB566 Owned"), object(0xB566, "java.lang.Object"));
        assert_eq!(Named::at("a.B@7311acb7"), object(0x7311_acb7, "a.B"));
        assert_eq!(Named::in_brackets("<0x0d3f> (a a.B) held by thread 31"), object(0xd3f, "a.B"));
        assert_eq!(Named::in_brackets("<@addr=0x12> (a a.B)"), object(0x12, "a.B"));
        for text in ["", "@", "a@", "<x> (a B)", "<1>"] {
            assert_eq!((Named::at(text), Named::in_brackets(text)), (None, None), "{text}");
        }
    }
}
