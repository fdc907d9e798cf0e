//! A dump while its lines are read.

use sigquit_dump::{
    Dump, FrameId, Kind, NoticeKind, Process, Runtime, StackId, Thread, Truncation, Warning,
};

use super::super::Line;
use super::super::foreign::{NotUnderstood, is_log_line};
use super::super::kept::Kept;
use super::creation::Creation;
use super::digest;
use super::form::{FormId, Forms, Met};
use super::frame::{self, Call};
use super::header::{self, Header};
use super::locks::Locks;
use super::numbers::Numbers;
use super::objects;
use super::race::{self, Race};
use super::saying::{self, Saying};
use super::wait;

/// A dump and the goroutine that is being read.
#[derive(Debug)]
pub(super) struct Building<'t> {
    dump: Dump,
    kept: Kept,
    forms: Forms,
    /// For each frame what else is known of it.
    known: Vec<Known>,
    locks: Locks,
    numbers: Numbers,
    sayings: Vec<Saying>,
    race: Option<Race>,
    open: Option<Open<'t>>,
    /// The frames of the goroutine before, for their memory.
    spare: Vec<FrameId>,
    /// `-----`: what follows shows one OS thread after the other, goroutines that were shown
    /// before among them.
    by_thread: bool,
    /// The input was cut where nothing shows it.
    cut: bool,
    not_understood: NotUnderstood,
}

/// What is known of a frame beside what the dump says of it.
#[derive(Debug)]
struct Known {
    /// Its function is the library's.
    of_library: bool,
    /// Who is created by it is the runtime's own.
    of_runtime: bool,
    /// The stack that is nothing but it.
    alone: Option<StackId>,
    /// The creator that was printed after it last.
    creation: Option<Box<Creation>>,
    /// How it was printed before.
    form: Option<FormId>,
}

/// A goroutine, or the runtime's own stack, that is being read.
#[derive(Debug, Default)]
struct Open<'t> {
    line: u64,
    /// None for the runtime's own stack.
    header: Option<Header<'t>>,
    frames: Vec<FrameId>,
    /// The calls nearest the leaf, of one that may wait for a lock.
    calls: Vec<Call<'t>>,
    may_wait: bool,
    /// The line of a function whose place has not come yet.
    pending: Option<Pending<'t>>,
    creator: Option<FrameId>,
    parent: Option<u64>,
    elided: bool,
    /// Of its lines.
    digest: u32,
    /// The stacks of the goroutines that led to its creation follow.
    ancestors: bool,
    /// A blank line came: what follows is not of it unless it is a frame.
    over: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pending<'t> {
    Call(Call<'t>),
    Creator(&'t str),
}

/// The calls that are kept to find what a goroutine waits for.
const NEAREST: usize = 16;

impl Default for Building<'_> {
    fn default() -> Self {
        let process = Process { runtime: Runtime::Go, ..Process::default() };
        Building {
            dump: Dump { process, ..Dump::default() },
            kept: Kept::default(),
            forms: Forms::default(),
            known: Vec::new(),
            locks: Locks::default(),
            numbers: Numbers::default(),
            sayings: Vec::new(),
            race: None,
            open: None,
            spare: Vec::new(),
            by_thread: false,
            cut: false,
            not_understood: NotUnderstood::default(),
        }
    }
}

impl<'t> Building<'t> {
    /// Whether a line can only be the beginning of the next dump.
    pub fn is_over(&self, text: &str, header: Option<&Header>) -> bool {
        let begun = self.open.is_some() || !self.dump.threads.is_empty();
        if !begun || self.by_thread {
            return false;
        }
        match header {
            Some(header) => header.number != 0 && self.shows(header.number),
            None => saying::is_request(text) || Saying::begin(0, text).is_some(),
        }
    }

    fn shows(&self, number: u64) -> bool {
        let open = self.open.as_ref().and_then(|open| open.header.as_ref());
        self.numbers.contains(number) || open.is_some_and(|open| open.number == number)
    }

    /// A statement is going on, so that a header may be a part of it.
    pub fn is_saying(&self) -> bool {
        self.open.is_none() && self.sayings.last().is_some_and(Saying::is_open)
    }

    /// Takes a line as a part of the statement.
    pub fn say(&mut self, text: &str) -> bool {
        self.is_saying() && self.sayings.last_mut().is_some_and(|saying| saying.goes_on(text))
    }

