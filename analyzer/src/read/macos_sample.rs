//! What `sample` of macOS and Activity Monitor print of a process: a tree of calls for each thread.
//!
//! ```text
//! Analysis of sampling shop (pid 4121) every 1 millisecond
//! Date/Time:       2026-11-20 10:56:26.981 +0100
//!
//! Call graph:
//!     853 Thread_7718   DispatchQueue_1: com.apple.main-thread  (serial)
//!     + 853 start  (in dyld) + 1903  [0x18c1b3f28]
//!     +   800 main  (in shop) + 39  [0x100001be7]  main.m:65
//!     +   ! 800 Ledger::post()  (in shop) + 12  [0x100001c20]
//!     +   53 ???  (in shop)  load address 0x100000000 + 0x1348a0  [0x1001348a0]
//!     853 Thread_7719: tick
//!     + 853 thread_start  (in libsystem_pthread.dylib) + 8  [0x18c4f5e3c]
//!
//! Total number in stack (recursive counted multiple, when >=5):
//! ```
//!
//! How calls are read and what is made of them: see [`call_tree`](super::call_tree).

use sigquit_dump::{Nanos, Process, Thread};

use super::call_tree::{Processes, named};
use super::foreign::is_log_line;
use super::hotspot::title;
use super::native::NativeFrame;
use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "macos-sample",
    looks_like: "a line `Analysis of sampling shop (pid 4121) every 1 millisecond` of macOS' sample",
    recognize,
    read: Read::Samples(read),
};

fn recognize(text: &Text) -> Recognition {
    let has_thread = || text.lines().any(|line| thread(line.text).is_some());
    match text.lines().any(|line| sampled(line.text).is_some()) {
        true if has_thread() => Recognition::Yes,
        true => Recognition::Perhaps,
        false if text.lines().any(|line| line.text == "Call graph:") && has_thread() => {
            Recognition::Yes
        }
        false => Recognition::No,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let mut reader = Reader::new(text.limits().threads);
    for line in text.lines() {
        let words = line.text.trim_end();
        if let Some(process) = sampled(words) {
            reader.end();
            reader.processes.begin(line.number, process);
        } else if let Some(time) = words.strip_prefix("Date/Time:").and_then(moment) {
            reader.time = Some(time);
        } else if let Some(path) = words.strip_prefix("Path:") {
            reader.path = Some(path.trim().to_owned());
        } else if words == "Call graph:" {
            reader.in_graph = true;
        } else if reader.in_graph {
            let processes = &mut reader.processes;
            match (thread(words), call(words)) {
                (Some((_, thread)), _) => {
                    if !processes.thread(line.number, thread) {
                        break;
                    }
                }
                (None, Some((column, count, frame))) => {
                    processes.trees(line.number).call(column, count, frame);
                }
                (None, None) if ends_graph(words) => reader.in_graph = false,
                (None, None) if words.is_empty() || is_log_line(words) => {}
                (None, None) => processes.not_understood.note(line.number),
            }
        }
    }
    reader.end();
    reader.processes.finish()
}

struct Reader<'t> {
    processes: Processes<'t>,
    in_graph: bool,
    time: Option<Nanos>,
    path: Option<String>,
}

impl Reader<'_> {
    fn new(most: usize) -> Self {
        let processes = Processes::new(FORMAT.name, most);
        Reader { processes, in_graph: false, time: None, path: None }
    }

    /// Ends the report that is being read.
    fn end(&mut self) {
        let (time, path) = (self.time.take(), self.path.take());
        self.in_graph = false;
        if let Some(trees) = self.processes.open() {
            let dump = trees.dump();
            dump.time = time;
            dump.process.executable = path.or(dump.process.executable.take());
        }
        self.processes.end();
    }
}

/// `Analysis of sampling shop (pid 4121) every 1 millisecond`
fn sampled(text: &str) -> Option<Process> {
    let (name, rest) = text.strip_prefix("Analysis of sampling ")?.rsplit_once(" (pid ")?;
    let pid = rest.split(')').next()?.parse().ok()?;
    let executable = Some(name.to_owned());
    Some(Process { pid: Some(pid), executable, ..Process::default() })
}

/// `    853 Thread_7718   DispatchQueue_1: com.apple.main-thread  (serial)`, `    853 Thread_7719: tick`,
/// `    110 Thread_<multiple>   DispatchQueue_86: queue  (serial)`: how many samples, and the thread
fn thread(text: &str) -> Option<(u64, Thread)> {
    let (count, rest) = text.trim_start().split_once(" Thread_")?;
    let count = count.parse().ok()?;
    let end = rest.find([':', ' ']).unwrap_or(rest.len());
    let (number, said) = rest.split_at(end);
    let name = match said.strip_prefix(':') {
        Some(name) => name,
        None => said.split_once(": ").map_or("", |(_, queue)| queue),
    };
    let name = name.trim().trim_end_matches("(serial)").trim_end_matches("(concurrent)").trim();
    Some((count, Thread { os_id: number.parse().ok(), name: name.to_owned(), ..Thread::default() }))
}

