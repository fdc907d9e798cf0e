//! Who is idle: parked on purpose, waiting for work, or a helper of the runtime. The idle are
//! never evidence. One list of rules a runtime.
//!
//! Two kinds of rules. A *known wait* is a function that only those enter who have nothing to
//! do: a pool's `getTask`, an acceptor's `accept`. A *quiet wait* is an ordinary wait (sleep, queue,
//! condition) that means idleness only where a thread's own loop does it, a few frames above its
//! root, and not on behalf of a request.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use sigquit_dump::{Runtime, Thread, ThreadState};

use super::activity;
use super::call::{Call, Origin};
use super::collector;
use super::pattern::matches_any;
use super::peer;
use super::pool;

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
    known: Option<Idle>,
    quiet: Option<Idle>,
    on_behalf: bool,
    application: bool,
    /// It takes a resource out of a pool.
    pub(super) borrows: bool,
    /// It waits for a permit of a semaphore.
    pub(super) waits_for_permit: bool,
    /// It hands work to a queue that may be full.
    pub(super) submits: bool,
    /// Its name says that it lends something.
    pub(super) lends: bool,
    /// It waits for the result of work that others do.
    pub(super) awaits_result: bool,
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
    pub(crate) fn of(runtime: Runtime, call: &Call) -> Marks {
        let rules = rules(runtime);
        Marks {
            known: first_match(rules.known, call),
            quiet: first_match(rules.quiet, call),
            on_behalf: matches_any(rules.on_behalf, &call.function),
            borrows: pool::is_borrow(&call.function),
            waits_for_permit: pool::waits_for_permit(&call.function),
            submits: pool::is_submit(&call.function),
            lends: pool::lends(&call.function),
            awaits_result: pool::is_result(&call.function),
            application: call.origin == Origin::Application,
            client: peer::is_client(&call.function),
            asks: peer::asks(&call.function),
            of_disk: activity::is_of_disk(&call.function),
            assists: collector::assists(&call.function),
        }
    }

    /// The marks of many calls, of which some are one function's, on other lines.
    pub(crate) fn of_all(runtime: Runtime, calls: &[Call]) -> Vec<Marks> {
        let mut known: HashMap<(&str, Origin), Marks, RandomState> = HashMap::default();
        let marks = |call| *known.entry(key(call)).or_insert_with(|| Marks::of(runtime, call));
        calls.iter().map(marks).collect()
    }
}

fn key(call: &Call) -> (&str, Origin) {
    (&call.function, call.origin)
}

fn first_match(rules: &[(Idle, &[&str])], call: &Call) -> Option<Idle> {
    rules.iter().find(|(_, patterns)| matches_any(patterns, &call.function)).map(|&(idle, _)| idle)
}

/// Why a thread is idle, when it is. `calls` are the marks of its calls, innermost first.
pub(crate) fn idle(
    runtime: Runtime,
    thread: &Thread,
    calls: impl Iterator<Item = Marks> + Clone,
) -> Option<Idle> {
    if thread.runtime_helper {
        return Some(Idle::Helper);
    }
    if thread.wait.as_ref().is_some_and(|wait| wait.wait_for.needs_owner_to_leave()) {
        return None;
    }
    let rules = rules(runtime);
    let borrows = borrows(calls.clone()).is_some();
    let by_calls = || {
        // The outermost of them says the most: a pool's worker waits in a queue's `take`.
        let known = plumbing(calls.clone()).filter_map(|marks| marks.known).last();
        known.or_else(|| quiet_wait(rules, thread, calls.clone()))
    };
    by_words(rules, thread).or_else(|| by_calls().filter(|_| !borrows))
}

/// Place of the innermost call that takes a resource out of a pool: one that is known or named so,
/// or one that lends and waits for a permit itself.
pub(super) fn borrows(calls: impl Iterator<Item = Marks>) -> Option<usize> {
    let mut within = Marks::default();
    for (at, marks) in calls.enumerate() {
        if marks.borrows || marks.application && marks.lends && within.waits_for_permit {
            return Some(at);
        }
        within = marks;
    }
    None
}

