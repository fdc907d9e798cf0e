//! The traces of Android's runtime, which SIGQUIT and "application not responding" write; those of
//! Dalvik before it.
//!
//! ```text
//! ----- pid 18672 at 2019-01-27 20:09:52 -----
//! Cmd line: shop.example
//! DALVIK THREADS (33):
//! "main" prio=5 tid=1 Blocked
//!   | sysTid=18672 nice=0 cgrp=apps sched=0/0 handle=0xf778d160
//!   | state=S schedstat=( 151056979 25055334 199 ) utm=5 stm=9 core=1 HZ=100
//!   at shop.example.Cart.total(Cart.java:42)
//!   - waiting to lock <0x0d3f1a2b> (a java.lang.Object) held by thread 15
//!   native: #00 pc 0000000000069be4 /system/lib64/libc.so (__epoll_pwait+8)
//! ----- end 18672 -----
//! ```

use sigquit_dump::{Dump, Nanos, Thread, ThreadState, Warning};

use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::hotspot::title;
use super::jvm::{Building, Does, Named, Row};
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "art",
    looks_like: "a line `DALVIK THREADS (33):`, and `\"main\" prio=5 tid=1 Blocked`, of Android",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let is_list = |line: Line| line.text.trim_start().starts_with("DALVIK THREADS");
    let is_thread = |line: Line| header(line.text).is_some();
    let is_process = |line: Line| process(line.text).is_some();
    match text.lines().any(is_thread) {
        true if text.lines().any(|line| is_list(line) || is_process(line)) => Recognition::Yes,
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader {
    dumps: Dumps<Building>,
    /// Frames of machine code of the thread that is read: shown where it has no others.
    native: Vec<String>,
    /// How many threads the list is said to have.
    announced: Option<usize>,
}

impl<'t> ByLine<'t> for Reader {
    type Building = Building;

    fn dumps(&mut self) -> &mut Dumps<Building> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let text = line.text.trim_end();
        let body = text.trim_start();
        if let Some((pid, time)) = process(body) {
            self.end_dump();
            let building = &mut self.dumps.building;
            (building.process.pid, building.time) = (Some(pid), time);
        } else if body.starts_with("----- end ") {
            self.end_whole();
        } else if let Some(command) = body.strip_prefix("Cmd line: ") {
            let executable = command.split(' ').next().map(str::to_owned);
            self.dumps.building.process.executable = executable;
        } else if let Some(count) = body.strip_prefix("DALVIK THREADS") {
            if self.dumps.open.is_some() {
                self.end_dump();
            }
            let digits = |char: char| !char.is_ascii_digit();
            self.announced = count.trim_matches(digits).parse().ok();
        } else if let Some(row) = header(text) {
            self.take_native();
            let thread = Thread { line: Some(line.number), ..row.thread };
            self.dumps.open(Row { thread, ..row });
        } else if let Some(row) = &mut self.dumps.open {
            match body.split_once(' ').unwrap_or((body, "")) {
                ("|", said) => facts(row, said),
                ("at", call) if call.ends_with(')') => row.frames.push(call.replace("!(", "(")),
                ("-", mark) => lock(row, mark),
                ("native:", frame) => self.native.extend(native(frame)),
                _ if is_filler(body) || is_log_line(body) => {}
                _ => self.dumps.not_understood.note(line.number),
            }
        }
    }

    /// Ends a process's threads where the runtime did not say that these are all.
    fn end_dump(&mut self) {
        let announced = self.announced;
        let Some(dump) = self.end_whole() else { return };
        let threads = dump.threads.len();
        let Some(announced) = announced.filter(|&announced| announced > threads) else { return };
        dump.truncated = true;
        let line = dump.threads.last().and_then(|thread| thread.line).unwrap_or_default();
        let message = format!("{threads} of {announced} threads: the rest is missing");
        self.dumps.warnings.push(Warning { line, message });
    }
}

impl Reader {
    fn take_native(&mut self) {
        let native = std::mem::take(&mut self.native);
        if let Some(row) = self.dumps.open.as_mut().filter(|row| row.frames.is_empty()) {
            row.frames = native;
        }
    }

