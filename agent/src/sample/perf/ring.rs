//! The ring that the kernel fills: one page that says how far it is filled and read, then records.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::event::REGISTERS;
use crate::sample::engine::{Seen, Taken};
use crate::unwind::{Registers, StackCopy};

const PAGE: usize = 4096;
/// Pages of records: half a megabyte, what a kernel lets everybody lock for each CPU.
const PAGES: usize = 128;
/// Where the kernel's page says how far it has written, and we how far we have read.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE`.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;

/// For each register in the kernel's order, its DWARF number: ax bx cx dx si di bp sp ip, r8 to
/// r15.
const NUMBERS: [u16; 17] = [0, 3, 2, 1, 4, 5, 6, 7, 16, 8, 9, 10, 11, 12, 13, 14, 15];

const _: () = assert!(REGISTERS.count_ones() as usize == NUMBERS.len());

pub(super) struct Ring {
    memory: *mut u8,
    /// One record, in one piece.
    record: Vec<u8>,
}

// SAFETY: the mapping belongs to whoever owns this, on whichever thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps an event's ring.
    ///
    /// # Errors
    /// When there is no address space, or the process has locked as much as it may.
    pub fn map(event: &OwnedFd) -> io::Result<Ring> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let memory = unsafe {
            let (shared, event) = (libc::MAP_SHARED, event.as_raw_fd());
            libc::mmap(std::ptr::null_mut(), (PAGES + 1) * PAGE, rights, shared, event, 0)
        };
        match memory {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            memory => Ok(Ring { memory: memory.cast(), record: Vec::new() }),
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the mapping's first page, aligned; the kernel uses it as an atomic too.
        unsafe { &*self.memory.add(at).cast::<AtomicU64>() }
    }

    /// Takes all records, each with what its event had counted by then, in nanoseconds of CPU time; how
    /// many samples the kernel says it has lost.
    pub fn drain(&mut self, take: &mut dyn FnMut(Taken<'_>, u64)) -> u64 {
        let head = self.word(HEAD).load(Acquire);
        let mut tail = self.word(TAIL).load(Acquire);
        let mut lost = 0;
        while tail < head {
            self.copy(tail, 8);
            let (kind, size) = (u32_at(&self.record, 0), u64::from(u32_at(&self.record, 4) >> 16));
            if size < 8 {
                // Damage: all that has come is passed over.
                tail = head;
                break;
            }
            self.copy(tail, size as usize);
            match kind {
                SAMPLE => match sample(&self.record) {
                    Some((taken, counted)) => take(taken, counted),
                    None => lost += 1,
                },
                LOST => lost += u64_at(&self.record, 16).unwrap_or(0),
                _ => {}
            }
            tail += size;
            self.word(TAIL).store(tail, Release);
        }
        self.word(TAIL).store(tail, Release);
        lost
    }

    /// Copies what lies at a place of the ring, which may go on at its begin.
    fn copy(&mut self, at: u64, length: usize) {
        self.record.clear();
        let mut at = at as usize % (PAGES * PAGE);
        let mut rest = length.min(PAGES * PAGE);
        while rest > 0 {
            let piece = rest.min(PAGES * PAGE - at);
            // SAFETY: between tail and head the kernel does not write; the mapping holds it.
            let bytes = unsafe { std::slice::from_raw_parts(self.memory.add(PAGE + at), piece) };
            self.record.extend_from_slice(bytes);
            (at, rest) = (0, rest - piece);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: our own mapping, of which nothing is borrowed.
        unsafe { libc::munmap(self.memory.cast(), (PAGES + 1) * PAGE) };
    }
}

/// ```text
/// kind u32, misc u16, size u16 | pid u32, tid u32 | time | what the event has counted | abi |
/// registers... | size of the stack | stack... | how much of it is filled
/// ```
fn sample(record: &[u8]) -> Option<(Taken<'_>, u64)> {
    let tid = u32_at(record, 12) as i32;
    let (time, counted) = (u64_at(record, 16)?, u64_at(record, 24)?);
    let mut at = 40;
    let mut registers = Registers::default();
    if u64_at(record, 32)? != 0 {
        for number in NUMBERS {
            registers.set(number, u64_at(record, at)?);
            at += 8;
        }
    }
    registers.get(Registers::PC)?;
    let room = u64_at(record, at)? as usize;
    let stack = record.get(at + 8..(at + 8).checked_add(room)?)?;
    let filled = if room == 0 { 0 } else { u64_at(record, at + 8 + room)? as usize };
    let start = registers.get(Registers::SP)?;
    let stack = StackCopy { start, bytes: &stack[..filled.min(room)] };
    Some((Taken { tid, time, weight: 1, vectors: 0, seen: Seen::Here(registers, stack) }, counted))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    word.map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_thread_time_registers_and_the_filled_part_of_the_stack() {
        let mut record = Vec::new();
        let mut words = |words: &[u64]| {
            words.iter().for_each(|word| record.extend(word.to_le_bytes()));
        };
        words(&[9, 5 | 6 << 32, 77, 1234, 2]);
        words(&(100..117).collect::<Vec<u64>>());
        words(&[16, 1, 2, 8]);
        let (taken, counted) = sample(&record).expect("a sample");
        assert_eq!((taken.tid, taken.time, counted), (6, 77, 1234));
        let Seen::Here(registers, stack) = taken.seen else { panic!("a sample without a stack") };
        assert_eq!(registers.get(Registers::PC), Some(108));
        assert_eq!(registers.get(3), Some(101), "rbx");
        assert_eq!((stack.start, stack.bytes.len()), (107, 8));
        for length in 0..record.len() {
            assert!(sample(&record[..length]).is_none(), "{length}");
        }
    }
}
