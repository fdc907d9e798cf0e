//! One profile: from the first thread that is sampled to the last sample that is unwound.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sigquit_dump::{Clock, Profile};

use super::recorder;
use super::run::Run;
use crate::profiler::Engine as Kind;

/// How much time passes between two times that the ring is emptied, at least and at most; in wall
/// time, where every time is a round, at most.
const DRAIN: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(20)];
/// Samples of one CPU between two times: the ring of one holds four times as many.
const BETWEEN: u32 = 8;
/// How often threads are looked for.
const LOOK: Duration = Duration::from_millis(60);
/// The sampler's thread unwinds, which does not nest deeply.
const STACK: usize = 256 << 10;
/// The crate `pprof` does more on it, and on a larger scale.
#[cfg(feature = "pprof")]
const STACK_OF_PPROF: usize = 16 << 20;
/// How long is waited for its start.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Samples in each second of a thread's CPU time.
    pub rate: u32,
    /// Which time to sample in: CPU time, or wall time.
    pub clock: Clock,
    /// The one engine to use in CPU time; the best one when none is named.
    pub engine: Option<Kind>,
    /// For how long, unless it is stopped before.
    pub longest: Duration,
    /// The incident to which it belongs.
    pub incident: Option<String>,
    /// Whether the command line is part of it.
    pub arguments: bool,
    /// Whether more than stacks is kept: tasks, and registers of the hottest threads.
    pub detail: bool,
}

/// A profile that is being taken, on a thread of its own.
pub(crate) struct Session {
    /// Its end is the message.
    stop: Option<SyncSender<()>>,
    thread: JoinHandle<io::Result<Profile>>,
}

impl Session {
    /// Begins to take a profile.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin(settings: Settings) -> io::Result<Session> {
        let (stop, stopped) = sync_channel(0);
        let builder = thread::Builder::new().name("sigquit-sampler".into());
        let builder = builder.stack_size(stack_for(settings.engine));
        let (unknown, known) = sync_channel::<()>(0);
        let thread = builder.spawn(move || {
            block_signals();
            let turn = Turn::take();
            drop(unknown);
            let _turn = turn?;
            let _pause = recorder::pause()?;
            run(&settings, &stopped)
        })?;
        // Until it is known, a dump would ask it in vain.
        let _ = known.recv_timeout(PATIENCE);
        Ok(Session { stop: Some(stop), thread })
    }

    /// Ends it now.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    /// Waits for its end, and gives what it has.
    ///
    /// # Errors
    /// When no engine can be used.
    pub fn finish(self) -> io::Result<Profile> {
        let Session { stop, thread } = self;
        let profile = thread.join();
        drop(stop);
        profile.unwrap_or_else(|_| Err(io::Error::other("the sampler's thread panicked")))
    }
}

/// What of it is not touched costs address space only.
fn stack_for(engine: Option<Kind>) -> usize {
    match engine {
        #[cfg(feature = "pprof")]
        Some(Kind::Pprof) => STACK_OF_PPROF,
        _ => STACK,
    }
}

/// The sampler is not to be sampled, nor to run the program's handlers.
pub(super) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// That a profile is being taken: there is one ring, and one timer of the process.
struct Turn;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The thread that takes it; 0 when none is being taken.
static SAMPLER: AtomicI32 = AtomicI32::new(0);

/// The threads that take samples, while there are some. They block all signals: dumps do not ask
/// them.
pub(crate) fn samplers() -> Vec<i32> {
    let profile = Some(SAMPLER.load(SeqCst)).filter(|&tid| tid != 0);
    profile.into_iter().chain(recorder::thread()).collect()
}

impl Turn {
    fn take() -> io::Result<Turn> {
        if TAKEN.swap(true, SeqCst) {
            return Err(io::Error::other("a profile is being taken already"));
        }
        SAMPLER.store(crate::agent::current_thread(), SeqCst);
        Ok(Turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        SAMPLER.store(0, SeqCst);
        TAKEN.store(false, SeqCst);
    }
}

fn drain(settings: &Settings) -> Duration {
    let [shortest, longest] = DRAIN;
    match settings.clock {
        Clock::Wall => longest,
        _ => (Duration::from_secs(1) * BETWEEN / settings.rate.max(1)).clamp(shortest, longest),
    }
}

fn run(settings: &Settings, stopped: &Receiver<()>) -> io::Result<Profile> {
    #[cfg(feature = "pprof")]
    if settings.engine == Some(Kind::Pprof) {
        return super::pprof::profile(settings, stopped);
    }
    let begun = Instant::now();
    let mut run = Run::begin(settings)?;
    let drain = drain(settings);
    let mut looked = None;
    loop {
        if looked.is_none_or(|looked: Instant| looked.elapsed() >= LOOK) {
            run.look();
            looked = Some(Instant::now());
        }
        let rest = settings.longest.saturating_sub(begun.elapsed());
        let woken = stopped.recv_timeout(drain.min(rest));
        run.drain();
        if woken != Err(RecvTimeoutError::Timeout) || rest <= drain {
            return Ok(run.finish());
        }
    }
}
