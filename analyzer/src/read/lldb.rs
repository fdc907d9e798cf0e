//! What lldb prints of threads: `bt all`, `thread backtrace all`.
//!
//! ```text
//! * thread #1, name = 'night', stop reason = signal SIGSTOP
//!   * frame #0: 0x00007fdac5aa3f16 libc.so.6`__futex_abstimed_wait_common at futex-internal.c:57:12
//!     frame #4: 0x000055bbacd7e104 night`main(count=2, arguments=0x00007ffe1c7be3a8) at night.cpp:156:45
//!     frame #6: 0x000055bbacd7cb63 night`work() [inlined] std::mutex::lock(this=0x7f10) at mutex:139:21
//! ```

use sigquit_dump::{Dump, Thread, Warning};

use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::native::{Building, NativeFrame, Open, without_return_type};
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "lldb",
    looks_like: "a line `* thread #1, name = 'main', stop reason = ...` of lldb",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let is_frame = |line: Line| frame(line.text).is_some();
    match text.lines().any(|line| header(line.text).is_some()) {
        true if text.lines().any(is_frame) => Recognition::Yes,
        true => Recognition::Perhaps,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Building<'t>>,
    pid: Option<u64>,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Building<'t>;

    fn dumps(&mut self) -> &mut Dumps<Building<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let text = line.text.trim_end();
        if let Some(pid) = process(text) {
            self.end_dump();
            self.pid = Some(pid);
        } else if let Some(header) = header(text) {
            self.thread(line.number, header);
        } else if let Some(frame) = frame(text) {
            if let Some(open) = &mut self.dumps.open {
                open.frames.push(frame);
            }
        } else if self.dumps.open.is_some() && !is_filler(text) {
            self.dumps.not_understood.note(line.number);
        }
    }

    fn end_dump(&mut self) {
        if let Some(dump) = self.dumps.end() {
            dump.process.pid = self.pid;
        }
    }
}

impl<'t> Reader<'t> {
    /// The list of threads that lldb shows when it attaches is not the dump: each of them is
    /// shown again with its whole stack.
    fn thread(&mut self, line: u64, header: Header<'t>) {
        self.dumps.close();
        let shown = &self.dumps.building.dump;
        if shown.threads.first().is_some_and(|first| first.number == Some(header.number)) {
            let only_leaves = shown.stacks.iter().all(|stack| stack.frames.len() == 1);
            match only_leaves {
                true => self.dumps.building = Building::default(),
                false => self.end_dump(),
            }
        }
        let Header { number, os_id, name } = header;
        let thread = Thread {
            name: name.to_owned(),
            number: Some(number),
            os_id,
            line: Some(line),
            ..Thread::default()
        };
        self.dumps.open(Open { thread, ..Open::default() });
    }
}

struct Header<'t> {
    number: u64,
    os_id: Option<u64>,
    name: &'t str,
}

/// `* thread #1, name = 'night', stop reason = ...`; older: `  thread #2: tid = 31337, 0x...`
fn header(text: &str) -> Option<Header<'_>> {
    let text = text.strip_prefix('*').unwrap_or(text).trim_start();
    let rest = text.strip_prefix("thread #")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(digits);
    let after = |words| rest.split_once(words).map(|(_, rest): (&str, &str)| rest);
    let name =
        after("name = '").and_then(|rest| rest.split_once('\'')).map_or("", |(name, _)| name);
    let tid = after("tid = ").and_then(|rest| {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        match rest[..end].strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => rest[..end].parse().ok(),
        }
    });
    let number = number.parse().ok()?;
    (rest.is_empty() || rest.starts_with([',', ':'])).then_some(Header { number, os_id: tid, name })
}

/// Reads a frame: address, binary, function, arguments, place.
///
/// A function that was inlined stands behind `[inlined]`, and before it the one that it was
/// inlined into.
fn frame(text: &str) -> Option<NativeFrame<'_>> {
    let text = text.trim_start().trim_start_matches("* ");
    let (_, rest) = text.strip_prefix("frame #")?.split_once(": ")?;
    let (address, rest) = rest.strip_prefix("0x")?.split_once(' ').unwrap_or((rest, ""));
    let address = u64::from_str_radix(address, 16).ok();
    let (module, call) = rest.split_once('`').unwrap_or((rest, ""));
    let (call, place) = call.rsplit_once(" at ").unwrap_or((call, ""));
    let (call, inlined) = match call.rsplit_once(" [inlined] ") {
        Some((_, call)) => (call, true),
        None => (call, false),
    };
    let (function, arguments) = split_arguments(without_offset(call));
    let place = if place.contains(':') { place } else { "" };
    Some(NativeFrame {
        address,
        function: without_return_type(without_made_up(function)).into(),
        arguments: arguments.into(),
        place: place.into(),
        module: (!module.is_empty()).then_some(module),
        inlined,
    })
}

