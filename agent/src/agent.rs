//! The agent itself: one thread, asleep until somebody asks for a dump.
//!
//! ```text
//! SIGQUIT   ──> SIGNALS ──┐
//! dump_now  ──> CALLS   ──┼── the bell ──> the agent's thread ──> incidents
//! a panic   ──> CALLS   ──┘
//! ```

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sigquit_dump::Trigger;

use crate::bell::Bell;
use crate::capture::{self, Capturer};
use crate::error::{Error, Kind};
use crate::incident::Incident;
use crate::options::Options;
use crate::panic;
use crate::presence;
use crate::sample::record;
use crate::take::Taker;
use crate::write::{Destination, say};

/// What of it is not touched costs address space only.
const STACK: usize = 1 << 20;
/// How long a thread that panics waits for its dump.
const PANIC_PATIENCE: Duration = Duration::from_secs(5);

static BELL: Bell = Bell::new();
/// Signals that have not been served.
static SIGNALS: AtomicU32 = AtomicU32::new(0);
/// Calls that have not been served.
static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());
/// The process in which the agent's thread runs. Its children, when they only fork, have none.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// The agent's thread.
static THREAD: AtomicI32 = AtomicI32::new(0);

/// A call for one dump.
struct Call {
    trigger: Trigger,
    /// Where the file's path is awaited.
    answer: SyncSender<Result<PathBuf, Error>>,
}

/// Installs the agent: whole, or not at all.
pub(crate) fn install(options: Options) -> Result<(), Error> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if thread::panicking() {
        return Err(Error::new(Kind::WhilePanicking));
    }
    if INSTALLED.swap(true, SeqCst) {
        return Err(Error::new(Kind::AlreadyInstalled));
    }
    let installed = start(options);
    if installed.is_err() {
        INSTALLED.store(false, SeqCst);
    }
    installed
}

/// What can be refused comes first; a thread that is given no capturer ends by itself.
fn start(options: Options) -> Result<(), Error> {
    let (signal, on_panic) = (options.signal, options.on_panic);
    let (recorder_rate, arguments) = (options.recorder_rate, options.arguments);
    check_signal(signal)?;
    let destination = Arc::new(Destination::new(options.directory.clone(), options.prefix.clone()));
    let (capturer, awaited) = sync_channel(1);
    spawn(options, Arc::clone(&destination), awaited)
        .map_err(|error| Error::because(Kind::NoThread, error))?;
    let capture = capture::install().map_err(|error| Error::because(Kind::NoCapture, error))?;
    receive(signal)?;
    PROCESS.store(std::process::id(), SeqCst);
    capturer.send(capture).map_err(|_| Error::new(Kind::NoThread))?;
    panic::install(on_panic);
    // Without it the agent does all that it does; only `sigquit dump` does not find it.
    if let Err(error) = presence::show(signal, &destination) {
        say(format_args!("`sigquit dump` will not find this process: {error}"));
    }
    if recorder_rate > 0
        && let Err(error) = record(recorder_rate, arguments)
    {
        say(format_args!("the flight recorder is off: {error}"));
    }
    Ok(())
}

/// Whether a signal can have a handler. signal-hook panics for some that cannot.
fn check_signal(signal: i32) -> Result<(), Error> {
    let mut current = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only; the kernel writes to a place that is ours.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), current.as_mut_ptr()) };
    if asked != 0 {
        return Err(Error::because(Kind::NoSignal(signal), io::Error::last_os_error()));
    }
    if signal_hook::consts::FORBIDDEN.contains(&signal) || SYNCHRONOUS.contains(&signal) {
        return Err(Error::new(Kind::NoSignal(signal)));
    }
    Ok(())
}

/// Signals that a thread gets for what it does itself.
const SYNCHRONOUS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

fn receive(signal: i32) -> Result<(), Error> {
    let action = || {
        SIGNALS.fetch_add(1, SeqCst);
        BELL.ring();
    };
    // SAFETY: the action is an atomic addition and a system call, which a signal handler may do;
    // signal-hook restores errno.
    unsafe { signal_hook::low_level::register(signal, action) }
        .map(drop)
        .map_err(|error| Error::because(Kind::NoSignal(signal), error))
}

