//! The first line of a thread.

use sigquit_dump::{Nanos, ThreadState};

use super::super::text::split_once;

/// What a thread's first line says after the name.
///
/// ```text
/// 1.4     "Thread-1" prio=5 tid=0x0028ea18 nid=0x604 waiting for monitor entry [182ef000..182efd88]
/// 1.4     "ListenThread" prio=10 tid=0x0003fa38 nid=78 lwp_id=3573240 runnable [0x1f229000..0x1f229500]
/// 7       "pool-1-thread-10" prio=5 tid=0x00007f83ec80a000 nid=0x6903 runnable [0x000000011cd19000]
/// 8       "exec-10" #17 daemon prio=5 os_prio=0 tid=0x00007f25b80e8800 nid=0x5b16 runnable [0x00007f25a29f5000]
/// 11      "re-lock-0" #10 daemon prio=5 os_prio=0 cpu=0.43ms elapsed=11.03s tid=0x00007fb8f01a8800 nid=0x5d7d in Object.wait()  [0x00007fb8c73fc000]
/// 21      "re-lock-0" #18 [24429] daemon prio=5 os_prio=0 cpu=0.25ms elapsed=9.63s tid=0x00007f73d40ca960 nid=24429 in Object.wait()  [0x00007f73938fe000]
/// carrier "ForkJoinPool-1-worker-1" #23 [15494] daemon prio=5 os_prio=0 cpu=271.67ms elapsed=5.55s tid=0x00007fed840e5900  [0x00007fed65006000]
/// VM      "GC Thread#0" os_prio=0 cpu=0.14ms elapsed=6.20s tid=0x00007fed84057be0 nid=0x3f4d runnable  
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Header<'t> {
    /// `#17`: threads that run Java have one, from 8 on.
    pub number: Option<u64>,
    /// The thread's number in the operating system.
    pub os_id: Option<u64>,
    /// Whether the JVM ends without waiting for it.
    pub daemon: bool,
    /// CPU time.
    pub cpu: Option<Nanos>,
    /// Time since its start.
    pub elapsed: Option<Nanos>,
    /// `in Object.wait()`, `waiting on condition`, ...; may be empty.
    pub doing: &'t str,
    /// It says where the stack lies, as it does of every thread that runs Java.
    pub has_stack: bool,
}

/// Splits a line into what stands before the name's closing quote and what the header says.
/// A name can hold anything, quotes and line breaks too; what follows it holds no quote.
pub(super) fn split(line: &str) -> Option<(&str, Header<'_>)> {
    let quote = memchr::memrchr(b'"', line.as_bytes())?;
    Some((&line[..quote], attributes(&line[quote + 1..])?))
}

fn attributes(mut rest: &str) -> Option<Header<'_>> {
    if !rest.starts_with(' ') {
        return None;
    }
    let mut header = Header::default();
    let mut is_header = false;
    loop {
        rest = rest.trim_start();
        let (word, after) = split_once(rest, b' ').unwrap_or((rest, ""));
        match attribute(word, &mut header) {
            Some(tid) => is_header |= tid,
            None => break,
        }
        rest = after;
    }
    let stack = rest.rfind('[');
    header.doing = stack.map_or(rest, |stack| &rest[..stack]).trim();
    header.has_stack = stack.is_some();
    is_header.then_some(header)
}

/// Takes one attribute into the header. Some(true) for the one that every header has.
fn attribute(word: &str, header: &mut Header) -> Option<bool> {
    if let Some(number) = word.strip_prefix('#') {
        header.number = Some(number.parse().ok()?);
    } else if let Some(lwp) = word.strip_prefix('[') {
        header.os_id = Some(lwp.strip_suffix(']')?.parse().ok()?);
    } else if word == "daemon" {
        header.daemon = true;
    } else {
        let (key, value) = split_once(word, b'=')?;
        match key {
            "tid" => return Some(true),
            "nid" | "lwp_id" => header.os_id = os_id(value).or(header.os_id),
            "cpu" => header.cpu = duration(value),
            "elapsed" => header.elapsed = duration(value),
            "prio" | "os_prio" | "allocated" | "defined_classes" => {}
            _ => return None,
        }
    }
    Some(false)
}

/// `0x5b16` up to 20, `24429` from 21 on.
fn os_id(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => value.parse().ok(),
    }
}

