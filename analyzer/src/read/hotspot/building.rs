//! A dump while its lines are read.

use std::borrow::Cow;

use sigquit_dump::{Dump, Kind, Thread, ThreadState, Truncation, Warning};

use super::super::Line;
use super::super::foreign::{NotUnderstood, is_log_line};
use super::super::kept::Kept;
use super::class_wait;
use super::deadlock::{self, Names, Section};
use super::header::{self, Header};
use super::heap;
use super::locks::{Locks, own};
use super::mark::{self, Mark};
use super::thread::{self, Calls, Open};
use super::{frame, known};

/// HotSpot prints at most this many frames and says nothing of the rest.
const PRINT_LIMIT: usize = 1024;

/// A dump, the thread being read, and what is to be resolved when all threads are known.
#[derive(Debug)]
pub(super) struct Building<'t> {
    dump: Dump,
    kept: Kept,
    locks: Locks,
    open: Option<Open<'t>>,
    /// The stack of the thread before, for its memory.
    spare: Calls<'t>,
    deadlocks: Vec<Section>,
    /// Threads in which the VM itself waits.
    waits_in_vm: Vec<u32>,
    place: Place,
    /// The tail has been seen: a thread after it belongs to another dump.
    pub ended: bool,
    /// The tool prints a tail, so that its absence means something: all that print titles do,
    /// from 6 on.
    has_tail: bool,
    /// The JVM prints state lines, as it does from 6 on.
    has_states: bool,
    /// There is nothing but what the JVM found of a deadlock: its threads are those that it lists.
    alone: bool,
    not_understood: NotUnderstood,
}

/// Which part of a dump is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Threads,
    Deadlock,
    /// The stacks that are printed again below a deadlock.
    DeadlockStacks,
    Tail,
}

