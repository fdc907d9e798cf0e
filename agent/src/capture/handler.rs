//! The signal handler. See the contract in [the room's page](super).

use core::ffi::{c_int, c_void};

use super::handling::cpu_time;
use super::machine;
use super::safe_read;
use super::slot::{STACK_CAP, Slot, StackMappings, TABLE};

/// The value that travels with the signal: which request it is.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub generation: u32,
    pub slot: u32,
}

impl Ticket {
    pub fn to_value(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    fn from_value(value: u64) -> Ticket {
        Ticket { generation: (value >> 32) as u32, slot: value as u32 }
    }
}

/// What the kernel is told and tells about a queued signal: `siginfo_t` of a 64-bit Linux.
#[repr(C)]
pub(super) struct Queued {
    pub signal: c_int,
    pub error: c_int,
    pub code: c_int,
    pub padding: c_int,
    pub sender: c_int,
    pub user: u32,
    pub value: u64,
    pub rest: [u64; 12],
}

const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>());

/// Answers the request that the signal carries, if there is one.
///
/// # Safety
/// To be called by the kernel, as the handler of a signal with `SA_SIGINFO`.
pub(super) unsafe extern "C" fn answer(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let begun = machine::ticks();
    let queued = info.cast::<Queued>();
    // SAFETY: the kernel gives a whole siginfo to a handler with SA_SIGINFO.
    let (code, value) = unsafe { ((*queued).code, (*queued).value) };
    // SAFETY: gettid takes nothing.
    let tid = unsafe { machine::syscall(libc::SYS_gettid, [0; 6]) } as i32;
    let ticket = Ticket::from_value(value);
    if code != libc::SI_QUEUE {
        return;
    }
    if let Some(slot) = TABLE.claim(ticket.slot, ticket.generation, tid) {
        // SAFETY: the context is the kernel's, the slot is ours since we claimed it.
        unsafe { fill(slot, context, begun) };
        TABLE.count_answer();
    }
}

/// Bytes below the stack pointer that signals leave alone.
const RED_ZONE: u64 = 128;
/// What a sample looks at of the stack: the locals of the loop that runs, in all likelihood.
const STACK_TOP: usize = 1024;
/// What follows it in a sample: the vector registers, condensed.
const VECTORS: usize = size_of::<u64>();

const _: () = assert!(STACK_TOP + VECTORS <= STACK_CAP);

/// Copies registers and stack into a claimed slot, and gives it back.
///
/// # Safety
/// `context` is the third argument of the handler, and the slot was claimed by the caller.
unsafe fn fill(slot: &Slot, context: *const c_void, begun: u64) {
    // SAFETY: both places hold that many words.
    let sp = unsafe {
        let registers = machine::registers(context);
        let bytes = machine::WORDS.wrapping_mul(8);
        machine::copy(registers.cast(), slot.registers_place().cast(), bytes);
        *registers.wrapping_add(machine::SP_WORD)
    };
    let place = TABLE.stack_place(slot);
    if slot.wants_stack() {
        // SAFETY: the slot's place is ours alone while it is busy.
        let copied = unsafe { copy_stack(sp, slot.tid(), place) };
        slot.finish(copied, 0, begun);
    } else {
        // SAFETY: the same; a leaf function may keep its locals below the stack pointer.
        let copied = unsafe { safe_read::read_raw(sp.wrapping_sub(RED_ZONE), place, STACK_TOP) };
        // SAFETY: the context is the kernel's; the place is longer than the top of a stack.
        unsafe {
            let vectors = machine::vectors(context).to_ne_bytes();
            machine::copy(vectors.as_ptr(), place.wrapping_add(copied), VECTORS);
        }
        slot.finish(copied.wrapping_add(VECTORS), cpu_time(), begun);
    }
}

