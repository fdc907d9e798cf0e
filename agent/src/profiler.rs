//! Profiles that the program itself asks for.

use std::time::Duration;

use sigquit_dump::Profile;

use crate::error::{Error, Kind};

/// What takes samples. The first that the process may use is taken, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The kernel's sampler (`perf_event_open`, task clock, user mode): no signal is sent. A sample
    /// weighs as much as the thread has used since its last, so that time in the kernel counts for the
    /// code that runs next. Needs `perf_event_paranoid` of 2 or less, no filter against it (Docker's
    /// default has one), no more than 16 CPUs, and a file descriptor for each thread on each CPU.
    Perf,
    /// One timer a thread on its CPU clock, whose handler copies registers and stack. Samples that
    /// were due between two ticks of the kernel come as one that weighs as many.
    ThreadTimers,
    /// `setitimer(ITIMER_PROF)`, one for the whole process: whoever runs at the tick. Needs SIGPROF
    /// to be unused.
    ProcessTimer,
    /// The crate `pprof`, for those who use it already and want its samples in this form. It is used
    /// only when it is named. Its limits, of version 0.15:
    ///
    /// - Its handler unwinds with the C runtime's unwinder, which is not made for that: under panics,
    ///   backtraces and `dlopen` at a high rate it has crashed processes.
    /// - A sample that comes while another thread takes one is dropped, and not counted: what is
    ///   delivered of what is to be expected is all that tells.
    /// - `setitimer(ITIMER_PROF)` brings no more than one sample a tick of the kernel, 100 to 1000 a
    ///   second, whatever the rate; each weighs one.
    /// - Stacks are cut at 128 frames, on the side of the root, and not marked.
    /// - It takes some hundred megabytes while it runs, and names frames before the profile is there.
    /// - Threads are known by their names, not their numbers; samples have no times, no tasks and
    ///   no registers.
    /// - It needs SIGPROF for itself: after [`ProcessTimer`](Engine::ProcessTimer) was used in the same
    ///   process, which keeps that signal, it is refused.
    #[cfg(feature = "pprof")]
    Pprof,
}

/// How a profile is to be taken; made by [`profiler`](crate::profiler).
#[derive(Clone, Debug)]
pub struct Profiler {
    rate: u32,
    engine: Option<Engine>,
    wall_clock: bool,
    names: bool,
}

/// The rate that is used when none is chosen: not a divisor of common rhythms.
pub(crate) const RATE: u32 = 99;
/// That of the flight recorder.
pub(crate) const RECORDER_RATE: u32 = 19;
/// More samples a second are no business of a flight recorder.
pub(crate) const HIGHEST_RECORDER_RATE: u32 = 99;
/// More samples a second than this disturb more than they show.
pub(crate) const HIGHEST_RATE: u32 = 10_000;

impl Profiler {
    pub(crate) fn new() -> Profiler {
        Profiler { rate: RATE, engine: None, wall_clock: false, names: true }
    }

    /// Samples in each second of CPU time of each thread. Default: 99.
    pub fn rate(mut self, rate: u32) -> Profiler {
        self.rate = rate;
        self
    }

    /// The one engine to use. Default: the best that the process may use.
    pub fn engine(mut self, engine: Engine) -> Profiler {
        self.engine = Some(engine);
        self
    }

    /// Samples every thread in wall time, whether it runs or waits, instead of CPU time: then what
    /// hangs is seen. All threads are asked by a signal, as for a dump, but those that sleep on are
    /// left alone; no more than 50 times a second, so that above this rate samples weigh more.
    /// Default: no.
    pub fn wall_clock(mut self) -> Profiler {
        self.wall_clock = true;
        self
    }

    /// Whether frames are named at once, which takes tens of megabytes for a moment. Default: yes.
    /// Those of a profile without names can be named later, from the binaries.
    pub fn names(mut self, names: bool) -> Profiler {
        self.names = names;
        self
    }

    /// Takes a profile of all threads, for so long in wall time, and names its frames. The calling
    /// thread waits. [`install`](crate::install)
    /// is not needed.
    ///
    /// What was asked and what was delivered stands in [`Profile::delivery`]: a profile with losses
    /// is no error.
    ///
    /// # Errors
    /// When the rate is 0 or above 10000, an engine was chosen for wall time, no engine can be used,
    /// a profile is being taken already, or this is not Linux on x86_64.
    pub fn run(self, duration: Duration) -> Result<Profile, Error> {
        if !(1..=HIGHEST_RATE).contains(&self.rate) {
            let complaint = format!("a rate is a number from 1 to {HIGHEST_RATE}");
            return Err(Error::new(Kind::BadOption(complaint)));
        }
        if self.wall_clock && self.engine.is_some() {
            let complaint = "the engines that can be chosen sample CPU time, not wall time";
            return Err(Error::new(Kind::BadOption(complaint.to_owned())));
        }
        self.run_checked(duration)
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn run_checked(self, duration: Duration) -> Result<Profile, Error> {
        use sigquit_dump::Clock;

        use crate::sample::{Session, Settings};

        let settings = Settings {
            rate: self.rate,
            clock: if self.wall_clock { Clock::Wall } else { Clock::Cpu },
            engine: self.engine,
            longest: duration,
            incident: None,
            arguments: false,
            detail: true,
        };
        let profile = Session::begin(settings).and_then(Session::finish);
        let mut profile = profile.map_err(|error| Error::because(Kind::NoProfile, error))?;
        if self.names {
            crate::symbolize::name_profile(&mut profile);
        }
        Ok(profile)
    }

    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    fn run_checked(self, _: Duration) -> Result<Profile, Error> {
        Err(Error::new(Kind::Unsupported))
    }
}