impl<'t> Building<'t> {
    /// `has_tail`: the tool that printed the title prints a tail too.
    pub fn new(dump: Dump, has_tail: bool) -> Building<'t> {
        Building {
            dump,
            kept: Kept::default(),
            locks: Locks::default(),
            open: None,
            spare: Calls::default(),
            deadlocks: Vec::new(),
            waits_in_vm: Vec::new(),
            place: Place::Threads,
            ended: false,
            has_tail,
            has_states: false,
            alone: false,
            not_understood: NotUnderstood::default(),
        }
    }

    /// The title is missing.
    pub fn lacks_beginning(&mut self) {
        self.dump.truncated = true;
    }

    /// There is no dump around the deadlock, as where only that was kept of one.
    pub fn is_alone(&mut self) {
        self.alone = true;
    }

    /// A thread begins.
    pub fn thread(&mut self, line: u64, name: Cow<'t, str>, header: Header<'t>) {
        let mut os_id = header.os_id;
        match self.open.take_if(|open| open.bare && open.stack.frames.is_empty()) {
            Some(bare) => os_id = os_id.or(bare.header.os_id),
            None => self.close(),
        }
        if std::mem::take(&mut self.alone) {
            // The dump follows after all.
            self.dump.threads.clear();
            self.dump.locks.clear();
            self.waits_in_vm.clear();
            self.locks = Locks::default();
        }
        self.place = Place::Threads;
        self.kept.begin();
        let header = Header { os_id, ..header };
        let stack = std::mem::take(&mut self.spare);
        self.open = Some(Open { line, name, header, stack, ..Open::default() });
    }

    /// Takes the frames with which a text goes on as one that was read before did: most of a
    /// large dump is such lines. Tells how many lines these are, and how long.
    pub fn guessed_frames(&mut self, text: &str) -> (usize, usize) {
        let (mut lines, mut rest) = (0, text);
        let open = self.open.as_mut().filter(|_| self.place == Place::Threads);
        let Some(calls) = open.map(Open::calls) else { return (0, 0) };
        while let (Some(id), Some(guess)) = (self.kept.guess(), self.kept.guessed_text())
            && let Some(next) = rest.strip_prefix("\tat ").and_then(|at| at.strip_prefix(guess))
        {
            calls.frames.push(id);
            self.kept.take_guess();
            (lines, rest) = (lines + 1, next);
        }
        (lines, text.len() - rest.len())
    }

    /// Takes a line that only a stack has: a frame that was met before, or what stands between
    /// frames. False when it may be anything else.
    pub fn stack_line(&mut self, line: Line<'t>) -> bool {
        if self.place != Place::Threads {
            return false;
        }
        match line.text.as_bytes() {
            [] => return true,
            [b'\t', b'-', b' ', ..] => {
                let body = line.text.trim();
                if !self.open_line(body) {
                    self.thread_line(line, body);
                }
                return true;
            }
            // The state, and the list at the end.
            [b' ', b' ', b' ', b'j' | b'L', ..] => return self.open_line(line.text.trim()),
            _ => {}
        }
        let (Some(open), Some(call)) = (&mut self.open, line.text.strip_prefix("\tat ")) else {
            return false;
        };
        let id = self.kept.known(("", call));
        open.calls().frames.extend(id);
        id.is_some()
    }

    /// What is left when the text goes away: a piece ends between threads.
    pub fn between_pieces(mut self) -> Building<'static> {
        let bare = self.open.take_if(|open| open.bare && open.stack.frames.is_empty());
        let bare = bare.map(|open| Open::bare(open.line, open.header.os_id));
        self.close();
        let Building { dump, kept, locks, deadlocks, waits_in_vm, place, .. } = self;
        let Building { ended, has_tail, has_states, alone, not_understood, .. } = self;
        Building {
            dump,
            kept,
            locks,
            open: bare,
            spare: Calls::default(),
            deadlocks,
            waits_in_vm,
            place,
            ended,
            has_tail,
            has_states,
            alone,
            not_understood,
        }
    }

    /// Any other line of the dump.
    pub fn line(&mut self, line: Line<'t>, body: &'t str) {
        if deadlock::begins(body) {
            self.close();
            self.deadlocks.push(Section::new(line.number));
            self.place = Place::Deadlock;
            return;
        }
        match self.place {
            Place::Threads => self.thread_line(line, body),
            Place::Deadlock => self.deadlock_line(line, body),
            Place::DeadlockStacks if body.starts_with("Found ") => {
                self.close();
                self.place = Place::Tail;
            }
            Place::DeadlockStacks if self.alone => self.stack_of_deadlock(line, body),
            Place::DeadlockStacks => {}
            Place::Tail => heap::line(&mut self.dump.process.heap, body),
        }
    }

    fn deadlock_line(&mut self, line: Line<'t>, body: &str) {
        if body.starts_with("Java stack information") {
            self.place = Place::DeadlockStacks;
        } else if body.starts_with("Found ") {
            self.place = Place::Tail;
        } else if let Some(section) = self.deadlocks.last_mut() {
            section.line(line.text);
        }
    }

    /// `"teller-east":` begins the stack of one whom nothing else shows.
    fn stack_of_deadlock(&mut self, line: Line<'t>, body: &'t str) {
        if let Some(name) = body.strip_prefix('"').and_then(|text| text.strip_suffix("\":")) {
            self.close();
            self.kept.begin();
            let header = Header { has_stack: true, ..Header::default() };
            let stack = std::mem::take(&mut self.spare);
            self.open = Some(Open {
                line: line.number,
                name: name.into(),
                header,
                stack,
                ..Open::default()
            });
        } else if self.open_line(body)
            && let Some(open) = &mut self.open
        {
            open.state = match body {
                _ if body.starts_with("- waiting to lock") => "BLOCKED (on object monitor)",
                _ if body.starts_with("- parking to wait") => "WAITING (parking)",
                _ => open.state,
            };
        }
    }

    fn thread_line(&mut self, line: Line<'t>, body: &'t str) {
        if known::is_tail(body) {
            self.close();
            self.ended = true;
            self.place = Place::Tail;
        } else if let Some(version) = body.strip_prefix("JVM version is ") {
            self.dump.process.runtime_version = Some(version.to_owned());
        } else if let Some(lwp) = native_thread(body) {
            self.close();
            self.open = Some(Open::bare(line.number, Some(lwp)));
        } else if !(self.open_line(body) || known::is_filler(body) || is_log_line(body)) {
            self.not_understood.note(line.number);
        }
    }

    /// Takes a line of the open thread. False when it is none.
    fn open_line(&mut self, body: &'t str) -> bool {
        let Some(open) = &mut self.open else { return false };
        if let Some(text) = frame::text(body) {
            let id = self.kept.frame(&mut self.dump, ("", text), || frame::read(text));
            open.calls().frames.push(id);
        } else if let Some((mark, rest)) = mark::read(body) {
            open.mark(mark);
            return rest.trim().is_empty() || self.open_line(rest.trim());
        } else if let Some(state) = body.strip_prefix("java.lang.Thread.State: ") {
            open.state = state;
            self.has_states = true;
        } else if let Some(number) = body.strip_prefix("Carrying virtual thread #") {
            open.carries = number.parse().ok();
        } else if let Some(number) = body.strip_prefix("Mounted virtual thread #") {
            open.mounted = number.parse().ok().map(|number| (number, Calls::default()));
        } else if body.starts_with("Locked ownable synchronizers:") {
            open.owns = true;
        } else {
            return false;
        }
        true
    }

    /// Adds the open thread, and the virtual thread that it carries, to the dump.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let state = match open.state {
            "" => header::state(open.header.doing),
            state => thread::state(state),
        };
        let waits_in_vm = class_wait::waits_in_vm(state, open.header.doing);
        let state = if waits_in_vm { ThreadState::Waiting } else { state };
        let runtime_helper = !open.header.has_stack || known::is_own_thread(&open.name);
        let thread = Thread {
            name: open.name.into_owned(),
            number: open.header.number,
            os_id: open.header.os_id,
            state,
            state_text: state_text(open.state, open.header.doing),
            cpu: open.header.cpu,
            elapsed: open.header.elapsed,
            daemon: open.header.daemon,
            runtime_helper,
            carries: open.carries,
            line: Some(open.line),
            ..Thread::default()
        };
        self.add(thread, open.stack);
        if waits_in_vm {
            self.waits_in_vm.push(self.dump.threads.len() as u32 - 1);
        }
        if let Some((number, calls)) = open.mounted {
            let virtual_thread = Thread {
                kind: Kind::VirtualThread,
                number: Some(number),
                state: mounted_state(&calls),
                state_text: "mounted".into(),
                line: Some(open.line),
                ..Thread::default()
            };
            self.add(virtual_thread, calls);
        }
    }

    fn add(&mut self, mut thread: Thread, calls: Calls<'t>) {
        let dump = &mut self.dump;
        let index = dump.threads.len() as u32;
        (thread.wait, thread.holds) =
            self.locks.settle(dump, thread.state, &calls.marks, &calls.frames);
        own(dump, index, &thread.holds);
        if !calls.frames.is_empty() {
            let truncated = truncation(&calls);
            thread.stack = Some(self.kept.stack(dump, &calls.frames, truncated));
        }
        dump.threads.push(thread);
        self.spare = calls.emptied();
    }

    /// The whole dump. `last` is the last line that could belong to it.
    pub fn finish(mut self, last: u64, warnings: &mut Vec<Warning>) -> Dump {
        self.cut(last);
        self.close();
        if self.alone {
            self.deadlocks
                .iter()
                .for_each(|section| section.add_threads(&mut self.dump, &mut self.locks));
        }
        if !self.deadlocks.is_empty() {
            let names = Names::of(&self.dump);
            for section in &self.deadlocks {
                section.resolve(&mut self.dump, &mut self.locks, &names);
            }
        }
        self.waits_in_vm.retain(|&thread| self.dump.threads[thread as usize].wait.is_none());
        class_wait::resolve(&mut self.dump, &mut self.locks, &self.waits_in_vm);
        self.locks.find_initialisers(&mut self.dump);
        warnings.extend(self.not_understood.warning());
        if self.lacks_tail() {
            self.dump.truncated = true;
            let threads = self.dump.threads.len();
            let message =
                format!("the dump ends before its tail: {threads} threads, a lower bound");
            warnings.push(Warning { line: last, message });
        }
        self.dump
    }

    fn lacks_tail(&self) -> bool {
        self.has_tail && self.has_states && !self.ended
    }

    /// Where the input was cut, its last line is a piece of one, and the last thread may lack
    /// frames.
    fn cut(&mut self, last: u64) {
        if self.lacks_tail() {
            self.not_understood.forget_cut(last);
            if let Some(open) = self.open.as_mut().filter(|open| !open.owns) {
                open.calls().cut = true;
            }
        }
    }
}

