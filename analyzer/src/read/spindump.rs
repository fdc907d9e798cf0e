//! What macOS' and iOS' spindump writes of processes: hang reports, and `spindump` of one process or of all.
//!
//! ```text
//! Process:          shop [4121]
//! Path:             /srv/bin/shop
//!
//!   Thread 0x1e26    DispatchQueue "com.apple.main-thread"(1)    49 samples (1-49)    priority 47 (base 47)
//!   49  start + 462 (dyld + 21806) [0x115b4652e] 1-49
//!     49  Ledger::post() + 35 (Ledger.cpp:31,1 in shop + 17460019) [0x10772db33] 1-49
//!       49  __psynch_mutexwait + 10 (libsystem_kernel.dylib + 15314) [0x7ff813b35bd2] 1-49
//!        *49  psynch_mtxcontinue + 0 (pthread + 11285) [0xffffff8003753c15] (blocked by turnstile waiting for shop [4121] thread 0x1e27) 1-49
//!
//!   Thread 0x1e27    Thread name "tick"    49 samples (1-49)    priority 31 (base 31)
//!   49  ??? (<9D233F9C-ABAB-3B54-B675-07FAF65FBFB9> + 3439660) [0x109853c2c]
//! ```
//!
//! Calls in the kernel, with a star, are not kept; what they wait for is. How calls are read and what is made of
//! them: see [`call_tree`](super::call_tree).

use sigquit_dump::{Nanos, Process, Thread};

use super::call_tree::{Processes, Trees, named};
use super::foreign::is_log_line;
use super::macos_sample::moment;
use super::native::NativeFrame;
use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "spindump",
    looks_like: "a line `  Thread 0x1e26    DispatchQueue ...    49 samples (1-49)` of spindump",
    recognize,
    read: Read::Samples(read),
};

fn recognize(text: &Text) -> Recognition {
    let has_process = || text.lines().any(|line| process(line.text).is_some());
    match text.lines().any(|line| thread(line.text).is_some()) {
        true if has_process() => Recognition::Yes,
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let mut processes = Processes::new(FORMAT.name, text.limits().threads);
    let mut time = None;
    for line in text.lines() {
        let words = line.text.trim_end();
        if let Some(process) = process(words) {
            end(&mut processes, time);
            processes.begin(line.number, process);
        } else if let Some(moment) = words.strip_prefix("Date/Time:").and_then(moment) {
            end(&mut processes, time);
            time = Some(moment);
        } else if let Some(thread) = thread(words) {
            if !processes.thread(line.number, thread) {
                break;
            }
        } else if let Some(trees) = processes.open() {
            if let Some(path) = words.strip_prefix("Path:").filter(|_| !trees.is_open()) {
                trees.dump().process.executable = Some(path.trim().to_owned());
            } else if words.starts_with("  Binary Images:") || words.starts_with("Binary Images:") {
                trees.close();
            } else if trees.is_open() {
                let is_understood = call_line(trees, words);
                if !is_understood {
                    processes.not_understood.note(line.number);
                }
            }
        }
    }
    end(&mut processes, time);
    processes.finish()
}

/// Ends the process that is being read, of a report of that time.
fn end(processes: &mut Processes, time: Option<Nanos>) {
    if let Some(trees) = processes.open() {
        trees.dump().time = time;
    }
    processes.end();
}

/// A line below a thread: a call, or a remark. False when it is neither.
fn call_line<'t>(trees: &mut Trees<'t>, words: &'t str) -> bool {
    let pid = trees.dump().process.pid;
    let is_understood = match call(words) {
        Some((column, count, Some(frame))) => {
            trees.call(column, count, frame);
            true
        }
        Some((.., None)) => true,
        None => words.is_empty() || is_remark(words) || is_log_line(words),
    };
    if let Some(owner) = kept_by(words) {
        trees.kept_by(|thread| owner.of(thread, pid));
    }
    is_understood
}

/// `Process:          shop [4121]`, `Process:          shop [4121] (suspended)`
fn process(text: &str) -> Option<Process> {
    let (name, rest) = text.strip_prefix("Process:")?.trim().rsplit_once(" [")?;
    let pid = rest.split(']').next()?.parse().ok()?;
    let executable = Some(name.trim().to_owned());
    Some(Process { pid: Some(pid), executable, ..Process::default() })
}

