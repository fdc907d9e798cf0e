//! The traced poll: what the executor's thread does when a dump wants to know where a task waits.

use std::future::Future;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use sigquit_dump::Trace;

use super::super::here;
use super::log::Log;
use super::machine;
use super::{Visit, machine::SP_WORD};

/// Takes the visit that a dump wants of a task, when the dump still wants it.
#[cold]
pub(in super::super) fn accept(word: &AtomicU64) -> Option<Accepted> {
    let visit = Visit::from_word(word.swap(0, AcqRel));
    Log::enter(visit).map(|_| Accepted(visit))
}

/// A visit that was taken.
pub(in super::super) struct Accepted(Visit);

/// Polls a future, and leaves in the log where it leaves its waker.
#[inline(never)]
pub(in super::super) fn poll<F: Future>(
    accepted: Accepted,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let watch = Watch {
        real: context.waker(),
        visit: accepted.0,
        base: machine::registers()[SP_WORD],
        tid: here::tid(),
        was_left: AtomicBool::new(false),
        was_woken: AtomicBool::new(false),
    };
    let mut poll =
        Watched { watch: &watch, outer: here::set_tracing(true), outcome: Trace::Finished };
    // SAFETY: the table's functions take a pointer to a Watch, and this one outlives the waker.
    // It is never dropped: its drop would do nothing.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(watch.raw()) });
    // Called through a pointer that the compiler cannot see through: the future's own poll is then
    // a frame of its own, and everything above this one is the task's.
    let poll_of: fn(Pin<&mut F>, &mut Context<'_>) -> Poll<F::Output> = F::poll;
    let polled = black_box(poll_of)(future, &mut Context::from_waker(&waker));
    if polled.is_pending() {
        poll.outcome = watch.outcome();
    }
    polled
}

/// A traced poll under way. When this is dropped without another word, it was the future's last:
/// it is done, or it panicked.
struct Watched<'a> {
    watch: &'a Watch<'a>,
    outer: bool,
    outcome: Trace,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        here::set_tracing(self.outer);
        if let Some(writer) = Log::enter(self.watch.visit) {
            writer.outcome(self.outcome);
        }
    }
}

/// What the looking waker knows.
struct Watch<'a> {
    real: &'a Waker,
    visit: Visit,
    /// The stack pointer of the traced poll.
    base: u64,
    /// The thread that polls. Another may copy the waker meanwhile; its stack tells nothing.
    tid: u32,
    was_left: AtomicBool,
    was_woken: AtomicBool,
}

impl Watch<'_> {
    fn raw(&self) -> RawWaker {
        RawWaker::new((&raw const *self).cast(), &LOOKING)
    }

    fn outcome(&self) -> Trace {
        match (self.was_woken.load(Relaxed), self.was_left.load(Relaxed)) {
            (true, _) => Trace::Yielded,
            (false, true) => Trace::Pending,
            (false, false) => Trace::NoWaker,
        }
    }

    fn look(&self, registers: &[u64; machine::WORDS]) {
        if here::tid() != self.tid {
            return;
        }
        if let Some(writer) = Log::enter(self.visit) {
            writer.look(registers, self.base);
        }
    }
}

static LOOKING: RawWakerVTable = RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, drop_nothing);

/// # Safety
/// `watch` points to a [`Watch`], as all wakers of this table have it.
unsafe fn clone(watch: *const ()) -> RawWaker {
    let registers = machine::registers();
    // SAFETY: the caller's; the poll that made the watch is under way.
    let watch = unsafe { &*watch.cast::<Watch<'_>>() };
    watch.was_left.store(true, Relaxed);
    watch.look(&registers);
    let real = ManuallyDrop::new(watch.real.clone());
    RawWaker::new(real.data(), real.vtable())
}

/// # Safety
/// As for [`clone`].
unsafe fn wake_by_ref(watch: *const ()) {
    let registers = machine::registers();
    // SAFETY: the caller's; the poll that made the watch is under way.
    let watch = unsafe { &*watch.cast::<Watch<'_>>() };
    watch.was_woken.store(true, Relaxed);
    watch.look(&registers);
    watch.real.wake_by_ref();
}

/// # Safety
/// None is needed.
unsafe fn drop_nothing(_: *const ()) {}
