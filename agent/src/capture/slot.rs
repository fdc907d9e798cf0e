//! The preallocated place in which a thread leaves its registers and a piece of its stack.
//!
//! ```text
//! slots    | 0 | 1 | 2 | ...              state, request, registers
//! arena    | 64 KiB | 64 KiB | ...        the copied stack of slot 0, 1, ...
//! ```
//!
//! Both are address space only until a capture needs them: the arena's memory is given back
//! after each. More threads than slots are asked in turn, as slots are emptied.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

use super::machine;

/// How many threads can be asked and not yet unwound.
pub(super) const SLOTS: usize = 512;
/// The longest piece of stack that is copied.
pub(super) const STACK_CAP: usize = 64 * 1024;
/// What most stacks need: present before the handler runs, so that it seldom faults.
const PREFAULT: usize = 8 * 1024;

/// What a slot's state word says beside the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Requested,
    Busy,
    Done,
}

fn word(generation: u32, state: State) -> u64 {
    u64::from(generation) << 2 | state as u64
}

/// One slot. All fields but the state belong to whom the state says.
#[repr(C, align(64))]
pub(super) struct Slot {
    state: AtomicU64,
    /// Which thread is asked.
    tid: AtomicI32,
    /// Its whole stack is wanted, not its registers and the top of the stack alone.
    wants_stack: AtomicBool,
    /// How long the handler took so far, in the CPU's ticks.
    ticks: AtomicU64,
    /// The thread's CPU time, in nanoseconds, when the stack was not wanted.
    cpu: AtomicU64,
    /// Bytes of stack in the arena.
    copied: AtomicUsize,
    registers: UnsafeCell<[u64; machine::WORDS]>,
}

// SAFETY: the registers are written by the one handler that claimed the slot and read after its
// release store of `Done` was seen; everything else is atomic.
unsafe impl Sync for Slot {}

/// What a thread left in its slot.
pub(super) struct Left<'a> {
    pub registers: &'a [u64; machine::WORDS],
    pub stack: &'a [u8],
    pub ticks: u64,
    pub cpu: u64,
}

/// Where stacks can be copied plainly: read from the map of memory before a capture.
#[derive(Default)]
pub(super) struct StackMappings {
    /// Writable private mappings, in the order of addresses: first address, end.
    pub writable: Vec<(u64, u64)>,
    /// The main thread's stack.
    pub main: (u64, u64),
}

impl StackMappings {
    /// The mapping that holds an address. Runs in the handler.
    pub fn find(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.writable.partition_point(|mapping| mapping.0 <= address);
        let mapping = *self.writable.get(after.wrapping_sub(1))?;
        (address < mapping.1).then_some(mapping)
    }
}

/// All slots, and how the handlers tell the coordinator that they are done.
pub(super) struct Table {
    slots: AtomicPtr<Slot>,
    arena: AtomicPtr<u8>,
    mappings: AtomicPtr<StackMappings>,
    /// Answers since the table was made.
    answers: AtomicU32,
    /// The answer that is to ring.
    ring_at: AtomicU32,
    /// A futex: one when it has been rung.
    bell: AtomicU32,
}

/// The process's one table: a handler can be given nothing else.
pub(super) static TABLE: Table = Table {
    slots: AtomicPtr::new(std::ptr::null_mut()),
    arena: AtomicPtr::new(std::ptr::null_mut()),
    mappings: AtomicPtr::new(std::ptr::null_mut()),
    answers: AtomicU32::new(0),
    ring_at: AtomicU32::new(0),
    bell: AtomicU32::new(0),
};

// The handler's half.
impl Table {
    /// The slot that waits for this thread's answer to this request: from now on the caller's.
    pub fn claim(&self, index: u32, generation: u32, tid: i32) -> Option<&Slot> {
        let slot = self.slot(index)?;
        let (from, to) = (word(generation, State::Requested), word(generation, State::Busy));
        let asked = slot.state.load(Acquire) == from && slot.tid.load(Relaxed) == tid;
        let claimed = asked && slot.state.compare_exchange(from, to, Acquire, Relaxed).is_ok();
        claimed.then_some(slot)
    }

