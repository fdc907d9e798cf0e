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
//! It prints no locks. Calls of `threading.py` show who waits for a semaphore or a lock that is written
//! in Python, and with `--native` the interpreter's functions who waits for any other; whose it is
//! remains unknown. Without `--native` nothing tells why a thread is idle in the program's own code.

use sigquit_dump::{
    Dump, Lock, LockKind, Process, Runtime, Stack, Thread, ThreadState, Wait, WaitFor, Warning,
};

use super::by_line::{self, Build, ByLine, Dumps};
use super::foreign::is_log_line;
use super::goroutines::Call;
use super::intern::Interned;
use super::{Format, Line, Lines, Read, Recognition, Text};

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
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader {
    dumps: Dumps<Building>,
}

impl<'t> ByLine<'t> for Reader {
    type Building = Building;

    fn dumps(&mut self) -> &mut Dumps<Building> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let text = line.text.trim_end();
        if let Some((pid, command)) = process(text) {
            self.end_dump();
            self.dumps.building.dump.process = Process {
                runtime: Runtime::Unknown,
                pid: Some(pid),
                executable: command.split(' ').next().map(str::to_owned),
                ..Process::default()
            };
        } else if let Some(version) = text.strip_prefix("Python v") {
            let process = &mut self.dumps.building.dump.process;
            process.runtime_version = Some(format!("Python {version}"));
        } else if let Some(thread) = header(text) {
            self.dumps.open((Thread { line: Some(line.number), ..thread }, Vec::new()));
        } else if let Some((_, calls)) = &mut self.dumps.open {
            match call(text) {
                Some(call) => calls.push(call),
                None if text.is_empty() || is_log_line(text) => {}
                None => self.dumps.not_understood.note(line.number),
            }
        }
    }

    fn end_dump(&mut self) {
        self.dumps.close();
        let warning = self.dumps.building.without_native();
        self.dumps.warnings.extend(warning);
        self.dumps.end();
    }
}

/// A dump while its threads are read.
#[derive(Default)]
struct Building {
    dump: Dump,
    interned: Interned<Call>,
    /// It was taken with `--native`.
    has_native: bool,
    /// Idle threads of which nothing tells why.
    unexplained: usize,
}

impl Build for Building {
    type Open = (Thread, Vec<Call>);

