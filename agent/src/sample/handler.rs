//! The signal handler of the timers. It copies registers and stack into [the ring](super::ring)
//! and keeps [the contract of capturing](crate::capture).

use core::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicU64};

use super::ring::{RING, STACK_CAP};
use crate::capture::{handling, read_raw};

/// Where the main thread's stack lies: its thread pointer is elsewhere.
static MAIN_START: AtomicU64 = AtomicU64::new(0);
static MAIN_END: AtomicU64 = AtomicU64::new(0);

pub(super) fn set_main_stack(range: Range<u64>) {
    MAIN_START.store(range.start, Relaxed);
    MAIN_END.store(range.end, Relaxed);
}

/// What the kernel tells of the signal of a timer: `siginfo_t` of a 64-bit Linux.
#[repr(C)]
#[derive(Clone, Copy)]
struct Expired {
    signal: c_int,
    error: c_int,
    code: c_int,
    padding: c_int,
    /// The number of the timer; of a signal that a thread sends, its process.
    origin: c_int,
    overrun: c_int,
}

const _: () = assert!(size_of::<Expired>() <= size_of::<libc::siginfo_t>());

/// This process, by which a signal that a thread of it sends is known.
static PROCESS: AtomicI32 = AtomicI32::new(0);

pub(super) fn set_process(pid: i32) {
    PROCESS.store(pid, Relaxed);
}

/// The code of a signal that the kernel sends of itself, for `setitimer` too.
const SI_KERNEL: c_int = 0x80;

/// Bytes below the stack pointer that signals leave alone: a leaf function may keep locals there.
pub(super) const RED_ZONE: u64 = 128;

/// Takes a sample, when the signal came from a timer or from this process, and samples are wanted.
///
/// # Safety
/// To be called by the kernel, as the handler of a signal with `SA_SIGINFO`.
pub(super) unsafe extern "C" fn sample(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let expired = info.cast::<Expired>();
    // SAFETY: the kernel gives a whole siginfo to a handler with SA_SIGINFO.
    let Expired { code, origin, overrun, .. } = unsafe { *expired };
    let weight = match code {
        libc::SI_TIMER => (overrun.max(0) as u64).wrapping_add(1),
        SI_KERNEL => 1,
        libc::SI_TKILL if origin == PROCESS.load(Relaxed) => 1,
        _ => return,
    };
    if !RING.is_open() {
        return;
    }
    // SAFETY: the third argument of a handler.
    let (registers, sp) = unsafe { handling::registers(context) };
    let from = sp.wrapping_sub(RED_ZONE);
    let length = reach(from, handling::thread_pointer());
    let Some(place) = RING.reserve(length) else { return };
    // SAFETY: the place is ours until it is committed, and as long as was asked for; registers
    // are WORDS words in the kernel's frame, whose context is the third argument.
    unsafe {
        handling::copy(registers.cast(), place.registers.cast(), handling::WORDS * 8);
        let copied = read_raw(from, place.stack, length);
        let vectors = handling::vectors(context);
        place.commit(handling::thread(), handling::monotonic(), weight, copied, vectors);
    }
}

/// How far the stack is worth copying: up to the thread pointer, which lies above the frames of
/// a thread of the C library, or to the end of the main stack.
fn reach(from: u64, thread_pointer: u64) -> usize {
    let (start, end) = (MAIN_START.load(Relaxed), MAIN_END.load(Relaxed));
    let is_main = start <= from && from < end;
    let length = if is_main { end } else { thread_pointer }.wrapping_sub(from);
    if length < STACK_CAP as u64 { length as usize } else { STACK_CAP }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_copied_up_to_its_thread_pointer_and_no_further_than_the_cap() {
        set_main_stack(0xf000_0000..0xf010_0000);
        assert_eq!(reach(0x10_0000, 0x10_2000), 0x2000);
        assert_eq!(reach(0x10_0000, 0x90_0000), STACK_CAP, "a deep stack");
        assert_eq!(reach(0xa0_0000, 0x10_2000), STACK_CAP, "a coroutine's");
        assert_eq!(reach(0xf00f_f000, 0x10_2000), 0x1000, "the main thread's");
    }
}