/// Whether every program of a runtime has threads of that name, which help the runtime.
pub(crate) fn is_helper_name(runtime: Runtime, name: &str) -> bool {
    matches_any(rules(runtime).helper_names, name)
}

/// Helpers without a stack of their own language are known by name or state alone.
fn by_words(rules: &Rules, thread: &Thread) -> Option<Idle> {
    let helper = matches_any(rules.helper_states, &thread.state_text)
        || matches_any(rules.helper_names, &thread.name);
    helper.then_some(Idle::Helper)
}

/// The innermost calls, up to the program's own first one: a wait means idleness only when none
/// of the program's own functions runs inside it.
fn plumbing(calls: impl Iterator<Item = Marks>) -> impl Iterator<Item = Marks> {
    calls.take_while(|marks| !marks.application)
}

fn quiet_wait(
    rules: &Rules,
    thread: &Thread,
    calls: impl Iterator<Item = Marks> + Clone,
) -> Option<Idle> {
    let own = || calls.clone().filter(|marks| marks.application);
    if calls.clone().any(|marks| marks.on_behalf) || own().count() > QUIET_DEPTH {
        return None;
    }
    // Who waits inside a client's call has work to do, and waits for a peer.
    if plumbing(calls.clone()).any(|marks| marks.client) {
        return None;
    }
    let rule = rules.quiet_states.iter().find(|(state, _)| *state == thread.state_text);
    let by_state = rule.filter(|_| waits(thread)).map(|&(_, idle)| idle);
    by_state.or_else(|| plumbing(calls).find_map(|marks| marks.quiet))
}

/// A source that says nothing of states says nothing against it.
fn waits(thread: &Thread) -> bool {
    !matches!(thread.state, ThreadState::Running | ThreadState::Runnable | ThreadState::Blocked)
}

struct Rules {
    /// Functions that only the idle enter.
    known: &'static [(Idle, &'static [&'static str])],
    /// Waits that are idle in a thread's own loop.
    quiet: &'static [(Idle, &'static [&'static str])],
    /// The same by the source's word for the state.
    quiet_states: &'static [(&'static str, Idle)],
    /// Whoever has one of these on its stack acts for a request: its waits are not quiet.
    on_behalf: &'static [&'static str],
    /// States that only helpers of the runtime are in.
    helper_states: &'static [&'static str],
    /// Names that only helpers of the runtime have.
    helper_names: &'static [&'static str],
}

fn rules(runtime: Runtime) -> &'static Rules {
    match runtime {
        Runtime::Jvm => &JAVA,
        Runtime::Go => &GO,
        Runtime::Rust | Runtime::Native | Runtime::Unknown => &NATIVE,
    }
}

