//! The time of day of a poll: cheap, in coarse units.

/// Units of the clock are 2 to the power of so many nanoseconds: a millisecond or so, which is
/// finer than the kernel's tick and leaves room for a century.
const SHIFT: u32 = 20;

/// Now, in the units of this clock. It runs with the monotonic clock, and behind it by up to the
/// kernel's tick (4 ms with 250 ticks a second): reading that costs a third of reading the exact
/// one.
#[inline]
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours. On failure it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64) >> SHIFT
}

/// A time of this clock, in nanoseconds of the monotonic clock.
pub(crate) fn nanos(at: u64) -> sigquit_dump::Nanos {
    sigquit_dump::Nanos(at << SHIFT)
}