    fn add(&mut self, (mut thread, calls): (Thread, Vec<Call>)) {
        let dump = &mut self.dump;
        self.has_native |= calls.iter().any(|call| !is_python(call));
        if let Some((kind, wait_for)) = waited(&calls) {
            let lock = dump.add_lock(Lock { kind, ..Lock::default() });
            thread.wait = Some(Wait { lock, wait_for });
            if wait_for.needs_owner_to_leave() {
                thread.state = ThreadState::Blocked;
            }
        } else if thread.state == ThreadState::Waiting && !calls.first().is_some_and(is_standard) {
            self.unexplained += 1;
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

    fn finish(self) -> Dump {
        self.dump
    }
}

impl Building {
    /// Tells what only `--native` shows.
    fn without_native(&self) -> Option<Warning> {
        let first = self.dump.threads.first().filter(|_| !self.has_native)?;
        let threads = match self.unexplained {
            0 => return None,
            1 => "1 thread".to_owned(),
            count => format!("{count} threads"),
        };
        let message = format!(
            "why {threads} in the program's own code are idle is not shown: with --native py-spy \
             shows who waits for locks"
        );
        Some(Warning { line: first.line.unwrap_or_default(), message })
    }
}

/// What a thread waits for, as far as its calls tell.
///
/// ```text
///     PyThread_acquire_lock_timed (libpython3.11.so.1.0)
///     lock_PyThread_acquire_lock (libpython3.11.so.1.0)
///     transfer (orders.py:10)                             a lock
///
///     _RLock.acquire (threading.py:168)                   a lock that is written in Python
///
///     Condition.wait (threading.py:327)
///     Semaphore.acquire (threading.py:479)                a semaphore
/// ```
///
/// Conditions and queues wait for locks of their own making, which nobody is to leave.
fn waited(calls: &[Call]) -> Option<(LockKind, WaitFor)> {
    const OF_A_LOCK: &str = "PyThread_acquire_lock_timed";
    let (native, python) = calls.split_at(calls.iter().position(is_python)?);
    let mut threading = python.iter().take_while(|call| call.file.ends_with("threading.py"));
    let mutex = Some((LockKind::Mutex, WaitFor::Exclusive));
    match threading.next().map(|leaf| method(&leaf.function)) {
        Some("acquire") => mutex,
        Some(_) => threading
            .any(|call| method(&call.function) == "acquire")
            .then_some((LockKind::Semaphore, WaitFor::Notification)),
        None => {
            let mut from = native.iter().skip_while(|call| call.function != OF_A_LOCK).peekable();
            let acquires = from.peek().is_some() && from.all(|call| call.function.contains("lock"));
            mutex.filter(|_| acquires)
        }
    }
}

/// `Semaphore.acquire` -> `acquire`; older py-spy prints no classes.
fn method(function: &str) -> &str {
    function.rsplit('.').next().unwrap_or(function)
}

/// `orders.py`, `<frozen importlib._bootstrap>`, and not `libpython3.11.so.1.0`, `_queuemodule.c`
fn is_python(call: &Call) -> bool {
    call.line.is_some() && (call.file.ends_with(".py") || call.file.starts_with('<'))
}

/// Whether a call's name says what it waits for.
fn is_standard(call: &Call) -> bool {
    const FILES: [&str; 8] = [
        "threading.py",
        "queue.py",
        "selectors.py",
        "socket.py",
        "ssl.py",
        "subprocess.py",
        "thread.py",
        "connection.py",
    ];
    let file = call.file.rsplit('/').next().unwrap_or_default();
    FILES.contains(&file)
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

    fn waited_in(stack: &str) -> Option<LockKind> {
        let calls: Vec<Call> = stack.lines().filter_map(call).collect();
        waited(&calls).map(|(kind, _)| kind)
    }

    #[test]
    fn locks_are_told_from_what_is_built_on_them() {
        let lock = "    PyThread_acquire_lock_timed (libpython3.11.so.1.0)\n";
        let via = "    lock_PyThread_acquire_lock (libpython3.11.so.1.0)\n";
        let user = "    transfer (orders.py:10)\n";
        assert_eq!(waited_in(&[lock, via, user].concat()), Some(LockKind::Mutex));
        assert_eq!(waited_in(&[lock, user].concat()), Some(LockKind::Mutex));
        let queue = "    _queue_SimpleQueue_get_impl (_queuemodule.c:253)\n";
        assert_eq!(waited_in(&[lock, queue, user].concat()), None);
        let condition = "    Condition.wait (threading.py:327)\n";
        assert_eq!(waited_in(&[lock, via, condition, user].concat()), None);
        let semaphore = "    Semaphore.acquire (threading.py:479)\n";
        assert_eq!(waited_in(&[condition, semaphore, user].concat()), Some(LockKind::Semaphore));
        let written_in_python = "    _RLock.acquire (threading.py:168)\n";
        assert_eq!(waited_in(&[written_in_python, user].concat()), Some(LockKind::Mutex));
        assert_eq!(waited_in(user), None);
    }

    #[test]
    fn what_is_not_shown_is_said_once_a_dump() {
        let text = "Thread 7 (idle): \"a\"\n    transfer (orders.py:10)\n";
        let (_, warnings) = read(&Text::from_bytes(text.as_bytes()));
        assert!(warnings.len() == 1 && warnings[0].message.contains("1 thread"), "{warnings:?}");
        let text = text.replace("transfer (orders.py:10)", "Queue.get (queue.py:171)");
        assert_eq!(read(&Text::from_bytes(text.as_bytes())).1, []);
    }

    #[test]
    fn two_dumps_are_two() {
        assert_eq!(read(&Text::from_bytes(DUMP.repeat(2).as_bytes())).0.len(), 2);
        for text in ["Thread 4 (of many):", "Thread 4 (LWP 7):", ""] {
            assert!(header(text).is_none(), "{text}");
        }
    }
}
