//! The machine's clocks.

use sigquit_dump::Nanos;

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> Nanos {
    read(libc::CLOCK_REALTIME)
}

/// The clock that never jumps.
pub(crate) fn monotonic() -> Nanos {
    read(libc::CLOCK_MONOTONIC)
}

/// Since the machine started, sleep included: what start times in `/proc` count from.
pub(super) fn since_boot() -> Nanos {
    read(libc::CLOCK_BOOTTIME)
}

/// CPU time of all threads of this process, ended ones included.
pub(crate) fn process_cpu() -> Nanos {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Nanos {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which is ours. On failure it stays zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// One tick of the times in `/proc`, as nanoseconds.
pub(super) fn tick() -> Nanos {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Nanos(1_000_000_000 / u64::try_from(ticks).unwrap_or(100).max(1))
}
