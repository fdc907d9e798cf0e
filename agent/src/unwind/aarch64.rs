//! The registers of aarch64, by their DWARF numbers. Tested over recorded stacks; not yet run
//! on such a machine.

use super::machine::{Machine, RegisterFile};

/// The general registers, those of which the value is known.
pub(crate) type Registers = RegisterFile<33>;

impl RegisterFile<33> {
    /// How many there are: `x0` to `x30`, the stack pointer and the program counter.
    pub const COUNT: usize = 33;
    /// The stack pointer's number.
    pub const SP: u16 = 31;
    /// The frame pointer's number.
    pub const FP: u16 = 29;
    /// The program counter's number.
    pub const PC: u16 = 32;
    /// Those in which a program keeps its values: all but the stack pointer and program counter.
    pub const GENERAL: [u16; 31] = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
        25, 26, 27, 28, 29, 30,
    ];

    /// From the words of a signal's context, in the kernel's order.
    pub fn from_context(words: &[u64; 33]) -> Registers {
        let mut registers = Registers::default();
        (0..).zip(words).for_each(|(number, &word)| registers.set(number, word));
        registers
    }
}

impl Machine for Registers {
    const SP: u16 = Registers::SP;
    const FP: u16 = Registers::FP;
    const PC: u16 = Registers::PC;
    const LINK: Option<u16> = Some(30);
    /// x19 to x29, sp.
    const CALLEE_SAVED: u64 = 0x7ff << 19 | 1 << 31;

    /// Return addresses are signed in the bits above the address space of 48 bits.
    fn code_address(value: u64) -> u64 {
        value & 0x0000_ffff_ffff_ffff
    }

    /// `adrp x16, ...; ldr x17, [x16, ...]; add x16, ...; br x17`: the stack is not touched.
    fn stub(code: &[u8]) -> Option<u64> {
        const BTI: &[u8] = &[0x5f, 0x24, 0x03, 0xd5];
        let code = code.strip_prefix(BTI).unwrap_or(code);
        let adrp_x16 = |word: &[u8]| word[0] & 0x1f == 16 && word[3] & 0x9f == 0x90;
        let ldr_x17 = |word: &[u8]| word[0] == 0x11 && word[2] & 0xc0 == 0x40 && word[3] == 0xf9;
        let words = code.get(..8)?;
        (adrp_x16(&words[..4]) && ldr_x17(&words[4..])).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_s_words_find_their_registers() {
        let words: [u64; 33] = std::array::from_fn(|n| n as u64 * 10);
        let registers = Registers::from_context(&words);
        assert_eq!(registers.get(0), Some(0));
        assert_eq!(registers.get(Registers::SP), Some(310));
        assert_eq!(registers.get(Registers::PC), Some(320));
    }

    #[test]
    fn a_linker_s_stub_leaves_the_stack_alone() {
        // adrp x16, 0x11000; ldr x17, [x16, #0xf98]
        let stub = [0x90, 0x00, 0x00, 0x90, 0x11, 0xce, 0x47, 0xf9];
        assert_eq!(Registers::stub(&stub), Some(0));
        assert_eq!(Registers::stub(&[0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91]), None);
    }

    #[test]
    fn the_signature_of_a_return_address_is_cut_off() {
        assert_eq!(Registers::code_address(0x0025_ffff_8012_3456), 0xffff_8012_3456);
    }
}
