//! The dump: what one process looked like at one moment.

use serde::{Deserialize, Serialize};

use crate::{
    AsyncRuntime, Frame, FrameId, Lock, LockId, Module, Nanos, Notice, Process, Spawn, SpawnId,
    Stack, StackId, Symbol, TaskCapture, Thread,
};

/// One process at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dump {
    /// When the dump was taken, in nanoseconds since the Unix epoch. A source that prints a
    /// local time without its zone is read as if it were UTC: good for order and distance only.
    pub time: Option<Nanos>,
    /// The same moment on the machine's monotonic clock, for exact distances between dumps.
    pub monotonic: Option<Nanos>,
    /// Which process it was.
    pub process: Process,
    /// Which of several successive dumps this one is.
    pub series: Option<Series>,
    /// How the capture went, when the agent took the dump.
    pub capture: Option<Capture>,
    /// How the capture of tasks went, when the agent took the dump and tracks tasks.
    pub task_capture: Option<TaskCapture>,
    /// The binaries that were mapped.
    pub modules: Vec<Module>,
    /// Every distinct frame, referred to by [`FrameId`].
    pub frames: Vec<Frame>,
    /// Every distinct stack, referred to by [`StackId`].
    pub stacks: Vec<Stack>,
    /// Every lock that a thread holds or waits for, referred to by [`LockId`].
    pub locks: Vec<Lock>,
    /// What tasks were spawned from, and where, referred to by [`SpawnId`].
    pub spawns: Vec<Spawn>,
    /// The async runtimes of the process, as far as they are known.
    pub async_runtimes: Vec<AsyncRuntime>,
    /// Every thread of control: OS threads, JVM threads, virtual threads, goroutines, tasks.
    pub threads: Vec<Thread>,
    /// What the runtime itself said beside the stacks: deadlocks, fatal errors, panics.
    pub notices: Vec<Notice>,
    /// The source ended before the dump did; the threads are a lower bound.
    pub truncated: bool,
}

impl Dump {
    /// Adds a frame and returns its number. Does not look for an equal one: a reader that meets
    /// the same frame often keeps its own index.
    pub fn intern_frame(&mut self, frame: Frame) -> FrameId {
        self.frames.push(frame);
        FrameId(self.frames.len() as u32 - 1)
    }

    /// Adds a stack and returns its number, without a search for an equal one.
    pub fn intern_stack(&mut self, stack: Stack) -> StackId {
        self.stacks.push(stack);
        StackId(self.stacks.len() as u32 - 1)
    }

    /// Adds a lock and returns its number.
    pub fn add_lock(&mut self, lock: Lock) -> LockId {
        self.locks.push(lock);
        LockId(self.locks.len() as u32 - 1)
    }

    /// Adds what tasks were spawned from, and returns its number.
    pub fn add_spawn(&mut self, spawn: Spawn) -> SpawnId {
        self.spawns.push(spawn);
        SpawnId(self.spawns.len() as u32 - 1)
    }

    /// The frame with that number.
    pub fn frame(&self, id: FrameId) -> &Frame {
        &self.frames[id.0 as usize]
    }

    /// The stack of a thread, innermost frame first, when it has one.
    pub fn stack(&self, thread: &Thread) -> Option<&Stack> {
        thread.stack.map(|id| &self.stacks[id.0 as usize])
    }

    /// The lock with that number.
    pub fn lock(&self, id: LockId) -> &Lock {
        &self.locks[id.0 as usize]
    }

    /// What a task was spawned from and where, when that is known.
    pub fn spawn(&self, thread: &Thread) -> Option<&Spawn> {
        self.spawns.get(thread.task.as_ref()?.spawn?.0 as usize)
    }

    /// The functions on a thread's stack, innermost first, inlined ones included, each with the
    /// frame that it belongs to and that frame's place in the stack (0 is the leaf frame).
    /// A frame without a name is passed over; see [`Frame::symbols`].
    pub fn calls<'a>(
        &'a self,
        thread: &Thread,
    ) -> impl Iterator<Item = (usize, &'a Frame, &'a Symbol)> {
        let stack = self.stack(thread);
        stack.into_iter().flat_map(move |stack| {
            stack.frames.iter().enumerate().flat_map(move |(depth, &id)| {
                let frame = self.frame(id);
                frame.symbols.iter().map(move |symbol| (depth, frame, symbol))
            })
        })
    }
}

/// The place of a dump among the successive dumps of one incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Names the incident: equal for all dumps that one signal produced.
    pub incident: String,
    /// Which dump of the series, from 1.
    pub index: u32,
    /// How many dumps the series was to have.
    pub of: u32,
    /// What asked for the series.
    pub trigger: Trigger,
    /// Requests that arrived while the series ran, up to this dump: noted, not served twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests_during: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What asked for a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A signal from outside, SIGQUIT unless the program chose another.
    #[default]
    Signal,
    /// The program called for it.
    Call,
    /// A thread panicked.
    Panic,
}

/// How a capture went: what it cost and whom it did not reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// From the first signal sent to the last answer, in nanoseconds of wall time. With more
    /// threads than are asked at once this includes the unwinding of the earlier ones.
    pub wall: Nanos,
    /// Threads that answered.
    pub answered: u32,
    /// Threads that existed and did not answer; each says why in [`Thread::unanswered`].
    pub unanswered: u32,
    /// Threads that ended between being seen and being asked.
    pub exited: u32,
    /// The wait for a thread's answer, at most, in nanoseconds.
    pub deadline: Nanos,
    /// How long threads were held up inside the signal handler, from its first instruction to
    /// its last: the median over the threads that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler_p50: Option<Nanos>,
    /// The same: ninety-nine of a hundred threads were held up no longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler_p99: Option<Nanos>,
    /// The same: the longest, which on a busy machine includes time without a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler_max: Option<Nanos>,
    /// The agent's own time to turn the copied stacks into frames, while the threads ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwinding: Option<Nanos>,
    /// The CPU time that the agent used to infer who holds the locks for which threads wait. Absent when
    /// nothing was to be inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_search: Option<Nanos>,
}
