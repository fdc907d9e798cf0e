//! The crate `pprof` in the place of an engine. It keeps its samples itself, put together by stack,
//! and gives them at the end: names, no addresses; a thread's name, not its number; no times.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pprof::{Frames, ProfilerGuard};
use sigquit_dump::{
    Delivery, Dump, Frame, Location, Nanos, Profile, ProfileBuilder, Sample, Stack, Symbol, Trust,
};

use super::session::Settings;
use super::threads::{self, Threads};
use crate::facts;

pub(super) const NAME: &str = "pprof";
/// How often threads are looked for, whose CPU time says how many samples there should be.
const LOOK: Duration = Duration::from_millis(60);

/// Takes a profile.
///
/// # Errors
/// When SIGPROF or the crate's profiler is in use.
pub(super) fn profile(settings: &Settings, stopped: &Receiver<()>) -> io::Result<Profile> {
    if !is_free(libc::SIGPROF)? {
        return Err(io::Error::other("SIGPROF is in use"));
    }
    let (time, monotonic) = (facts::now(), Nanos(threads::monotonic()));
    let rate = i32::try_from(settings.rate).map_err(io::Error::other)?;
    let guard = ProfilerGuard::new(rate).map_err(io::Error::other)?;
    let used = wait(settings, stopped);
    let duration = Nanos(threads::monotonic()).since(monotonic);
    let report = guard.report().build().map_err(io::Error::other)?;
    let process = facts::process(settings.arguments);
    let dump = Dump { time: Some(time), monotonic: Some(monotonic), process, ..Dump::default() };
    let mut building = ProfileBuilder::new(Profile {
        dump,
        clock: settings.clock,
        incident: settings.incident.clone(),
        engine: NAME.to_owned(),
        duration,
        delivery: Delivery {
            rate: Some(settings.rate),
            expected: Some(used.as_secs_f64() * f64::from(settings.rate)),
            ..Delivery::default()
        },
        ..Profile::default()
    });
    for (frames, &count) in &report.data {
        add(&mut building, frames, u64::try_from(count).unwrap_or_default());
    }
    Ok(building.profile)
}

/// Whether nobody has a handler for a signal.
fn is_free(signal: i32) -> io::Result<bool> {
    // SAFETY: zero is a valid sigaction, which the kernel overwrites; nothing is set.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a place that is ours.
    match unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) } {
        0 => Ok([libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for the end, and tells what CPU time was used by then.
fn wait(settings: &Settings, stopped: &Receiver<()>) -> Nanos {
    let begun = Instant::now();
    let mut threads = Threads::default();
    loop {
        threads.look();
        let rest = settings.longest.saturating_sub(begun.elapsed());
        if rest.is_zero() || stopped.recv_timeout(LOOK.min(rest)) != Err(RecvTimeoutError::Timeout)
        {
            threads.look();
            return threads.used_by_all_but(&[]);
        }
    }
}

/// Adds what a stack was seen, as one sample each.
fn add(building: &mut ProfileBuilder, frames: &Frames, count: u64) {
    let thread = building.thread(None, &frames.thread_name);
    let stack = frames.frames.iter().map(|symbols| {
        let symbols: Vec<Symbol> = symbols.iter().map(symbol).collect();
        building.frame(Frame { symbols, trust: Trust::Cfi, ..Frame::default() })
    });
    let stack = Stack::from(stack.collect::<Vec<_>>());
    let stack = building.stack(stack);
    let sample = Sample { thread, task: None, stack, weight: 1, time: Nanos(0) };
    (0..count).for_each(|_| building.sample(sample.clone()));
}

fn symbol(symbol: &pprof::Symbol) -> Symbol {
    let file = symbol.filename.as_ref().map(|file| file.to_string_lossy().into_owned());
    let location = file.map(|file| Location { file, line: symbol.lineno, ..Location::default() });
    Symbol { function: symbol.name(), location, inlined: false }
}
