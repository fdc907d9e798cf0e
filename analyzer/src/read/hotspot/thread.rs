//! One thread, from its header to the next.

use std::borrow::Cow;

use sigquit_dump::{FrameId, ThreadState};

use super::super::Line;
use super::super::text::Lines;
use super::header::{self, Header};
use super::locks::Placed;
use super::mark::Mark;

/// A thread that is being read.
#[derive(Debug, Default)]
pub(super) struct Open<'t> {
    pub line: u64,
    pub name: Cow<'t, str>,
    pub header: Header<'t>,
    /// `WAITING (parking)`; empty where there is no such line.
    pub state: &'t str,
    /// Its own stack.
    pub stack: Calls<'t>,
    /// The virtual thread that it carries, by number, and that one's stack.
    pub mounted: Option<(u64, Calls<'t>)>,
    pub carries: Option<u64>,
    /// The list of owned synchronizers, the last part of a thread, has begun.
    pub owns: bool,
    /// A native thread of which only the number is known, unless a header follows.
    pub bare: bool,
}

/// The frames of a stack, leaf first, and what stands between them.
#[derive(Debug, Default)]
pub(super) struct Calls<'t> {
    pub frames: Vec<FrameId>,
    pub marks: Vec<Placed<'t>>,
    /// The input ended before the stack did.
    pub cut: bool,
}

impl Calls<'_> {
    /// Another stack, in the memory of this one.
    pub fn emptied(mut self) -> Self {
        self.frames.clear();
        self.marks.clear();
        self.cut = false;
        self
    }
}

impl<'t> Open<'t> {
    /// A native thread of which only the number is known.
    pub fn bare(line: u64, os_id: Option<u64>) -> Open<'t> {
        let header = Header { os_id, ..Header::default() };
        Open { line, header, bare: true, ..Open::default() }
    }

    /// The stack to which the next frame belongs.
    pub fn calls(&mut self) -> &mut Calls<'t> {
        match &mut self.mounted {
            Some((_, calls)) => calls,
            None => &mut self.stack,
        }
    }

    /// Takes an annotation of the last frame, or of the list at the end.
    pub fn mark(&mut self, mark: Mark<'t>) {
        let calls =
            if matches!(mark, Mark::Synchronizer(_)) { &mut self.stack } else { self.calls() };
        let depth = calls.frames.len().saturating_sub(1) as u32;
        calls.marks.push((depth, mark));
    }
}

/// A header with its thread's name, on one line.
pub(super) fn header(text: &str) -> Option<(Cow<'_, str>, Header<'_>)> {
    let (name, header) = header::split(text.strip_prefix('"')?)?;
    Some((Cow::Borrowed(name), header))
}

/// A name that holds line ends: its first line opens a quote that a later line closes.
///
/// ```text
/// "new
/// line name" #24 daemon prio=5 os_prio=0 tid=0x00007fc594130000 nid=0x4a16 waiting on condition [0x00007fc57d8f3000]
/// ```
///
/// Returns the name, the number of lines that follow the first, and the header.
pub(super) fn name_of_several_lines<'t>(
    first: Line<'t>,
    following: &Lines<'t>,
) -> Option<(Cow<'t, str>, usize, Header<'t>)> {
    const MOST: usize = 16;
    let mut name =
        first.text.strip_prefix('"').filter(|_| header(first.text).is_none())?.to_owned();
    if name.ends_with("\":") {
        return None;
    }
    for (more, line) in (1..).zip(following.clone().take(MOST)) {
        if header(line.text).is_some() {
            return None;
        }
        name.push('\n');
        match header::split(line.text) {
            Some((end, header)) => {
                name.push_str(end);
                return Some((Cow::Owned(name), more, header));
            }
            None => name.push_str(line.text),
        }
    }
    None
}

/// `WAITING (parking)` -> waiting
pub(in crate::read) fn state(text: &str) -> ThreadState {
    match text.split(' ').next().unwrap_or_default() {
        "RUNNABLE" => ThreadState::Runnable,
        "BLOCKED" => ThreadState::Blocked,
        "WAITING" => ThreadState::Waiting,
        "TIMED_WAITING" => ThreadState::TimedWaiting,
        "NEW" => ThreadState::New,
        "TERMINATED" => ThreadState::Ended,
        _ => ThreadState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Text;
    use super::*;

    #[test]
    fn names_with_line_ends() {
        let text = Text::from_bytes(b"\"new\nline\" #24 prio=5 tid=0x7 nid=0x4 runnable\n");
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (name, more, header) = name_of_several_lines(first, &lines).unwrap();
        assert_eq!((name.as_ref(), more, header.number), ("new\nline", 1, Some(24)));
    }

    #[test]
    fn a_quote_that_opens_no_name() {
        let text =
            Text::from_bytes(b"\"quoted\" words\n\"a\" #24 prio=5 tid=0x7 nid=0x4 runnable\n");
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        assert!(name_of_several_lines(first, &lines).is_none());
    }
}
