//! Ask every thread, wait for the answers, and explain those that do not come.
//!
//! Threads are asked a window at a time, so that the answers do not queue up behind each other.
//! A thread that has not answered after a grace leaves the window, keeps its slot, and is looked
//! up in `/proc`: some silences are certain then, the rest are waited for until the deadline.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sigquit_dump::{Capture, Nanos, Unanswered, UnansweredReason};

use super::handler::{Queued, Ticket};
use super::sample::{Sample, digest};
use super::slot::{Left, SLOTS, STACK_CAP, StackMappings, State, TABLE};
use super::{Answer, Captured, Capturer, Error, Maps, enumerate, machine, probe};
use crate::unwind::{Registers, StackCopy};

/// Threads asked at once, while they answer promptly.
const WINDOW: usize = 128;
/// How long a thread may take before `/proc` is asked about it.
const GRACE: Duration = Duration::from_millis(20);
/// Looks at the list of threads: those that start during a capture are found by the next look.
const PASSES: usize = 3;

/// How to capture.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long to wait for a thread that was asked.
    pub deadline: Duration,
    /// Threads that are not to be asked, besides the one that asks.
    pub leave_out: Vec<i32>,
}

impl Default for Options {
    fn default() -> Options {
        Options { deadline: Duration::from_secs(1), leave_out: Vec::new() }
    }
}

impl Capturer {
    /// Asks every thread but the calling one for its registers and stack, and hands each answer
    /// to `sink` while the stack lies in the arena. `maps` is the map of memory, read just now.
    ///
    /// # Errors
    /// When the handler was replaced or the threads cannot be listed: then nobody was asked.
    pub fn capture(
        &mut self,
        options: &Options,
        maps: &Maps,
        sink: &mut dyn FnMut(Answer<'_>),
    ) -> Result<Captured, Error> {
        self.check_handler()?;
        let mut rendezvous = Rendezvous::new(self, options.deadline, maps);
        let asked = rendezvous.ask_all(options, sink);
        rendezvous.finish(sink);
        asked.map(|()| rendezvous.captured())
    }
}

/// One request that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub tid: i32,
    slot: u32,
    generation: u32,
    at: Instant,
    /// Looks at `/proc` so far, and when the next is due.
    probes: u32,
    probe_at: Instant,
}

impl Request {
    fn is_prompt(&self) -> bool {
        self.probes == 0
    }
}

/// What became of a request that will not be answered.
pub(super) enum Silence {
    Ended,
    KernelHelper,
    Unanswered(Unanswered),
}

/// One capture under way.
pub(super) struct Rendezvous<'a> {
    capturer: &'a mut Capturer,
    deadline: Duration,
    clock: Clock,
    free: Vec<u32>,
    /// How many of the highest slots have never been used in this capture.
    fresh: u32,
    pending: Vec<Request>,
    done: Vec<Request>,
    ticks: Vec<u64>,
    unanswered: Vec<(i32, Unanswered)>,
    exited: u32,
    first: Option<Instant>,
    last: Option<Instant>,
    unwinding: Duration,
}

