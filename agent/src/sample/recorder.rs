//! The flight recorder: a low rate all the time, of which the last minute is kept.
//!
//! ```text
//!                       samples, unwound and put in once
//! forgotten ... │ mark │ mark │ ... │ mark │      a mark a second: what was due by then
//!               └────────── a minute ──────────┘
//! ```
//!
//! It has a thread of its own, which wakes four times a second and does what it is asked: to give the
//! last minute as a profile, and to pause. While a profile is taken it pauses, because there is one
//! ring and one timer of the process; afterwards it begins anew, so that a minute that it gives has
//! no gap in it.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use sigquit_dump::{Clock, Profile};

use super::run::{Mark, Run};
use super::session::{Settings, block_signals};
use crate::write::say;

/// How far back it remembers, in nanoseconds.
const MINUTE: u64 = 60_000_000_000;
/// How often the ring is emptied: at the highest rate a perf ring holds a third more.
const DRAIN: Duration = Duration::from_millis(250);
/// How often threads are looked for: every so many times that the ring is emptied.
const LOOK: u32 = 4;
/// What is past is forgotten at least every so many looks.
const FORGET: u32 = 60 * LOOK;
/// What samples and stacks may take. A minute that takes more is cut short.
const MOST_BYTES: usize = 2 << 20;
/// How long an answer of its thread is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const STACK: usize = 256 << 10;

/// What its thread is asked.
enum Ask {
    /// The last minute.
    Before(SyncSender<Profile>),
    /// To sample nobody; answered when that is so.
    Pause(SyncSender<()>),
    /// The end of a pause.
    Resume,
}

/// Where it is asked, and in which process it runs: children that only fork have none.
static ASKS: Mutex<Option<(u32, Sender<Ask>)>> = Mutex::new(None);

/// Its thread; 0 when there is none.
static THREAD: AtomicI32 = AtomicI32::new(0);

/// Its thread, when there is one.
pub(super) fn thread() -> Option<i32> {
    Some(THREAD.load(SeqCst)).filter(|&tid| tid != 0)
}

/// Starts it, for the life of the process.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn record(rate: u32, arguments: bool) -> io::Result<()> {
    let settings = Settings {
        rate,
        clock: Clock::Cpu,
        engine: None,
        longest: Duration::MAX,
        incident: None,
        arguments,
        detail: false,
    };
    let (asks, asked) = channel();
    let builder = thread::Builder::new().name("sigquit-recorder".into()).stack_size(STACK);
    builder.spawn(move || {
        THREAD.store(crate::agent::current_thread(), SeqCst);
        block_signals();
        run(&settings, &asked);
    })?;
    *ASKS.lock().unwrap_or_else(|lock| lock.into_inner()) = Some((std::process::id(), asks));
    Ok(())
}

/// Tells its thread something; whether there is one.
fn tell(ask: Ask) -> bool {
    match &*ASKS.lock().unwrap_or_else(|lock| lock.into_inner()) {
        Some((process, asks)) if *process == std::process::id() => asks.send(ask).is_ok(),
        _ => false,
    }
}

/// The minute before a moment, which is on its way.
pub(crate) struct Before(Receiver<Profile>);

/// Asks for the minute before now.
pub(crate) fn before() -> Option<Before> {
    let (answer, awaited) = sync_channel(1);
    tell(Ask::Before(answer)).then_some(Before(awaited))
}

impl Before {
    /// What there is; nothing while the recorder pauses, or does not answer.
    pub fn wait(self) -> Option<Profile> {
        self.0.recv_timeout(PATIENCE).ok()
    }
}

/// That the recorder samples nobody; as long as this lives.
pub(super) struct Pause(());

/// Makes the recorder pause, when there is one.
///
/// # Errors
/// When it does not.
pub(super) fn pause() -> io::Result<Option<Pause>> {
    let (answer, awaited) = sync_channel(1);
    if !tell(Ask::Pause(answer)) {
        return Ok(None);
    }
    let pause = Pause(());
    match awaited.recv_timeout(PATIENCE) {
        Ok(()) => Ok(Some(pause)),
        Err(_) => Err(io::Error::other("the flight recorder does not pause")),
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        tell(Ask::Resume);
    }
}

fn run(settings: &Settings, asks: &Receiver<Ask>) {
    let mut recording = begin(settings);
    let mut pauses = 0_u32;
    loop {
        let asked = match &recording {
            Some(_) => asks.recv_timeout(DRAIN),
            None => asks.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match asked {
            Ok(Ask::Before(answer)) => {
                if let Some(recording) = &mut recording {
                    // Whoever asked may have lost patience; so below.
                    let _ = answer.try_send(recording.before());
                }
            }
            Ok(Ask::Pause(answer)) => {
                pauses += 1;
                recording = None;
                let _ = answer.try_send(());
            }
            Ok(Ask::Resume) => {
                pauses = pauses.saturating_sub(1);
                if pauses == 0 {
                    recording = begin(settings);
                }
            }
            Err(RecvTimeoutError::Timeout) => recording.iter_mut().for_each(Recording::step),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn begin(settings: &Settings) -> Option<Recording> {
    Recording::begin(settings)
        .inspect_err(|error| say(format_args!("the flight recorder is off: {error}")))
        .ok()
}

/// The last minute.
struct Recording {
    run: Run,
    /// One for each second; never empty.
    marks: VecDeque<Mark>,
    steps: u32,
}

impl Recording {
    fn begin(settings: &Settings) -> io::Result<Recording> {
        let mut run = Run::begin(settings)?;
        run.look();
        let marks = VecDeque::from([run.mark()]);
        Ok(Recording { run, marks, steps: 0 })
    }

    fn step(&mut self) {
        self.run.drain();
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(LOOK) {
            self.look();
        }
        if self.steps.is_multiple_of(FORGET) || self.run.bytes() > MOST_BYTES {
            self.forget();
        }
    }

    fn look(&mut self) {
        self.run.look();
        let now = self.run.mark();
        self.marks.push_back(now);
        // The first one is the last that is a minute old, or older.
        while self.marks.get(1).is_some_and(|mark| mark.time + MINUTE <= now.time) {
            self.marks.pop_front();
        }
    }

    /// Forgets what is past; and more, when that takes too much.
    fn forget(&mut self) {
        self.run.forget_before(&self.marks[0]);
        while self.run.bytes() > MOST_BYTES && self.marks.len() > 1 {
            self.marks.drain(..self.marks.len() / 2);
            self.run.forget_before(&self.marks[0]);
        }
    }

    fn before(&mut self) -> Profile {
        self.run.drain();
        self.look();
        self.forget();
        Profile { before: true, ..self.run.since(&self.marks[0]) }
    }
}