static JAVA: Rules = Rules {
    known: &[
        (
            Idle::Worker,
            &[
                "java.util.concurrent.ThreadPoolExecutor.getTask",
                "java.util.concurrent.ForkJoinPool.awaitWork",
                "java.util.concurrent.ForkJoinPool.scan",
                "org.eclipse.jetty.util.thread.*.idleJobPoll",
                "org.eclipse.jetty.util.thread.*.reservedWait",
                "org.apache.tomcat.util.threads.TaskQueue.take",
                "org.apache.tomcat.util.threads.TaskQueue.poll",
                "org.jboss.threads.EnhancedQueueExecutor$PoolThreadNode.*",
                "org.xnio.nio.WorkerThread.run",
                "scala.concurrent.forkjoin.*.awaitWork",
                "weblogic.work.ExecuteThread.waitForRequest",
            ],
        ),
        (
            Idle::Consumer,
            &["java.util.concurrent.*BlockingQueue.take", "java.util.concurrent.*Deque.take*"],
        ),
        (
            Idle::Listener,
            &[
                "java.net.ServerSocket.accept",
                "java.net.*Socket.implAccept",
                "sun.nio.ch.*.accept*",
                "sun.nio.ch.EPoll.wait",
                "sun.nio.ch.EPollArrayWrapper.*",
                "sun.nio.ch.*SelectorImpl.*",
                "sun.nio.ch.*Port$EventHandlerTask.*",
                "sun.nio.ch.EPollPoller.*",
                "sun.nio.ch.Poller.*",
                "io.netty.channel.*.epollWait*",
                "io.netty.channel.kqueue.Native.*",
                "java.nio.file.*WatchService.*",
                "sun.nio.fs.LinuxWatchService.*",
                "sun.nio.fs.AbstractWatchService.*",
            ],
        ),
        (
            Idle::Timer,
            &[
                "java.util.TimerThread.mainLoop",
                "java.util.concurrent.ScheduledThreadPoolExecutor$DelayedWorkQueue.take",
                "java.util.concurrent.DelayQueue.*",
                "io.netty.util.HashedWheelTimer$Worker.*",
                "sun.net.www.http.KeepAlive*",
            ],
        ),
        (
            Idle::Helper,
            &[
                "java.lang.ref.Reference.waitForReferencePendingList",
                "java.lang.ref.Reference*.enter*",
                "java.lang.ref.Reference$ReferenceHandler.*",
                "java.lang.ref.Finalizer$FinalizerThread.*",
                "java.lang.ref.ReferenceQueue.*",
                "jdk.internal.ref.CleanerImpl.*",
                "java.lang.VirtualThread$VThreadStarter*",
                "java.lang.VirtualThread.takeVirtualThreadListToUnblock",
                "java.lang.VirtualThread.lambda$create*",
            ],
        ),
    ],
    quiet: &[
        (Idle::Timer, &["java.lang.Thread.sleep*", "java.util.concurrent.TimeUnit.sleep"]),
        (
            Idle::Consumer,
            &[
                "java.util.concurrent.*Queue.take*",
                "java.util.concurrent.*Deque.take*",
                "java.util.concurrent.*Queue.poll*",
                "java.util.concurrent.*Deque.poll*",
                "java.lang.Object.wait*",
                "*.locks.*ConditionObject.await*",
                "*.LockSupport.park*",
            ],
        ),
        (
            Idle::Supervisor,
            &["java.lang.Thread.join*", "java.util.concurrent.CountDownLatch.await*"],
        ),
    ],
    quiet_states: &[],
    on_behalf: &[
        "java.util.concurrent.FutureTask.run*",
        "java.util.concurrent.ThreadPoolExecutor.runWorker",
        "java.util.concurrent.ForkJoinTask.doExec",
        "*.service",
        "*.doFilter",
        "*.doGet",
        "*.doPost",
        "*.handleRequest*",
    ],
    helper_states: &[],
    helper_names: &[
        "Signal Dispatcher",
        "Attach Listener",
        "Service Thread",
        "Monitor Deflation Thread",
        "Notification Thread",
        "Sweeper thread",
        "Surrogate Locker Thread*",
        "C1 CompilerThread*",
        "C2 CompilerThread*",
        "JVMCI*CompilerThread*",
        "VM Thread",
        "VM Periodic Task Thread",
        "GC *hread*",
        "GC task thread*",
        "G1 *",
        "ZGC*",
        "XWorker*",
        "ZWorker*",
        "ZDriver*",
        "Shenandoah*",
        "Concurrent Mark-Sweep*",
        "Gang worker*",
        "Parallel GC*",
    ],
};