/// `    +   ! 800 Ledger::post()  (in shop) + 12  [0x100001c20]  ledger.cpp:9`: where the count stands, the
/// count, and the call
fn call(text: &str) -> Option<(usize, u64, NativeFrame<'_>)> {
    let column = text.find(|letter: char| letter.is_ascii_digit())?;
    if !text[..column].bytes().all(|byte| b" +!:|".contains(&byte)) {
        return None;
    }
    let (count, rest) = text[column..].split_once(' ')?;
    let (function, rest) = rest.split_once("  (in ").unwrap_or((rest, ""));
    let (module, rest) = rest.split_once(')').unwrap_or((rest, ""));
    let (address, place) = match rest.rsplit_once("[0x") {
        Some((_, rest)) => rest.split_once(']').unwrap_or((rest, "")),
        None => ("", ""),
    };
    let address = address.split([',', '.']).next().unwrap_or_default();
    let frame = NativeFrame {
        address: u64::from_str_radix(address, 16).ok(),
        function: named(function).into(),
        place: place.trim().into(),
        module: (!module.is_empty()).then_some(module),
        ..NativeFrame::default()
    };
    Some((column, count.parse().ok()?, frame))
}

fn ends_graph(text: &str) -> bool {
    ["Total number in stack", "Sort by top of stack", "Binary Images:"]
        .iter()
        .any(|end| text.starts_with(end))
}

/// `2026-11-20 10:56:26.981 +0100`: with the distance from UTC.
pub(super) fn moment(text: &str) -> Option<Nanos> {
    const MINUTE: u64 = 60 * 1_000_000_000;
    let text = text.trim();
    let local = title::time(text.get(..19)?)?;
    let offset = text.rsplit_once(' ').map(|(_, offset)| offset);
    let minutes = |offset: &str| {
        let hours: u64 = offset.get(..2)?.parse().ok()?;
        Some((hours * 60 + offset.get(2..4)?.parse::<u64>().ok()?) * MINUTE)
    };
    Some(match offset.and_then(|offset| offset.split_at_checked(1)) {
        Some(("+", offset)) => Nanos(local.0.saturating_sub(minutes(offset)?)),
        Some(("-", offset)) => Nanos(local.0.saturating_add(minutes(offset)?)),
        _ => local,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::{LockKind, ThreadState};

    const REPORT: &str = "Analysis of sampling shop (pid 4121) every 1 millisecond
Process:         shop [4121]
Path:            /srv/bin/shop
Date/Time:       2026-11-20 10:56:26.981 +0100

Call graph:
    853 Thread_7718   DispatchQueue_1: com.apple.main-thread  (serial)
    + 853 start  (in dyld) + 1903  [0x18c1b3f28]
    +   800 main  (in shop) + 39  [0x100001be7]  main.m:65
    +   ! 500 Ledger::post()  (in shop) + 12  [0x100001c20]
    +   53 ???  (in shop)  load address 0x100000000 + 0x1348a0  [0x1001348a0]
    853 Thread_7719: tick
    + 853 thread_start  (in libsystem_pthread.dylib) + 8  [0x18c4f5e3c]
    +   853 _pthread_mutex_firstfit_lock_wait  (in libsystem_pthread.dylib) + 84  [0x18c4f2d14]
    +     853 __psynch_mutexwait  (in libsystem_kernel.dylib) + 8  [0x18c4b75c4]

Total number in stack (recursive counted multiple, when >=5):
        5       operator new(unsigned long)  (in libc++abi.dylib) + 0  [0x1]
";

    fn read_text(text: &str) -> DumpsAndProfiles {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn samples_of_each_thread() {
        let (_, profiles, _) = read_text(REPORT);
        assert_eq!(
            profiles[0].folded(),
            [
                "com.apple.main-thread;start;[shop] 53",
                "com.apple.main-thread;start;main 300",
                "com.apple.main-thread;start;main;Ledger::post() 500",
                "tick;thread_start;_pthread_mutex_firstfit_lock_wait;__psynch_mutexwait 853",
            ]
        );
    }

    #[test]
    fn the_stack_in_which_each_thread_was_most() {
        let (dumps, _, warnings) = read_text(REPORT);
        let dump = &dumps[0];
        let [main, tick] = &dump.threads[..] else { panic!("{:?}", dump.threads) };
        assert_eq!(
            (main.state_text.as_str(), main.state),
            ("500 of 853 samples", ThreadState::Unknown)
        );
        assert_eq!((tick.name.as_str(), tick.os_id), ("tick", Some(7719)));
        let wait = tick.wait.as_ref().expect("a wait");
        assert_eq!(
            (tick.state, dump.lock(wait.lock).kind),
            (ThreadState::Blocked, LockKind::Mutex)
        );
        let functions: Vec<&str> =
            dump.calls(main).map(|(.., symbol)| symbol.function.as_str()).collect();
        assert_eq!(functions, ["Ledger::post()", "main", "start"]);
        assert_eq!(dump.process.executable.as_deref(), Some("/srv/bin/shop"));
        assert_eq!((dump.process.pid, warnings.len()), (Some(4121), 1));
        assert_eq!(dump.time, moment("2026-11-20 09:56:26"));
    }

    #[test]
    fn a_cut_leaves_what_stands_before_it() {
        let cut = &REPORT[..REPORT.find("    +     853 __psynch").expect("it is there")];
        let (dumps, profiles, _) = read_text(cut);
        assert_eq!((dumps[0].threads.len(), profiles[0].samples.len()), (2, 4));
        let (dumps, ..) = read_text(&REPORT[REPORT.find("Call graph").expect("it is there")..]);
        assert_eq!((dumps[0].threads.len(), dumps[0].process.pid), (2, None));
        assert_eq!(read_text(&REPORT.repeat(2)).0.len(), 2);
    }
}
