//! The ring into which handlers put samples, and from which the sampler's thread takes them.
//!
//! ```text
//!            tail                            head
//!   zeros ...│ record │ record │ pad │ record │ zeros ...
//!             a word: 0 until it is complete, then its length and kind; the rest follows
//! ```
//!
//! A handler moves `head` by compare-and-swap, writes its record and completes it with the first word.
//! The one reader takes complete records from `tail` on, fills their place with zeros, and moves
//! `tail`. So a word that is not zero was written by the owner of the record, and a handler that
//! was interrupted half-way stops the reader there until it has gone on. What finds no room is
//! counted. The memory is mapped once and never unmapped; between profiles it is given back.

use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

use crate::capture::handling::WORDS;
use crate::unwind::{Registers, StackCopy};

use super::engine::{Seen, Taken};
use super::handler::RED_ZONE;

/// The largest piece of a stack that is copied.
pub(super) const STACK_CAP: usize = 32 << 10;
/// Bytes in the ring.
const SIZE: u64 = 4 << 20;
/// How often a handler tries to get a place when others are quicker.
const TRIES: u32 = 64;

/// A record before its stack: see [`Place::commit`].
#[repr(C)]
struct Head {
    /// Its length in bytes, and [`PAD`] when nothing is in it. Zero until it is complete.
    word: AtomicU64,
    tid: u64,
    time: u64,
    weight: u64,
    copied: u64,
    vectors: u64,
    registers: [u64; WORDS],
}

const HEAD: u64 = size_of::<Head>() as u64;
/// Words before the registers.
const REGISTERS: usize = std::mem::offset_of!(Head, registers) / 8;
const PAD: u64 = 1;

const _: () = assert!(HEAD.is_multiple_of(8) && SIZE.is_multiple_of(8));

/// The process's one ring: a handler can be given nothing else.
pub(super) static RING: Ring = Ring {
    memory: AtomicPtr::new(std::ptr::null_mut()),
    head: AtomicU64::new(0),
    tail: AtomicU64::new(0),
    lost: AtomicU64::new(0),
    open: AtomicBool::new(false),
};

pub(super) struct Ring {
    memory: AtomicPtr<u8>,
    /// Where the next record will lie; grows for ever, the place is the rest by the size.
    head: AtomicU64,
    tail: AtomicU64,
    lost: AtomicU64,
    open: AtomicBool,
}

/// Room for one record.
pub(super) struct Place {
    head: *mut Head,
    length: u64,
    /// [`WORDS`] words.
    pub registers: *mut u64,
    /// As many bytes as were asked for.
    pub stack: *mut u8,
}

// The handler's half.
impl Ring {
    /// Whether samples are wanted.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// Room for a record with so much stack; nothing, and counted, when there is none.
    pub fn reserve(&self, stack: usize) -> Option<Place> {
        let length = HEAD.wrapping_add(stack as u64).wrapping_add(7) & !7;
        let memory = self.memory.load(Acquire);
        let mut head = self.head.load(Relaxed);
        for _ in 0..TRIES {
            let rest = SIZE.wrapping_sub(head & (SIZE - 1));
            let pad = if rest < length { rest } else { 0 };
            let next = head.wrapping_add(pad).wrapping_add(length);
            if memory.is_null() || next.wrapping_sub(self.tail.load(Acquire)) > SIZE {
                break;
            }
            match self.head.compare_exchange_weak(head, next, AcqRel, Relaxed) {
                Ok(_) => {
                    if pad > 0 {
                        self.word(memory, head).store(pad | PAD, Release);
                    }
                    return Some(self.place(memory, head.wrapping_add(pad), length));
                }
                Err(now) => head = now,
            }
        }
        self.lost.fetch_add(1, Relaxed);
        None
    }

    fn place(&self, memory: *mut u8, at: u64, length: u64) -> Place {
        let head = memory.wrapping_add((at & (SIZE - 1)) as usize).cast::<Head>();
        Place {
            head,
            length,
            registers: head.cast::<u64>().wrapping_add(REGISTERS),
            stack: head.wrapping_add(1).cast(),
        }
    }

    fn word(&self, memory: *mut u8, at: u64) -> &AtomicU64 {
        let word = memory.wrapping_add((at & (SIZE - 1)) as usize).cast::<AtomicU64>();
        // SAFETY: within the mapping, which stays, at a multiple of eight; others touch the word
        // as an atomic only, or while it is theirs alone.
        unsafe { &*word }
    }
}

impl Place {
    /// Completes the record.
    ///
    /// # Safety
    /// The place was reserved by the caller, who has filled in the registers.
    pub unsafe fn commit(self, tid: i32, time: u64, weight: u64, copied: usize, vectors: u64) {
        // SAFETY: the caller's; nobody else reads before the word is stored.
        unsafe {
            (*self.head).tid = tid as u64;
            (*self.head).time = time;
            (*self.head).weight = weight;
            (*self.head).copied = copied as u64;
            (*self.head).vectors = vectors;
            (*self.head).word.store(self.length, Release);
        }
    }
}

// The sampler's half.
impl Ring {
    /// Maps the memory; it stays for the life of the process.
    pub fn map(&self) -> io::Result<()> {
        if self.memory.load(Acquire).is_null() {
            let memory = crate::capture::reserve(SIZE as usize)?;
            // SAFETY: our own fresh mapping. A child of fork has no use for it.
            unsafe { libc::madvise(memory.cast(), SIZE as usize, libc::MADV_DONTFORK) };
            self.memory.store(memory, Release);
        }
        Ok(())
    }