/// Starts the thread, with all signals blocked but those that it would get for its own doing, and
/// the one that it waits for: a program may block that one in all its other threads.
fn spawn(
    options: Options,
    destination: Arc<Destination>,
    capturer: Receiver<Capturer>,
) -> io::Result<()> {
    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the first set before it is used, pthread_sigmask the second.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for signal in SYNCHRONOUS.into_iter().chain([options.signal]) {
            libc::sigdelset(blocked.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let builder = thread::Builder::new().name("sigquit-agent".into()).stack_size(STACK);
    let spawned = builder.spawn(move || {
        if let Ok(capturer) = capturer.recv() {
            run(options, destination, capturer);
        }
    });
    // SAFETY: the call above has stored the mask that was in force.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    spawned.map(drop)
}

fn run(options: Options, destination: Arc<Destination>, capturer: Capturer) {
    let own = current_thread();
    THREAD.store(own, SeqCst);
    let taker = Taker::new(capturer, &options, own);
    let mut agent = Agent { options, destination, taker, incident: None };
    loop {
        let seen = BELL.rings();
        if catch_unwind(AssertUnwindSafe(|| agent.serve())).is_err() {
            // The hook has said what it was; the program goes on, and so does the agent.
            agent.incident = None;
        }
        BELL.wait(seen, agent.due_in());
    }
}

/// What belongs to the agent's thread.
struct Agent {
    options: Options,
    destination: Arc<Destination>,
    taker: Taker,
    /// The series that a signal asked for.
    incident: Option<Incident>,
}

impl Agent {
    /// How long nothing is to be done, unless the bell is rung; nothing means for ever.
    fn due_in(&self) -> Option<Duration> {
        self.incident.as_ref().map(|incident| incident.due_in(Instant::now()))
    }

    /// Does what is due now.
    fn serve(&mut self) {
        self.serve_signals();
        let calls = std::mem::take(&mut *CALLS.lock().unwrap_or_else(|lock| lock.into_inner()));
        for call in calls {
            let answer = self.dump_once(call.trigger);
            // Whoever called may have lost patience.
            let _ = call.answer.try_send(answer);
        }
        self.advance();
    }

    fn serve_signals(&mut self) {
        let signals = SIGNALS.swap(0, SeqCst);
        if signals == 0 {
            return;
        }
        match &mut self.incident {
            Some(incident) => incident.note_requests(signals),
            None => {
                let mut incident = self.begin(Trigger::Signal, self.options.dumps);
                incident.note_requests(signals - 1);
                incident.ask_for_before();
                incident.begin_profile(&self.options);
                self.incident = Some(incident);
            }
        }
    }

    /// Goes on with the series, when its next dump is due.
    fn advance(&mut self) {
        let Some(mut incident) = self.incident.take() else { return };
        if incident.due_in(Instant::now()).is_zero() {
            self.advance_one(&mut incident, || SIGNALS.swap(0, SeqCst));
        }
        if incident.is_over() {
            incident.finish(&self.options);
        } else {
            self.incident = Some(incident);
        }
    }

    fn dump_once(&mut self, trigger: Trigger) -> Result<PathBuf, Error> {
        let mut incident = self.begin(trigger, 1);
        self.advance_one(&mut incident, || 0);
        let file = incident.first_file();
        incident.finish(&self.options);
        let directory = self.destination.directory();
        file.ok_or_else(|| Error::new(Kind::NotWritten(directory.to_owned())))
    }

    fn begin(&self, trigger: Trigger, dumps: u32) -> Incident {
        Incident::begin(trigger, dumps, self.options.interval, &self.destination.prefix)
    }

    fn advance_one(&mut self, incident: &mut Incident, requests: impl FnOnce() -> u32) {
        let (taker, destination) = (&mut self.taker, &self.destination);
        incident.advance(taker, destination, self.options.stderr, requests);
    }
}

/// Has one dump taken, and waits for it.
pub(crate) fn dump_now() -> Result<PathBuf, Error> {
    if !serves_this_thread() {
        return Err(Error::new(Kind::NotInstalled));
    }
    call(Trigger::Call).recv().unwrap_or_else(|_| Err(Error::new(Kind::NoAnswer)))
}

/// Has one dump taken for a thread that panics, and waits for it, but not for ever. Does not
/// panic.
pub(crate) fn dump_for_panic() {
    let _ = call(Trigger::Panic).recv_timeout(PANIC_PATIENCE);
}

fn call(trigger: Trigger) -> Receiver<Result<PathBuf, Error>> {
    let (answer, awaited) = sync_channel(1);
    CALLS.lock().unwrap_or_else(|lock| lock.into_inner()).push(Call { trigger, answer });
    BELL.ring();
    awaited
}

/// Whether the calling thread can be served: not in a child that was only forked off, and not
/// the agent's own.
pub(crate) fn serves_this_thread() -> bool {
    PROCESS.load(SeqCst) == std::process::id() && THREAD.load(SeqCst) != current_thread()
}

/// The calling thread, by the number that the kernel knows it by.
pub(crate) fn current_thread() -> i32 {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
