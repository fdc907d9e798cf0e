//! Who is idle: parked on purpose, waiting for work, or a helper of the runtime. The idle are
//! never evidence. Who that is stand in the rules, one list a runtime.
//!
//! Two kinds of them. A *known wait* is a function that only those enter who have nothing to
//! do: a pool's `getTask`, an acceptor's `accept`. A *quiet wait* is an ordinary wait (sleep, queue,
//! condition) that means idleness only where a thread's own loop does it, a few frames above its
//! root, and not on behalf of a request.

use std::fmt;

use sigquit_dump::{Runtime, Thread, ThreadState};

use super::activity;
use super::call::{Call, Origin};
use super::collector;
use super::name::FunctionName;
use super::peer;
use super::pool;
use super::rule::{Ruled, Rules, ThreadIs};
use super::standstill;

/// Why a thread counts as idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Idle {
    /// A worker of a pool, without work.
    Worker,
    /// Waits for connections, requests or events from outside.
    Listener,
    /// Sleeps until the time of its next turn.
    Timer,
    /// Waits for the next entry of a queue or channel, or for a signal of another thread.
    Consumer,
    /// Waits for its threads to end, which is all that it does.
    Supervisor,
    /// A helper of the runtime, or the agent.
    Helper,
}

impl Idle {
    /// Whether it waits until somebody gives it something to do. Who holds a lock meanwhile
    /// only takes turns with others that wait for work too.
    pub fn awaits_work(self) -> bool {
        matches!(self, Idle::Worker | Idle::Listener | Idle::Consumer)
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Idle::Worker => "a pool's worker without work",
            Idle::Listener => "waits for connections or events",
            Idle::Timer => "sleeps until its next turn",
            Idle::Consumer => "waits for work",
            Idle::Supervisor => "waits for its threads to end",
            Idle::Helper => "a helper of the runtime",
        })
    }
}

/// A thread's own loop has at most so many of the program's functions on its stack.
const QUIET_DEPTH: usize = 3;

/// What the rules say of one function. Found once a function, not once a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    ruled: Ruled,
    application: bool,
    /// It takes a resource out of a pool.
    pub(super) borrows: bool,
    /// It waits for a permit of a semaphore.
    pub(super) waits_for_permit: bool,
    /// It hands work to a queue that may be full.
    pub(super) submits: bool,
    /// Its name says that it lends something.
    pub(super) lends: bool,
    /// Its name says what it lends.
    lends_by_name: bool,
    /// Its name says that it lends something for as long as it runs.
    pub(super) lends_around: bool,
    /// It waits to be told of something, or for it to come.
    waits_for_return: bool,
    /// It waits for the next thing in a queue.
    pub(super) takes_item: bool,
    /// It waits for the result of work that others do.
    pub(super) awaits_result: bool,
    /// It waits for a task that only a worker can do.
    pub(super) awaits_task: bool,
    /// A pool's worker runs a task inside of it.
    pub(super) runs_task: bool,
    /// It waits for others to arrive or to be done.
    pub(super) meets: bool,
    /// It asks a peer and waits for its answer.
    pub(super) client: bool,
    /// Its name says that it asks somebody.
    pub(super) asks: bool,
    /// Nothing but a disk makes it wait.
    pub(super) of_disk: bool,
    /// It helps the garbage collector.
    pub(super) assists: bool,
}

impl Marks {
    pub(crate) fn of(call: &Call) -> Marks {
        let name = FunctionName::of(&call.function);
        Marks {
            ruled: call.ruled,
            borrows: pool::is_borrow(&call.function, name),
            waits_for_permit: pool::waits_for_permit(&call.function),
            submits: pool::is_submit(&call.function, name),
            lends: pool::lends(name),
            lends_by_name: pool::lends_by_name(name),
            lends_around: pool::lends_around(name),
            waits_for_return: pool::waits_for_return(&call.function),
            takes_item: pool::takes_item(&call.function),
            awaits_result: pool::is_result(&call.function),
            awaits_task: pool::is_task_result(&call.function),
            runs_task: pool::runs_tasks(&call.function),
            meets: standstill::is_meeting(&call.function),
            application: call.origin == Origin::Application,
            client: peer::is_client(&call.function),
            asks: peer::asks(name),
            of_disk: activity::is_of_disk(&call.function),
            assists: collector::assists(&call.function),
        }
    }
}

impl Marks {
    /// Whether the idle wait in it until a time.
    pub(super) fn is_timer(self) -> bool {
        self.ruled.idle == Some(Idle::Timer)
    }
}

