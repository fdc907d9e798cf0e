//! The registers of x86_64, by their DWARF numbers.

use super::machine::{Machine, RegisterFile};

/// The general registers, those of which the value is known.
pub(crate) type Registers = RegisterFile<17>;

impl RegisterFile<17> {
    /// How many there are: sixteen general ones and the instruction pointer.
    pub const COUNT: usize = 17;
    /// The stack pointer's number.
    pub const SP: u16 = 7;
    /// The frame pointer's number.
    pub const FP: u16 = 6;
    /// The instruction pointer's (DWARF: the return address column's) number.
    pub const PC: u16 = 16;
    /// Those in which a program keeps its values: all but the stack and instruction pointers.
    pub const GENERAL: [u16; 15] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15];

    /// Those with the numbers by which instructions name them: rax, rcx, rdx, rbx, rsp, rbp, rsi,
    /// rdi, r8 to r15.
    pub const BY_CODE: [u16; 16] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

    /// From the words of a signal's context, in the kernel's order.
    pub fn from_context(words: &[u64; 17]) -> Registers {
        /// R8 to R15, then RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP.
        const ORDER: [u16; 17] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16];
        let mut registers = Registers::default();
        ORDER.iter().zip(words).for_each(|(&number, &word)| registers.set(number, word));
        registers
    }
}

impl Machine for Registers {
    const SP: u16 = Registers::SP;
    const FP: u16 = Registers::FP;
    const PC: u16 = Registers::PC;
    const LINK: Option<u16> = None;
    /// rbx, rbp, rsp, r12 to r15.
    const CALLEE_SAVED: u64 = 1 << 3 | 1 << 6 | 1 << 7 | 0xf << 12;

    fn code_address(value: u64) -> u64 {
        value
    }

    /// ```text
    /// ff 25 rel32           jmp *slot(%rip)      at the stub's begin: only the call has pushed
    /// 68 imm32; e9 rel32    push number; jmp 0   its second half, before the push
    /// e9 rel32 ...          jmp 0                after the push
    /// ff 35 rel32; ff 25    push; jmp *          the first stub, entered after one push
    /// ```
    fn stub(code: &[u8]) -> Option<u64> {
        const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        let code = code.strip_prefix(ENDBR64).unwrap_or(code);
        let code = code.strip_prefix(&[0xf2]).unwrap_or(code);
        match code {
            [0xff, 0x25, ..] => Some(8),
            [0x68, _, _, _, _, 0xe9 | 0xf2, ..] => Some(8),
            [0xff, 0x35, _, _, _, _, 0xff | 0xf2, ..] => Some(16),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_s_words_find_their_registers() {
        let words: [u64; 17] = std::array::from_fn(|n| n as u64);
        let registers = Registers::from_context(&words);
        assert_eq!(registers.get(8), Some(0), "r8 comes first");
        assert_eq!(registers.get(Registers::FP), Some(10));
        assert_eq!(registers.get(Registers::SP), Some(15));
        assert_eq!(registers.get(Registers::PC), Some(16));
        assert_eq!(registers.get(0), Some(13), "rax");
    }

    #[test]
    fn a_linker_s_stub_has_moved_the_stack_by_what_was_pushed() {
        assert_eq!(Registers::stub(&[0xff, 0x25, 1, 2, 3, 4]), Some(8));
        assert_eq!(Registers::stub(&[0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 1, 2, 3, 4]), Some(8));
        assert_eq!(Registers::stub(&[0x68, 1, 0, 0, 0, 0xe9, 1, 2, 3, 4]), Some(8));
        assert_eq!(Registers::stub(&[0xff, 0x35, 1, 2, 3, 4, 0xff, 0x25]), Some(16));
        assert_eq!(Registers::stub(&[0x55, 0x48, 0x89, 0xe5]), None, "a function");
        assert_eq!(Registers::stub(&[]), None);
    }
}
