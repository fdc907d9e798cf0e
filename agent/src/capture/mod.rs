//! Ask every thread for its stack.
//!
//! # The contract of this room
//!
//! A thread is asked by a realtime signal that carries a number (generation and slot). Its
//! handler copies the registers and a piece of the stack into the slot and returns; all else
//! happens afterwards, on the thread that asked. The interrupted thread may have been anywhere:
//! inside `malloc` with its lock held, inside the dynamic loader, in another handler, one call
//! away from the end of its stack. So whatever [`handler`] calls, directly or not,
//!
//! - does not allocate and does not free;
//! - takes no lock and waits for nobody;
//! - touches no thread-local variable: its memory may be made on first use;
//! - cannot panic: no indexing, no checked arithmetic, no `unwrap`;
//! - calls nothing in libc or in the dynamic loader, not even `memcpy`: the first call of a
//!   lazily bound function runs the loader. System calls are made by instructions of our own,
//!   which also leaves `errno` alone;
//! - uses well under 1 KiB of stack: the alternate stack that Rust gives its threads has 8 KiB,
//!   of which the kernel takes up to 3.4 KiB;
//! - writes only to memory that was mapped before the handler was installed and is never
//!   unmapped: the slots and the arena of [`slot`];
//! - reads foreign memory plainly only where nobody can unmap it: the piece between the stack
//!   pointer and the thread pointer, when the map of memory shows both in one mapping and they
//!   are no further apart than a copy is long (a thread cannot unmap the stack that it runs
//!   on), and the main thread's stack. All else, coroutine stacks above all, is read by
//!   [`safe_read`], where the kernel finds the hole before we do. If the kernel forbids that,
//!   the registers are all that the slot gets.
//!
//! A slot has one owner at any moment, by its state word `generation << 2 | state`:
//!
//! ```text
//!           coordinator              handler             handler             coordinator
//!   free  --------------> requested ---------> busy ---------------> done --------------> free
//!                             |   compare-and-swap    store, release      load, acquire
//!                             '-----------------> free: the coordinator gives up, and a signal
//!                              compare-and-swap         that comes later finds no request
//! ```
//!
//! Every request has a generation of its own, so a signal that arrives late, twice, by the wrong
//! thread or from somebody else finds no request of its number and changes nothing.
//!
//! What is not promised: a system call with a timeout that a signal interrupts returns `EINTR`
//! even with `SA_RESTART` (`nanosleep`, `poll`, `epoll_wait`, `recv` with a receive timeout); the
//! standard library retries all of these, programs that make them raw may see it. A thread
//! without an alternate stack that has less than the kernel's signal frame left on its own
//! dies as by any other signal; Rust's threads have an alternate stack. A seccomp filter that
//! kills for `process_vm_readv` kills here too.

mod answer;
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod machine;

mod enumerate;
mod handler;
pub(crate) mod handling;
mod install;
mod maps;
mod probe;
mod recurrence;
mod rendezvous;
mod safe_read;
mod sample;
mod slot;

pub(crate) use answer::{Answer, Captured};
pub(crate) use install::{Capturer, Error, handle, install, take_free_signal};
pub(crate) use machine::copy;
pub(crate) use maps::{Mapping, Maps};
pub(crate) use recurrence::recurrence;
pub(crate) use rendezvous::Options;
pub(crate) use safe_read::{read, read_raw};
pub(crate) use sample::{Sample, Samples, digest};
pub(crate) use slot::reserve;