/// `  Thread 0x1e26    DispatchQueue "com.apple.main-thread"(1)    Thread name "io"    49 samples (1-49)    ...`
fn thread(text: &str) -> Option<Thread> {
    let rest = text.trim_start().strip_prefix("Thread 0x")?;
    let (tid, said) = rest.split_once(' ').unwrap_or((rest, ""));
    let os_id = u64::from_str_radix(tid, 16).ok()?;
    said.contains(" samples (").then_some(())?;
    let quoted = |word: &str| {
        let (_, rest) = said.split_once(word)?;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    };
    let name = quoted("Thread name \"").or_else(|| quoted("DispatchQueue \"")).unwrap_or_default();
    Some(Thread { os_id: Some(os_id), name, ..Thread::default() })
}

/// `    49  Ledger::post() + 35 (Ledger.cpp:31,1 in shop + 17460019) [0x10772db33] 1-49`: where the count stands,
/// the count, and the call; no call when it is one of the kernel.
fn call(text: &str) -> Option<(usize, u64, Option<NativeFrame<'_>>)> {
    let column = text.find(|letter: char| letter != ' ')?;
    let (in_kernel, rest) = match text[column..].strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, &text[column..]),
    };
    let (count, rest) = rest.split_once(' ')?;
    let count = count.parse().ok()?;
    if in_kernel {
        return Some((column, count, None));
    }
    let (told, rest) = rest.trim_start().split_once(" [0x").unwrap_or((rest.trim_start(), ""));
    let address = u64::from_str_radix(rest.split(']').next()?, 16).ok();
    let (function, inside) =
        match told.strip_suffix(')').and_then(|told| Some((told, opening(told)?))) {
            Some((told, open)) => (told[..open].trim_end(), &told[open + 1..]),
            None => (told, ""),
        };
    let (place, inside) = inside.split_once(" in ").unwrap_or(("", inside));
    let module = without_offset(inside);
    let frame = NativeFrame {
        address,
        function: named(without_offset(function)).into(),
        place: place.replacen(',', ":", 1).into(),
        module: (!module.is_empty()).then_some(module),
        ..NativeFrame::default()
    };
    Some((column, count, Some(frame)))
}

/// Where the bracket opens that is still open at the end: `f() + 35 (a (b) + 17`
fn opening(text: &str) -> Option<usize> {
    let mut closed = 0_usize;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b')' => closed += 1,
            b'(' if closed == 0 => return Some(at),
            b'(' => closed -= 1,
            _ => {}
        }
    }
    None
}

/// `start + 462` -> `start`
fn without_offset(text: &str) -> &str {
    match text.rsplit_once(" + ") {
        Some((name, offset)) if offset.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    }
}

/// Who keeps a thread from going on.
enum Keeper {
    Itself,
    Thread { pid: u64, tid: u64 },
}

impl Keeper {
    /// Its number, when it is of the same process.
    fn of(&self, thread: &Thread, own: Option<u64>) -> Option<u64> {
        match *self {
            Keeper::Itself => thread.os_id,
            Keeper::Thread { pid, tid } => (Some(pid) == own).then_some(tid),
        }
    }
}

/// `... (blocked by turnstile waiting for shop [4121] thread 0x1e27) 1-49`,
/// `... (blocked by turnstile waiting for this thread)`; of other processes' locks it is not told who has them
fn kept_by(text: &str) -> Option<Keeper> {
    let (_, rest) = text.split_once("(blocked by turnstile waiting for ")?;
    if rest.starts_with("this thread") {
        return Some(Keeper::Itself);
    }
    let (process, thread) = rest.split_once(" thread 0x")?;
    let pid = process.rsplit_once('[').map(|(_, pid)| pid).filter(|_| process.ends_with(']'));
    let pid = pid.or_else(|| process.split_once(" [").map(|(_, rest)| rest))?;
    let tid = thread.split(|letter: char| !letter.is_ascii_hexdigit()).next()?;
    Some(Keeper::Thread {
        pid: pid.split(']').next()?.parse().ok()?,
        tid: u64::from_str_radix(tid, 16).ok()?,
    })
}

