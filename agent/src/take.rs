//! One dump of this process.

use std::collections::HashMap;
use std::time::Duration;

use sigquit_dump::{Dump, Nanos, Process, RegisterSamples, Series, TaskCapture, Thread};

use crate::assemble::Assembler;
use crate::busy::Usage;
use crate::capture::{self, Answer, Capturer, Maps};
use crate::facts::{self, Tasks};
use crate::options::Options;
use crate::owner::Answers;
use crate::panic;
use crate::sample::samplers;
use crate::slice;
use crate::sync;
use crate::task::{self, TaskDump, Tracer};
use crate::unwind::{Unwinder, Unwound};

/// Looks at one thread's registers, at most.
const SAMPLES: usize = 200;

/// What is needed to take dumps, and kept from one to the next.
pub(crate) struct Taker {
    capturer: Capturer,
    unwinder: Unwinder,
    tracer: Tracer,
    deadline: Duration,
    /// How long tasks that are polled for a dump may let us wait, when they are to be polled.
    task_deadline: Option<Duration>,
    /// CPU time that the search for owners may use, when that was said.
    owner_search: Option<Duration>,
    arguments: bool,
    /// The agent's own thread.
    own: i32,
}

/// What was seen of busy threads' registers, by thread.
pub(crate) type Sampled = HashMap<i32, RegisterSamples>;

impl Taker {
    pub fn new(capturer: Capturer, options: &Options, own: i32) -> Taker {
        Taker {
            capturer,
            unwinder: Unwinder::default(),
            tracer: Tracer::default(),
            deadline: options.deadline,
            task_deadline: options.trace_tasks.then_some(options.task_deadline),
            owner_search: options.owner_search,
            arguments: options.arguments,
            own,
        }
    }

    /// Takes a dump: of the threads, and the tasks apart. What the kernel says comes first: asking
    /// the threads wakes them.
    pub fn take(&mut self, series: Series, sampled: Sampled) -> (Dump, TaskDump) {
        let mut assembler = Assembler::new(Dump {
            time: Some(facts::now()),
            monotonic: Some(facts::monotonic()),
            process: Process { sockets: facts::sockets(), ..facts::process(self.arguments) },
            series: Some(series),
            ..Dump::default()
        });
        let mut known = Known::read(sampled);
        let maps = Maps::read();
        self.unwinder.refresh(&maps);
        let running = task::running();
        let (locked, booked) = (sync::look(), sync::look_at_books());
        #[cfg(feature = "tracing")]
        let in_spans = crate::spans::running();
        let options = capture::Options { deadline: self.deadline, leave_out: samplers() };
        let unwinder = &mut self.unwinder;
        let mut answers = Answers::default();
        let captured = self.capturer.capture(&options, &maps, &mut |answer: Answer<'_>| {
            let unwound = unwinder.unwind(answer.registers, answer.stack);
            assembler.answered(known.take(answer.tid), &answer.registers, &unwound);
            answers.keep(&answer);
        });
        let mut captured = captured.unwrap_or_else(|error| {
            assembler.failure(format!("no thread was asked for its stack: {error}"));
            capture::Captured::default()
        });
        let locked = locked.lasting();
        for (tid, unanswered) in captured.unanswered {
            assembler.unanswered(known.take(tid), Some(unanswered));
        }
        for thread in known.rest(self.own) {
            assembler.helper(thread);
        }
        assembler.sort_threads();
        captured.capture.owner_search =
            add_owners(&mut assembler, answers, &mut self.unwinder, self.owner_search);
        assembler.settle(known.tasks.as_mut());
        assembler.locked(&locked);
        add_panics(&mut assembler);
        let mut tasks = self.take_tasks(&mut assembler, &running);
        #[cfg(feature = "tracing")]
        assembler.spans(&crate::spans::all(&in_spans), &mut tasks);
        assembler.booked(&booked.lasting(), &mut tasks);
        (assembler.finish(Some(captured.capture), self.unwinder.modules()), tasks)
    }

    /// The tasks: what is known of them first, then what they tell when they are polled. `running`
    /// says which ran before the threads were asked for their stacks.
    fn take_tasks(
        &mut self,
        assembler: &mut Assembler,
        running: &HashMap<u64, (u32, u64)>,
    ) -> TaskDump {
        assembler.async_runtimes(task::runtimes());
        let seen = task::tasks();
        if seen.tasks.is_empty() && seen.out_of_reach == 0 {
            return TaskDump::default();
        }
        let mut capture = TaskCapture {
            tracked: seen.tasks.len() as u32,
            out_of_reach: seen.out_of_reach,
            deadline: self.task_deadline.map(nanos),
            ..TaskCapture::default()
        };
        let mut looked = Vec::new();
        if let Some(deadline) = self.task_deadline {
            let (tracer, unwinder) = (&mut self.tracer, &mut self.unwinder);
            let put = &mut |unwound: &Unwound, sp| assembler.unwound(unwound, sp);
            let (places, suspended) = seen.suspended();
            let traced = tracer.trace(&suspended, deadline, unwinder, put);
            capture.asked = traced.looked.len() as u32;
            (capture.served, capture.cut) = (traced.served, traced.cut);
            capture.wall = nanos(traced.wall);
            looked = in_places(traced.looked, &places);
            if let Some(failure) = traced.failure {
                assembler.failure(failure);
            }
        }
        assembler.carries(&seen.carried(running));
        assembler.task_capture(capture);
        let workers = assembler.workers();
        TaskDump::new(seen, looked, workers, &mut |task| assembler.spawn(task.spawn()))
    }

    /// Looks at the registers of the threads that have been busy since an earlier moment, for as
    /// long as the budget lasts.
    pub fn sample(&mut self, since: &Usage, budget: Duration) -> Sampled {
        let mut busy = Usage::read().busy_since(since);
        let samplers = samplers();
        busy.retain(|tid| *tid != self.own && !samplers.contains(tid));
        if busy.is_empty() {
            return Sampled::new();
        }
        let samples = self.capturer.sample_registers(&busy, SAMPLES, budget);
        let maps = Maps::read();
        let mut code = slice::Code::of(&maps);
        let condense = |one: capture::Samples| {
            (one.tid, slice::condense(&one.samples, one.over, &maps, &mut code))
        };
        samples.unwrap_or_default().into_iter().map(condense).collect()
    }
}

