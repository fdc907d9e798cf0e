//! The registers of the calling function, on x86_64.

use core::arch::asm;

use crate::unwind::Registers;

/// How many words of registers a look keeps.
pub(super) const WORDS: usize = 8;
/// Which of them is the stack pointer.
pub(super) const SP_WORD: usize = 6;
/// Their DWARF numbers: rbx, rbp, r12 to r15, rsp, and the pc.
const NUMBERS: [u16; WORDS] = [3, 6, 12, 13, 14, 15, Registers::SP, Registers::PC];

/// The registers that a function gives back as it found them, the stack pointer and the pc, as
/// they are in the function into which this is inlined.
#[inline(always)]
pub(super) fn registers() -> [u64; WORDS] {
    let mut words = [0_u64; WORDS];
    // SAFETY: the instructions store eight words to a place of eight, and change one register
    // that is given to them.
    unsafe {
        asm!(
            "mov [{place}], rbx",
            "mov [{place} + 8], rbp",
            "mov [{place} + 16], r12",
            "mov [{place} + 24], r13",
            "mov [{place} + 32], r14",
            "mov [{place} + 40], r15",
            "mov [{place} + 48], rsp",
            "lea {pc}, [rip]",
            "mov [{place} + 56], {pc}",
            place = in(reg) words.as_mut_ptr(),
            pc = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    words
}

/// The same, for the unwinder.
pub(super) fn for_unwinding(words: &[u64; WORDS]) -> Registers {
    let mut registers = Registers::default();
    NUMBERS.iter().zip(words).for_each(|(&number, &word)| registers.set(number, word));
    registers
}