/// `  <thread QoS user interactive, process unclamped, IO tier 0>`
fn is_remark(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::{LockKind, ThreadState};

    const REPORT: &str = r#"Date/Time:        2026-11-20 19:00:41.615 -0500
Event:            hang

Heaviest stack for the main thread of the target process:
  49  start + 462 (dyld + 21806) [0x115b4652e]

Process:          shop [4121]
Path:             /srv/bin/shop
Num samples:      49 (1-49)

  Thread 0x1e26    DispatchQueue "com.apple.main-thread"(1)    49 samples (1-49)    priority 47 (base 47)
  <thread QoS user interactive, IO tier 0>
  49  start + 462 (dyld + 21806) [0x115b4652e] 1-49
    49  Ledger::post(int) const + 35 (Ledger.cpp:31,1 in Shop Helper (Renderer) + 17460019) [0x10772db33] 1-49
      49  __psynch_mutexwait + 10 (libsystem_kernel.dylib + 15314) [0x7ff813b35bd2] 1-49
       *49  psynch_mtxcontinue + 0 (pthread + 11285) [0xffffff8003753c15] (blocked by turnstile waiting for shop [4121] thread 0x1e27) 1-49

  Thread 0x1e27    Thread name "tick"    49 samples (1-49)    priority 31 (base 31)
  30  ??? (<9D233F9C-ABAB-3B54-B675-07FAF65FBFB9> + 3439660) [0x109853c2c] 1-30
  19  sum + 3 (shop + 78) [0x10772dc00] (running) 31-49

  Binary Images:
         0x10772d000 -                ???  shop (1.0)  <70CFDCC9>  /srv/bin/shop
"#;

    fn read_text(text: &str) -> DumpsAndProfiles {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn who_waits_for_whom() {
        let (dumps, profiles, warnings) = read_text(REPORT);
        let dump = &dumps[0];
        let [main, tick] = &dump.threads[..] else { panic!("{:?}", dump.threads) };
        assert_eq!((main.state, tick.state), (ThreadState::Blocked, ThreadState::Unknown));
        let lock = dump.lock(main.wait.as_ref().expect("a wait").lock);
        assert_eq!((lock.kind, lock.owners[0].thread), (LockKind::Mutex, 1));
        assert_eq!((tick.name.as_str(), tick.state_text.as_str()), ("tick", "30 of 49 samples"));
        let (_, frame, symbol) = dump.calls(main).nth(1).expect("a call");
        assert_eq!(symbol.function, "Ledger::post(int) const");
        let line = symbol.location.as_ref().and_then(|location| location.line);
        assert_eq!((line, frame.module.is_some()), (Some(31), true));
        assert_eq!(dump.modules[1].path, "Shop Helper (Renderer)");
        assert_eq!((profiles[0].samples.len(), warnings.len()), (3, 1));
        assert_eq!((dumps.len(), dump.time), (1, moment("2026-11-21 00:00:41")));
    }

    #[test]
    fn who_keeps_a_thread() {
        let keeper = |text| {
            kept_by(text)
                .map(|keeper| keeper.of(&Thread { os_id: Some(7), ..Thread::default() }, Some(9)))
        };
        assert_eq!(keeper("(blocked by turnstile waiting for this thread) 1-11"), Some(Some(7)));
        assert_eq!(
            keeper("(blocked by turnstile waiting for a [b] [9] thread 0x1f)"),
            Some(Some(0x1f))
        );
        assert_eq!(keeper("(blocked by turnstile waiting for smd [8] thread 0x1f)"), Some(None));
        assert_eq!(keeper("(blocked by turnstile waiting for smd)"), None);
    }

    #[test]
    fn several_processes_and_a_cut() {
        let (dumps, ..) = read_text(&REPORT.repeat(2));
        assert_eq!(dumps.len(), 2);
        let cut = &REPORT[..REPORT.find("(libsystem_kernel").expect("it is there")];
        let (dumps, ..) = read_text(cut);
        assert_eq!((dumps[0].threads.len(), dumps[0].threads[0].wait.is_some()), (1, true));
    }
}