    /// Where stacks can be copied plainly.
    pub fn mappings(&self) -> Option<&StackMappings> {
        // SAFETY: what is published stays alive while any slot is busy.
        unsafe { self.mappings.load(Acquire).as_ref() }
    }

    /// The place for the stack of a slot: [`STACK_CAP`] bytes.
    pub fn stack_place(&self, slot: &Slot) -> *mut u8 {
        let index = (&raw const *slot as usize).wrapping_sub(self.slots.load(Relaxed) as usize)
            / size_of::<Slot>();
        self.arena.load(Relaxed).wrapping_add(index.wrapping_mul(STACK_CAP))
    }

    /// Counts an answer, and wakes the coordinator when it waits for this one.
    pub fn count_answer(&self) {
        let answers = self.answers.fetch_add(1, SeqCst).wrapping_add(1);
        if answers == self.ring_at.load(SeqCst) {
            self.bell.store(1, SeqCst);
            let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            let bell = self.bell.as_ptr() as usize;
            // SAFETY: the bell lives for ever.
            unsafe { machine::syscall(libc::SYS_futex, [bell, wake as usize, 1, 0, 0, 0]) };
        }
    }
}

impl Slot {
    /// Whether the stack is wanted.
    pub fn wants_stack(&self) -> bool {
        self.wants_stack.load(Relaxed)
    }

    /// Whose answer this is.
    pub fn tid(&self) -> i32 {
        self.tid.load(Relaxed)
    }

    /// The place for the registers: [`machine::WORDS`] words.
    pub fn registers_place(&self) -> *mut u64 {
        self.registers.get().cast()
    }

    /// Gives the slot back to the coordinator, by the handler that claimed it.
    pub fn finish(&self, copied: usize, cpu: u64, begun: u64) {
        self.copied.store(copied, Relaxed);
        self.cpu.store(cpu, Relaxed);
        self.ticks.store(machine::ticks().wrapping_sub(begun), Relaxed);
        let busy = self.state.load(Relaxed);
        self.state.store(busy & !3 | State::Done as u64, Release);
    }
}

// The coordinator's half.
impl Table {
    /// Maps slots and arena; they stay for the life of the process.
    pub fn map(&self) -> io::Result<()> {
        if self.slots.load(Acquire).is_null() {
            let slots = reserve(SLOTS * size_of::<Slot>())?;
            let arena = reserve(SLOTS * STACK_CAP)?;
            // SAFETY: our own fresh mapping. A child of fork has no use for copied stacks.
            unsafe { libc::madvise(arena.cast(), SLOTS * STACK_CAP, libc::MADV_DONTFORK) };
            self.arena.store(arena, Release);
            self.slots.store(slots.cast(), Release);
        }
        Ok(())
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let slots = self.slots.load(Acquire);
        if slots.is_null() || index as usize >= SLOTS {
            return None;
        }
        // SAFETY: the mapping holds SLOTS slots, zeroed by the kernel, which is a free slot of
        // generation zero, and it is never unmapped.
        unsafe { slots.wrapping_add(index as usize).as_ref() }
    }

