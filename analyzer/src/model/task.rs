//! Async tasks: what each waits for, by the library functions in which it left its waker, and which
//! thread is in which task. One list of rules for all runtimes of async Rust.

use std::collections::BTreeSet;
use std::fmt;

use sigquit_dump::{Kind, StackId, Task, ThreadState};

use super::activity::Activity;
use super::call::{Call, Origin};
use super::idle::Idle;
use super::incident::{Incident, MemberId};
use super::pattern::matches_any;

/// What a suspended task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskWait {
    /// Until a lock is free.
    Lock,
    /// For a permit, of which there are so many on purpose.
    Permit,
    /// A message, or a value that another task sends.
    Receive,
    /// Room in a channel.
    Send,
    /// Another task's end.
    Join,
    /// A notification, or that all have come to a point.
    Notification,
    /// A connection.
    Accept,
    /// Bytes from a peer, or room for bytes to one.
    Socket,
    /// A time.
    Timer,
    /// A pool of blocking threads: a file, most likely.
    Blocking,
    /// Something that no rule knows.
    Unknown,
}

impl fmt::Display for TaskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskWait::Lock => "waits for an async lock",
            TaskWait::Permit => "waits for a permit",
            TaskWait::Receive => "waits for a message",
            TaskWait::Send => "waits for room in a channel",
            TaskWait::Join => "waits for another task to end",
            TaskWait::Notification => "waits to be notified",
            TaskWait::Accept => "waits for a connection",
            TaskWait::Socket => "waits for a peer",
            TaskWait::Timer => "waits for a time",
            TaskWait::Blocking => "waits for a blocking thread",
            TaskWait::Unknown => "waits",
        })
    }
}

impl TaskWait {
    /// Why a task that waits so has nothing to do, when it has: the event comes from outside or
    /// from those who have work for it.
    pub fn idle(self) -> Option<Idle> {
        match self {
            TaskWait::Accept | TaskWait::Socket => Some(Idle::Listener),
            TaskWait::Timer => Some(Idle::Timer),
            TaskWait::Receive | TaskWait::Notification => Some(Idle::Consumer),
            TaskWait::Join => Some(Idle::Supervisor),
            TaskWait::Lock
            | TaskWait::Permit
            | TaskWait::Send
            | TaskWait::Blocking
            | TaskWait::Unknown => None,
        }
    }

    /// What it is doing, in the words that serve threads too.
    pub fn activity(self) -> Activity {
        match self {
            TaskWait::Lock | TaskWait::Permit => Activity::Lock,
            TaskWait::Accept | TaskWait::Socket => Activity::Network,
            TaskWait::Timer => Activity::Sleeping,
            TaskWait::Blocking => Activity::File,
            _ => Activity::Event,
        }
    }

    /// By a task's calls, innermost first: the outermost function of a library that a rule knows,
    /// before the program's own first. A channel's send waits in a semaphore, a file's read in a
    /// join handle.
    pub(crate) fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> TaskWait {
        let libraries = calls.take_while(|call| call.origin != Origin::Application);
        let known = libraries.filter_map(|call| {
            let rule = RULES.iter().find(|(_, patterns)| matches_any(patterns, &call.function));
            rule.map(|&(wait, _)| wait)
        });
        known.last().unwrap_or(TaskWait::Unknown)
    }
}