    /// A goroutine begins; its lines come next in `text`.
    pub fn goroutine(&mut self, line: u64, header: Header<'t>, text: &str) {
        self.close();
        self.kept.begin();
        self.forms.begin();
        let frames = std::mem::take(&mut self.spare);
        let may_wait = wait::may_wait(header.state);
        let header = Some(header);
        let digest = digest::of(text);
        self.open = Some(Open { line, header, frames, may_wait, digest, ..Open::default() });
    }

    /// Takes the lines with which a text goes on as one that was read before did: most of a large
    /// dump is such lines. Tells how many these are, and how long.
    pub fn guessed_lines(&mut self, text: &'t str) -> (usize, usize) {
        if !self.takes_known_frames() {
            return (0, 0);
        }
        let (mut lines, mut length) = (0, 0);
        while let Some(more) = self.guessed_frame(&text[length..]) {
            (lines, length) = (lines + 2, length + more);
        }
        if let Some(more) = self.guessed_creator(&text[length..]) {
            (lines, length) = (lines + 2, length + more);
        }
        if let Some(open) = &mut self.open
            && text[length..].starts_with('\n')
        {
            open.over = true;
            (lines, length) = (lines + 1, length + 1);
        }
        (lines, length)
    }

    /// Takes a frame, and tells how long its lines are.
    fn guessed_frame(&mut self, text: &'t str) -> Option<usize> {
        let Building { forms, locks, open: Some(open), .. } = self else { return None };
        let formed = forms.guess(text)?;
        locks.hands.note(formed.lines, formed.told, open.frames.len(), formed.of_library);
        open.push(formed.frame, || formed.call());
        Some(formed.lines.len())
    }

    fn guessed_creator(&mut self, text: &str) -> Option<usize> {
        let open = self.open.as_mut()?;
        let root = self.known.get(open.frames.last()?.0 as usize)?;
        let creation = root.creation.as_ref()?;
        let (parent, length) = creation.begins(text)?;
        (open.creator, open.parent) = (Some(creation.creator), parent);
        Some(length)
    }

    /// Takes two lines that are a frame that was met before. A text begins with them, and so many
    /// of its bytes are they with their ends. False when they may be anything else.
    pub fn known_frame(
        &mut self,
        text: &'t str,
        length: usize,
        first: &'t str,
        second: &'t str,
    ) -> bool {
        let Some(place) = frame::place_of_known(second) else { return false };
        let Some(call) = frame::split(first) else {
            return self.known_creator(first, second, place);
        };
        let id = self.kept.known((call.function, place));
        let (Some(frame), Some(open)) = (id, &mut self.open) else { return false };
        if let Some(known) = self.known.get_mut(frame.0 as usize) {
            let (depth, of_library) = (open.frames.len(), known.of_library);
            let met = Met { frame, of_library, call, place, length };
            match self.forms.learn(&mut known.form, &met, text) {
                Some(formed) => self.locks.hands.note(text, formed.told, depth, of_library),
                None => self.locks.hands.note_all(call.arguments, depth, of_library),
            }
        }
        open.push(frame, || call);
        true
    }

    /// Whether lines may be frames that were met before.
    pub fn takes_known_frames(&self) -> bool {
        let ready = |open: &Open| !(open.over || open.ancestors || open.pending.is_some());
        self.race.is_none() && self.open.as_ref().is_some_and(ready)
    }

    fn known_creator(&mut self, first: &str, second: &str, place: &str) -> bool {
        let Some((function, parent)) = frame::created_by(first) else { return false };
        let Some(creator) = self.kept.known_alone((function, place)) else { return false };
        let Some(open) = &mut self.open else { return false };
        (open.creator, open.parent) = (Some(creator), parent);
        let root = open.frames.last().and_then(|root| self.known.get_mut(root.0 as usize));
        if let Some(root) = root {
            root.creation = Some(Box::new(Creation::new(first, second, parent, creator)));
        }
        true
    }

    /// Any other line of the dump.
    pub fn line(&mut self, line: Line<'t>, body: &'t str) {
        if self.race_line(line.number, body) {
            return;
        }
        if body.is_empty() {
            if let Some(open) = &mut self.open {
                open.over = true;
            }
        } else if body == "-----" {
            self.close();
            self.by_thread = true;
        } else if body == "runtime stack:" {
            self.close();
            self.open = Some(Open { line: line.number, ..Open::default() });
        } else if let Some(saying) =
            Saying::begin(line.number, line.text).filter(|_| !self.by_thread)
        {
            self.close();
            self.sayings.push(saying);
        } else if !self.frame_line(body) {
            self.foreign(line.number, body);
        }
    }