/// `36.13ms`, `12.57s`.
fn duration(value: &str) -> Option<Nanos> {
    let (number, unit) = match value.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (value.strip_suffix('s')?, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    Some(Nanos::from_secs_f64(number * unit))
}

/// What a thread does, by the words of its header: for those that have no state line.
pub(super) fn state(doing: &str) -> ThreadState {
    match doing {
        "runnable" => ThreadState::Runnable,
        "waiting for monitor entry" => ThreadState::Blocked,
        "sleeping" => ThreadState::TimedWaiting,
        "waiting on condition" | "in Object.wait()" => ThreadState::Waiting,
        "suspended" | "at breakpoint" => ThreadState::Stopped,
        _ => ThreadState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(line: &str) -> (&str, Header<'_>) {
        split(line).unwrap_or_else(|| panic!("not a header: {line}"))
    }

    #[test]
    fn the_headers_of_all_versions() {
        let (name, old) = header(
            r#""Thread-1" prio=5 tid=0x0028ea18 nid=0x604 waiting for monitor entry [182ef000..182efd88]"#,
        );
        assert_eq!((name, old.os_id), ("\"Thread-1", Some(0x604)));
        assert_eq!((old.number, old.doing), (None, "waiting for monitor entry"));

        let (_, hpux) = header(
            r#""L" prio=10 tid=0x0003fa38 nid=78 lwp_id=3573240 runnable [0x1f229000..0x1f229500]"#,
        );
        assert_eq!((hpux.os_id, hpux.doing), (Some(3573240), "runnable"));

        let (_, eight) = header(
            r#""exec-10" #17 daemon prio=5 os_prio=0 tid=0x00007f25b80e8800 nid=0x5b16 runnable [0x00007f25a29f5000]"#,
        );
        assert_eq!((eight.number, eight.os_id, eight.daemon), (Some(17), Some(0x5b16), true));

        let (_, extended) = header(
            r#""a" #10 prio=5 os_prio=0 cpu=36.13ms elapsed=12.57s allocated=129K defined_classes=8 tid=0x1 nid=0x2 in Object.wait()  [0x00007fb8c73fc000]"#,
        );
        assert_eq!(extended.cpu, Some(Nanos(36_130_000)));
        assert_eq!(extended.elapsed, Some(Nanos(12_570_000_000)));
        assert_eq!(extended.doing, "in Object.wait()");

        let (_, modern) = header(
            r#""a" #18 [24429] daemon prio=5 os_prio=0 cpu=0.25ms elapsed=9.63s tid=0x7f nid=24429 waiting on condition  [0x00007f73938fe000]"#,
        );
        assert_eq!((modern.number, modern.os_id), (Some(18), Some(24429)));

        let (_, carrier) =
            header(r#""w" #23 [15494] daemon prio=5 cpu=271.67ms tid=0x7f  [0x00007fed65006000]"#);
        assert_eq!((carrier.os_id, carrier.doing), (Some(15494), ""));

        let (name, vm) =
            header(r#""GC Thread#0" os_prio=0 cpu=0.14ms tid=0x7f nid=0x3f4d runnable  "#);
        assert_eq!((name, vm.number, vm.doing), ("\"GC Thread#0", None, "runnable"));
        assert!(carrier.has_stack && !vm.has_stack);
    }

    #[test]
    fn names_that_look_like_headers() {
        let line = r#""pool #7 daemon prio=5 os_prio=0 tid=0x1 nid=0x2 runnable" #23 daemon prio=5 os_prio=0 tid=0x7 nid=0x4a15 waiting on condition [0x1]"#;
        let (name, header) = header(line);
        assert_eq!(name, "\"pool #7 daemon prio=5 os_prio=0 tid=0x1 nid=0x2 runnable");
        assert_eq!(header.number, Some(23));
    }

    #[test]
    fn lines_that_are_no_headers() {
        for line in [
            r#""mx-blocked-0" Id=9 BLOCKED on java.lang.Object@7852e922 owned by "mx-holder" Id=8"#,
            r#""teller-east":"#,
            r#"  which is held by "teller-west""#,
            r#"price=101 "quoted" at line #1 [0x00007f]"#,
            "\"",
            "",
        ] {
            assert_eq!(split(line), None, "{line}");
        }
    }
}
