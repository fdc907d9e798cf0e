//! The race detector's report.
//!
//! ```text
//! ==================
//! WARNING: DATA RACE
//! Read at 0x00c000092100 by goroutine 8:
//!   main.main.func2()
//!       /srv/app/main.go:25 +0x9d
//!
//! Previous write at 0x00c000092100 by goroutine 7:
//!   main.(*Stats).Touch()
//!       /srv/app/main.go:16 +0xa4
//!
//! Goroutine 8 (running) created at:
//!   main.main()
//!       /srv/app/main.go:25 +0x244
//! ==================
//! ```

use sigquit_dump::{Dump, FrameId, Notice, NoticeKind};

use super::super::kept::Kept;
use super::frame;

/// A report that is being read.
#[derive(Debug)]
pub(super) struct Race {
    line: u64,
    accesses: Vec<String>,
    stacks: Vec<Vec<FrameId>>,
    /// The stacks that follow tell where goroutines were created.
    creation: bool,
    call: Option<String>,
}

/// Whether a line begins a report.
pub(super) fn begins(body: &str) -> bool {
    body == "WARNING: DATA RACE"
}

impl Race {
    pub fn new(line: u64) -> Race {
        Race { line, accesses: Vec::new(), stacks: Vec::new(), creation: false, call: None }
    }

    /// Takes one line. False when the report is over.
    pub fn line(&mut self, body: &str, dump: &mut Dump, kept: &mut Kept) -> bool {
        if body.starts_with("====") {
            return false;
        }
        if let Some(access) = body.strip_suffix(':').filter(|body| body.contains(" by ")) {
            self.accesses.push(access.to_owned());
            self.stacks.push(Vec::new());
        } else if body.ends_with("created at:") {
            self.creation = true;
        } else if let Some(call) = frame::call(body) {
            self.call = Some(call.function.to_owned());
        } else if let (Some(place), Some(function)) = (frame::place(body), self.call.take())
            && let (false, Some(stack)) = (self.creation, self.stacks.last_mut())
        {
            let read = || frame::frame(&function, place, false);
            stack.push(kept.frame(dump, (&function, place), read));
        }
        true
    }

    /// Enters the report into the dump.
    pub fn finish(self, dump: &mut Dump, kept: &mut Kept) {
        let stacks = self.stacks.into_iter().filter(|frames| !frames.is_empty());
        let stacks = stacks.map(|frames| kept.stack(dump, &frames, None)).collect();
        dump.notices.push(Notice {
            kind: NoticeKind::DataRace,
            message: self.accesses.join("\n"),
            stacks,
            line: Some(self.line),
            ..Notice::default()
        });
    }
}