    fn race_line(&mut self, line: u64, body: &'t str) -> bool {
        if race::begins(body) {
            self.close();
            self.race = Some(Race::new(line));
            return true;
        }
        let Some(race) = &mut self.race else { return false };
        if !race.line(body, &mut self.dump, &mut self.kept) {
            self.close_race();
        }
        true
    }

    fn close_race(&mut self) {
        if let Some(race) = self.race.take() {
            race.finish(&mut self.dump, &mut self.kept);
        }
    }

    /// Takes a line of the open goroutine. False when it is none.
    fn frame_line(&mut self, body: &'t str) -> bool {
        let Some(open) = &mut self.open else { return false };
        if let Some(place) = frame::place(body).filter(|_| open.pending.is_some()) {
            self.push_pending(place);
        } else if frame::is_elided(body) {
            open.elided = true;
        } else if let Some((function, parent)) = frame::created_by(body) {
            self.push_pending("");
            if let Some(open) = self.open.as_mut().filter(|open| !open.ancestors) {
                open.parent = parent;
                open.pending = Some(Pending::Creator(function));
            }
        } else if let Some(call) = frame::call(body) {
            self.push_pending("");
            self.open.iter_mut().for_each(|open| open.pending = Some(Pending::Call(call)));
        } else if body.starts_with("[originating from goroutine") {
            self.push_pending("");
            self.open.iter_mut().for_each(|open| open.ancestors = true);
        } else {
            return body.starts_with("goroutine running on other thread");
        }
        true
    }

    /// Adds the call whose place has come, or will not come.
    fn push_pending(&mut self, place: &str) {
        let Some(open) = &mut self.open else { return };
        let Some(pending) = open.pending.take().filter(|_| !open.ancestors) else { return };
        let (function, inlined) = match pending {
            Pending::Call(call) => (call.function, call.is_inlined()),
            Pending::Creator(function) => (function, false),
        };
        let read = || frame::frame(function, place, inlined);
        let id = self.kept.frame(&mut self.dump, (function, place), read);
        for frame in &self.dump.frames[self.known.len()..] {
            let function = frame.symbols.first().map_or("", |symbol| &symbol.function);
            self.known.push(Known::new(function));
        }
        match pending {
            Pending::Call(call) => {
                let of_library = self.known[id.0 as usize].of_library;
                self.locks.hands.note_all(call.arguments, open.frames.len(), of_library);
                open.push(id, || call);
            }
            Pending::Creator(_) => open.creator = Some(id),
        }
    }

    fn foreign(&mut self, line: u64, body: &str) {
        let inside = self.open.as_ref().is_some_and(|open| !open.over);
        if inside && !is_filler(body) && !is_log_line(body) {
            self.not_understood.note(line);
        }
    }

    /// Adds what was being read to the dump.
    fn close(&mut self) {
        self.close_race();
        self.push_pending("");
        let Some(open) = self.open.take() else { return };
        match &open.header {
            Some(header) => match self.numbers.find(header.number, &self.dump.threads) {
                Some(known) => self.complete(known, &open),
                None if self.by_thread && header.number == 0 => {}
                None => self.add(&open),
            },
            None => self.runtime_stack(&open),
        }
        self.locks.hands.forget();
        self.spare = open.frames;
        self.spare.clear();
    }

    /// A goroutine that was shown before: only its stack can be new.
    fn complete(&mut self, known: u32, open: &Open) {
        let stack = self.stack(open);
        if let Some(thread) = self.dump.threads.get_mut(known as usize) {
            thread.stack = thread.stack.or(stack);
            self.locks.hands.complete(known, thread.stack);
        }
    }

    /// The stack of the thread that found a fatal error belongs to what it said.
    fn runtime_stack(&mut self, open: &Open) {
        let stack = self.stack(open);
        self.tell(None);
        if let Some(notice) = self.dump.notices.last_mut() {
            notice.stacks.extend(stack);
        }
    }

    fn add(&mut self, open: &Open) {
        let Some(header) = &open.header else { return };
        let thread = self.dump.threads.len() as u32;
        self.tell(Some(thread));
        self.numbers.insert(header.number);
        let stack = self.stack(open);
        let created_by = open.creator.map(|frame| self.created_by(frame));
        let helper = header.number == 0 || open.creator.is_some_and(|frame| self.is_runtime(frame));
        self.dump.threads.push(Thread {
            kind: Kind::Goroutine,
            number: Some(header.number),
            state: header::state(header.state),
            state_text: header.state.to_owned(),
            stack,
            created_by,
            parent: open.parent,
            waiting_since: header.waiting_since,
            values: open.digest,
            labels: header.labels.clone(),
            runtime_helper: helper,
            line: Some(open.line),
            ..Thread::default()
        });
        self.locks.hands.close(stack);
        if let Some(wanted) = wait::wanted(&open.calls) {
            self.locks.note(thread, wanted, &open.frames);
        }
    }

