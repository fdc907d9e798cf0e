//! Where traced polls leave what they saw: memory that stays, written by many, read by one.
//!
//! ```text
//! memory    | words of registers, stack ... | words of registers, stack ... | free ...
//! records   | where the first begins + 1 | where the second begins + 1 | 0 ...
//! outcomes  | of slot 0 | of slot 1 | ...
//! ```
//!
//! A writer enters, reserves by additions, writes what it reserved, publishes it by a release
//! store, and leaves. The reader sees what was published; when the log is closed and all have
//! left, that is all there will be.

use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

use sigquit_dump::Trace;

use super::Visit;
use super::machine::{SP_WORD, WORDS};
use crate::capture;

/// Tasks in one wave.
pub(super) const WAVE: usize = 512;
/// Logs, and so waves that can be under way.
pub(super) const LOGS: usize = 8;
/// Memory of one log, of which only what is used is ever real.
const BYTES: usize = 16 << 20;
/// Looks that one log can hold.
const RECORDS: usize = 4096;
/// The longest piece of stack that is copied.
const STACK_CAP: usize = 64 << 10;
/// What stands before the stack in a record.
const HEAD: usize = size_of::<Head>();

#[derive(Clone, Copy)]
#[repr(C)]
struct Head {
    registers: [u64; WORDS],
    /// Where the traced poll's frame begins: the stack above is the executor's.
    base: u64,
    slot: u32,
    /// Bytes of stack that follow.
    length: u32,
}

/// One log.
pub(super) struct Log {
    /// The wave that it is open for, or 0.
    wave: AtomicU32,
    writers: AtomicU32,
    memory: AtomicPtr<u8>,
    used: AtomicUsize,
    count: AtomicUsize,
    records: [AtomicU64; RECORDS],
    outcomes: [AtomicU8; WAVE],
    served: AtomicU32,
    cut: AtomicU32,
}

static ALL: [Log; LOGS] = [const { Log::new() }; LOGS];

/// A look at a task: where it left its waker.
pub(super) struct Look<'a> {
    pub slot: u32,
    pub registers: &'a [u64; WORDS],
    /// The stack from the stack pointer upwards.
    pub stack: &'a [u8],
    /// The stack pointer of the traced poll.
    pub base: u64,
}

// What the polled thread does.
impl Log {
    /// Enters the log that a visit names, when it is open for it.
    pub fn enter(visit: Visit) -> Option<Writer> {
        let log = &ALL[visit.wave as usize % LOGS];
        log.writers.fetch_add(1, SeqCst);
        let writer = Writer { log, slot: visit.slot };
        (log.wave.load(SeqCst) == visit.wave && (visit.slot as usize) < WAVE).then_some(writer)
    }

    /// A place for one record; none when the log is full.
    fn reserve(&self, length: usize) -> Option<(usize, usize)> {
        let number = self.count.fetch_add(1, Relaxed);
        let at = self.used.fetch_add(length, Relaxed);
        (number < RECORDS && at + length <= BYTES).then_some((number, at))
    }
}

/// A thread that writes to a log, until this is dropped.
pub(super) struct Writer {
    log: &'static Log,
    slot: u32,
}

impl Writer {
    /// Leaves the registers of a function and the stack from there up to `base`.
    pub fn look(&self, registers: &[u64; WORDS], base: u64) {
        let sp = registers[SP_WORD];
        let whole = base.wrapping_sub(sp) as usize;
        let length = whole.min(STACK_CAP);
        let Some((number, at)) = self.log.reserve((HEAD + length).next_multiple_of(8)) else {
            self.log.cut.fetch_add(1, Relaxed);
            return;
        };
        let head = Head { registers: *registers, base, slot: self.slot, length: length as u32 };
        // SAFETY: the place was reserved for this record alone, lies within the log's memory, and
        // begins at a multiple of eight. The stack between a function and the caller whose stack
        // pointer `base` is belongs to this thread; when the two do not lie on one stack, `whole`
        // is no distance on a stack, and the kernel looks whether there is memory.
        unsafe {
            let place = self.log.memory.load(Relaxed).add(at);
            place.cast::<Head>().write(head);
            if whole <= STACK_CAP {
                capture::copy(sp as *const u8, place.add(HEAD), length);
            } else {
                let read = capture::read_raw(sp, place.add(HEAD), length);
                place.cast::<Head>().write(Head { length: read as u32, ..head });
            }
        }
        self.log.records[number].store(at as u64 + 1, Release);
    }