impl<'a> Rendezvous<'a> {
    pub fn new(capturer: &'a mut Capturer, deadline: Duration, maps: &Maps) -> Rendezvous<'a> {
        publish(maps);
        Rendezvous {
            capturer,
            deadline,
            clock: Clock::start(),
            free: (0..SLOTS as u32).rev().filter(|&slot| is_vacant(slot)).collect(),
            fresh: 0,
            pending: Vec::new(),
            done: Vec::new(),
            ticks: Vec::new(),
            unanswered: Vec::new(),
            exited: 0,
            first: None,
            last: None,
            unwinding: Duration::ZERO,
        }
    }

    fn ask_all(
        &mut self,
        options: &Options,
        sink: &mut dyn FnMut(Answer<'_>),
    ) -> Result<(), Error> {
        let mut known: HashSet<i32> = options.leave_out.iter().copied().collect();
        known.insert(enumerate::current());
        for _ in 0..PASSES {
            let mut found = enumerate::threads()?;
            found.retain(|&tid| known.insert(tid));
            if found.is_empty() {
                break;
            }
            for tid in found {
                self.make_room(sink);
                self.ask_for_stack(tid, sink);
            }
        }
        self.capturer.blocked.retain(|tid| known.contains(tid));
        Ok(())
    }

    /// Waits until one more thread can be asked: the window is open and a slot is free.
    fn make_room(&mut self, sink: &mut dyn FnMut(Answer<'_>)) {
        while self.prompt() >= WINDOW {
            self.wait(WINDOW / 2);
        }
        while self.free.is_empty() {
            self.drain(sink);
            if self.free.is_empty() {
                self.wait(1);
            }
        }
    }

    /// Asks a thread, unless it is known to block the signal still.
    fn ask_for_stack(&mut self, tid: i32, sink: &mut dyn FnMut(Answer<'_>)) {
        if let Some(silence) = self.still_blocked(tid) {
            return self.explain(tid, silence);
        }
        while let Err(error) = self.ask(tid, true) {
            if error != libc::EAGAIN {
                return self.exited += 1;
            }
            // The queue of pending signals is full, perhaps of our own: answers make room.
            if self.pending.is_empty() {
                let reason = UnansweredReason::SignalQueueFull;
                let kernel_state = probe::status(tid).map(|status| status.state);
                let unanswered = Unanswered { reason, kernel_state };
                return self.explain(tid, Silence::Unanswered(unanswered));
            }
            self.wait(1);
            self.make_room(sink);
        }
    }

    /// A thread that blocked the signal in an earlier capture has it queued already: another
    /// would only fill the queue.
    fn still_blocked(&mut self, tid: i32) -> Option<Silence> {
        let at = self.capturer.blocked.iter().position(|&blocked| blocked == tid)?;
        let status = probe::status(tid);
        match status.filter(|status| status.blocks(self.capturer.signal)) {
            Some(status) => {
                let reason = UnansweredReason::SignalBlocked;
                let kernel_state = Some(status.state);
                Some(Silence::Unanswered(Unanswered { reason, kernel_state }))
            }
            None => {
                self.capturer.blocked.swap_remove(at);
                None
            }
        }
    }

    /// Sends one request, when there is a free slot.
    ///
    /// # Errors
    /// The kernel's error number: `ESRCH` when the thread is gone, `EAGAIN` when its queue is
    /// full.
    pub fn ask(&mut self, tid: i32, wants_stack: bool) -> Result<(), i32> {
        let slot = self.free.pop().ok_or(libc::EAGAIN)?;
        if wants_stack && slot >= self.fresh {
            TABLE.prefault(slot);
            self.fresh = slot + 1;
        }
        self.capturer.generation = self.capturer.generation.wrapping_add(1);
        let generation = self.capturer.generation;
        TABLE.request(slot, generation, tid, wants_stack);
        let at = Instant::now();
        self.first.get_or_insert(at);
        if let Err(error) = send(self.capturer.signal, tid, Ticket { generation, slot }) {
            TABLE.cancel(slot, generation);
            self.free.push(slot);
            return Err(error);
        }
        let probe_at = at + GRACE;
        self.pending.push(Request { tid, slot, generation, at, probes: 0, probe_at });
        Ok(())
    }

    fn prompt(&self) -> usize {
        // Requests are in the order of their time, and leave the window in that order.
        let late = self.pending.partition_point(|request| !request.is_prompt());
        self.pending.len() - late
    }

    /// Sleeps until so many of the prompt threads have answered, or something else is due, and
    /// then sorts out who has answered, who will not, and who is still awaited.
    pub fn wait(&mut self, answers: usize) {
        let before = TABLE.answers();
        self.sort_out();
        let answers = answers.min(self.pending.len());
        let now = Instant::now();
        let due = self.pending.iter().map(|request| self.due(request)).min();
        if let Some(due) = due.filter(|&due| answers > 0 && due > now) {
            TABLE.wait_for_answer(before.wrapping_add(answers as u32), due - now);
        }
        self.sort_out();
    }

    fn due(&self, request: &Request) -> Instant {
        request.probe_at.min(request.at + self.deadline)
    }

    fn sort_out(&mut self) {
        let now = Instant::now();
        let pending = std::mem::take(&mut self.pending);
        let before = self.done.len();
        for mut request in pending {
            if TABLE.state(request.slot) == State::Done {
                self.done.push(request);
            } else if now < self.due(&request) {
                self.pending.push(request);
            } else if let Some(silence) = self.silence(&mut request, now) {
                self.give_up(request, silence);
            } else {
                self.pending.push(request);
            }
        }
        if self.done.len() > before {
            self.last = Some(now);
        }
    }

    /// Looks a silent thread up: what became of it, when that is certain or the time is over.
    fn silence(&self, request: &mut Request, now: Instant) -> Option<Silence> {
        request.probes += 1;
        request.probe_at = now + GRACE * (1 << request.probes.min(5));
        let Some(status) = probe::status(request.tid).filter(|status| !status.has_ended()) else {
            return Some(Silence::Ended);
        };
        if status.is_kernel_helper {
            return Some(Silence::KernelHelper);
        }
        let signal = self.capturer.signal;
        let reason = if now >= request.at + self.deadline {
            Some(status.at_deadline(signal))
        } else {
            status.certain(signal, request.probes > 1)
        };
        let kernel_state = Some(status.state);
        reason.map(|reason| Silence::Unanswered(Unanswered { reason, kernel_state }))
    }

    /// Takes a request back; if the thread has begun to answer meanwhile, it may finish.
    fn give_up(&mut self, request: Request, silence: Silence) {
        if TABLE.cancel(request.slot, request.generation) {
            self.free.push(request.slot);
            return self.explain(request.tid, silence);
        }
        let hopeless = Instant::now() >= request.at + self.deadline * 2;
        if hopeless && TABLE.state(request.slot) != State::Done {
            // Its handler has no CPU. The slot stays out of use until the handler has ended.
            return self.explain(request.tid, silence);
        }
        self.pending.push(request);
    }

    fn explain(&mut self, tid: i32, silence: Silence) {
        match silence {
            Silence::Ended => self.exited += 1,
            Silence::KernelHelper => self.capturer.blocked.push(tid),
            Silence::Unanswered(unanswered) => {
                if unanswered.reason == UnansweredReason::SignalBlocked
                    && !self.capturer.blocked.contains(&tid)
                {
                    self.capturer.blocked.push(tid);
                }
                self.unanswered.push((tid, unanswered));
            }
        }
    }

    /// Waits for those still awaited, and uses the time for the answers that are there.
    fn finish(&mut self, sink: &mut dyn FnMut(Answer<'_>)) {
        while !self.pending.is_empty() {
            match self.prompt() {
                0 if self.done.is_empty() => self.wait(1),
                0 => self.drain(sink),
                prompt => self.wait(prompt),
            }
        }
        self.drain(sink);
        self.put_away();
    }

    /// Gives back what is of no use between captures.
    fn put_away(&self) {
        TABLE.release();
        publish(&Maps::default());
    }

    /// Hands all answers to the sink, and frees their slots.
    fn drain(&mut self, sink: &mut dyn FnMut(Answer<'_>)) {
        let begun = Instant::now();
        for request in std::mem::take(&mut self.done) {
            if let Some(left) = TABLE.left(request.slot) {
                self.ticks.push(left.ticks);
                sink(answer(request.tid, &left));
            }
            self.vacate(&request);
        }
        self.unwinding += begun.elapsed();
    }

    fn vacate(&mut self, request: &Request) {
        TABLE.free(request.slot, request.generation);
        self.free.push(request.slot);
    }

    /// Takes the samples of those who have answered: thread, sample, its CPU time.
    pub fn drain_samples(&mut self) -> Vec<(i32, Sample, u64)> {
        let mut answers = Vec::new();
        for request in std::mem::take(&mut self.done) {
            if let Some(left) = TABLE.left(request.slot) {
                let registers = Registers::from_context(left.registers);
                let sample = Sample { registers, rest: digest(left.stack) };
                answers.push((request.tid, sample, left.cpu));
            }
            self.vacate(&request);
        }
        answers
    }

    /// Takes back what is still awaited.
    pub fn abandon(&mut self) {
        for request in std::mem::take(&mut self.pending) {
            if TABLE.cancel(request.slot, request.generation) {
                self.free.push(request.slot);
            }
        }
        self.put_away();
    }

    /// Whether a thread's answer is awaited.
    pub fn awaits(&self, tid: i32) -> bool {
        self.pending.iter().any(|request| request.tid == tid)
    }

    fn captured(mut self) -> Captured {
        self.ticks.sort_unstable();
        let nanos = self.clock.nanos_per_tick();
        let quantile = |hundredths: usize| {
            let at = self.ticks.len() * hundredths / 100;
            let ticks = self.ticks.get(at).or(self.ticks.last())?;
            Some(Nanos((*ticks as f64 * nanos) as u64))
        };
        let wall = self.first.zip(self.last).map(|(first, last)| last - first);
        let capture = Capture {
            wall: duration(wall.unwrap_or_default()),
            answered: self.ticks.len() as u32,
            unanswered: self.unanswered.len() as u32,
            exited: self.exited,
            deadline: duration(self.deadline),
            handler_p50: quantile(50),
            handler_p99: quantile(99),
            handler_max: quantile(100),
            unwinding: Some(duration(self.unwinding)),
            owner_search: None,
        };
        Captured { capture, unanswered: self.unanswered }
    }
}

fn answer<'a>(tid: i32, left: &Left<'a>) -> Answer<'a> {
    let registers = Registers::from_context(left.registers);
    let sp = left.registers[machine::SP_WORD];
    debug_assert!(left.stack.len() <= STACK_CAP);
    Answer { tid, registers, stack: StackCopy { start: sp, bytes: left.stack } }
}

fn duration(duration: Duration) -> Nanos {
    Nanos(duration.as_nanos() as u64)
}

/// Whether a slot can be used: it is free, or the handler of an earlier capture, given up long
/// ago, has finished since.
fn is_vacant(slot: u32) -> bool {
    matches!(TABLE.state(slot), State::Free | State::Done)
}

/// Tells the handlers where stacks can be copied plainly.
fn publish(maps: &Maps) {
    let mappings = &maps.mappings;
    let range = |mapping: &super::Mapping| (mapping.start, mapping.end);
    let main = mappings.iter().find(|mapping| mapping.path == "[stack]").map(range);
    let writable = mappings.iter().filter(|mapping| mapping.writable && mapping.readable);
    let fresh = StackMappings {
        writable: writable.filter(|mapping| mapping.file == (0, 0)).map(range).collect(),
        main: main.unwrap_or_default(),
    };
    let old = TABLE.publish(Box::new(fresh));
    let busy = (0..SLOTS as u32).any(|slot| TABLE.state(slot) == State::Busy);
    if busy {
        // A handler of an earlier capture is still under way and may read what it found.
        std::mem::forget(old);
    }
}

/// Queues the signal for one thread.
fn send(signal: i32, tid: i32, ticket: Ticket) -> Result<(), i32> {
    // SAFETY: getpid and getuid take nothing.
    let (sender, user) = unsafe { (libc::getpid(), libc::getuid()) };
    let queued = Queued {
        signal,
        error: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        sender,
        user,
        value: ticket.to_value(),
        rest: [0; 12],
    };
    let info = &raw const queued as usize;
    let arguments = [sender as usize, tid as usize, signal as usize, info, 0, 0];
    // SAFETY: the record is a whole siginfo and outlives the call.
    let result = unsafe { machine::syscall(libc::SYS_rt_tgsigqueueinfo, arguments) };
    if result < 0 { Err(-result as i32) } else { Ok(()) }
}

/// Turns the CPU's ticks into time, by what both clocks showed over the capture.
struct Clock {
    instant: Instant,
    ticks: u64,
}

impl Clock {
    fn start() -> Clock {
        Clock { instant: Instant::now(), ticks: machine::ticks() }
    }

    fn nanos_per_tick(&self) -> f64 {
        let ticks = machine::ticks().wrapping_sub(self.ticks).max(1);
        self.instant.elapsed().as_nanos() as f64 / ticks as f64
    }
}
