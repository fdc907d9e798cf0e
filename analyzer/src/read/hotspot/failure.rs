//! What the JDK's tools say when they cannot reach the process: no dump, and never a reason to
//! believe that all is well.

use sigquit_dump::{Dump, Notice, NoticeKind, Process, Runtime};

use super::super::Line;

/// Words of the tools.
const WORDS: &[&str] = &[
    "Unable to open socket file",
    "HotSpot VM not loaded",
    "AttachNotSupportedException",
    "Error attaching to process",
    "Can't attach to the process",
    "Unable to attach to remote process",
];

/// What can be done instead; the second line of the notice.
const ADVICE: &str = "The JVM did not reach a safepoint in time, or the machine is overloaded, or \
    the tool runs as another user or outside the container. Try `kill -3 PID` (the dump goes to \
    the process's own output), `jcmd PID Thread.print`, `jhsdb jstack --pid PID`, or a dump by \
    the operating system's tools.";

/// Whether a line is such a statement.
///
/// ```text
/// 17327: Unable to open socket file /tmp/.java_pid17327: target process 17327 doesn't respond within 10500ms or HotSpot VM not loaded
/// ```
pub(super) fn is_failure(text: &str) -> bool {
    WORDS.iter().any(|words| text.contains(words))
}

/// A dump without threads that says why.
pub(super) fn dump(line: Line) -> Dump {
    let text = line.text.trim();
    let pid = text.split_once(": ").and_then(|(pid, _)| pid.parse().ok());
    let words =
        if pid.is_some() { text.split_once(": ").map_or(text, |(_, words)| words) } else { text };
    Dump {
        process: Process { runtime: Runtime::Jvm, pid, ..Process::default() },
        notices: vec![Notice {
            kind: NoticeKind::Failure,
            message: format!("the JVM could not be attached to: {words}\n{ADVICE}"),
            line: Some(line.number),
            ..Notice::default()
        }],
        ..Dump::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_attach_is_a_dump_that_says_so() {
        let text = "17327: Unable to open socket file /tmp/.java_pid17327: target process 17327 doesn't respond within 10500ms or HotSpot VM not loaded";
        assert!(is_failure(text));
        let dump = dump(Line { number: 1, text });
        assert_eq!(dump.process.pid, Some(17327));
        assert_eq!(dump.notices[0].kind, NoticeKind::Failure);
        assert!(dump.threads.is_empty());
    }
}
