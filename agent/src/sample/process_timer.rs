//! One timer for the whole process, where nothing better is allowed.

use std::io;

use super::engine::{Engine, Taken};
use super::ring::RING;
use super::signal;

/// `setitimer(ITIMER_PROF)`. The kernel looks at it at its tick only, sends no more than one signal a
/// tick, and does not say how often it was due. So all samples weigh the same, which is found at
/// the end: a thread that runs for so long meets so many ticks. (What the process used since the
/// sample before would be no weight: before a sample of a thread that works in short bursts the
/// process has rested more than before others.)
pub(super) struct ProcessTimer;

impl ProcessTimer {
    pub const NAME: &'static str = "process-timer";

    pub fn open(rate: u32) -> io::Result<ProcessTimer> {
        signal::prof()?;
        RING.open();
        set(1_000_000_000 / u64::from(rate.max(1)))?;
        Ok(ProcessTimer)
    }
}

/// Sets the timer, in nanoseconds of the process's CPU time; zero stops it.
fn set(interval: u64) -> io::Result<()> {
    let interval = libc::timeval {
        tv_sec: (interval / 1_000_000_000) as libc::time_t,
        tv_usec: (interval % 1_000_000_000 / 1000) as libc::suseconds_t,
    };
    let setting = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the setting outlives the call.
    match unsafe { libc::setitimer(libc::ITIMER_PROF, &setting, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Engine for ProcessTimer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn user_mode_only(&self) -> bool {
        false
    }

    /// It samples whoever runs.
    fn add(&mut self, _: i32) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: i32) {}

    fn stop(&mut self) {
        // It was set before: to stop it cannot fail.
        let _ = set(0);
    }

    fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>)) {
        RING.drain(take);
    }

    fn weighs_evenly(&self) -> bool {
        true
    }

    fn lost(&self) -> u64 {
        RING.lost()
    }
}

impl Drop for ProcessTimer {
    fn drop(&mut self) {
        self.stop();
        RING.close();
        RING.release();
    }
}
