//! Loops that wait, known by the functions that they call and by what they are called.

use crate::model::pattern::matches_any;
use crate::model::{FunctionName, words};

/// What makes a function a part of a wait loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::detect) enum WaitSign {
    /// It looks at a word that others change. Honest work does that in passing.
    Look,
    /// It gives the CPU away and is at once ready again. Honest work does that too.
    Yield,
    /// It tries to take something that another has: a compare-and-swap, a try-lock.
    Attempt,
    /// Its name says that it spins or waits.
    Name,
    /// It tells the CPU that this is a spin-wait loop.
    Hint,
}

/// What a function says of a wait loop.
pub(super) fn wait_sign(function: &str) -> Option<WaitSign> {
    if matches_any(HINTS, function) {
        Some(WaitSign::Hint)
    } else if is_yield(function) {
        Some(WaitSign::Yield)
    } else if has_phrase(function, ATTEMPTS) {
        Some(WaitSign::Attempt)
    } else if names_a_wait(function) {
        Some(WaitSign::Name)
    } else {
        matches_any(LOOKS, function).then_some(WaitSign::Look)
    }
}

/// Whether a function gives the CPU away and is at once ready again.
pub(super) fn is_yield(function: &str) -> bool {
    matches_any(YIELDS, function)
}

const HINTS: &[&str] = &[
    "*::spin_loop",
    "*::spin_loop_hint",
    "*::_mm_pause",
    "_mm_pause",
    "java.lang.Thread.onSpinWait",
    "runtime.procyield*",
    "sync.runtime_doSpin",
    "internal/sync.runtime_doSpin",
    "crossbeam_utils::backoff::Backoff::*",
];

const YIELDS: &[&str] = &[
    "*::yield_now",
    "sched_yield",
    "__sched_yield",
    "thrd_yield",
    "java.lang.Thread.yield",
    "java.lang.Thread.yield0",
    "runtime.Gosched",
    "runtime.osyield*",
];

const LOOKS: &[&str] = &[
    "sync/atomic.Load*",
    "sync/atomic.(*).Load*",
    "internal/runtime/atomic.Load*",
    "core::sync::atomic::Atomic*::load",
    "core::sync::atomic::atomic_load",
    "java.util.concurrent.atomic.Atomic*.get",
    "java.util.concurrent.atomic.Atomic*.getPlain",
    "java.util.concurrent.atomic.Atomic*.getOpaque",
    "java.util.concurrent.atomic.Atomic*.getAcquire",
];

/// Loops that are meant to burn a CPU, for the sake of latency.
pub(super) const DELIBERATE: &[&str] = &[
    "com.lmax.disruptor.*WaitStrategy.*",
    "org.agrona.concurrent.*IdleStrategy.*",
    "net.openhft.*.Pauser.*",
    "net.openhft.*Pauser.*",
    "io.aeron.*",
];

/// Words with which a method's name begins that makes an attempt.
const ATTEMPTS: &[&[&str]] = &[
    &["compare", "exchange"],
    &["compare", "and", "swap"],
    &["compare", "and", "set"],
    &["compare", "and", "exchange"],
    &["weak", "compare", "and"],
    &["atomic", "compare", "exchange"],
    &["cas"],
    &["try", "lock"],
    &["trylock"],
    &["try", "acquire"],
    &["try", "enter"],
];

fn has_phrase(function: &str, phrases: &[&[&str]]) -> bool {
    let words = words(FunctionName::of(function).method);
    phrases.iter().any(|phrase| {
        words.iter().map(String::as_str).take(phrase.len()).eq(phrase.iter().copied())
    })
}

/// Words anywhere in a method's name that mean a spin.
const SPINS: &[&str] =
    &["spin", "spins", "spinning", "spinlock", "spinwait", "busywait", "backoff"];
/// Words with which the name of a method begins that waits.
const WAITS: &[&[&str]] = &[
    &["wait"],
    &["await"],
    &["busy", "wait"],
    &["do", "wait"],
    &["poll", "until"],
    &["loop", "until"],
    &["block", "until"],
];
/// Words with which a method of a spin lock begins that takes it.
const TAKES: &[&[&str]] = &[&["lock"], &["acquire"], &["enter"], &["read"], &["write"], &["wait"]];

fn names_a_wait(function: &str) -> bool {
    let name = FunctionName::of(function);
    let spins = |identifier| words(identifier).iter().any(|word| SPINS.contains(&word.as_str()));
    spins(name.method)
        || has_phrase(function, WAITS)
        || spins(name.type_name) && has_phrase(function, TAKES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_loops_are_known_by_what_they_call_and_are_called() {
        for (function, expected) in [
            ("core::hint::spin_loop", WaitSign::Hint),
            ("java.lang.Thread.onSpinWait", WaitSign::Hint),
            ("std::thread::yield_now", WaitSign::Yield),
            ("runtime.Gosched", WaitSign::Yield),
            ("core::sync::atomic::AtomicBool::compare_exchange_weak", WaitSign::Attempt),
            ("sync/atomic.CompareAndSwapInt32", WaitSign::Attempt),
            ("java.util.concurrent.locks.ReentrantLock.tryLock", WaitSign::Attempt),
            ("main.(*SpinLock).Lock", WaitSign::Name),
            ("main.(*SpinLock).LockPolite", WaitSign::Name),
            ("cart.Bus.spin", WaitSign::Name),
            ("order::start::wait_until_ready", WaitSign::Name),
            ("order::start::busy_wait_for", WaitSign::Name),
            ("sync/atomic.(*Bool).Load", WaitSign::Look),
            ("java.util.concurrent.atomic.AtomicBoolean.get", WaitSign::Look),
        ] {
            assert_eq!(wait_sign(function), Some(expected), "{function}");
        }
    }

    #[test]
    fn other_functions_say_nothing() {
        for function in [
            "order::spindle::turn",
            "java.util.HashMap.get",
            "main.(*Block).Update",
            "order::waiter_count",
            "main.(*Mutex).Lock",
            "order::casual",
            "java.util.concurrent.atomic.AtomicLong.getAndIncrement",
            "main.(*Config).Load",
            "sorted",
        ] {
            assert_eq!(wait_sign(function), None, "{function}");
        }
    }
}
