//! The sigquit format -> dumps.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

use crate::format::{Header, KEYS, Record, VERSION};
use crate::{Dump, Frame, Lock, LockId, Reason, Stack, StackId};

/// Something in a file that was not understood, or is missing from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line at which it was seen, from 1.
    pub line: u64,
    /// What is wrong and what was made of it: a sentence.
    pub message: String,
}

/// The bytes are not a sigquit dump at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    line: u64,
    reason: String,
}

impl ReadError {
    pub(crate) fn new(line: u64, reason: String) -> ReadError {
        ReadError { line, reason }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Error for ReadError {}

/// Reads all dumps of a file, and says what it did not understand.
///
/// A damaged line costs that line; a file that ends early gives what it holds, with
/// [`Dump::truncated`] set. References to records that are missing lead to placeholders: nothing
/// that a caller can index is out of range.
///
/// # Errors
/// When no line of the input begins a dump.
pub fn read(bytes: &[u8]) -> Result<(Vec<Dump>, Vec<Warning>), ReadError> {
    let mut reader = Reader::default();
    for (number, line) in lines(bytes) {
        reader.line(number, line);
    }
    reader.finish();
    if reader.dumps.is_empty() {
        return Err(ReadError {
            line: 1,
            reason: "expected a line {\"sigquit\":{\"version\":1,...}} that begins a dump".into(),
        });
    }
    Ok((reader.dumps, reader.warnings))
}

/// The lines that hold something, with their numbers.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

#[derive(Default)]
struct Reader {
    dumps: Vec<Dump>,
    warnings: Vec<Warning>,
    current: Option<Dump>,
    ended: bool,
    last_line: u64,
    unknown: u64,
}

impl Reader {
    fn line(&mut self, number: u64, line: &[u8]) {
        self.last_line = number;
        match serde_json::from_slice::<Record>(line) {
            Ok(Record::Sigquit(header)) => self.begin(number, header),
            Ok(record) => match &mut self.current {
                Some(dump) => match add(dump, record) {
                    Added::Fact => {}
                    Added::End(expected) => {
                        self.ended = true;
                        let found = dump.threads.len() as u64;
                        if found != expected {
                            dump.truncated = true;
                            self.warn(
                                number,
                                format!("{expected} threads were written, {found} could be read"),
                            );
                        }
                    }
                    Added::Nowhere(what) => self.warn(number, what),
                },
                None => self
                    .warn(number, "a record before the line that begins a dump: left out".into()),
            },
            Err(error) => self.damaged(number, line, &error),
        }
    }

    fn begin(&mut self, number: u64, header: Header) {
        self.finish();
        if header.version > VERSION {
            self.warn(
                number,
                format!(
                    "written in version {} of the format, newer than {VERSION}: facts may be left out",
                    header.version
                ),
            );
        }
        self.ended = false;
        self.current = Some(Dump {
            time: header.time,
            monotonic: header.monotonic,
            series: header.series,
            capture: header.capture,
            task_capture: header.task_capture,
            truncated: header.truncated,
            ..Dump::default()
        });
    }

    fn damaged(&mut self, number: u64, line: &[u8], error: &serde_json::Error) {
        let known = std::str::from_utf8(line).is_ok_and(|text| {
            KEYS.iter().any(|key| text.trim_start_matches(['{', ' ', '"']).starts_with(key))
        });
        if error.is_data() && !known {
            self.unknown += 1;
            if self.unknown == 1 {
                self.warn(number, "a record of a kind that this version does not know: left out, and so are others like it".into());
            }
        } else {
            self.warn(number, format!("not a record: {error}; left out"));
        }
    }

    fn finish(&mut self) {
        let Some(mut dump) = self.current.take() else { return };
        if !self.ended {
            dump.truncated = true;
            let threads = dump.threads.len();
            self.warn(
                self.last_line,
                format!("the dump ends before its end record: {threads} threads, a lower bound"),
            );
        }
        if mend(&mut dump) {
            self.warn(self.last_line, "records refer to frames, stacks, modules, locks or spawns that are missing: placeholders stand for them".into());
        }
        self.dumps.push(dump);
    }

    fn warn(&mut self, line: u64, message: String) {
        self.warnings.push(Warning { line, message });
    }
}

enum Added {
    Fact,
    End(u64),
    Nowhere(String),
}

impl From<Result<(), String>> for Added {
    fn from(placed: Result<(), String>) -> Added {
        placed.map_or_else(Added::Nowhere, |()| Added::Fact)
    }
}

fn add(dump: &mut Dump, record: Record) -> Added {
    match record {
        Record::Sigquit(_) | Record::Named(_) => {}
        Record::Process(process) => dump.process = process,
        Record::Module((id, module)) => return place(&mut dump.modules, id.0, module).into(),
        Record::Frame((id, frame)) => return place(&mut dump.frames, id.0, frame).into(),
        Record::Stack((id, stack)) => return place(&mut dump.stacks, id.0, stack).into(),
        Record::Lock((id, lock)) => return place(&mut dump.locks, id.0, lock).into(),
        Record::Spawn((id, spawn)) => return place(&mut dump.spawns, id.0, spawn).into(),
        Record::AsyncRuntime(runtime) => dump.async_runtimes.push(runtime),
        Record::Thread((index, thread)) => return place(&mut dump.threads, index, thread).into(),
        Record::Notice(notice) => dump.notices.push(notice),
        Record::End(end) => return Added::End(end.threads),
        Record::Names(names) => match dump.frames.get_mut(names.frame.0 as usize) {
            Some(frame) => {
                frame.symbols = names.symbols;
                frame.reason = names.reason;
            }
            None => {
                return Added::Nowhere(
                    "names for a frame that is not in the dump: left out".into(),
                );
            }
        },
    }
    Added::Fact
}

/// Puts a numbered record where its number says. Records come in order, so a gap is as long as
/// the lines that were lost; a number that is far off is damage, not a reason to fill memory.
pub(crate) fn place<T: Default>(list: &mut Vec<T>, id: u32, item: T) -> Result<(), String> {
    const LARGEST_GAP: usize = 1 << 16;
    let id = id as usize;
    if id > list.len() + LARGEST_GAP {
        return Err(format!("number {id} does not follow {}: left out", list.len()));
    }
    if id >= list.len() {
        list.resize_with(id + 1, T::default);
    }
    list[id] = item;
    Ok(())
}

/// Gives every reference something to refer to. True when anything was missing.
fn mend(dump: &mut Dump) -> bool {
    let (modules, frames, stacks, locks, threads, spawns, runtimes) = (
        dump.modules.len() as u32,
        dump.frames.len() as u32,
        dump.stacks.len() as u32,
        dump.locks.len() as u32,
        dump.threads.len() as u32,
        dump.spawns.len() as u32,
        dump.async_runtimes.len() as u32,
    );
    let mended = Cell::new(false);
    let missing = |id: u32, count: u32| {
        let missing = id >= count;
        mended.set(mended.get() | missing);
        missing
    };
    let (mut need_frame, mut need_stack, mut need_lock) = (false, false, false);
    for frame in &mut dump.frames {
        if frame.module.is_some_and(|id| missing(id.0, modules)) {
            frame.module = None;
        }
    }
    for stack in &mut dump.stacks {
        for id in &mut stack.frames {
            if missing(id.0, frames) {
                id.0 = frames;
                need_frame = true;
            }
        }
    }
    let mut lock_of = |id: &mut LockId| {
        if missing(id.0, locks) {
            id.0 = locks;
            need_lock = true;
        }
    };
    for thread in &mut dump.threads {
        thread.wait.iter_mut().for_each(|wait| lock_of(&mut wait.lock));
        thread.holds.iter_mut().for_each(|hold| lock_of(&mut hold.lock));
        thread.will_release.iter_mut().for_each(&mut lock_of);
    }
    let mut stack_of = |id: &mut StackId| {
        if missing(id.0, stacks) {
            id.0 = stacks;
            need_stack = true;
        }
    };
    for thread in &mut dump.threads {
        thread.stack.iter_mut().for_each(&mut stack_of);
        thread.created_by.iter_mut().for_each(&mut stack_of);
        if let Some(task) = &mut thread.task {
            task.branches.iter_mut().for_each(&mut stack_of);
        }
    }
    for task in dump.threads.iter_mut().filter_map(|thread| thread.task.as_mut()) {
        task.spawn = task.spawn.filter(|id| !missing(id.0, spawns));
        task.runtime = task.runtime.filter(|&id| !missing(id, runtimes));
    }
    for notice in &mut dump.notices {
        notice.stacks.iter_mut().for_each(&mut stack_of);
        notice.threads.retain(|&thread| !missing(thread, threads));
    }
    for lock in &mut dump.locks {
        lock.owners.retain(|owner| !missing(owner.thread, threads));
        lock.waiters.retain(|&waiter| !missing(waiter, threads));
    }
    if need_frame {
        dump.frames.push(Frame { reason: Some(Reason::UnknownAddress), ..Frame::default() });
    }
    if need_stack {
        dump.stacks
            .push(Stack { truncated: Some(crate::Truncation::InputEnded), ..Stack::default() });
    }
    if need_lock {
        dump.locks.push(Lock::default());
    }
    mended.get()
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::{
        Dump, Frame, FrameId, Hold, Lock, LockId, OwnerSource, StackId, Symbol, Thread, Wait,
        WaitFor, write, write_names,
    };

    /// Two threads in one place; the first waits for what the second holds.
    fn small() -> Dump {
        let mut dump = Dump::default();
        let frame = dump.intern_frame(Frame::named(Symbol::function("pool::acquire")));
        let stack = Some(dump.intern_stack(vec![frame].into()));
        let lock = dump.add_lock(Lock { address: Some(0x1000), ..Lock::default() });
        let wait = Some(Wait { lock, wait_for: WaitFor::Exclusive });
        let holds = vec![Hold::new(lock, Some(0), OwnerSource::Runtime)];
        dump.threads.push(Thread { name: "a".into(), stack, wait, ..Thread::default() });
        dump.threads.push(Thread { name: "b".into(), stack, holds, ..Thread::default() });
        dump
    }

    fn bytes(dump: &Dump) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(dump, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn dumps_may_follow_each_other_in_one_file() {
        let mut twice = bytes(&small());
        twice.extend(bytes(&small()));
        let (dumps, warnings) = read(&twice).unwrap();
        assert_eq!((dumps, warnings), (vec![small(), small()], vec![]));
    }

    #[test]
    fn a_file_that_ends_early_gives_what_it_holds() {
        let whole = bytes(&small());
        let cut = whole.len() - "{\"end\":{\"threads\":2}}\n".len() - 10;
        let (dumps, warnings) = read(&whole[..cut]).unwrap();
        assert_eq!(dumps[0].threads, small().threads[..1]);
        assert!(dumps[0].truncated);
        assert_eq!(warnings.len(), 2, "the damaged line and the missing end: {warnings:?}");
    }

    #[test]
    fn a_damaged_line_costs_that_line() {
        let text = String::from_utf8(bytes(&small())).unwrap().replace("{\"frame\":", "{\"fra");
        let (dumps, warnings) = read(text.as_bytes()).unwrap();
        assert_eq!(dumps[0].threads, small().threads);
        assert_eq!(dumps[0].calls(&dumps[0].threads[0]).count(), 0);
        assert_eq!(warnings.len(), 2, "the line and the placeholder: {warnings:?}");
        assert_eq!(warnings[0].line, 3);
    }

    #[test]
    fn a_lost_thread_leaves_its_place() {
        let mut dump = small();
        let owner = crate::Owner { thread: 1, source: OwnerSource::Runtime };
        dump.locks[0].owners.push(owner.clone());
        let text = String::from_utf8(bytes(&dump)).unwrap().replace("{\"thread\":[0,", "{\"thr");
        let (dumps, _) = read(text.as_bytes()).unwrap();
        assert_eq!(dumps[0].locks[0].owners, [owner]);
        assert_eq!(dumps[0].threads, [Thread::default(), dump.threads[1].clone()]);
    }

    #[test]
    fn references_to_nothing_lead_to_placeholders() {
        let mut dump = Dump::default();
        let lock = LockId(7);
        let wait = Some(Wait { lock, wait_for: WaitFor::Unknown });
        dump.threads.push(Thread { stack: Some(StackId(9)), wait, ..Thread::default() });
        dump.stacks.push(vec![FrameId(4)].into());
        let (dumps, _) = read(&bytes(&dump)).unwrap();
        let thread = &dumps[0].threads[0];
        assert!(dumps[0].stack(thread).unwrap().truncated.is_some());
        assert_eq!(dumps[0].lock(thread.wait.as_ref().unwrap().lock), &Lock::default());
    }

    #[test]
    fn names_come_after_the_facts() {
        let mut dump = small();
        dump.frames[0] = Frame { offset: Some(0x10), ..Frame::default() };
        let mut file = bytes(&dump);
        let symbols = vec![Symbol::function("found::later")];
        let names = crate::Names { frame: FrameId(0), symbols: symbols.clone(), reason: None };
        write_names(&[names], &mut file).unwrap();
        let (dumps, warnings) = read(&file).unwrap();
        assert_eq!(dumps[0].frames[0].symbols, symbols);
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_newer_version_is_read_with_a_warning() {
        let text = String::from_utf8(bytes(&small())).unwrap();
        let newer = text.replace("\"version\":1", "\"version\":2,\"weather\":\"fair\"")
            + "{\"moon\":{}}\n{\"moon\":{}}\n";
        let (dumps, warnings) = read(newer.as_bytes()).unwrap();
        assert_eq!(dumps, [small()]);
        assert_eq!(warnings.len(), 2, "the version, and unknown records once: {warnings:?}");
    }

    #[test]
    fn what_is_no_dump_is_an_error() {
        for text in ["", "hello", "{}", "{\"thread\":[0,{}]}", "\u{0}\u{0}"] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
