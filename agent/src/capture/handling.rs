//! What other rooms' handlers may use of this one: nothing here allocates, locks or panics.

use core::ffi::c_void;

use super::machine;
pub(crate) use super::machine::{WORDS, copy, thread_pointer, vectors};

/// The interrupted registers, [`WORDS`] words in the kernel's order, and the stack pointer.
///
/// # Safety
/// `context` is the third argument of a signal handler.
pub(crate) unsafe fn registers(context: *const c_void) -> (*const u64, u64) {
    // SAFETY: the caller's; all words are there.
    unsafe {
        let registers = machine::registers(context);
        (registers, *registers.wrapping_add(machine::SP_WORD))
    }
}

/// The calling thread, by the kernel's number.
pub(crate) fn thread() -> i32 {
    // SAFETY: gettid takes nothing.
    unsafe { machine::syscall(libc::SYS_gettid, [0; 6]) as i32 }
}

/// The monotonic clock, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The CPU time of the calling thread, in nanoseconds.
pub(super) fn cpu_time() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let place = &raw mut time as usize;
    // SAFETY: the call writes one timespec.
    unsafe { machine::syscall(libc::SYS_clock_gettime, [clock as usize, place, 0, 0, 0, 0]) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}