/// `_start + 33` -> `_start`
fn without_offset(call: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    call.rsplit_once(" + ").filter(|(_, offset)| is_number(offset)).map_or(call, |(call, _)| call)
}

/// A name that lldb invents for want of one.
fn without_made_up(function: &str) -> &str {
    if function.starts_with("___lldb_unnamed_symbol") {
        ""
    } else {
        function.trim_end_matches(" const")
    }
}

/// `main(count=2, arguments=0x7ff)` -> `main` and the arguments. Brackets without values are a
/// part of the name: `std::thread::join()`.
fn split_arguments(call: &str) -> (&str, &str) {
    let call = call.trim_end_matches(" const");
    let begins = |&(open, _): &(usize, &str)| {
        let name = call[open + 1..].split('=').next().unwrap_or_default();
        name.len() < call.len() - open - 1
            && (name == "(null)" || name.chars().all(|char| char.is_alphanumeric() || char == '_'))
    };
    match call.match_indices('(').find(begins) {
        Some((open, _)) => {
            let end = call.rfind(')').filter(|&end| end > open).unwrap_or(call.len());
            (&call[..open], &call[open + 1..end])
        }
        None => (call, ""),
    }
}

/// `Process 15034 stopped`
fn process(text: &str) -> Option<u64> {
    text.strip_prefix("Process ")?.strip_suffix(" stopped")?.parse().ok()
}

fn is_filler(text: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "(lldb)",
        "Executable module set to",
        "Architecture set to",
        "Process ",
        "    frame ",
        "warning: ",
    ];
    text.trim().is_empty()
        || is_log_line(text)
        || BEGINNINGS.iter().any(|known| text.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let read = |text| {
            let frame = frame(text).expect("a frame");
            (
                frame.function.into_owned(),
                frame.arguments.into_owned(),
                frame.place.into_owned(),
                frame.inlined,
            )
        };
        let owned = |function: &str, arguments: &str, place: &str, inlined| {
            (function.to_owned(), arguments.to_owned(), place.to_owned(), inlined)
        };
        assert_eq!(
            read(
                "    frame #2: 0x00007fdac5aaa478 libc.so.6`___pthread_mutex_lock(mutex=0x55b0) at lock.c:93:7"
            ),
            owned("___pthread_mutex_lock", "mutex=0x55b0", "lock.c:93:7", false)
        );
        assert_eq!(read("  * frame #7: 0x55b0 night`_start + 33"), owned("_start", "", "", false));
        assert_eq!(
            read(
                "    frame #6: 0x55b0 night`std::X<g()::<lambda()> >::_M_run() const [inlined] std::mutex::lock(this=0x7f) at m.h:1:2"
            ),
            owned("std::mutex::lock", "this=0x7f", "m.h:1:2", true)
        );
        assert_eq!(
            read("    frame #3: 0x55b0 libstdc++.so.6`std::thread::join() + 23"),
            owned("std::thread::join()", "", "", false)
        );
        assert_eq!(
            read("    frame #4: 0x55b0 n`f() [inlined] void std::wait<g()::'lambda'()>(__p=<unavailable>, x=0x7f)::'lambda'()) at c:102:8").1,
            "__p=<unavailable>, x=0x7f)::'lambda'()"
        );
        assert_eq!(read("    frame #5: 0x55b0 l.so`___lldb_unnamed_symbol7808 + 19").0, "");
        assert!(frame("frame #x").is_none());
    }

    #[test]
    fn headers() {
        let new =
            header("* thread #1, name = 'night', stop reason = signal SIGSTOP").expect("a header");
        assert_eq!((new.number, new.os_id, new.name), (1, None, "night"));
        let old =
            header("  thread #2: tid = 31337, 0x7fff libc`read, name = 'io'").expect("a header");
        assert_eq!((old.number, old.os_id, old.name), (2, Some(31337), "io"));
        assert!(header("thread #x").is_none() && header("thread #1 went").is_none());
    }

    #[test]
    fn the_list_at_the_beginning_is_no_dump_of_its_own() {
        let text = "Process 7 stopped
* thread #1, name = 'night', stop reason = signal SIGSTOP
    frame #0: 0x1 libc.so.6`read + 3
(lldb) bt all
* thread #1, name = 'night', stop reason = signal SIGSTOP
  * frame #0: 0x1 libc.so.6`read + 3
    frame #1: 0x2 night`main at a.c:3:1
";
        let (dumps, warnings) = read(&Text::from_bytes(text.as_bytes()));
        assert_eq!((dumps.len(), dumps[0].process.pid, warnings.len()), (1, Some(7), 0));
        assert_eq!(dumps[0].stacks.last().map(|stack| stack.frames.len()), Some(2));
    }
}
