//! What the runtime says before the goroutines: a panic, a fatal error.
//!
//! ```text
//! panic: first [recovered]
//!     panic: wrapped: first
//! [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x666e73]
//!
//! fatal error: all goroutines are asleep - deadlock!
//!
//! 2026/11/22 21:02:58 http: panic serving 127.0.0.1:49590: runtime error: index out of range
//!
//! SIGABRT: abort
//! ```

use std::sync::LazyLock;

use memchr::memmem::Finder;
use sigquit_dump::{Notice, NoticeKind};

use super::super::foreign::is_log_line;

/// A statement that may go on over several lines.
#[derive(Debug)]
pub(super) struct Saying {
    kind: NoticeKind,
    line: u64,
    words: String,
    open: bool,
}

impl Saying {
    /// A line that begins a statement.
    pub fn begin(line: u64, text: &str) -> Option<Saying> {
        let (kind, words, open) = if let Some(value) = text.strip_prefix("panic: ") {
            (NoticeKind::Panic, value, true)
        } else if let Some(error) = text.strip_prefix("fatal error: ") {
            (NoticeKind::Fatal, error, true)
        } else if let Some(served) = served(text) {
            let value = served.split_once(": ").map_or(served, |(_, value)| value);
            (NoticeKind::Panic, value, false)
        } else {
            (NoticeKind::Fatal, signal(text)?, false)
        };
        Some(Saying { kind, line, words: words.to_owned(), open })
    }

    /// Takes a line that goes on with the statement. False when the statement is over.
    pub fn goes_on(&mut self, text: &str) -> bool {
        const LONGEST: usize = 1 << 16;
        let body = text.trim();
        let over = body.is_empty() || body == "runtime stack:" || self.words.len() > LONGEST;
        if !self.open || over {
            self.open = false;
            return false;
        }
        if is_log_line(text) && !text.starts_with('\t') {
            return true;
        }
        if body.starts_with("[signal ") {
            self.words.push(' ');
            self.words.push_str(body);
        } else {
            self.words.push('\n');
            self.words.push_str(body.strip_prefix("panic: ").unwrap_or(body));
        }
        true
    }

    /// More lines may belong to it.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// The statement; the goroutine that is printed next made it.
    pub fn notice(self, thread: Option<u32>) -> Notice {
        Notice {
            kind: self.kind,
            message: self.words,
            threads: thread.into_iter().collect(),
            line: Some(self.line),
            ..Notice::default()
        }
    }
}

/// What stands after `http: panic serving `.
fn served(text: &str) -> Option<&str> {
    static WORDS: LazyLock<Finder> = LazyLock::new(|| Finder::new("http: panic serving "));
    let at = WORDS.find(text.as_bytes())?;
    Some(&text[at + WORDS.needle().len()..])
}

/// `SIGABRT: abort`: a signal that ended the process, SIGQUIT left out, which was a request.
fn signal(text: &str) -> Option<&str> {
    let (name, words) = text.strip_prefix("SIG").and_then(|_| text.split_once(": "))?;
    let named = name.len() > 4 && name.bytes().all(|byte| byte.is_ascii_uppercase());
    (named && name != "SIGQUIT" && !words.is_empty()).then_some(text)
}

/// Whether a line says that the process was asked for a dump.
pub(super) fn is_request(text: &str) -> bool {
    text.starts_with("SIGQUIT: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> (NoticeKind, String) {
        let mut lines = text.lines();
        let mut saying = Saying::begin(1, lines.next().unwrap()).unwrap();
        for line in lines {
            if !saying.goes_on(line) {
                break;
            }
        }
        let notice = saying.notice(None);
        (notice.kind, notice.message)
    }

    #[test]
    fn chains_of_panics() {
        assert_eq!(
            said("panic: first [recovered]\n\tpanic: wrapped: first\n\nafter"),
            (NoticeKind::Panic, "first [recovered]\nwrapped: first".into())
        );
        assert_eq!(
            said("panic: runtime error: nil\n[signal SIGSEGV: segmentation violation code=0x1]\n"),
            (
                NoticeKind::Panic,
                "runtime error: nil [signal SIGSEGV: segmentation violation code=0x1]".into()
            )
        );
        assert_eq!(
            said("panic: line one\n\tline two\n\tgoroutine 7 [running]:\n\tfake\n\n").1,
            "line one\nline two\ngoroutine 7 [running]:\nfake"
        );
    }

    #[test]
    fn other_statements() {
        assert_eq!(
            said("fatal error: concurrent map writes\n"),
            (NoticeKind::Fatal, "concurrent map writes".into())
        );
        assert_eq!(
            said("2026/11/22 21:02:58 http: panic serving 127.0.0.1:49590: boom\n"),
            (NoticeKind::Panic, "boom".into())
        );
        assert_eq!(said("SIGABRT: abort").1, "SIGABRT: abort");
        for text in ["SIGQUIT: quit", "SIG: x", "don't panic: it is fine", ""] {
            assert!(Saying::begin(1, text).is_none(), "{text}");
        }
    }
}