static GO: Rules = Rules {
    known: &[
        (
            Idle::Listener,
            &[
                "internal/poll.(*FD).Accept",
                "net.(*TCPListener).Accept",
                "net/http.(*conn).readRequest",
                "net/http.(*connReader).backgroundRead",
                "net/http.(*connReader).startBackgroundRead*",
                // A server's connection between two requests, a client's between two replies.
                "bufio.(*Reader).Peek",
                "net/http.(*persistConn).readLoop",
                "net/http.(*persistConn).writeLoop",
                "net/http.(*http2*).readFrames",
                "net/http.(*http2*).serve",
                "golang.org/x/net/http2.(*serverConn).serve",
                "golang.org/x/net/http2.(*serverConn).readFrames",
                "golang.org/x/net/http2.(*clientConnReadLoop).run",
                "google.golang.org/grpc/internal/transport.*",
            ],
        ),
        (
            Idle::Consumer,
            &["database/sql.(*DB).connectionOpener", "database/sql.(*DB).connectionCleaner"],
        ),
        (
            Idle::Helper,
            &[
                "os/signal.loop",
                "os/signal.signal_recv",
                "runtime.forcegchelper",
                "runtime.bgsweep",
                "runtime.bgscavenge",
                "runtime.runfinq",
                "runtime.runFinalizers",
                "runtime.runCleanups",
                "runtime.gcBgMarkWorker*",
                "runtime.ensureSigM*",
                "runtime/pprof.*",
                "runtime.Stack",
                "runtime.mcall",
            ],
        ),
    ],
    quiet: &[(Idle::Timer, &["time.Sleep"])],
    quiet_states: &[
        ("chan receive", Idle::Consumer),
        ("select", Idle::Consumer),
        ("select (no cases)", Idle::Supervisor),
        ("sleep", Idle::Timer),
        ("sync.Cond.Wait", Idle::Consumer),
        ("sync.WaitGroup.Wait", Idle::Supervisor),
    ],
    on_behalf: &[
        "net/http.HandlerFunc.ServeHTTP",
        "net/http.serverHandler.ServeHTTP",
        "*.ServeHTTP",
    ],
    helper_states: &[
        "idle",
        "force gc (idle)",
        "GC sweep wait",
        "GC scavenge wait",
        "GC worker (idle)",
        "finalizer wait",
        "cleanup wait",
        "trace reader (blocked)",
        "timer goroutine (idle)",
    ],
    helper_names: &[],
};

static NATIVE: Rules = Rules {
    known: &[
        (
            Idle::Worker,
            &[
                "rayon_core::sleep::*",
                "rayon_core::registry::WorkerThread::wait_until_cold",
                "tokio::runtime::scheduler::*::park*",
                "tokio::runtime::park::*",
                "tokio::runtime::io::driver::Driver::turn",
                "async_std::rt::*",
                "threadpool::*",
            ],
        ),
        (
            Idle::Listener,
            &[
                "accept",
                "accept4",
                "*__accept*",
                "__libc_accept*",
                "std::net::TcpListener::accept",
                "std::net::tcp::TcpListener::accept",
                "std::net::tcp::Incoming::next",
                "std::os::unix::net::UnixListener::accept",
                "epoll_wait",
                "epoll_pwait*",
                "*__epoll_wait*",
                "mio::*",
                "io_uring_enter",
            ],
        ),
        (
            Idle::Helper,
            &[
                "sigquit::agent::*",
                "signal_hook::*",
                "sigwait*",
                "*__sigtimedwait*",
                "*sigwaitinfo*",
            ],
        ),
    ],
    quiet: &[
        (
            Idle::Timer,
            &[
                "std::thread::sleep*",
                "std::thread::functions::sleep*",
                "*nanosleep*",
                "usleep",
                "sleep",
            ],
        ),
        (
            Idle::Consumer,
            &[
                "std::sync::mpsc::*recv*",
                "std::sync::mpmc::*recv*",
                "crossbeam_channel::*recv*",
                "flume::*recv*",
                "std::sync::*Condvar::wait*",
                "std::sync::*condvar::Condvar::wait*",
                "std::sys::*ondvar*::wait*",
                "parking_lot::condvar::Condvar::*",
                "*pthread_cond_*wait*",
                "std::condition_variable*::wait*",
                "*::park",
                "*::park_timeout*",
            ],
        ),
        (
            Idle::Supervisor,
            &[
                "std::thread::*JoinHandle::join*",
                "std::thread::*JoinInner::join*",
                "pthread_join*",
                "*pthread_clockjoin*",
                "std::thread::scoped::scope*",
                "pause",
            ],
        ),
        (
            Idle::Listener,
            &["poll", "ppoll", "*__poll*", "__GI___poll", "__libc_poll", "select", "pselect*"],
        ),
    ],
    quiet_states: &[],
    on_behalf: &[],
    helper_states: &[],
    helper_names: &["sigquit*", "iou-wrk-*", "iou-sqp-*"],
};

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
