//! The agent's half: waves of tasks out, stacks and outcomes in, until all are served or nothing
//! comes any more.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sigquit_dump::Trace;

use super::super::entry::Entry;
use super::log::{LOGS, Log};
use super::shape::Shapes;
use super::wave::{self, Call, Wave};
use crate::unwind::{Unwinder, Unwound};

/// Waves that are under way and move, at most: one is polled while another is read.
const MOVING: usize = 2;
/// How long the agent sleeps when nothing has come.
const NAP: Duration = Duration::from_micros(50);
/// A trace ends after so many of its deadlines, however much still comes.
const MOST_DEADLINES: u32 = 10;

/// What the trace of one task brought. There can be a million, so that it is small.
#[derive(Clone, Debug)]
pub(crate) struct Looked<T> {
    pub trace: Trace,
    /// Where it left its waker first.
    pub first: Option<T>,
    /// Where else it left it, in the order in which it did.
    pub further: Box<[T]>,
}

impl<T: Copy> Looked<T> {
    /// It left its waker there, too. Seldom more than once.
    pub fn add(&mut self, stack: T) {
        match self.first {
            None => self.first = Some(stack),
            Some(_) => self.further = self.further.iter().copied().chain([stack]).collect(),
        }
    }
}

/// What the trace of all tasks brought.
pub(crate) struct Traced<T> {
    /// One for each task, in their order.
    pub looked: Vec<Looked<T>>,
    pub served: u32,
    /// Looks that found no room.
    pub cut: u32,
    pub wall: Duration,
    /// Why tasks were left out, when there is a reason but time.
    pub failure: Option<String>,
}

/// Has tasks polled.
#[derive(Default)]
pub(crate) struct Tracer {
    /// Rounds of waves so far.
    rounds: u32,
    /// The thread that wakes, when it had not come back by the end of a trace.
    missing: Option<JoinHandle<()>>,
}

impl Tracer {
    /// Has each of these tasks polled once. Gives up when none has been served for as long as the
    /// deadline; `put` is asked what stands for a stack that was not met before.
    pub fn trace<T: Copy>(
        &mut self,
        tasks: &[Arc<Entry>],
        deadline: Duration,
        unwinder: &mut Unwinder,
        put: &mut dyn FnMut(&Unwound, u64) -> T,
    ) -> Traced<T> {
        let nothing = Looked { trace: Trace::NotAsked, first: None, further: Box::default() };
        let mut looked = vec![nothing; tasks.len()];
        let begun = Instant::now();
        let (mut served, mut cut) = (0, 0);
        let mut ended = |(of, cut_of): (u32, u32)| {
            served += of;
            cut += cut_of;
        };
        let mut shapes = Shapes::new();
        let stack_of = &mut |look: &super::log::Look<'_>| shapes.of(look, unwinder, put);
        let failure = self
            .run(tasks, &mut looked, deadline, stack_of, &mut ended)
            .err()
            .map(|error| format!("suspended tasks were not polled to the end: {error}"));
        Log::give_back();
        Traced { looked, served, cut, wall: begun.elapsed(), failure }
    }

    fn run<T: Copy>(
        &mut self,
        mut tasks: &[Arc<Entry>],
        mut looked: &mut [Looked<T>],
        deadline: Duration,
        stack_of: &mut dyn FnMut(&super::log::Look<'_>) -> T,
        ended: &mut dyn FnMut((u32, u32)),
    ) -> io::Result<()> {
        let calls = self.start_waking()?;
        let mut waves: Vec<Wave<'_, T>> = Vec::new();
        let (begun, mut moved) = (Instant::now(), Instant::now());
        let mut opened = Ok(());
        loop {
            while waves.iter().filter(|wave| wave.moves()).count() < MOVING && opened.is_ok() {
                if tasks.is_empty() {
                    break;
                }
                if waves.len() == LOGS {
                    ended(waves.remove(0).close(stack_of));
                }
                match self.open() {
                    Ok((number, log)) => {
                        let (now, later) = tasks.split_at(wave::length(tasks));
                        let (looked_now, looked_later) =
                            std::mem::take(&mut looked).split_at_mut(now.len());
                        (tasks, looked) = (later, looked_later);
                        let (wave, call) = Wave::new(number, log, now, looked_now);
                        waves.push(wave);
                        // Gone is the other end when it was not started; then nothing comes.
                        let _ = calls.send(call);
                    }
                    Err(error) => opened = Err(error),
                }
            }
            let mut any = false;
            for wave in &mut waves {
                any |= wave.advance(stack_of);
            }
            for wave in waves.extract_if(.., |wave| wave.is_over()) {
                ended(wave.close(stack_of));
                any = true;
            }
            if waves.is_empty() && (opened.is_err() || tasks.is_empty()) {
                break;
            }
            if any {
                moved = Instant::now();
            } else {
                thread::sleep(NAP);
            }
            if moved.elapsed() >= deadline || begun.elapsed() >= deadline * MOST_DEADLINES {
                break;
            }
        }
        for wave in waves {
            ended(wave.close(stack_of));
        }
        looked.iter_mut().for_each(|looked| looked.trace = Trace::NotServed);
        opened
    }

    /// Opens a log that nobody uses, for the next wave.
    fn open(&mut self) -> io::Result<(u32, &'static Log)> {
        for _ in 0..LOGS {
            // Zero stands for no wave.
            self.rounds = self.rounds.wrapping_add(1).max(1);
            if let Some(log) = Log::open(self.rounds)? {
                return Ok((self.rounds, log));
            }
        }
        Err(io::Error::other("threads that were interrupted hold all logs"))
    }

    /// Starts the thread that wakes: what it calls is the executor's code, and may not come back.
    fn start_waking(&mut self) -> io::Result<Sender<Call>> {
        if self.missing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(io::Error::other(
                "a call that wakes a task has not come back since an earlier dump",
            ));
        }
        let (calls, called) = channel();
        let builder = thread::Builder::new().name("sigquit-waker".into());
        self.missing = Some(builder.spawn(move || wake(&called))?);
        Ok(calls)
    }
}

fn wake(calls: &Receiver<Call>) {
    for call in calls {
        // A waker that panics costs the rest of its wave; the hook has said what it was.
        let _ = catch_unwind(AssertUnwindSafe(|| call.wake()));
    }
}
