//! What the handler needs of an aarch64: system calls, the clock of the CPU, the thread pointer,
//! a copy, and where the kernel left the interrupted registers. Not yet run on one.

use core::arch::asm;
use core::ffi::c_void;

/// How many words of registers an answer holds: `x0` to `x30`, `sp`, `pc`.
pub(crate) const WORDS: usize = 33;
/// Which of those words is the stack pointer.
pub(super) const SP_WORD: usize = 31;

/// Makes a system call; a negative result is an error number. `errno` is not touched.
///
/// # Safety
/// The arguments are those that the system call asks for, pointers included.
pub(super) unsafe fn syscall(number: i64, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers nothing else.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack),
        );
    }
    result
}

/// The CPU's counter, which runs at a constant rate.
pub(super) fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: Linux leaves the virtual counter open to programs.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

/// The thread pointer: above the frames, in the stack's own mapping, for threads of the C library.
pub(crate) fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: the register is the program's own.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nomem, nostack)) };
    pointer
}

/// Copies without the C library.
///
/// # Safety
/// `length` bytes are readable at `from` and writable at `to`, and the two do not overlap.
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    let mut at = 0;
    while at < length {
        // SAFETY: the caller's; volatile, so that the loop is not made into a call of memcpy.
        unsafe { to.wrapping_add(at).write_volatile(from.wrapping_add(at).read_volatile()) };
        at = at.wrapping_add(1);
    }
}

/// The interrupted registers in what the kernel gave the handler: [`WORDS`] words.
///
/// # Safety
/// `context` is the third argument of a signal handler.
pub(super) unsafe fn registers(context: *const c_void) -> *const u64 {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the caller's; `sp` and `pc` follow the general registers.
    unsafe { (&raw const (*context).uc_mcontext.regs).cast() }
}

/// The interrupted vector registers, condensed to a number: not looked at on this machine.
///
/// # Safety
/// `context` is the third argument of a signal handler.
pub(crate) unsafe fn vectors(_context: *const c_void) -> u64 {
    0
}
