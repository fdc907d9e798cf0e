//! Answers of threads and facts of the kernel -> a dump.

use std::collections::HashMap;

use sigquit_dump::{
    AsyncRuntime, Capture, Dump, Frame, FrameId, Lock, LockId, Notice, NoticeKind, Spawn, SpawnId,
    Stack, StackId, TaskCapture, Thread, ThreadState, Trust, Unanswered, Wait, WaitFor,
};

use crate::facts;
use crate::owner::Awaited;
use crate::panic::Panicked;
use crate::still;
use crate::unwind::{Modules, Registers, Unwound};

/// A dump in the making: equal frames, stacks and locks are put in once.
#[derive(Default)]
pub(crate) struct Assembler {
    dump: Dump,
    frames: HashMap<(u64, Trust), FrameId>,
    stacks: HashMap<Stack, StackId>,
    locks: HashMap<u64, LockId>,
}

impl Assembler {
    /// A dump that begins with what is known without asking any thread.
    pub fn new(dump: Dump) -> Assembler {
        Assembler { dump, ..Assembler::default() }
    }

    /// A thread that answered.
    pub fn answered(&mut self, mut thread: Thread, registers: &Registers, unwound: &Unwound) {
        let sp = registers.get(Registers::SP).unwrap_or_default();
        thread.stack = Some(self.unwound(unwound, sp));
        thread.stack_pointer = Some(sp);
        let futex = facts::awaited_futex(Some(registers), thread.syscall.as_ref());
        self.add(thread, futex);
    }

    /// The stack of what was unwound from a stack pointer.
    pub fn unwound(&mut self, unwound: &Unwound, sp: u64) -> StackId {
        let distance = |cfa: u64| u32::try_from(cfa.wrapping_sub(sp)).unwrap_or(u32::MAX);
        let frame_offsets = unwound.frames.iter().map(|frame| distance(frame.cfa)).collect();
        let frames =
            unwound.frames.iter().map(|frame| self.frame(frame.lookup_address, frame.trust));
        let stack = Stack { frames: frames.collect(), frame_offsets, truncated: unwound.truncated };
        self.stack(stack)
    }

    /// A thread that did not answer: the kernel's word on it is all there is.
    pub fn unanswered(&mut self, mut thread: Thread, unanswered: Option<Unanswered>) {
        thread.unanswered = unanswered;
        let futex = facts::awaited_futex(None, thread.syscall.as_ref());
        self.add(thread, futex);
    }

    /// A thread with no stack to show: one of the kernel's helpers, or the agent's own.
    pub fn helper(&mut self, mut thread: Thread) {
        thread.runtime_helper = true;
        self.dump.threads.push(thread);
    }

    fn add(&mut self, mut thread: Thread, futex: Option<u64>) {
        if let Some(address) = futex {
            thread.wait = Some(Wait { lock: self.lock(address), wait_for: WaitFor::Unknown });
            // It has fallen asleep since the kernel was asked.
            if thread.state == ThreadState::Runnable {
                thread.state = ThreadState::Waiting;
            }
        }
        self.dump.threads.push(thread);
    }

    fn frame(&mut self, address: u64, trust: Trust) -> FrameId {
        let dump = &mut self.dump;
        *self.frames.entry((address, trust)).or_insert_with(|| {
            dump.intern_frame(Frame { address: Some(address), trust, ..Frame::default() })
        })
    }

    fn stack(&mut self, stack: Stack) -> StackId {
        let dump = &mut self.dump;
        *self.stacks.entry(stack).or_insert_with_key(|stack| dump.intern_stack(stack.clone()))
    }

    fn lock(&mut self, address: u64) -> LockId {
        let dump = &mut self.dump;
        *self.locks.entry(address).or_insert_with(|| dump.add_lock(facts::futex(address)))
    }

    /// Puts the threads in the order of their numbers; before anything refers to them.
    pub fn sort_threads(&mut self) {
        self.dump.threads.sort_by_key(|thread| thread.os_id);
    }

    /// What threads wait on.
    pub fn awaited(&self) -> Vec<Awaited> {
        let awaited =
            |lock: &Lock| Some(Awaited { futex: lock.address?, parking_key: lock.parking_key });
        self.dump.locks.iter().filter_map(awaited).collect()
    }

    /// Who waits on which futex.
    pub fn waits(&self) -> HashMap<i32, u64> {
        let wait = |thread: &Thread| {
            let lock = self.dump.locks.get(thread.wait.as_ref()?.lock.0 as usize)?;
            Some((i32::try_from(thread.os_id?).ok()?, lock.address?))
        };
        self.dump.threads.iter().filter_map(wait).collect()
    }

