//! The time of day of a poll: cheap, in coarse units.

use std::ffi::c_void;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

use libc::{c_int, clockid_t, timespec};

/// Units of the clock are 2 to the power of so many nanoseconds: a millisecond or so, which is
/// finer than the kernel's tick and leaves room for a century.
const SHIFT: u32 = 20;

/// The kernel's own function, which it maps into every process.
static GETTIME: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Now, in the units of this clock. It runs with the monotonic clock, and behind it by up to the
/// kernel's tick (4 ms with 250 ticks a second): reading that costs a tenth of reading the exact
/// one.
#[inline]
pub(crate) fn now() -> u64 {
    let mut gettime = GETTIME.load(Relaxed);
    if gettime.is_null() {
        gettime = find();
    }
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is one of two functions, both of this type, that stay for the life of
    // the process. The call writes one timespec, which is ours; on failure it stays zero.
    unsafe {
        let gettime: extern "C" fn(clockid_t, *mut timespec) -> c_int =
            std::mem::transmute(gettime);
        gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time);
    }
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64) >> SHIFT
}

/// The function that tells the time: the kernel's, or where that is not found, the C library's,
/// which is a detour of a nanosecond.
#[cold]
fn find() -> *mut c_void {
    // SAFETY: the texts end with a zero; asked not to load anything, the loader only looks.
    let found = unsafe {
        let kernel = libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if kernel.is_null() {
            kernel
        } else {
            libc::dlsym(kernel, c"__vdso_clock_gettime".as_ptr())
        }
    };
    let gettime = if found.is_null() { libc::clock_gettime as *mut c_void } else { found };
    GETTIME.store(gettime, Relaxed);
    gettime
}

/// A time of this clock, in nanoseconds of the monotonic clock.
pub(crate) fn nanos(at: u64) -> sigquit_dump::Nanos {
    sigquit_dump::Nanos(at << SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_monotonic_clock_a_tick_behind_at_most() {
        let before = crate::facts::monotonic().0;
        let now = nanos(now()).0;
        let after = crate::facts::monotonic().0;
        // A tick is 10 ms at most, a unit another millisecond.
        assert!(now + 12_000_000 >= before && now <= after, "{before} {now} {after}");
    }
}