    fn end_whole(&mut self) -> Option<&mut Dump> {
        self.take_native();
        self.announced = None;
        self.dumps.end()
    }
}

/// `----- pid 18672 at 2019-01-27 20:09:52 -----`; newer ones go on with a fraction and the zone.
fn process(text: &str) -> Option<(u64, Option<Nanos>)> {
    let (pid, time) = text.trim().strip_prefix("----- pid ")?.split_once(" at ")?;
    Some((pid.parse().ok()?, time.get(..19).and_then(title::time)))
}

/// `"Signal Catcher" daemon prio=5 tid=3 Runnable`; some end with ` (still starting up)`.
fn header(text: &str) -> Option<Row> {
    let (name, rest) = text.strip_prefix('"')?.rsplit_once("\" ")?;
    let (daemon, rest) = match rest.strip_prefix("daemon ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut words = rest.strip_prefix("prio=")?.split(' ').skip(1);
    let number = words.next()?.strip_prefix("tid=")?.parse().ok()?;
    let word = words.next()?;
    let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (is_word && !word.is_empty()).then_some(())?;
    let thread = Thread {
        name: name.to_owned(),
        number: Some(number),
        daemon,
        runtime_helper: is_own_thread(name),
        ..Thread::default()
    };
    let mut row = Row { thread, ..Row::default() };
    row.state(state(word), word);
    Some(row)
}

/// The runtime's words, and Dalvik's.
fn state(word: &str) -> ThreadState {
    match word {
        // It ran, and was suspended for the dump.
        "Runnable" | "Suspended" | "RUNNABLE" | "SUSPENDED" => ThreadState::Runnable,
        "Native" | "NATIVE" => ThreadState::Syscall,
        "Blocked" | "MONITOR" => ThreadState::Blocked,
        "TimedWaiting" | "Sleeping" | "TIMED_WAIT" | "SLEEPING" => ThreadState::TimedWaiting,
        "Starting" | "STARTING" => ThreadState::New,
        "Terminated" | "ZOMBIE" => ThreadState::Ended,
        _ if word.starts_with("Wait") || word.ends_with("WAIT") => ThreadState::Waiting,
        _ => ThreadState::Unknown,
    }
}

fn is_own_thread(name: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "Signal Catcher",
        "HeapTaskDaemon",
        "ReferenceQueueDaemon",
        "FinalizerDaemon",
        "FinalizerWatchdogDaemon",
        "Jit thread pool",
        "Profile Saver",
        "ADB-JDWP",
        "JDWP",
        "perfetto_hprof",
    ];
    BEGINNINGS.iter().any(|known| name.starts_with(known))
}

/// What the kernel says.
///
/// ```text
/// sysTid=18672 nice=0 cgrp=apps sched=0/0 handle=0xf778d160
/// state=S schedstat=( 151056979 25055334 199 ) utm=5 stm=9 core=1 HZ=100
/// ```
fn facts(row: &mut Row, facts: &str) {
    for fact in facts.split(' ') {
        if let Some(os_id) = fact.strip_prefix("sysTid=") {
            row.thread.os_id = os_id.parse().ok();
        }
    }
    if let Some((_, schedule)) = facts.split_once("schedstat=(") {
        let mut figures = schedule.split_whitespace().map_while(|figure| figure.parse().ok());
        row.thread.cpu = figures.next().map(Nanos);
        row.thread.run_delay = figures.next().map(Nanos);
    }
}

/// `waiting to lock <0x0d3f1a2b> (a java.lang.Object) held by thread 15`
fn lock(row: &mut Row, mark: &str) {
    let owner = mark.split_once("held by thread ").and_then(|(_, owner)| {
        owner.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
    });
    row.owner = owner.or(row.owner);
    for (verb, does) in [
        ("waiting to lock ", Does::WaitToLock),
        ("waiting on ", Does::WaitOn),
        ("locked ", Does::Lock),
    ] {
        if let Some(object) = mark.strip_prefix(verb).and_then(Named::in_brackets) {
            row.mark(does, object);
        }
    }
}