    /// A thread for which those wait that wait on these futexes.
    pub fn will_release(&mut self, tid: i32, futexes: &[u64]) {
        let is_it = |thread: &&mut Thread| thread.os_id == u64::try_from(tid).ok();
        if let Some(thread) = self.dump.threads.iter_mut().find(is_it) {
            let locks = futexes.iter().filter_map(|futex| self.locks.get(futex));
            thread.will_release = locks.copied().collect();
        }
    }

    /// Has locks forget the owners that their memory names where these have gone on since; after what is read
    /// from code.
    pub fn settle(&mut self, tasks: Option<&mut facts::Tasks>) {
        still::settle(&mut self.dump, tasks);
    }

    /// What threads hold and wait for, as tracked locks say; after all threads.
    pub fn locked(&mut self, lasting: &[crate::sync::Lasting]) {
        if let Some(complaint) = crate::sync::add(&mut self.dump, lasting) {
            self.failure(complaint);
        }
    }

    /// What pools and async locks say of who holds them and waits for them; after all threads of the
    /// dump, before its tasks.
    pub fn booked(
        &mut self,
        books: &[(std::sync::Arc<crate::sync::Book>, crate::sync::SeenBook)],
        tasks: &mut crate::task::TaskDump,
    ) {
        crate::sync::add_books(&mut self.dump, books, tasks);
    }

    /// The async runtimes.
    pub fn async_runtimes(&mut self, runtimes: Vec<AsyncRuntime>) {
        self.dump.async_runtimes = runtimes;
    }

    /// The number of what tasks are spawned from.
    pub fn spawn(&mut self, spawn: Spawn) -> SpawnId {
        self.dump.add_spawn(spawn)
    }

    /// The runtime of each thread that is a worker, by tid.
    pub fn workers(&self) -> HashMap<u64, u32> {
        let runtimes = (0..).zip(&self.dump.async_runtimes);
        let workers = runtimes.flat_map(|(at, runtime)| {
            runtime.workers.iter().filter_map(move |worker| Some((worker.os_id?, at)))
        });
        workers.collect()
    }

    /// Which task each thread is in, by tid.
    pub fn carries(&mut self, tasks: &HashMap<u32, u64>) {
        for thread in &mut self.dump.threads {
            let tid = thread.os_id.and_then(|tid| u32::try_from(tid).ok());
            thread.carries = tid.and_then(|tid| tasks.get(&tid).copied());
        }
    }

    /// How the capture of tasks went.
    pub fn task_capture(&mut self, capture: TaskCapture) {
        self.dump.task_capture = Some(capture);
    }

    /// What tokio's spans say of tasks and locks; after all threads.
    #[cfg(feature = "tracing")]
    pub fn spans(
        &mut self,
        layers: &[crate::spans::SeenSpans],
        tracked: &mut crate::task::TaskDump,
    ) {
        tracked.add(crate::spans::add(&mut self.dump, layers, tracked.runtime_ids()));
        for complaint in layers.iter().flat_map(crate::spans::SeenSpans::complaints) {
            self.failure(complaint);
        }
    }

    /// Why the dump is not what it should be.
    pub fn failure(&mut self, message: String) {
        self.dump.notices.push(Notice { kind: NoticeKind::Failure, message, ..Notice::default() });
    }

    /// A panic that was noted. Its thread is named when it is still the same one.
    pub fn panic(&mut self, panicked: &Panicked) {
        let now = self.dump.monotonic.unwrap_or_default();
        let is_it = |thread: &Thread| {
            thread.os_id == u64::try_from(panicked.tid).ok()
                && thread.elapsed.is_none_or(|age| {
                    // Start times have a resolution of some hundredths of a second.
                    age.0 + 50_000_000 >= now.since(panicked.at).0
                })
        };
        let thread = self.dump.threads.iter().position(is_it);
        let frames = panicked.addresses.iter().map(|&address| self.frame(address, Trust::Cfi));
        let stack = Stack::from(frames.collect::<Vec<_>>());
        let stacks = if stack.frames.is_empty() { Vec::new() } else { vec![self.stack(stack)] };
        self.dump.notices.push(Notice {
            kind: NoticeKind::Panic,
            message: panicked.message(),
            threads: thread.and_then(|at| u32::try_from(at).ok()).into_iter().collect(),
            location: panicked.location.clone(),
            stacks,
            line: None,
        });
    }

    /// The dump, with the module of each frame.
    pub fn finish(mut self, capture: Option<Capture>, modules: &Modules) -> Dump {
        self.dump.capture = capture;
        self.dump.modules = modules.list().cloned().collect();
        for frame in &mut self.dump.frames {
            if let Some((module, offset)) = frame.address.and_then(|at| modules.find(at)) {
                frame.module = Some(module);
                frame.offset = Some(offset);
            }
        }
        self.dump
    }
}
