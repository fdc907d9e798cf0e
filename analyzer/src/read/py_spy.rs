//! What `py-spy dump` prints of a Python process, with and without `--native`.
//!
//! ```text
//! Process 14717: python3 orders.py
//! Python v3.11.7 (/usr/bin/python3.11)
//!
//! Thread 14761 (idle): "teller-east"
//!     PyThread_acquire_lock_timed (libpython3.11.so.1.0)
//!     transfer (orders.py:10)
//! ```
//!
//! It prints no locks. With `--native` the interpreter's functions show at least who waits for
//! one; whose it is remains unknown.

use sigquit_dump::{
    Dump, Lock, LockKind, Process, Runtime, Stack, Thread, ThreadState, Wait, WaitFor, Warning,
};

use super::foreign::{NotUnderstood, is_log_line};
use super::goroutines::Call;
use super::intern::Interned;
use super::{Format, Line, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "py-spy",
    looks_like: "a line `Thread 14761 (idle): \"worker\"` of py-spy",
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
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
        if reader.threads >= text.limits().threads {
            reader.warnings.push(too_many_threads(line.number, text.limits().threads));
            break;
        }
    }
    reader.end_dump();
    (reader.dumps, reader.warnings)
}

#[derive(Default)]
struct Reader {
    dumps: Vec<Dump>,
    warnings: Vec<Warning>,
    dump: Dump,
    interned: Interned<Call>,
    open: Option<(Thread, Vec<Call>)>,
    threads: usize,
    not_understood: NotUnderstood,
}

impl Reader {
    fn line(&mut self, line: Line) {
        let text = line.text.trim_end();
        if let Some((pid, command)) = process(text) {
            self.end_dump();
            self.dump.process = Process {
                runtime: Runtime::Unknown,
                pid: Some(pid),
                executable: command.split(' ').next().map(str::to_owned),
                ..Process::default()
            };
        } else if let Some(version) = text.strip_prefix("Python v") {
            self.dump.process.runtime_version = Some(format!("Python {version}"));
        } else if let Some(thread) = header(text) {
            self.close();
            self.open = Some((Thread { line: Some(line.number), ..thread }, Vec::new()));
        } else if let Some((_, calls)) = &mut self.open {
            match call(text) {
                Some(call) => calls.push(call),
                None if text.is_empty() || is_log_line(text) => {}
                None => self.not_understood.note(line.number),
            }
        }
    }

    fn close(&mut self) {
        let Some((mut thread, calls)) = self.open.take() else { return };
        self.threads += 1;
        let dump = &mut self.dump;
        if waits_for_lock(&calls) {
            let kind = LockKind::Mutex;
            let lock = dump.add_lock(Lock { kind, ..Lock::default() });
            thread.wait = Some(Wait { lock, wait_for: WaitFor::Exclusive });
            thread.state = ThreadState::Blocked;
        }
        let frames: Vec<_> = calls
            .iter()
            .map(|call| self.interned.frame(dump, call.clone(), || call.read()))
            .collect();
        if !frames.is_empty() {
            thread.stack = Some(self.interned.stack(dump, Stack::from(frames)));
        }
        dump.threads.push(thread);
    }

    fn end_dump(&mut self) {
        self.close();
        let dump = std::mem::take(&mut self.dump);
        self.interned = Interned::default();
        if !dump.threads.is_empty() {
            self.warnings.extend(std::mem::take(&mut self.not_understood).warning());
            self.dumps.push(dump);
        }
    }
}

/// Whether the interpreter waits for a lock, and not on behalf of a condition, which waits for a
/// lock of its own making.
fn waits_for_lock(calls: &[Call]) -> bool {
    let acquires = calls.iter().any(|call| call.function == "PyThread_acquire_lock_timed");
    let python = calls.iter().find(|call| call.line.is_some());
    acquires && python.is_some_and(|call| !call.file.ends_with("threading.py"))
}

/// `Process 14717: python3 orders.py`
fn process(text: &str) -> Option<(u64, &str)> {
    let (pid, command) = text.strip_prefix("Process ")?.split_once(": ")?;
    Some((pid.parse().ok()?, command))
}

/// `Thread 14763 (active+gil): "sums"`; the name may be missing.
fn header(text: &str) -> Option<Thread> {
    let (tid, rest) = text.strip_prefix("Thread ")?.split_once(" (")?;
    let (doing, name) = rest.split_once(')')?;
    let os_id = match tid.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => tid.parse().ok()?,
    };
    let state = match doing {
        "idle" => ThreadState::Waiting,
        "active" | "active+gil" | "active,gil" => ThreadState::Running,
        _ => return None,
    };
    let name = name.trim_start_matches(':').trim().trim_matches('"').to_owned();
    let state_text = doing.to_owned();
    Some(Thread { os_id: Some(os_id), name, state, state_text, ..Thread::default() })
}

/// `    transfer (orders.py:10)`, `    time_sleep (libpython3.11.so.1.0)`
fn call(text: &str) -> Option<Call> {
    let (function, place) = text.strip_prefix("    ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let (file, line) = match place.rsplit_once(':') {
        Some((file, line)) => (file, line.parse().ok()),
        None => (place, None),
    };
    Some(Call { function: function.trim().to_owned(), file: file.to_owned(), line, inlined: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "Process 14717: python3 orders.py
Python v3.11.7 (/usr/bin/python3.11)

Thread 14761 (idle): \"teller-east\"
    PyThread_acquire_lock_timed (libpython3.11.so.1.0)
    transfer (orders.py:10)
Thread 14762 (idle): \"consumer\"
    PyThread_acquire_lock_timed (libpython3.11.so.1.0)
    wait (threading.py:320)
    get (queue.py:171)
Thread 14763 (active+gil)
    compute (orders.py:17)
";

    #[test]
    fn threads_states_and_who_waits_for_a_lock() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let waits: Vec<bool> =
            dumps[0].threads.iter().map(|thread| thread.wait.is_some()).collect();
        assert_eq!(waits, [true, false, false]);
        assert_eq!(dumps[0].threads[2].state, ThreadState::Running);
        assert_eq!((dumps[0].process.pid, dumps[0].threads[0].os_id), (Some(14717), Some(14761)));
    }

    #[test]
    fn two_dumps_are_two() {
        assert_eq!(read(&Text::from_bytes(DUMP.repeat(2).as_bytes())).0.len(), 2);
        for text in ["Thread 4 (of many):", "Thread 4 (LWP 7):", ""] {
            assert!(header(text).is_none(), "{text}");
        }
    }
}
