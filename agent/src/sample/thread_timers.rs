//! One timer for each thread, on the thread's own CPU clock.

use std::collections::HashMap;
use std::io;

use super::engine::{Engine, Taken};
use super::ring::RING;
use super::{signal, threads};

/// Timers of the kernel that send a signal to the thread whose CPU time they measure.
pub(super) struct ThreadTimers {
    signal: i32,
    interval: u64,
    timers: HashMap<i32, libc::timer_t>,
}

impl ThreadTimers {
    pub const NAME: &'static str = "thread-timers";

    pub fn open(rate: u32) -> io::Result<ThreadTimers> {
        let signal = signal::own()?;
        RING.open();
        let interval = 1_000_000_000 / u64::from(rate.max(1));
        Ok(ThreadTimers { signal, interval, timers: HashMap::new() })
    }

    fn create(&self, tid: i32) -> io::Result<libc::timer_t> {
        // SAFETY: zero is a valid sigevent, and the kernel writes one timer id.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = self.signal;
            event.sigev_notify_thread_id = tid;
            let mut timer = std::ptr::null_mut();
            match libc::timer_create(threads::cpu_clock(tid), &mut event, &mut timer) {
                0 => Ok(timer),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    fn start(&self, timer: libc::timer_t) -> io::Result<()> {
        let interval = libc::timespec {
            tv_sec: (self.interval / 1_000_000_000) as libc::time_t,
            tv_nsec: (self.interval % 1_000_000_000) as libc::c_long,
        };
        let setting = libc::itimerspec { it_interval: interval, it_value: interval };
        // SAFETY: a timer of ours, and a setting that outlives the call.
        match unsafe { libc::timer_settime(timer, 0, &setting, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn delete(timer: libc::timer_t) {
    // SAFETY: a timer that was created, and is deleted once.
    unsafe { libc::timer_delete(timer) };
}

impl Engine for ThreadTimers {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn user_mode_only(&self) -> bool {
        false
    }

    fn add(&mut self, tid: i32) -> io::Result<()> {
        let timer = self.create(tid)?;
        if let Err(error) = self.start(timer) {
            delete(timer);
            return Err(error);
        }
        self.timers.insert(tid, timer);
        Ok(())
    }

    fn remove(&mut self, tid: i32) {
        self.timers.remove(&tid).into_iter().for_each(delete);
    }

    fn stop(&mut self) {
        self.timers.drain().for_each(|(_, timer)| delete(timer));
    }

    fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>)) {
        RING.drain(take);
    }

    fn lost(&self) -> u64 {
        RING.lost()
    }
}

impl Drop for ThreadTimers {
    fn drop(&mut self) {
        self.stop();
        RING.close();
        RING.release();
    }
}