/// Things in the order of the places that they are to have.
fn in_places<T>(things: Vec<T>, places: &[usize]) -> Vec<T> {
    let mut placed: Vec<(usize, T)> = places.iter().copied().zip(things).collect();
    placed.sort_unstable_by_key(|&(place, _)| place);
    placed.into_iter().map(|(_, thing)| thing).collect()
}

fn nanos(time: Duration) -> Nanos {
    Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Says of threads which locks they will release, when others wait for these. Returns the CPU time
/// that this took.
fn add_owners(
    assembler: &mut Assembler,
    answers: Answers,
    unwinder: &mut Unwinder,
    work: Option<Duration>,
) -> Option<Nanos> {
    let inferred = answers.owners(&assembler.awaited(), &assembler.waits(), unwinder, work);
    for (tid, futexes) in &inferred.owners {
        assembler.will_release(*tid, futexes);
    }
    if inferred.cut > 0 {
        let threads = inferred.cut;
        assembler.failure(format!("{threads} threads were not searched for locks to the end"));
    }
    inferred.cpu
}

fn add_panics(assembler: &mut Assembler) {
    let (panics, others) = panic::noted();
    for panicked in &panics {
        assembler.panic(panicked);
    }
    if others > 0 {
        assembler.failure(format!("{others} panics at further places were not noted"));
    }
}

/// What is known of threads of which the dump says nothing yet.
struct Known {
    tasks: Option<Tasks>,
    threads: HashMap<i32, Thread>,
}

impl Known {
    fn read(mut sampled: Sampled) -> Known {
        let mut tasks = Tasks::open().ok();
        let mut threads = HashMap::new();
        for tid in Tasks::ids() {
            if let Some(mut thread) = tasks.as_mut().and_then(|tasks| tasks.thread(tid)) {
                thread.registers = sampled.remove(&tid);
                threads.insert(tid, thread);
            }
        }
        Known { tasks, threads }
    }

    /// What is known of a thread; one that has started since is looked up now.
    fn take(&mut self, tid: i32) -> Thread {
        let known = self.threads.remove(&tid);
        known
            .or_else(|| self.tasks.as_mut()?.thread(tid))
            .unwrap_or_else(|| Thread { os_id: u64::try_from(tid).ok(), ..Thread::default() })
    }

    /// Threads that were not asked and still exist: the agent's own ones, and the kernel's helpers.
    /// The others have ended.
    fn rest(&mut self, own: i32) -> Vec<Thread> {
        let tasks = &mut self.tasks;
        let mut exists = |tid| tasks.as_mut().is_some_and(|tasks| tasks.thread(tid).is_some());
        let rest = self.threads.drain().filter(|&(tid, _)| tid == own || exists(tid));
        rest.map(|(_, thread)| thread).collect()
    }
}
