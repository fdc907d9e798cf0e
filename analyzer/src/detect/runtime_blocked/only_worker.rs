//! The only thread of an async runtime that waits for a lock of the standard library within the poll of a task, where
//! nobody gives the lock back and nobody else is in the code that uses it: what `runtime-blocked` says of a lock.
//!
//! ```text
//! Mutex::lock < Sluices::raise::{{closure}} < LocalSet::tick < current_thread::CoreGuard::block_on
//! ```
//!
//! All tasks of a `current_thread` runtime are polled by the thread that is in its `block_on`
//! (<https://docs.rs/tokio/latest/tokio/runtime/index.html#current-thread-scheduler>). A task that keeps the guard across an
//! `await` is suspended and on no stack, and gives the lock back when it is polled again, which is never then. That one of
//! them has it is likely and not known; that no task of the runtime goes on is.

use sigquit_dump::Nanos;

use crate::detect::{Finding, Severity, phrase, runtime_blocked};
use crate::model::pattern::matches_any;
use crate::model::{Incident, MemberId};

/// A runtime of one thread.
const ONE_THREAD: &[&str] = &["tokio::runtime::scheduler::current_thread::*block_on*"];
/// The poll of a task that was spawned; what is awaited in `block_on` itself may be alone there.
const POLLS: &[&str] =
    &["tokio::runtime::task::harness::*poll*", "tokio::runtime::task::raw::*poll*"];

/// Whether a member polls a task of a runtime that has no other thread.
pub(in crate::detect) fn runs_all_tasks(incident: &Incident, id: MemberId, dump: usize) -> bool {
    // Innermost first.
    let mut calls = incident.calls(id, dump);
    calls.any(|call| matches_any(POLLS, &call.function))
        && calls.any(|call| matches_any(ONE_THREAD, &call.function))
}

/// What is told of it, made of what is told of the lock.
pub(in crate::detect) fn finding(
    incident: &Incident,
    id: MemberId,
    dump: usize,
    time: Nanos,
    of_lock: Finding,
) -> Finding {
    let who = phrase::who(incident, id);
    let place = phrase::place(incident, id, dump).unwrap_or_else(|| "its innermost call".into());
    Finding {
        detector: runtime_blocked::DETECTOR.name,
        severity: Severity::Medium,
        headline: format!(
            "{who}, the only thread of an async runtime, waits within a poll for a lock that nobody has given back for \
             {}; none of its tasks goes on, and if one of them has the lock, none ever will",
            phrase::duration(time),
        ),
        detail: format!(
            "It waits in {place}, and was not woken, as it is when the lock is given back. Nobody else is in the code \
             that uses the lock. A task that keeps it across an await is on no stack, and would have to be polled by \
             this thread to give it back: that one does is likely, and not known."
        ),
        next_step: format!(
            "Restart the process if the thread stays there. In the code, look for a guard of the lock that {place} takes \
             which is kept across an `.await` (`clippy::await_holding_lock` finds them): end its scope before, or use \
             the runtime's own lock."
        ),
        members: vec![id],
        victims: Vec::new(),
        holders: vec![id],
        frames: phrase::telling_frames(incident, id, dump),
        ..of_lock
    }
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{LockKind, Runtime, WaitFor};

    use super::*;
    use crate::detect::stuck_lock_owner;
    use crate::model::scene::{Draw, Scene};

    const POLL: &str = "tokio::runtime::task::harness::poll_future";
    const ONE: &str = "tokio::runtime::scheduler::current_thread::CurrentThread::block_on";
    const MANY: &str = "tokio::runtime::scheduler::multi_thread::worker::Context::run";

    /// One who waits for a mutex below these, and another stack.
    fn found(below: &[&str], other: &[&str]) -> Vec<(&'static str, Severity)> {
        let scene = (0..3).fold(Scene::of(Runtime::Rust), |scene, second| {
            scene.dump(second, |dump| {
                let lock = dump.lock(LockKind::Mutex, 0x10);
                let stack = [&["syscall", "std::sys::Mutex::lock", "shop::Stock::raise:9"], below];
                let thread = dump.thread("mover", &stack.concat());
                thread.waits(lock, WaitFor::Exclusive).cpu = Some(Nanos(0));
                dump.thread("other", other).cpu = Some(Nanos::from_millis(300 * second));
            })
        });
        let findings = (stuck_lock_owner::DETECTOR.detect)(&scene.incident());
        findings.iter().map(|finding| (finding.detector, finding.severity)).collect()
    }

    const ELSEWHERE: &[&str] = &["shop::Mail::send:4"];

    #[test]
    fn the_only_thread_of_a_runtime_stops_all_of_its_tasks() {
        let blocked = ("runtime-blocked", Severity::Medium);
        assert_eq!(found(&[POLL, ONE], ELSEWHERE), [blocked]);
    }

    #[test]
    fn where_others_poll_or_may_have_the_lock_it_is_the_lock_that_is_told_of() {
        let lock = ("stuck-lock-owner", Severity::Low);
        assert_eq!(found(&[POLL, MANY], ELSEWHERE), [lock], "others poll");
        assert_eq!(found(&[ONE], ELSEWHERE), [lock], "no task but this one is known");
        assert_eq!(found(&[POLL, ONE], &["fsync", "shop::Stock::save:4"]), [lock]);
    }
}