/// Copies the stack from the stack pointer upwards; how many bytes.
///
/// # Safety
/// [`STACK_CAP`] bytes are writable at `to`, and this thread's frames lie above `sp`.
unsafe fn copy_stack(sp: u64, tid: i32, to: *mut u8) -> usize {
    match reach(sp, tid) {
        Reach::Certain(length) => {
            // SAFETY: the stack on which this thread runs lies there: nobody unmaps it now.
            unsafe { machine::copy(sp as *const u8, to, length) };
            length
        }
        // SAFETY: the caller's place, and no more than the cap.
        Reach::Doubtful(length) => unsafe { safe_read::read_raw(sp, to, length) },
    }
}

/// How far a stack may be read, and how.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    /// Plainly: the memory cannot go away.
    Certain(usize),
    /// Through the kernel.
    Doubtful(usize),
}

fn reach(sp: u64, tid: i32) -> Reach {
    // SAFETY: getpid takes nothing.
    let is_main = unsafe { machine::syscall(libc::SYS_getpid, [0; 6]) } as i32 == tid;
    match TABLE.mappings() {
        Some(mappings) => reach_in(mappings, sp, machine::thread_pointer(), is_main),
        None => Reach::Doubtful(STACK_CAP),
    }
}

fn reach_in(mappings: &StackMappings, sp: u64, thread_pointer: u64, is_main: bool) -> Reach {
    let (main_start, main_end) = mappings.main;
    if is_main && main_start <= sp && sp < main_end {
        return Reach::Certain(up_to(sp, main_end));
    }
    match mappings.find(sp) {
        Some((_, end)) if sp < thread_pointer && thread_pointer < end => {
            let length = up_to(sp, thread_pointer);
            let whole = length as u64 == thread_pointer.wrapping_sub(sp);
            if whole { Reach::Certain(length) } else { Reach::Doubtful(length) }
        }
        Some((_, end)) => Reach::Doubtful(up_to(sp, end)),
        None => Reach::Doubtful(STACK_CAP),
    }
}

fn up_to(sp: u64, end: u64) -> usize {
    let length = end.wrapping_sub(sp);
    if length < STACK_CAP as u64 { length as usize } else { STACK_CAP }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: (u64, u64) = (0x10_0000, 0x90_0000);

    fn reach_of(sp: u64, thread_pointer: u64, is_main: bool) -> Reach {
        let mappings = StackMappings {
            writable: vec![STACK, (0xa0_0000, 0xa0_8000)],
            main: (0xf0_0000, 0xf4_0000),
        };
        reach_in(&mappings, sp, thread_pointer, is_main)
    }

    #[test]
    fn a_shallow_stack_below_its_thread_pointer_is_copied_plainly() {
        assert_eq!(reach_of(0x8f_0000, 0x8f_e000, false), Reach::Certain(0xe000));
    }

    #[test]
    fn a_deep_stack_goes_through_the_kernel() {
        assert_eq!(reach_of(0x80_0000, 0x8f_e000, false), Reach::Doubtful(STACK_CAP));
    }

    #[test]
    fn a_coroutine_stack_goes_through_the_kernel_and_stops_at_its_mapping() {
        assert_eq!(reach_of(0xa0_7000, 0x8f_e000, false), Reach::Doubtful(0x1000));
        assert_eq!(reach_of(0xb0_0000, 0x8f_e000, false), Reach::Doubtful(STACK_CAP));
        assert_eq!(reach_of(0xa0_7000, 0x8f_e000, true), Reach::Doubtful(0x1000));
    }

    #[test]
    fn the_main_stack_is_copied_plainly_by_the_main_thread_only() {
        assert_eq!(reach_of(0xf3_0000, 0x8f_e000, true), Reach::Certain(STACK_CAP));
        assert_eq!(reach_of(0xf3_f000, 0x8f_e000, true), Reach::Certain(0x1000));
        assert_eq!(reach_of(0xf3_f000, 0x8f_e000, false), Reach::Doubtful(STACK_CAP));
    }
}