const RULES: &[(TaskWait, &[&str])] = &[
    (
        TaskWait::Lock,
        &[
            "tokio::sync::mutex::*",
            "tokio::sync::rwlock::*",
            "tokio::sync::once_cell::*",
            "futures_util::lock::*",
            "futures::lock::*",
            "async_lock::mutex::*",
            "async_lock::rwlock::*",
        ],
    ),
    (
        TaskWait::Permit,
        &[
            "tokio::sync::semaphore::*",
            "tokio::sync::batch_semaphore::*",
            "async_lock::semaphore::*",
        ],
    ),
    (
        TaskWait::Send,
        &[
            "tokio::sync::mpsc::bounded::*Sender::*",
            "futures_channel::mpsc::*Sender::*",
            "futures_util::sink::*",
            "async_channel::Send*",
            "flume::async::Send*",
        ],
    ),
    (
        TaskWait::Receive,
        &[
            "tokio::sync::mpsc::*",
            "tokio::sync::oneshot::*",
            "tokio::sync::broadcast::*",
            "tokio::sync::watch::*",
            "futures_channel::*",
            "async_channel::Recv*",
            "async_channel::Receiver::*",
            "flume::async::*",
        ],
    ),
    (
        TaskWait::Notification,
        &[
            "tokio::sync::notify::*",
            "tokio::sync::barrier::*",
            "event_listener::*",
            "tokio_util::sync::*",
        ],
    ),
    (TaskWait::Blocking, &["tokio::fs::*", "tokio::runtime::blocking::*"]),
    (TaskWait::Join, &["tokio::runtime::task::join::*", "tokio::task::*", "async_task::*"]),
    (TaskWait::Accept, &["tokio::net::*Listener::*accept*", "async_io::*accept*"]),
    (
        TaskWait::Socket,
        &[
            "tokio::net::*",
            "tokio::io::*",
            "tokio::runtime::io::*",
            "tokio_util::codec::*",
            "hyper::*",
            "hyper_util::*",
            "h2::*",
            "tokio_rustls::*",
            "async_io::*",
        ],
    ),
    (
        TaskWait::Timer,
        &[
            "tokio::time::sleep::*",
            "tokio::time::interval::*",
            "tokio::runtime::time::*",
            "async_io::Timer*",
            "futures_timer::*",
        ],
    ),
];

impl Incident {
    /// What is known of a member as an async task, in one dump.
    pub fn task(&self, id: MemberId, dump: usize) -> Option<&Task> {
        self.has_tasks.get(dump).filter(|has_tasks| **has_tasks)?;
        self.thread(id, dump)?.task.as_deref()
    }

    /// What a suspended task waits for: a lock where one of its branches does, else what its first
    /// branch waits for. Nothing for what is no task, or runs.
    pub fn task_wait(&self, id: MemberId, dump: usize) -> Option<TaskWait> {
        let (task, thread) = (self.task(id, dump)?, self.thread(id, dump)?);
        if thread.state != ThreadState::Waiting {
            return None;
        }
        let wait_of = |stack: StackId| {
            TaskWait::of(self.calls_of_stack(dump, stack).iter().map(|&(call, _)| self.call(call)))
        };
        let stacks = thread.stack.into_iter().chain(task.branches.iter().copied());
        let waits: Vec<TaskWait> = stacks.map(wait_of).collect();
        let lock = waits.iter().copied().find(|&wait| wait == TaskWait::Lock);
        Some(lock.or(waits.first().copied()).unwrap_or(TaskWait::Unknown))
    }

