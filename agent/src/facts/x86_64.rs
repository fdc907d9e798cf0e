//! System calls in the registers of x86_64.
//!
//! A signal that finds a thread asleep in a system call either lets the call begin anew (the
//! thread stands before the `syscall` instruction, everything as it was) or ends it with `EINTR`
//! (the thread stands after the instruction, and the result has replaced the call's number).

use crate::unwind::Registers;

/// The `syscall` instruction.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// DWARF numbers of the registers that carry the call's number and its first two arguments.
const RAX: u16 = 0;
const RDI: u16 = 5;
const RSI: u16 = 4;

/// A system call that a signal interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InterruptedCall {
    /// Its number, unless the result has replaced it.
    pub number: Option<u64>,
    /// Its first two arguments.
    pub arguments: [u64; 2],
}

/// The system call that registers and the code at the program counter show.
pub(super) fn interrupted_call(
    registers: &Registers,
    read: impl Fn(u64, &mut [u8]) -> usize,
) -> Option<InterruptedCall> {
    let pc = registers.get(Registers::PC)?;
    let is_syscall = |address: u64| {
        let mut code = [0; 2];
        read(address, &mut code) == 2 && code == SYSCALL
    };
    let result = registers.get(RAX)?;
    let number = if is_syscall(pc) {
        Some(result)
    } else if result as i64 == -i64::from(libc::EINTR) && is_syscall(pc.checked_sub(2)?) {
        None
    } else {
        return None;
    };
    Some(InterruptedCall { number, arguments: [registers.get(RDI)?, registers.get(RSI)?] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mov eax, 202; syscall; ret`, at 0x1000.
    const CODE: [u8; 8] = [0xb8, 202, 0, 0, 0, 0x0f, 0x05, 0xc3];

    fn call(pc: u64, rax: u64) -> Option<InterruptedCall> {
        let mut registers = Registers::default();
        for (number, value) in [(Registers::PC, pc), (RAX, rax), (RDI, 0x40), (RSI, 128)] {
            registers.set(number, value);
        }
        interrupted_call(&registers, |address, buffer| {
            let at = address.wrapping_sub(0x1000) as usize;
            let there = CODE.get(at..).unwrap_or_default();
            let count = there.len().min(buffer.len());
            buffer[..count].copy_from_slice(&there[..count]);
            count
        })
    }

    #[test]
    fn before_the_instruction_the_number_is_still_there() {
        let expected = InterruptedCall { number: Some(202), arguments: [0x40, 128] };
        assert_eq!(call(0x1005, 202), Some(expected));
    }

    #[test]
    fn after_the_instruction_only_an_interrupted_call_counts() {
        let interrupted = InterruptedCall { number: None, arguments: [0x40, 128] };
        assert_eq!(call(0x1007, -4_i64 as u64), Some(interrupted));
        assert_eq!(call(0x1007, 0), None, "the call returned by itself");
    }

    #[test]
    fn elsewhere_there_is_no_call() {
        assert_eq!(call(0x1000, 202), None);
        assert_eq!(call(0x9000, 202), None);
        assert_eq!(call(0, -4_i64 as u64), None);
    }
}
