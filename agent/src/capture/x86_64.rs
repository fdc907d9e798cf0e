//! What the handler needs of an x86_64: system calls, the clock of the CPU, the thread pointer,
//! a copy, and where the kernel left the interrupted registers.

use core::arch::asm;
use core::ffi::c_void;

/// How many words of registers an answer holds: the kernel's general registers, `R8` to `RIP`.
pub(crate) const WORDS: usize = 17;
/// Which of those words is the stack pointer.
pub(super) const SP_WORD: usize = 15;

/// Makes a system call; a negative result is an error number. `errno` is not touched.
///
/// # Safety
/// The arguments are those that the system call asks for, pointers included.
pub(super) unsafe fn syscall(number: i64, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The CPU's counter, which runs at a constant rate.
pub(super) fn ticks() -> u64 {
    // SAFETY: every x86_64 has the instruction, and Linux leaves it open to programs.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The thread pointer: above the frames, in the stack's own mapping, for threads of the C
/// library. Asked of the kernel, because reading it through `fs` trusts that it points anywhere.
pub(crate) fn thread_pointer() -> u64 {
    const ARCH_GET_FS: usize = 0x1003;
    let mut pointer = 0_u64;
    // SAFETY: the call writes one word to the place that it is given.
    unsafe { syscall(libc::SYS_arch_prctl, [ARCH_GET_FS, &raw mut pointer as usize, 0, 0, 0, 0]) };
    pointer
}

/// Copies without the C library.
///
/// # Safety
/// `length` bytes are readable at `from` and writable at `to`, and the two do not overlap.
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller's; the ABI keeps the direction flag clear, the kernel does so too.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") length => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// The interrupted registers in what the kernel gave the handler: [`WORDS`] words.
///
/// # Safety
/// `context` is the third argument of a signal handler.
pub(super) unsafe fn registers(context: *const c_void) -> *const u64 {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the caller's.
    unsafe { (&raw const (*context).uc_mcontext.gregs).cast() }
}

/// The interrupted vector registers, condensed to a number that is the same for the same values: their
/// lower 128 bits each. Zero where the kernel gave none.
///
/// # Safety
/// `context` is the third argument of a signal handler.
pub(crate) unsafe fn vectors(context: *const c_void) -> u64 {
    const WORDS: usize = 2 * 16;
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the caller's.
    let state = unsafe { (*context).uc_mcontext.fpregs };
    if state.is_null() {
        return 0;
    }
    // SAFETY: what the kernel points to is a whole `fxsave` area in the signal's frame.
    let vectors = unsafe { (&raw const (*state)._xmm).cast::<u64>() };
    let (mut condensed, mut at) = (0_u64, 0_usize);
    while at < WORDS {
        // SAFETY: sixteen registers of sixteen bytes, at a multiple of sixteen.
        let word = unsafe { *vectors.wrapping_add(at) };
        condensed = (condensed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        at = at.wrapping_add(1);
    }
    condensed
}
