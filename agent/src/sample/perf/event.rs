//! One event: the CPU clock of one thread on one CPU.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The kernel's `perf_event_attr`, as long as its fifth version.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    config1: u64,
    config2: u64,
    branches: u64,
    user_registers: u64,
    user_stack: u32,
    clock: i32,
    interrupted_registers: u64,
    aux_watermark: u32,
    most_frames: u16,
    reserved: u16,
}

const _: () = assert!(size_of::<Attributes>() == 112, "PERF_ATTR_SIZE_VER5");

/// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_TASK_CLOCK`.
const SOFTWARE: u32 = 1;
const TASK_CLOCK: u64 = 1;
/// `PERF_SAMPLE_TID`, `_TIME`, `_READ`, `_REGS_USER`, `_STACK_USER`.
const SAMPLE: u64 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 12 | 1 << 13;
/// `disabled`, `exclude_kernel`, `exclude_hv`, `use_clockid`.
const FLAGS: u64 = 1 | 1 << 5 | 1 << 6 | 1 << 25;
/// The general registers and the instruction pointer, in the order in which the kernel numbers
/// them; without flags and segments.
pub(super) const REGISTERS: u64 = 0x1ff | 0xff << 16;
/// How much of the stack is copied.
pub(super) const STACK: u32 = 16 << 10;

const CLOSE_ON_EXEC: usize = 8;
const ENABLE: libc::c_ulong = 0x2400;
const DISABLE: libc::c_ulong = 0x2401;
const SET_OUTPUT: libc::c_ulong = 0x2405;

/// Opens a disabled event of a thread; 0 is the calling one.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn open(tid: i32, cpu: i32, rate: u32, samples: bool) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config: TASK_CLOCK,
        period: if samples { 1_000_000_000 / u64::from(rate.max(1)) } else { 0 },
        sample_type: SAMPLE,
        flags: FLAGS,
        user_registers: REGISTERS,
        user_stack: STACK,
        clock: libc::CLOCK_MONOTONIC,
        ..Attributes::default()
    };
    let attributes = &raw const attributes;
    // SAFETY: the attributes outlive the call; the descriptor that comes back is ours.
    unsafe {
        match libc::syscall(libc::SYS_perf_event_open, attributes, tid, cpu, -1, CLOSE_ON_EXEC) {
            descriptor @ 0.. => Ok(OwnedFd::from_raw_fd(descriptor as RawFd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Makes an event write into the ring of another.
pub(super) fn write_to(event: &OwnedFd, other: RawFd) -> io::Result<()> {
    ask(event, SET_OUTPUT, other as libc::c_ulong)
}

/// From now on it counts.
pub(super) fn enable(event: &OwnedFd) -> io::Result<()> {
    ask(event, ENABLE, 0)
}

/// It counts no more. Closing it has the same effect, and so nothing is lost when this fails.
pub(super) fn disable(event: &OwnedFd) {
    let _ = ask(event, DISABLE, 0);
}

fn ask(event: &OwnedFd, what: libc::c_ulong, argument: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the requests take a number and touch no memory of ours.
    match unsafe { libc::ioctl(event.as_raw_fd(), what, argument) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
