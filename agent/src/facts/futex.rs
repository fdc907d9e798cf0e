//! Futexes: the word of memory on which a thread sleeps until it changes.
//!
//! The registers that the thread left are the better witness: they belong to the same moment as
//! its stack. What the kernel said of its system call a little earlier helps where the registers
//! have lost the call's number, and speaks alone for threads that did not answer.

use sigquit_dump::{Lock, LockKind, Syscall};

use super::machine::{InterruptedCall, interrupted_call};
use crate::capture::read;
use crate::unwind::Registers;

/// The operations that sleep: `WAIT`, `LOCK_PI`, `WAIT_BITSET`, `WAIT_REQUEUE_PI`, `LOCK_PI2`.
const SLEEPING: [u64; 5] = [0, 6, 9, 11, 13];
/// The operation without its flags (private, realtime clock).
const OPERATION: u64 = 0x7f;

/// The address of the futex on which a thread sleeps, when it sleeps on one.
pub(crate) fn awaited_futex(registers: Option<&Registers>, said: Option<&Syscall>) -> Option<u64> {
    let said = said.and_then(from_kernel);
    match registers {
        Some(registers) => from_registers(&interrupted_call(registers, read)?, said),
        None => said,
    }
}

fn from_kernel(call: &Syscall) -> Option<u64> {
    let &[address, operation, ..] = call.arguments.as_slice() else { return None };
    sleeps(call.number, operation).then_some(address)
}

fn from_registers(call: &InterruptedCall, said: Option<u64>) -> Option<u64> {
    let [address, operation] = call.arguments;
    match call.number {
        Some(number) => sleeps(number, operation).then_some(address),
        None => said.filter(|&said| said == address),
    }
}

fn sleeps(number: u64, operation: u64) -> bool {
    number == libc::SYS_futex as u64 && SLEEPING.contains(&(operation & OPERATION))
}

/// The futex at an address, with what its memory holds now.
pub(crate) fn futex(address: u64) -> Lock {
    let words = bytes::<16>(address).map(|bytes| {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at * 4 + n]));
        std::array::from_fn(word)
    });
    let parking_key = address.checked_sub(32).and_then(bytes).map(u64::from_le_bytes);
    Lock { address: Some(address), kind: LockKind::Futex, words, parking_key, ..Lock::default() }
}

fn bytes<const COUNT: usize>(address: u64) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    (read(address, &mut bytes) == COUNT).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUTEX: u64 = libc::SYS_futex as u64;

    #[test]
    fn the_kernel_s_word_counts_for_calls_that_sleep() {
        let call = |number, arguments| Syscall { number, arguments };
        assert_eq!(from_kernel(&call(FUTEX, vec![0x40, 128, 2, 0, 0, 0])), Some(0x40));
        assert_eq!(from_kernel(&call(FUTEX, vec![0x40, 129, 1, 0, 0, 0])), None, "a wake");
        assert_eq!(from_kernel(&call(FUTEX + 1, vec![0x40, 128])), None);
        assert_eq!(from_kernel(&call(FUTEX, vec![0x40])), None);
    }

    #[test]
    fn a_lost_number_needs_the_kernel_s_word_on_the_same_address() {
        let call = InterruptedCall { number: None, arguments: [0x40, 137] };
        assert_eq!(from_registers(&call, Some(0x40)), Some(0x40));
        assert_eq!(from_registers(&call, Some(0x80)), None);
        assert_eq!(from_registers(&call, None), None);
    }

    #[test]
    fn a_futex_shows_its_words_and_what_lies_below() {
        #[repr(C)]
        struct Parked {
            key: u64,
            between: [u64; 3],
            words: [u32; 4],
        }
        let parked = Parked { key: 0xabcd, between: [0; 3], words: [1, 2, 3, 4] };
        let lock = futex(&raw const parked.words as u64);
        assert_eq!(lock.words, Some([1, 2, 3, 4]));
        assert_eq!(lock.parking_key, Some(0xabcd));
        assert_eq!(futex(16).words, None);
        assert_eq!(parked.key + parked.between[0], 0xabcd);
    }
}