    /// What was said before a goroutine is about it.
    fn tell(&mut self, thread: Option<u32>) {
        let told = self
            .dump
            .notices
            .iter_mut()
            .filter(|notice| notice.kind == NoticeKind::Fatal && notice.threads.is_empty());
        told.for_each(|notice| notice.threads.extend(thread));
        self.dump.notices.extend(self.sayings.drain(..).map(|saying| saying.notice(thread)));
    }

    fn stack(&mut self, open: &Open) -> Option<StackId> {
        let ended = (self.cut && open.lacks_something()).then_some(Truncation::InputEnded);
        let truncated = ended.or(open.elided.then_some(Truncation::Elided));
        let stack = || self.kept.stack(&mut self.dump, &open.frames, truncated);
        (!open.frames.is_empty()).then(stack)
    }

    fn created_by(&mut self, frame: FrameId) -> StackId {
        let mut find = || self.kept.stack(&mut self.dump, &[frame], None);
        match self.known.get_mut(frame.0 as usize) {
            Some(known) => *known.alone.get_or_insert_with(find),
            None => find(),
        }
    }

    /// Whether the runtime created a goroutine for itself.
    fn is_runtime(&self, creator: FrameId) -> bool {
        self.known.get(creator.0 as usize).is_some_and(|known| known.of_runtime)
    }

    /// What is left when the text goes away: a piece ends between goroutines.
    pub fn between_pieces(mut self) -> Building<'static> {
        if self.open.is_some() {
            self.close();
        }
        let Building { dump, kept, forms, known, locks, numbers, sayings, race, .. } = self;
        let Building { spare, by_thread, cut, not_understood, .. } = self;
        Building {
            dump,
            kept,
            forms,
            known,
            locks,
            numbers,
            sayings,
            race,
            open: None,
            spare,
            by_thread,
            cut,
            not_understood,
        }
    }

    /// The input is known to be cut.
    pub fn is_cut(&mut self) {
        self.cut = true;
    }

    /// The whole dump. `at_end`: the input has no more lines.
    pub fn finish(mut self, last: u64, at_end: bool, warnings: &mut Vec<Warning>) -> Dump {
        self.cut |= at_end && self.open.as_ref().is_some_and(Open::lacks_something);
        if self.cut {
            self.not_understood.forget_cut(last);
        }
        self.close();
        self.tell(None);
        std::mem::take(&mut self.locks).resolve(&mut self.dump);
        warnings.extend(self.not_understood.warning());
        if self.cut {
            self.dump.truncated = true;
            let count = self.dump.threads.len();
            let message =
                format!("the input ends within a goroutine: {count} goroutines, a lower bound");
            warnings.push(Warning { line: last, message });
        }
        self.dump
    }
}

impl Known {
    fn new(function: &str) -> Known {
        let of_runtime = function.starts_with("runtime.") || function.starts_with("os/signal.");
        let of_library = objects::is_of_library(function);
        Known { of_library, of_runtime, alone: None, creation: None, form: None }
    }
}

impl<'t> Open<'t> {
    fn push(&mut self, frame: FrameId, call: impl FnOnce() -> Call<'t>) {
        self.frames.push(frame);
        if self.may_wait && self.calls.len() < NEAREST {
            self.calls.push(call());
        }
    }

    /// A line must follow that the input does not have.
    fn lacks_something(&self) -> bool {
        self.pending.is_some() || (self.frames.is_empty() && !self.over)
    }
}

/// Whether a line among the goroutines is one that says nothing of them.
///
/// ```text
/// PC=0x4b7145 m=0 sigcode=0
/// signal arrived during cgo execution
/// rax    0x13d0c6a4
/// exit status 2
/// ```
fn is_filler(body: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "PC=0x",
        "SIG",
        "[signal ",
        "signal arrived during",
        "exit status ",
        "runtime: ",
        "stack: frame=",
        "Found ",
        "====",
    ];
    let mut words = body.split_ascii_whitespace();
    let is_register =
        words.clone().count() == 2 && words.nth(1).is_some_and(|value| value.starts_with("0x"));
    is_register || BEGINNINGS.iter().any(|known| body.starts_with(known))
}
