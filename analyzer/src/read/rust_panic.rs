//! What Rust's standard library prints when a thread panics, with `RUST_BACKTRACE` of every kind
//! and without.
//!
//! ```text
//! thread 'checkout-1' (1843) panicked at src/cart.rs:14:19:
//! index out of bounds: the len is 2 but the index is 2
//! stack backtrace:
//!    0: core::panicking::panic_fmt
//!              at /rustc/59807616e1fa/library/core/src/panicking.rs:80:14
//!    6: shop::Cart::at
//!              at ./src/cart.rs:14:19
//! note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
//! ```
//!
//! Only the threads that panicked are shown; what the others did is not known.

use sigquit_dump::{
    Dump, Frame, FrameId, Location, Notice, NoticeKind, Process, Runtime, Stack, Symbol, Thread,
    Warning,
};

use super::foreign::is_log_line;
use super::intern::Interned;
use super::text::Lines;
use super::{Format, Line, Read, Recognition, Text, too_many_threads};

pub(super) const FORMAT: Format = Format {
    name: "rust-panic",
    looks_like: "a line `thread 'main' panicked at src/main.rs:2:5:` of Rust",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| statement(line.text).is_some()) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    let process = Process { runtime: Runtime::Rust, ..Process::default() };
    let mut reader = Reader {
        dump: Dump { process, ..Dump::default() },
        interned: Interned::default(),
        warnings: Vec::new(),
    };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(said) = statement(line.text) {
            reader.panic(line, said, &mut lines);
        }
        if reader.dump.threads.len() >= text.limits().threads {
            reader.warnings.push(too_many_threads(line.number, text.limits().threads));
            break;
        }
    }
    let dumps = if reader.dump.notices.is_empty() { Vec::new() } else { vec![reader.dump] };
    (dumps, reader.warnings)
}

struct Reader<'t> {
    dump: Dump,
    interned: Interned<(&'t str, &'t str)>,
    warnings: Vec<Warning>,
}

impl<'t> Reader<'t> {
    fn panic(&mut self, line: Line<'t>, said: Statement<'t>, lines: &mut Lines<'t>) {
        let mut message: Vec<&str> = said.message.into_iter().collect();
        message.extend(said.goes_on.then(|| words(lines)).into_iter().flatten());
        let frames = if said.goes_on { self.backtrace(lines) } else { Vec::new() };
        let stack =
            (!frames.is_empty()).then(|| self.interned.stack(&mut self.dump, Stack::from(frames)));
        let thread = self.thread(line.number, &said);
        self.dump.threads[thread].stack = stack.or(self.dump.threads[thread].stack);
        self.dump.notices.push(Notice {
            kind: said.kind,
            message: message.join(" "),
            threads: vec![thread as u32],
            location: said.location,
            stacks: stack.into_iter().collect(),
            line: Some(line.number),
        });
    }

    /// The thread of that name and number, which may have panicked before.
    fn thread(&mut self, line: u64, said: &Statement) -> usize {
        let name = if said.name == "<unnamed>" { "" } else { said.name };
        let is_same = |thread: &Thread| thread.name == name && thread.os_id == said.os_id;
        let threads = &mut self.dump.threads;
        let known = threads.iter().rposition(is_same);
        known.filter(|_| said.os_id.is_some() || !name.is_empty()).unwrap_or_else(|| {
            threads.push(Thread {
                name: name.to_owned(),
                os_id: said.os_id,
                line: Some(line),
                ..Thread::default()
            });
            threads.len() - 1
        })
    }

    /// Takes the lines of a backtrace, when one follows.
    fn backtrace(&mut self, lines: &mut Lines<'t>) -> Vec<FrameId> {
        let mut rest = lines.clone();
        if rest.next().is_none_or(|line| line.text.trim() != "stack backtrace:") {
            return Vec::new();
        }
        *lines = rest;
        let mut calls: Vec<Call> = Vec::new();
        while let Some(line) = lines.clone().next() {
            match (call(line.text), line.text.trim().strip_prefix("at "), calls.last_mut()) {
                (Some(call), ..) => calls.push(call),
                (_, Some(place), Some(last)) => last.place = place,
                _ if is_log_line(line.text) => {}
                _ => break,
            }
            lines.next();
        }
        self.frames(&calls)
    }

