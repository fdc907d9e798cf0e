//! The best engine that this process may use.

use std::io;

use super::engine::Engine;
use super::perf::Perf;
use super::process_timer::ProcessTimer;
use super::thread_timers::ThreadTimers;
use super::wall::Wall;
use crate::profiler::Engine as Kind;

const ALL: [Kind; 3] = [Kind::Perf, Kind::ThreadTimers, Kind::ProcessTimer];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Perf => Perf::NAME,
            Kind::ThreadTimers => ThreadTimers::NAME,
            Kind::ProcessTimer => ProcessTimer::NAME,
            #[cfg(feature = "pprof")]
            Kind::Pprof => super::pprof::NAME,
        }
    }

    fn open(self, rate: u32, threads: usize) -> io::Result<Box<dyn Engine>> {
        Ok(match self {
            Kind::Perf => Box::new(Perf::open(rate, threads)?),
            Kind::ThreadTimers => Box::new(ThreadTimers::open(rate)?),
            Kind::ProcessTimer => Box::new(ProcessTimer::open(rate)?),
            #[cfg(feature = "pprof")]
            Kind::Pprof => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

/// Opens the one engine that samples in wall time.
///
/// # Errors
/// When no signal is free, or there is no memory.
pub(super) fn open_wall(rate: u32) -> io::Result<(Box<dyn Engine>, Vec<String>)> {
    Ok((Box::new(Wall::open(rate)?), Vec::new()))
}

/// Opens an engine: the one that was asked for, or else the first that can be opened; and says
/// why those before it could not.
///
/// # Errors
/// That of the last one, when none can be opened.
pub(super) fn open(
    kind: Option<Kind>,
    rate: u32,
    threads: usize,
) -> io::Result<(Box<dyn Engine>, Vec<String>)> {
    let mut refused = Vec::new();
    let mut outcome = Err(io::ErrorKind::Unsupported.into());
    for candidate in ALL.into_iter().filter(|&one| kind.is_none_or(|kind| kind == one)) {
        match candidate.open(rate, threads) {
            Ok(engine) => return Ok((engine, refused)),
            Err(error) => {
                refused.push(format!("{}: {error}", candidate.name()));
                outcome = Err(error);
            }
        }
    }
    outcome
}
