//! Threads of control and what is known of each.

use serde::{Deserialize, Serialize};

use crate::{Hold, LockId, Nanos, StackId, Task, Wait};

/// One thread of control: an OS thread, a JVM thread, a virtual thread, a goroutine, a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// Its name as printed; empty when it has none.
    #[serde(default)]
    pub name: String,
    /// The number by which its runtime knows it: goroutine number, JVM `#id`, task id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The number by which the operating system knows it (the tid; HotSpot's `nid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_id: Option<u64>,
    /// What it does, in our words.
    #[serde(default)]
    pub state: ThreadState,
    /// What it does, in the source's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state_text: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackId>,
    /// The stack pointer, to which the stack's frame offsets are to be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_pointer: Option<u64>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Which locks it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// CPU time since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// Time since it started that it was runnable and had no CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay: Option<Nanos>,
    /// Wall time since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<Nanos>,
    /// How often it gave the CPU away, since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches: Option<u64>,
    /// How often the CPU was taken from it, since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches: Option<u64>,
    /// The system call that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall: Option<Syscall>,
    /// The kernel function in which it sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wchan: Option<String>,
    /// Locks that, read from its machine code, it will release before it acquires them: so it
    /// holds them. An inference, never a fact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub will_release: Vec<LockId>,
    /// What many looks at its registers in a short time showed, when it was on a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registers: Option<RegisterSamples>,
    /// It did not answer the capture, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Unanswered>,
    /// Where it was created: functions, innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<StackId>,
    /// The number of the thread of control that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// For how long the source says it has been in this state. Go counts whole minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Nanos>,
    /// A digest of the values that the source prints with the stack; 0 when it prints none. That two of a thread
    /// differ shows that it went on in between; that they are equal shows nothing. Not in files.
    #[serde(skip)]
    pub values: u32,
    /// Key and value pairs that the program or the runtime attached (Go's labels).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<(String, String)>,
    /// The runtime does not wait for it to end before the process may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub daemon: bool,
    /// It belongs to the runtime itself: garbage collector, compiler, scheduler, the agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runtime_helper: bool,
    /// The virtual thread or task that it carries now, by number. The task's stack is then this
    /// thread's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<u64>,
    /// What is known of it because it is an async task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<Task>>,
    /// Line of the input at which it stands, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// What kind of thread of control.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A thread of the operating system, also when a runtime such as the JVM gave it its name.
    #[default]
    Thread,
    /// A JVM's virtual thread.
    VirtualThread,
    /// A goroutine.
    Goroutine,
    /// An async task.
    Task,
}

impl Kind {
    /// What to call one in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Thread => "thread",
            Kind::VirtualThread => "virtual thread",
            Kind::Goroutine => "goroutine",
            Kind::Task => "task",
        }
    }
}

/// What a thread does. Sources use many words; [`Thread::state_text`] keeps theirs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ThreadState {
    /// The source does not say.
    #[default]
    Unknown,
    /// On a CPU.
    Running,
    /// Ready to run. HotSpot says so of threads in native code too, waiting or not.
    Runnable,
    /// Waits to enter a lock.
    Blocked,
    /// Waits for an event, for ever if need be.
    Waiting,
    /// Waits for an event or for a time to pass.
    TimedWaiting,
    /// Put aside by its scheduler on purpose.
    Parked,
    /// In a system call or in foreign code.
    Syscall,
    /// Sleeps in the kernel and no signal can wake it: mostly I/O.
    Uninterruptible,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Created and not yet run.
    New,
    /// Ended.
    Ended,
}

/// A system call in which a thread is, as the kernel reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscall {
    /// Its number on the machine's architecture.
    pub number: u64,
    /// Its arguments, as many as the source gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<u64>,
}

/// What many looks at one thread's registers within a short time showed. A loop that makes
/// progress comes by in ever new states; one that cannot comes back to the same.
///
/// Method: the recurrence of machine states that Jolt (Carbin et al., ECOOP 2011) proves
/// infinite loops with, approximated by samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterSamples {
    /// How many samples were taken.
    pub samples: u32,
    /// How many different program counters were seen.
    pub distinct_pcs: u32,
    /// How many different states: program counter, all general registers, the vector registers
    /// where the sampler sees them, and the words at the top of the stack, where a loop keeps what does
    /// not fit into registers.
    pub distinct_states: u32,
    /// How many samples show a state that another sample shows too.
    pub recurring: u32,
    /// At the most frequent program counter: registers that hold addresses of mapped memory and
    /// go through few values, each of them again and again, and differ from look to look. None is counted when two or more
    /// other registers never show the same value twice there: then something advances.
    pub cycling_pointers: u32,
    /// How many samples were taken at that program counter.
    pub at_modal_pc: u32,
    /// The wall time over which the samples were spread.
    pub over: Nanos,
    /// How the loop that all samples lie in decides whether to go on; absent when they lie in no
    /// loop, or in one whose machine code is not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<LoopControl>,
}

/// How a loop decides whether to go on, by its machine code: on what the conditions of its jumps
/// depend, and whether that changes. What else changes in it does not matter to that.
///
/// Method: a backward slice (Weiser, ICSE 1981).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopControl {
    /// How many instructions the loop has.
    pub instructions: u32,
    /// It calls functions. Then all that it and they read is counted in `loads`, and nothing else is
    /// said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calls: bool,
    /// How many of its instructions read memory that may change, outside of its frame, on which it
    /// depends whether the loop goes on. A loop with none waits for nobody.
    pub loads: u32,
    /// Something on which it depends is computed from what it was a round before, as a counter is.
    /// Then that states come back can also mean that the loop is begun again and again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub steps: bool,
    /// Where it reads depends on what it read a round before, as when it follows links or indices. A
    /// loop that waits reads the same place each time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// How many samples could be compared: at one place, at which all on which it depends is in
    /// general registers. Zero where there is no such place, or the loop may write what it reads.
    pub samples: u32,
    /// How many different states these have, of what it depends on alone.
    pub distinct_states: u32,
    /// How many of them have such a state that another has too.
    pub recurring: u32,
    /// How many other registers grow, or shrink, from each of them to the next. A loop that is begun
    /// again sets its counters anew.
    pub advancing: u32,
}

/// A thread that did not answer the capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// Why, as far as the kernel says.
    pub reason: UnansweredReason,
    /// The state letter of `/proc/PID/task/TID/stat`, when it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_state: Option<char>,
}

/// Why a thread did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnansweredReason {
    /// It blocks the capture's signal.
    SignalBlocked,
    /// It sleeps uninterruptibly in the kernel.
    Uninterruptible,
    /// It was ready to run and got no CPU before the deadline.
    NotScheduled,
    /// It is stopped, by a signal or a debugger.
    Stopped,
    /// The signal could not be queued: the limit of pending signals was reached.
    SignalQueueFull,
    /// The kernel gave no reason.
    Unknown,
}