    /// Leaves what became of the poll, and with that the task is served.
    pub fn outcome(&self, outcome: Trace) {
        if let Some(place) = self.log.outcomes.get(self.slot as usize) {
            place.store(to_byte(outcome), Release);
            self.log.served.fetch_add(1, Release);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.writers.fetch_sub(1, Release);
    }
}

// What the agent does; it is one thread.
impl Log {
    const fn new() -> Log {
        Log {
            wave: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            memory: AtomicPtr::new(std::ptr::null_mut()),
            used: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            records: [const { AtomicU64::new(0) }; RECORDS],
            outcomes: [const { AtomicU8::new(0) }; WAVE],
            served: AtomicU32::new(0),
            cut: AtomicU32::new(0),
        }
    }

    /// Opens the log of a wave, empty. Nothing when somebody writes there still, for a wave that
    /// is long over.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn open(wave: u32) -> io::Result<Option<&'static Log>> {
        let log = &ALL[wave as usize % LOGS];
        if log.wave.load(SeqCst) != 0 || log.writers.load(SeqCst) != 0 {
            return Ok(None);
        }
        log.map()?;
        log.used.store(0, Relaxed);
        log.count.store(0, Relaxed);
        log.records.iter().for_each(|record| record.store(0, Relaxed));
        log.outcomes.iter().for_each(|outcome| outcome.store(0, Relaxed));
        log.served.store(0, Relaxed);
        log.cut.store(0, Relaxed);
        log.wave.store(wave, SeqCst);
        Ok(Some(log))
    }

    fn map(&self) -> io::Result<()> {
        if self.memory.load(Relaxed).is_null() {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping at a place of the kernel's choice.
            let memory = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, rights, flags, -1, 0) };
            if memory == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            self.memory.store(memory.cast(), Relaxed);
        }
        Ok(())
    }

    /// How many tasks of the wave have been served.
    pub fn served(&self) -> u32 {
        self.served.load(Acquire)
    }

    /// How many looks found no room.
    pub fn cut(&self) -> u32 {
        self.cut.load(Relaxed)
    }

    /// How many looks there are, published or not.
    pub fn looks(&self) -> usize {
        self.count.load(Acquire).min(RECORDS)
    }

    /// The look with that number, once it is published.
    pub fn look(&self, number: usize) -> Option<Look<'_>> {
        let at = self.records.get(number)?.load(Acquire).checked_sub(1)? as usize;
        // SAFETY: a published record lies whole within the log's memory, and nobody writes to it
        // until the log is opened anew, for which the agent's one thread holds no look.
        unsafe {
            let place = self.memory.load(Relaxed).add(at);
            let head = &*place.cast::<Head>();
            let stack = std::slice::from_raw_parts(place.add(HEAD), head.length as usize);
            Some(Look { slot: head.slot, registers: &head.registers, stack, base: head.base })
        }
    }

    /// Lets nobody in any more. Whether all have left.
    pub fn close(&self) -> bool {
        self.wave.store(0, SeqCst);
        self.writers.load(SeqCst) == 0
    }

    /// What became of a task's poll, when there was one.
    pub fn outcome(&self, slot: usize) -> Option<Trace> {
        from_byte(self.outcomes.get(slot)?.load(Acquire))
    }

    /// Gives the memory of all logs back to the system. Who writes late finds zeros.
    pub fn give_back() {
        for log in &ALL {
            let memory = log.memory.load(Relaxed);
            if !memory.is_null() && log.writers.load(SeqCst) == 0 {
                // SAFETY: the mapping is ours and stays; its content is not needed any more.
                unsafe { libc::madvise(memory.cast(), BYTES, libc::MADV_DONTNEED) };
            }
        }
    }
}

const OUTCOMES: [Trace; 4] = [Trace::Pending, Trace::NoWaker, Trace::Yielded, Trace::Finished];

fn to_byte(outcome: Trace) -> u8 {
    OUTCOMES.iter().position(|&known| known == outcome).map_or(0, |at| at as u8 + 1)
}

fn from_byte(byte: u8) -> Option<Trace> {
    OUTCOMES.get(usize::from(byte.checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_too_late_finds_it_closed() {
        // The last log: tests that trace tasks begin with the first.
        let wave = LOGS as u32 * 1_000_000 + LOGS as u32 - 1;
        let visit = Visit { wave, slot: 3 };
        assert!(Log::enter(visit).is_none());
        let log = Log::open(wave).expect("memory").expect("free");
        let writer = Log::enter(visit).expect("open");
        let registers = super::super::machine::registers();
        writer.look(&registers, registers[SP_WORD] + 64);
        writer.outcome(Trace::Pending);
        assert!(!log.close(), "one is still in");
        assert!(Log::open(wave).expect("memory").is_none());
        drop(writer);
        assert!(log.close());
        assert!(Log::enter(visit).is_none());
        let look = log.look(0).expect("published");
        assert_eq!((look.slot, look.stack.len(), *look.registers), (3, 64, registers));
        assert_eq!((log.outcome(3), log.outcome(4), log.served()), (Some(Trace::Pending), None, 1));
        assert!(log.look(1).is_none());
    }
}