/// Why a thread is idle, when it is. `calls` are the marks of its calls, innermost first.
pub(crate) fn idle(
    rules: &Rules,
    runtime: Runtime,
    thread: &Thread,
    calls: impl Iterator<Item = Marks> + Clone,
) -> Option<Idle> {
    if thread.runtime_helper {
        return Some(Idle::Helper);
    }
    let by_words = rules.of_thread(runtime, thread);
    let is_busy = by_words == Some(ThreadIs::Busy);
    if is_busy || thread.wait.as_ref().is_some_and(|wait| wait.wait_for.needs_owner_to_leave()) {
        return None;
    }
    if let Some(ThreadIs::Idle(idle)) = by_words {
        return Some(idle);
    }
    if calls.clone().any(|marks| marks.ruled.never_idle) {
        return None;
    }
    let borrows = borrows(calls.clone()).is_some();
    let awaits_work_of_others = plumbing(calls.clone()).any(|marks| marks.awaits_result);
    let by_calls = || {
        // The outermost of them says the most: a pool's worker waits in a queue's `take`.
        let known = within_own(calls.clone()).filter_map(|marks| marks.ruled.idle).last();
        known.or_else(|| quiet_wait(by_words, thread, calls.clone()))
    };
    by_calls().filter(|_| !borrows && !awaits_work_of_others)
}

/// Place of the innermost call that takes a resource out of a pool: one that is known or named so,
/// or one that lends and waits for a permit itself, or that says what it lends and waits to be told of it; also for as
/// long as it runs.
pub(super) fn borrows(calls: impl Iterator<Item = Marks>) -> Option<usize> {
    let mut within = Marks::default();
    for (at, marks) in calls.enumerate() {
        let lends = marks.lends && within.waits_for_permit
            || marks.lends_by_name && within.waits_for_return
            || marks.lends_around && (within.waits_for_permit || within.waits_for_return);
        if marks.borrows || marks.application && lends {
            return Some(at);
        }
        within = marks;
    }
    None
}

/// The innermost calls, up to the program's own first one: a wait means idleness only when none
/// of the program's own functions runs inside it.
fn plumbing(calls: impl Iterator<Item = Marks>) -> impl Iterator<Item = Marks> {
    calls.take_while(|marks| !marks.application)
}

/// The same, with the program's own first one: a user's rule may know that to be a wait.
fn within_own(calls: impl Iterator<Item = Marks>) -> impl Iterator<Item = Marks> {
    let mut own = 0;
    calls.take_while(move |marks| {
        let is_within = own == 0;
        own += usize::from(marks.application);
        is_within
    })
}

fn quiet_wait(
    by_words: Option<ThreadIs>,
    thread: &Thread,
    calls: impl Iterator<Item = Marks> + Clone,
) -> Option<Idle> {
    let own = || calls.clone().filter(|marks| marks.application);
    if calls.clone().any(|marks| marks.ruled.request) || own().count() > QUIET_DEPTH {
        return None;
    }
    // Who waits inside a client's call has work to do, and waits for a peer.
    if plumbing(calls.clone()).any(|marks| marks.client) {
        return None;
    }
    let by_words = match by_words {
        Some(ThreadIs::Quiet(idle)) if waits(thread) => Some(idle),
        _ => None,
    };
    by_words.or_else(|| within_own(calls).find_map(|marks| marks.ruled.quiet))
}