/// `#00 pc 0000000000069be4  /system/lib64/libc.so (__epoll_pwait+8)` -> `__epoll_pwait(libc.so)`
fn native(frame: &str) -> Option<String> {
    let (_, rest) = frame.split_once(" pc ")?;
    let mut words = rest.split_whitespace().skip(1);
    let module = words.next()?.rsplit('/').next()?;
    let (_, function) = rest.split_once(" (")?;
    let function = function.strip_suffix(')').unwrap_or(function);
    let function = function.rsplit_once('+').map_or(function, |(function, _)| function);
    Some(format!("{function}({module})")).filter(|_| !function.starts_with("???"))
}

fn is_filler(body: &str) -> bool {
    const BEGINNINGS: &[&str] =
        &["kernel:", "(no managed stack frames)", "(native backtrace", "native:", "|", "at "];
    body.is_empty() || BEGINNINGS.iter().any(|known| body.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"
----- pid 18672 at 2019-01-27 20:09:52 -----
Cmd line: shop.example
Build type: optimized
DALVIK THREADS (3):
"Signal Catcher" daemon prio=5 tid=3 Runnable
  | sysTid=18677 nice=0 cgrp=apps sched=0/0 handle=0x1
  native: #00 pc 0000000000069be4  /system/lib64/libc.so (__epoll_pwait+8)
  (no managed stack frames)

"main" prio=5 tid=1 Blocked
  | group="main" sCount=1 dsCount=0 obj=0x73db0970 self=0xf4306800
  | sysTid=18672 nice=0 cgrp=apps sched=0/0 handle=0xf778d160
  | state=S schedstat=( 151056979 25055334 199 ) utm=5 stm=9 core=1 HZ=100
  | held mutexes=
  kernel: futex_wait_queue_me+0xd4/0x130
  at shop.example.Cart.total(Cart.java:42)
  - waiting to lock <0x0d3f1a2b> (a java.lang.Object) held by thread 15
  at java.lang.Thread.run(Thread.java:764)

"loader" prio=5 tid=15 Sleeping
  | sysTid=18699 nice=0 cgrp=apps sched=0/0 handle=0x2
  at java.lang.Thread.sleep!(Native method)
  - sleeping on <0x08f42a11> (a java.lang.Object)
  at shop.example.Loader.load(Loader.java:7)
  - locked <0x0d3f1a2b> (a java.lang.Object)

----- end 18672 -----
"#;

    fn read_text(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn threads_and_their_locks() {
        let (dumps, warnings) = read_text(TRACE);
        assert_eq!((dumps.len(), &warnings[..]), (1, &[][..]));
        let dump = &dumps[0];
        let main = &dump.threads[1];
        assert_eq!((main.os_id, main.cpu), (Some(18672), Some(Nanos(151_056_979))));
        assert_eq!(main.run_delay, Some(Nanos(25_055_334)));
        let wait = main.wait.as_ref().expect("a wait");
        assert_eq!(dump.lock(wait.lock).owners[0].thread, 2);
        assert_eq!(dump.threads[2].state, ThreadState::TimedWaiting);
        assert_eq!(dump.calls(&dump.threads[2]).count(), 2);
        assert!(dump.threads[0].runtime_helper && dump.process.pid == Some(18672));
    }

    #[test]
    fn several_processes_and_a_cut() {
        let other = TRACE.replace("18672", "99");
        let cut = &other[..other.find("\"loader\"").expect("it is there")];
        let (dumps, warnings) = read_text(&format!("{TRACE}{cut}"));
        assert_eq!((dumps.len(), dumps[1].threads.len()), (2, 2));
        assert!(dumps[1].truncated && warnings.len() == 1 && !dumps[0].truncated);
    }

    #[test]
    fn what_is_no_header() {
        for text in
            ["\"a\" #1 prio=5 os_prio=0 tid=0x7 nid=0x4 runnable", "\"a\" prio=5 tid=x A", ""]
        {
            assert!(header(text).is_none(), "{text}");
        }
    }
}
