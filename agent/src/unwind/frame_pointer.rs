//! The linked list of frame pointers, for code without call frame information.
//!
//! ```text
//! fp -> | caller's fp | return address | caller's frame ...
//! ```

use super::StackCopy;
use super::machine::{Machine, RegisterFile};

/// The caller of a frame that keeps a frame pointer: its registers, and the address at which it
/// begins. Nothing unless the chain stays on the stack and moves up; whether the return address
/// is one is for the unwinder to find out.
pub(super) fn caller<const N: usize>(
    registers: &RegisterFile<N>,
    stack: &StackCopy<'_>,
) -> Option<(RegisterFile<N>, u64)>
where
    RegisterFile<N>: Machine,
{
    let fp = registers.get(RegisterFile::<N>::FP)?;
    let sp = registers.get(RegisterFile::<N>::SP)?;
    if fp < sp || fp % 8 != 0 {
        return None;
    }
    let (next, pc) = (stack.word(fp)?, stack.word(fp.checked_add(8)?)?);
    let cfa = fp.checked_add(16)?;
    let mut caller = RegisterFile::default();
    caller.set(RegisterFile::<N>::FP, next);
    caller.set(RegisterFile::<N>::SP, cfa);
    caller.set(RegisterFile::<N>::PC, RegisterFile::<N>::code_address(pc));
    Some((caller, cfa))
}

#[cfg(test)]
mod tests {
    use super::super::x86_64::Registers;
    use super::*;

    fn registers(sp: u64, fp: u64) -> Registers {
        let mut registers = Registers::default();
        registers.set(Registers::SP, sp);
        registers.set(Registers::FP, fp);
        registers
    }

    #[test]
    fn follows_a_record_on_the_stack_and_nothing_else() {
        let words = [0_u64, 0, 0x1030, 0x40_1234, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let stack = StackCopy { start: 0x1000, bytes: &bytes };

        let (caller, cfa) = caller(&registers(0x1000, 0x1010), &stack).expect("a record");
        assert_eq!(cfa, 0x1020);
        assert_eq!(caller.get(Registers::PC), Some(0x40_1234));
        assert_eq!(caller.get(Registers::FP), Some(0x1030));
        assert_eq!(caller.get(Registers::SP), Some(0x1020));

        let caller = super::caller;
        assert!(caller(&registers(0x1018, 0x1010), &stack).is_none(), "below the stack pointer");
        assert!(caller(&registers(0x1000, 0x1011), &stack).is_none(), "not aligned");
        assert!(caller(&registers(0x1000, 0x1028), &stack).is_none(), "beyond the copy");
        assert!(caller(&registers(0x1000, u64::MAX - 7), &stack).is_none(), "no address");
    }
}