/// A source that says nothing of states says nothing against it.
fn waits(thread: &Thread) -> bool {
    !matches!(thread.state, ThreadState::Running | ThreadState::Runnable | ThreadState::Blocked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::{Draw, Scene};

    fn idle_of(runtime: Runtime, name: &str, state: &str, stack: &[&str]) -> Option<Idle> {
        let incident = Scene::of(runtime)
            .dump(0, |dump| {
                dump.thread(name, stack).is(ThreadState::Waiting).state_text = state.into();
            })
            .incident();
        let member = incident.ids().next().expect("one member");
        incident.idle(member, 0)
    }

    #[test]
    fn jvm_workers_listeners_and_helpers_are_idle() {
        let worker = [
            "jdk.internal.misc.Unsafe.park",
            "java.util.concurrent.LinkedBlockingQueue.take",
            "java.util.concurrent.ThreadPoolExecutor.getTask",
            "java.util.concurrent.ThreadPoolExecutor.runWorker",
            "java.lang.Thread.run",
        ];
        assert_eq!(idle_of(Runtime::Jvm, "pool-1", "", &worker), Some(Idle::Worker));
        let acceptor =
            ["sun.nio.ch.Net.accept", "java.net.ServerSocket.accept", "web.Server$2.run"];
        assert_eq!(idle_of(Runtime::Jvm, "acceptor", "", &acceptor), Some(Idle::Listener));
        let main = ["java.lang.Thread.sleep", "web.Server.main"];
        assert_eq!(idle_of(Runtime::Jvm, "main", "", &main), Some(Idle::Timer));
        assert_eq!(idle_of(Runtime::Jvm, "Signal Dispatcher", "", &[]), Some(Idle::Helper));
    }

    #[test]
    fn a_jvm_thread_that_waits_for_a_request_is_not_idle() {
        let borrower = [
            "jdk.internal.misc.Unsafe.park",
            "java.util.concurrent.SynchronousQueue.poll",
            "com.zaxxer.hikari.util.ConcurrentBag.borrow",
            "com.zaxxer.hikari.pool.HikariPool.getConnection",
            "shop.Checkout.placeOrder",
            "java.util.concurrent.FutureTask.run",
            "java.util.concurrent.ThreadPoolExecutor.runWorker",
        ];
        assert_eq!(idle_of(Runtime::Jvm, "task-1", "", &borrower), None);
        let backoff =
            ["java.lang.Thread.sleep", "shop.Retry.again", "java.util.concurrent.FutureTask.run"];
        assert_eq!(idle_of(Runtime::Jvm, "task-2", "", &backoff), None);
        let read = ["sun.nio.ch.SocketDispatcher.read0", "shop.Wire.roundTrip"];
        assert_eq!(idle_of(Runtime::Jvm, "task-3", "", &read), None);
    }

    #[test]
    fn go_goroutines_that_wait_for_work_are_idle() {
        assert_eq!(
            idle_of(Runtime::Go, "", "chan receive", &["main.consumer"]),
            Some(Idle::Consumer)
        );
        assert_eq!(
            idle_of(Runtime::Go, "", "finalizer wait", &["runtime.runfinq"]),
            Some(Idle::Helper)
        );
        let accept =
            ["internal/poll.runtime_pollWait", "internal/poll.(*FD).Accept", "main.listen"];
        assert_eq!(idle_of(Runtime::Go, "", "IO wait", &accept), Some(Idle::Listener));
        let fetch = ["internal/poll.runtime_pollWait", "net.(*conn).Read", "main.fetch"];
        assert_eq!(idle_of(Runtime::Go, "", "IO wait", &fetch), None);
        assert_eq!(idle_of(Runtime::Go, "", "chan send", &["main.leak"]), None);
    }

    #[test]
    fn a_goroutine_that_waits_for_the_reply_of_a_peer_is_not_idle() {
        let get = [
            "runtime.selectgo",
            "net/http.(*persistConn).roundTrip",
            "net/http.(*Transport).roundTrip",
            "net/http.(*Client).do",
            "main.refresh",
        ];
        assert_eq!(idle_of(Runtime::Go, "", "select", &get), None);
        let own = ["runtime.selectgo", "main.refresh"];
        assert_eq!(idle_of(Runtime::Go, "", "select", &own), Some(Idle::Consumer));
    }

    #[test]
    fn rust_workers_are_idle_and_borrowers_are_not() {
        let pop = [
            "syscall",
            "std::sys::sync::condvar::futex::Condvar::wait",
            "order::Queue<T>::pop",
            "order::serve",
        ];
        assert_eq!(idle_of(Runtime::Rust, "worker-1", "", &pop), Some(Idle::Consumer));
        let acquire = [
            "syscall",
            "std::sys::sync::condvar::futex::Condvar::wait",
            "order::ConnectionPool::acquire",
            "order::serve",
        ];
        assert_eq!(idle_of(Runtime::Rust, "worker-2", "", &acquire), None);
        assert_eq!(idle_of(Runtime::Rust, "worker-3", "", &["order::price", "order::serve"]), None);
    }

    #[test]
    fn whoever_waits_for_a_lock_is_not_idle() {
        use sigquit_dump::{LockKind, WaitFor};
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                dump.thread("worker", &["std::sync::mpsc::Receiver::recv", "order::serve"])
                    .waits(lock, WaitFor::Exclusive);
            })
            .incident();
        assert_eq!(incident.ids().filter_map(|id| incident.idle(id, 0)).count(), 0);
    }
}