/// `----------------- 16237 -----------------` before the native stack of a thread.
fn native_thread(body: &str) -> Option<u64> {
    let number = body.strip_prefix("-----")?.strip_suffix("-----")?.trim_matches(['-', ' ']);
    number.parse().ok()
}

/// The state's words and the header's words, which can differ: a thread in a native read is
/// `RUNNABLE / waiting on condition` at times.
fn state_text(state: &str, doing: &str) -> String {
    match (state, doing) {
        (state, "") => state.to_owned(),
        ("", doing) => doing.to_owned(),
        (state, doing) => [state, " / ", doing].concat(),
    }
}

/// A mounted virtual thread has a carrier; its annotations tell when it waits there, pinned.
fn mounted_state(calls: &Calls) -> ThreadState {
    let waits = |mark: &Mark| match mark {
        Mark::WaitingToLock(_) | Mark::WaitingToRelock(_) => Some(ThreadState::Blocked),
        Mark::WaitingOn(_) | Mark::Parking(_) => Some(ThreadState::Waiting),
        _ => None,
    };
    calls.marks.iter().find_map(|(_, mark)| waits(mark)).unwrap_or(ThreadState::Runnable)
}

fn truncation(calls: &Calls) -> Option<Truncation> {
    match calls.frames.len() {
        _ if calls.cut => Some(Truncation::InputEnded),
        PRINT_LIMIT => Some(Truncation::PrintLimit),
        _ => None,
    }
}