    /// Publishes where stacks can be copied plainly, and takes back what was published before.
    pub fn publish(&self, mappings: Box<StackMappings>) -> Option<Box<StackMappings>> {
        let old = self.mappings.swap(Box::into_raw(mappings), SeqCst);
        // SAFETY: it came from a box, and nobody else can take it back.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }

    /// Makes memory for a slot's stack present, as far as most stacks reach.
    pub fn prefault(&self, index: u32) {
        let place = self.arena.load(Relaxed).wrapping_add(index as usize * STACK_CAP);
        // SAFETY: within the arena, which is ours. A kernel that does not know the advice
        // refuses it, and the handler takes the page faults.
        unsafe { libc::madvise(place.cast(), PREFAULT, libc::MADV_POPULATE_WRITE) };
    }

    /// Gives the arena's memory back to the kernel; its address space stays.
    pub fn release(&self) {
        let arena = self.arena.load(Relaxed);
        // SAFETY: the arena is ours, and nobody relies on what it holds between captures.
        unsafe { libc::madvise(arena.cast(), SLOTS * STACK_CAP, libc::MADV_DONTNEED) };
    }

    /// Writes a request into a free slot.
    pub fn request(&self, index: u32, generation: u32, tid: i32, wants_stack: bool) {
        let Some(slot) = self.slot(index) else { return };
        slot.tid.store(tid, Relaxed);
        slot.wants_stack.store(wants_stack, Relaxed);
        slot.state.store(word(generation, State::Requested), Release);
    }

    /// What has become of a request.
    pub fn state(&self, index: u32) -> State {
        match self.slot(index).map_or(0, |slot| slot.state.load(Acquire) & 3) {
            0 => State::Free,
            1 => State::Requested,
            2 => State::Busy,
            _ => State::Done,
        }
    }

    /// Takes a request back, unless the thread has begun to answer.
    pub fn cancel(&self, index: u32, generation: u32) -> bool {
        let (from, to) = (word(generation, State::Requested), word(generation, State::Free));
        let cancel = |slot: &Slot| slot.state.compare_exchange(from, to, SeqCst, Relaxed).is_ok();
        self.slot(index).is_some_and(cancel)
    }

    /// Marks an answered slot as free.
    pub fn free(&self, index: u32, generation: u32) {
        if let Some(slot) = self.slot(index) {
            slot.state.store(word(generation, State::Free), Release);
        }
    }

    /// What a thread left, once its slot is done and until it is freed.
    pub fn left(&self, index: u32) -> Option<Left<'_>> {
        let slot = self.slot(index).filter(|_| self.state(index) == State::Done)?;
        let length = slot.copied.load(Relaxed).min(STACK_CAP);
        // SAFETY: the handler has written that many bytes and all registers before the release
        // store of `Done`, and no handler can claim the slot before it is freed and requested.
        let (registers, stack) = unsafe {
            let stack = std::slice::from_raw_parts(self.stack_place(slot), length);
            (&*slot.registers.get(), stack)
        };
        let (ticks, cpu) = (slot.ticks.load(Relaxed), slot.cpu.load(Relaxed));
        Some(Left { registers, stack, ticks, cpu })
    }

    /// How many answers have come so far.
    pub fn answers(&self) -> u32 {
        self.answers.load(SeqCst)
    }

    /// Sleeps until that answer has come, or the time is over.
    pub fn wait_for_answer(&self, number: u32, timeout: std::time::Duration) {
        self.bell.store(0, SeqCst);
        self.ring_at.store(number, SeqCst);
        if self.answers().wrapping_sub(number) as i32 >= 0 {
            return;
        }
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
        };
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        let bell = self.bell.as_ptr();
        // SAFETY: the bell lives for ever, the timeout outlives the call. Whatever woke us, the
        // caller looks at the slots again.
        unsafe { libc::syscall(libc::SYS_futex, bell, wait, 0, &raw const timeout) };
    }
}

/// Address space of our own, zeros when first read.
pub(crate) fn reserve(length: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, rights, flags, -1, 0) };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address.cast()) }
}

const _: () = assert!(size_of::<Slot>() <= 512, "the slots of an idle agent stay below 512 KiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_and_the_request_that_match_claim_a_slot_and_only_once() {
        TABLE.map().expect("address space");
        let last = SLOTS as u32 - 1;
        TABLE.request(last, 7, 42, true);
        assert!(TABLE.claim(last, 6, 42).is_none(), "an old request");
        assert!(TABLE.claim(last, 7, 43).is_none(), "another thread");
        assert!(TABLE.claim(SLOTS as u32, 7, 42).is_none(), "no such slot");
        let slot = TABLE.claim(last, 7, 42).expect("it was asked");
        assert!(TABLE.claim(last, 7, 42).is_none(), "it answers already");
        assert!(!TABLE.cancel(last, 7), "it answers already");
        slot.finish(0, 0, machine::ticks());
        assert_eq!(TABLE.state(last), State::Done);
        TABLE.free(last, 7);
        TABLE.request(last, 8, 42, true);
        assert!(TABLE.cancel(last, 8));
        assert!(TABLE.claim(last, 8, 42).is_none(), "a late signal");
    }
}