    /// Frames, inlined ones together with the one that they are inlined into: these are printed
    /// with the same address.
    fn frames(&mut self, calls: &[Call<'t>]) -> Vec<FrameId> {
        let dump = &mut self.dump;
        let inlined = |at: usize| {
            let next = calls.get(at + 1).map(|call| call.address);
            calls[at].address.is_some() && next == Some(calls[at].address)
        };
        let frame = |(at, call): (usize, &Call<'t>)| match inlined(at) {
            true => dump.intern_frame(call.read(true)),
            false => self.interned.frame(dump, (call.function, call.place), || call.read(false)),
        };
        calls.iter().enumerate().map(frame).collect()
    }
}

/// The first line of a panic's report.
#[derive(Debug, PartialEq)]
struct Statement<'t> {
    kind: NoticeKind,
    name: &'t str,
    os_id: Option<u64>,
    location: Option<Location>,
    message: Option<&'t str>,
    /// The message and a backtrace may follow.
    goes_on: bool,
}

/// ```text
/// thread 'checkout-1' (1843) panicked at src/cart.rs:14:19:
/// thread 'main' panicked at 'index out of bounds', src/cart.rs:14:19
/// thread 'main' (1865) has overflowed its stack
/// ```
fn statement(text: &str) -> Option<Statement<'_>> {
    let (name, rest) = text.strip_prefix("thread '")?.split_once('\'')?;
    let (os_id, rest) = match rest.strip_prefix(" (").and_then(|rest| rest.split_once(')')) {
        Some((number, rest)) => (Some(number.parse().ok()?), rest),
        None => (None, rest),
    };
    if rest.trim() == "has overflowed its stack" {
        let message = Some("stack overflow");
        let kind = NoticeKind::Fatal;
        return Some(Statement { kind, name, os_id, location: None, message, goes_on: false });
    }
    let place = rest.strip_prefix(" panicked at ")?;
    let (message, place) = match place.strip_prefix('\'').and_then(|rest| rest.rsplit_once("', ")) {
        Some((message, place)) => (Some(message), place),
        None => (None, place.trim_end().strip_suffix(':').unwrap_or(place)),
    };
    let location = location(place.trim());
    Some(Statement { kind: NoticeKind::Panic, name, os_id, location, message, goes_on: true })
}

/// `src/cart.rs:14:19`
fn location(place: &str) -> Option<Location> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Location {
        file: file.to_owned(),
        line: Some(line.parse().ok()?),
        column: column.parse().ok(),
    })
}

/// Takes the lines of a message, to be told as one: it is no chain of panics. It is all that stands before the backtrace; where none follows,
/// the first line and what is set in below it.
fn words<'t>(lines: &mut Lines<'t>) -> Vec<&'t str> {
    const MOST: usize = 256;
    let ends = |line: &Line| {
        line.text.trim() == "stack backtrace:"
            || line.text.starts_with("note: ")
            || statement(line.text).is_some()
    };
    let end = lines.clone().take(MOST).position(|line| ends(&line));
    let ahead: Vec<&str> =
        lines.clone().take(end.unwrap_or(MOST)).map(|line| line.text.trim_end()).collect();
    let is_told = end.is_some_and(|end| {
        lines.clone().nth(end).is_some_and(|line| statement(line.text).is_none())
    });
    let count = match is_told {
        true => ahead.len(),
        false => {
            let set_in = |text: &&&str| text.starts_with("  ");
            ahead.len().min(1) + ahead.iter().skip(1).take_while(set_in).count()
        }
    };
    lines.by_ref().take(count).for_each(drop);
    let said = ahead.into_iter().take(count);
    said.map(str::trim).filter(|text| !text.is_empty()).collect()
}

/// One call of a backtrace.
#[derive(Debug)]
struct Call<'t> {
    address: Option<u64>,
    function: &'t str,
    place: &'t str,
}

impl Call<'_> {
    fn read(&self, inlined: bool) -> Frame {
        let location = location(self.place);
        let function = without_disambiguators(self.function);
        Frame { address: self.address, ..Frame::named(Symbol { function, location, inlined }) }
    }
}

