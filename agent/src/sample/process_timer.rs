//! One timer for the whole process, where nothing better is allowed.

use std::io;

use super::engine::{Engine, Taken};
use super::ring::RING;
use super::signal;
use crate::facts;

/// `setitimer(ITIMER_PROF)`. The kernel sends it no more often than its tick and does not say how often
/// it was due, so a sample weighs what the process has used since the one before.
pub(super) struct ProcessTimer {
    interval: u64,
    /// The process's CPU time up to which samples account for it.
    accounted: u64,
}

impl ProcessTimer {
    pub const NAME: &'static str = "process-timer";

    pub fn open(rate: u32) -> io::Result<ProcessTimer> {
        signal::prof()?;
        RING.open();
        let interval = 1_000_000_000 / u64::from(rate.max(1));
        set(interval)?;
        Ok(ProcessTimer { interval, accounted: facts::process_cpu().0 })
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
        let (mut accounted, interval) = (self.accounted, self.interval);
        RING.drain(&mut |mut taken| {
            taken.weight = taken.weight.saturating_sub(accounted) / interval;
            accounted += taken.weight * interval;
            if taken.weight > 0 {
                take(taken);
            }
        });
        self.accounted = accounted;
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