    /// Whether nobody polled a task between the dumps that show it, which are at least two.
    pub fn was_not_polled(&self, id: MemberId) -> bool {
        let polls: Vec<u64> =
            (0..self.dumps.len()).filter_map(|dump| Some(self.task(id, dump)?.polls)).collect();
        polls.len() > 1 && polls.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// The threads that poll tasks, by tid.
    pub fn pollers(&self) -> BTreeSet<u64> {
        let runtimes = self.dumps.iter().flat_map(|dump| &dump.async_runtimes);
        let known = runtimes.flat_map(|runtime| &runtime.workers).filter_map(|worker| worker.os_id);
        let threads = self.dumps.iter().flat_map(|dump| &dump.threads);
        known.chain(threads.filter_map(|thread| thread.task.as_ref()?.polled_by)).collect()
    }

    /// The task that a thread is in, in one dump.
    pub fn carried(&self, id: MemberId, dump: usize) -> Option<MemberId> {
        let number = self.thread(id, dump)?.carries?;
        let is_it = |&(_, thread): &(usize, &sigquit_dump::Thread)| {
            thread.kind == Kind::Task && thread.number == Some(number)
        };
        let (at, _) = self.dumps[dump].threads.iter().enumerate().find(is_it)?;
        self.member_of(dump, at)
    }

    /// The task that a thread was in, in every dump that shows the thread, and in the same poll of
    /// it.
    pub fn always_carried(&self, id: MemberId) -> Option<MemberId> {
        self.carried_since(id, 0)
    }

    /// The same, from one dump on.
    pub fn carried_since(&self, id: MemberId, first: usize) -> Option<MemberId> {
        let shown = (first..self.dumps.len()).filter(|&dump| self.thread(id, dump).is_some());
        let mut carried = shown.map(|dump| {
            let task = self.carried(id, dump)?;
            Some((task, self.task(task, dump)?.polls))
        });
        let first = carried.next()??;
        carried.all(|next| next == Some(first)).then_some(first.0)
    }

    /// What tells tasks of one kind from others: the type of the future, and where it was handed
    /// over; for a sentence.
    pub fn spawned(&self, id: MemberId, dump: usize) -> Option<String> {
        let spawn = self.dumps[dump].spawn(self.thread(id, dump)?)?;
        let name = super::normalize::normalize(self.process.runtime, &spawn.type_name);
        let place = spawn.location.as_ref().map(|at| match at.line {
            Some(line) => format!("{}:{line}", at.file),
            None => at.file.clone(),
        });
        match (name.is_empty(), place) {
            (false, Some(place)) => Some(format!("{name}, spawned at {place}")),
            (false, None) => Some(name),
            (true, place) => place.map(|place| format!("a task spawned at {place}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::Runtime;

    use super::super::scene::Scene;
    use super::*;

    fn wait_of(frames: &[&str]) -> Option<TaskWait> {
        let scene = Scene::of(Runtime::Rust).dump(0, |dump| _ = dump.task(1, "t", frames));
        let incident = scene.incident();
        incident.task_wait(incident.named("t"), 0)
    }

    #[test]
    fn the_outermost_function_of_a_library_tells_the_wait() {
        for (frames, wait) in [
            (
                &[
                    "tokio::sync::batch_semaphore::Semaphore::poll_acquire",
                    "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
                    "shop::pay::{{closure}}:3",
                ][..],
                TaskWait::Lock,
            ),
            (
                &[
                    "tokio::sync::batch_semaphore::Semaphore::poll_acquire",
                    "tokio::sync::mpsc::bounded::Sender<T>::send::{{closure}}",
                    "shop::pay::{{closure}}:3",
                ],
                TaskWait::Send,
            ),
            (
                &[
                    "tokio::runtime::task::join::JoinHandle<T>::poll",
                    "tokio::fs::file::File::open::{{closure}}",
                    "shop::load::{{closure}}:3",
                ],
                TaskWait::Blocking,
            ),
            (
                &[
                    "tokio::runtime::time::entry::TimerEntry::poll_elapsed",
                    "tokio::time::sleep::Sleep::poll",
                    "shop::tick::{{closure}}:3",
                ],
                TaskWait::Timer,
            ),
            (
                &[
                    "tokio::runtime::io::scheduled_io::ScheduledIo::poll_readiness",
                    "tokio::net::tcp::listener::TcpListener::accept::{{closure}}",
                    "shop::main::{{closure}}:3",
                ],
                TaskWait::Accept,
            ),
            (
                &["shop::Gate::poll:3", "tokio::sync::mutex::Mutex<T>::lock::{{closure}}"],
                TaskWait::Unknown,
            ),
            (&[], TaskWait::Unknown),
        ] {
            assert_eq!(wait_of(frames), Some(wait), "{frames:?}");
        }
    }

    #[test]
    fn who_waits_for_events_is_idle_and_who_waits_for_a_lock_is_not() {
        let idle = |frame: &str| {
            let frames = [frame, "shop::serve::{{closure}}:3"];
            let scene = Scene::of(Runtime::Rust).dump(0, |dump| _ = dump.task(1, "t", &frames));
            let incident = scene.incident();
            incident.idle(incident.named("t"), 0)
        };
        assert_eq!(idle("tokio::net::tcp::stream::TcpStream::poll_read"), Some(Idle::Listener));
        assert_eq!(idle("tokio::sync::mpsc::chan::Rx<T,S>::recv"), Some(Idle::Consumer));
        assert_eq!(idle("tokio::sync::mutex::Mutex<T>::lock::{{closure}}"), None);
    }
}