/// ```text
///    6: shop::Cart::at
///   16:     0x55f29389a97a - shop::unnamed::{{closure}}::h07512a42c41aca93
///                            shop::inlined_into_that
/// ```
fn call(text: &str) -> Option<Call<'_>> {
    const DEEPEST_INDENT: &str = "      ";
    let (index, rest) = match text.split_once(": ") {
        Some((index, rest)) if index.trim().parse::<u32>().is_ok() => (true, rest.trim_start()),
        _ => (false, text.strip_prefix(DEEPEST_INDENT)?.trim_start()),
    };
    if rest.is_empty() || (!index && (rest.starts_with("at ") || rest.contains(' '))) {
        return None;
    }
    let split = rest.strip_prefix("0x").and_then(|rest| rest.split_once(" - "));
    let (address, function) = match split {
        Some((digits, function)) => (u64::from_str_radix(digits, 16).ok(), function),
        None => (None, rest),
    };
    Some(Call { address, function: function.trim(), place: "" })
}

/// `std[e28293b1aa0f68bd]::io::Write` -> `std::io::Write`: the number of a build of a crate. The
/// hash that older symbols end with goes with it.
fn without_disambiguators(function: &str) -> String {
    let mut name = String::with_capacity(function.len());
    let mut rest = function;
    let is_hash =
        |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    while let Some((before, after)) = rest.split_once('[') {
        name.push_str(before);
        rest = match after.split_once(']') {
            Some((hash, after)) if is_hash(hash) => after,
            _ => {
                name.push('[');
                after
            }
        };
    }
    name.push_str(rest);
    match name.rsplit_once("::h") {
        Some((function, hash)) if is_hash(hash) => function.to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Dump {
        super::read(&Text::from_bytes(text.as_bytes())).0.pop().expect("a dump")
    }

    #[test]
    fn a_panic_with_its_backtrace() {
        let dump = read(
            "thread 'checkout-1' (1843) panicked at src/cart.rs:14:19:
order 7 is damaged:

  no items
stack backtrace:
   0: core::panicking::panic_fmt
             at /rustc/5980/library/core/src/panicking.rs:80:14
   1: shop::Cart::at
             at ./src/cart.rs:14:19
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
",
        );
        let notice = &dump.notices[0];
        assert_eq!(notice.message, "order 7 is damaged: no items");
        assert_eq!(notice.location.as_ref().and_then(|at| at.line), Some(14));
        assert_eq!(
            (dump.threads[0].name.as_str(), dump.threads[0].os_id),
            ("checkout-1", Some(1843))
        );
        let calls: Vec<&str> =
            dump.calls(&dump.threads[0]).map(|(_, _, call)| call.function.as_str()).collect();
        assert_eq!(calls, ["core::panicking::panic_fmt", "shop::Cart::at"]);
    }

    #[test]
    fn full_backtraces_show_what_is_inlined() {
        let dump = read(
            "thread '<unnamed>' panicked at a.rs:1:2:\nboom\nstack backtrace:
  16:     0x55f2 - shop[e28293b1aa0f68bd]::inner
                               at a.rs:1:2
  17:     0x55f2 - shop::outer::h07512a42c41aca93
  18:     0x66f2 - main
",
        );
        let calls = dump.calls(&dump.threads[0]);
        let calls: Vec<_> =
            calls.map(|(_, _, call)| (call.function.as_str(), call.inlined)).collect();
        assert_eq!(calls, [("shop::inner", true), ("shop::outer", false), ("main", false)]);
        assert_eq!(dump.threads[0].name, "");
    }

    #[test]
    fn without_a_backtrace_the_message_ends_where_it_seems_to() {
        let dump = read(
            "thread 'a' panicked at a.rs:1:2:\nassertion failed\n  left: 1\nexiting now
thread 'b' panicked at 'old words', src/b.rs:3:4
thread 'c' (9) has overflowed its stack
fatal runtime error: stack overflow, aborting
",
        );
        let said: Vec<_> = dump.notices.iter().map(|n| (n.kind, n.message.as_str())).collect();
        assert_eq!(
            said,
            [
                (NoticeKind::Panic, "assertion failed left: 1"),
                (NoticeKind::Panic, "old words"),
                (NoticeKind::Fatal, "stack overflow")
            ]
        );
    }

    #[test]
    fn what_is_no_panic() {
        for text in
            ["thread 'main' started", "the thread 'x' panicked at a.rs:1:2:", "thread '", ""]
        {
            assert_eq!(statement(text), None, "{text}");
        }
    }
}