    /// From now on samples are wanted.
    pub fn open(&self) {
        self.drain(&mut |_| {});
        self.lost.store(0, Relaxed);
        self.open.store(true, Release);
    }

    /// Samples are not wanted any more. Those that are complete can still be drained.
    pub fn close(&self) {
        self.open.store(false, Release);
    }

    /// How many found no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Takes all complete records. One caller at a time.
    pub fn drain(&self, take: &mut dyn FnMut(Taken<'_>)) {
        let memory = self.memory.load(Acquire);
        if memory.is_null() {
            return;
        }
        loop {
            let tail = self.tail.load(Relaxed);
            let word = match tail == self.head.load(Acquire) {
                true => 0,
                false => self.word(memory, tail).load(Acquire),
            };
            if word == 0 {
                return;
            }
            let place = self.place(memory, tail, word & !7);
            if word & PAD == 0 {
                take(taken(&place));
            }
            // SAFETY: the record lies within the mapping and is the reader's until the tail moves.
            unsafe { place.head.cast::<u8>().write_bytes(0, (word & !7) as usize) };
            self.tail.store(tail.wrapping_add(word & !7), Release);
        }
    }

    /// Gives the memory back to the kernel, when nobody is writing.
    pub fn release(&self) {
        let memory = self.memory.load(Acquire);
        let is_empty = self.tail.load(Acquire) == self.head.load(Acquire);
        if !memory.is_null() && is_empty && !self.is_open() {
            // SAFETY: the mapping is ours, and all zeros, which is what it reads as afterwards.
            unsafe { libc::madvise(memory.cast(), SIZE as usize, libc::MADV_DONTNEED) };
        }
    }
}

/// A complete record.
fn taken(place: &Place) -> Taken<'_> {
    // SAFETY: complete, so whole and the reader's alone.
    let head = unsafe { &*place.head };
    let room = place.length.saturating_sub(HEAD);
    let length = head.copied.min(room) as usize;
    // SAFETY: the same.
    let bytes = unsafe { std::slice::from_raw_parts(place.stack.cast_const(), length) };
    let registers = Registers::from_context(&head.registers);
    let start = registers.get(Registers::SP).unwrap_or_default().wrapping_sub(RED_ZONE);
    Taken {
        tid: head.tid as i32,
        time: head.time,
        weight: head.weight,
        vectors: head.vectors,
        seen: Seen::Here(registers, StackCopy { start, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        let ring = Ring {
            memory: AtomicPtr::new(std::ptr::null_mut()),
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            open: AtomicBool::new(false),
        };
        ring.map().expect("address space");
        ring
    }

    fn put(ring: &Ring, tid: i32, length: usize) -> bool {
        let Some(place) = ring.reserve(length) else { return false };
        // SAFETY: the place was reserved for that much.
        unsafe {
            place.stack.write_bytes(tid as u8, length);
            place.commit(tid, 1, 1, length, 0);
        }
        true
    }

    fn drained(ring: &Ring) -> Vec<i32> {
        let mut tids = Vec::new();
        ring.drain(&mut |taken| {
            let Seen::Here(_, stack) = taken.seen else { panic!("a sample without a stack") };
            assert!(stack.bytes.iter().all(|&byte| byte == taken.tid as u8));
            tids.push(taken.tid);
        });
        tids
    }

    #[test]
    fn what_is_put_in_comes_out_in_order_many_times_round() {
        let ring = ring();
        for round in 0..400 {
            let lengths = [0, 1, 7000, STACK_CAP, 40];
            (1..).zip(lengths).for_each(|(tid, length)| assert!(put(&ring, tid, length)));
            assert_eq!(drained(&ring), [1, 2, 3, 4, 5], "round {round}");
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_rest_is_whole() {
        let ring = ring();
        let fitted = (0..200).filter(|_| put(&ring, 3, STACK_CAP)).count();
        assert!(fitted < 200 && ring.lost() == 200 - fitted as u64);
        assert_eq!(drained(&ring).len(), fitted);
        assert!(put(&ring, 1, 10));
    }

    #[test]
    fn a_record_that_is_not_complete_holds_back_those_behind_it() {
        let ring = ring();
        let place = ring.reserve(8).expect("room");
        assert!(put(&ring, 2, 8));
        assert_eq!(drained(&ring), [0; 0]);
        // SAFETY: reserved above.
        unsafe {
            place.stack.write_bytes(1, 8);
            place.commit(1, 1, 1, 8, 0);
        }
        assert_eq!(drained(&ring), [1, 2]);
    }

    #[test]
    fn threads_that_put_in_at_once_lose_nothing() {
        let ring = ring();
        let count = std::thread::scope(|scope| {
            let writers: Vec<_> = (1..5)
                .map(|tid| {
                    let ring = &ring;
                    scope.spawn(move || (0..5000).filter(|_| put(ring, tid, 100)).count())
                })
                .collect();
            let mut seen = 0;
            while writers.iter().any(|writer| !writer.is_finished()) {
                seen += drained(&ring).len();
            }
            let put: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            (put, seen + drained(&ring).len())
        });
        assert_eq!(count.0, count.1);
        assert_eq!(count.0 as u64 + ring.lost(), 20_000);
    }
}
