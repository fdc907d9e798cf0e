//! What a runtime's own words mean: its statements sorted by what happened.

use sigquit_dump::{Notice, NoticeKind};

use super::call::Call;
use super::pattern::matches_any;

/// What a runtime said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statement {
    /// These threads wait for each other.
    Circle,
    /// Everyone waits, and nobody is left who could wake anybody.
    NobodyAwake,
    /// Two used one map at once, and one of them wrote.
    ConcurrentMap,
    /// A panic or an exception that nobody caught.
    Panic,
    /// Another error that the runtime cannot survive.
    Fatal,
    /// An unsynchronised access that a race detector saw.
    DataRace,
    /// Why a dump is missing or incomplete.
    Failure,
}

const NOBODY_AWAKE: &[&str] = &["*all goroutines are asleep*", "*no goroutines (main called*"];
const CONCURRENT_MAP: &[&str] = &["*concurrent map *"];

/// What a runtime says of itself, and the names of exceptions: anything may stand in a message that
/// the program wrote.
const STACK_OVERFLOW: (&[&str], &[&str]) =
    (&["*stack overflow*", "*overflowed its stack*"], &["java.lang.StackOverflowError*"]);
const OUT_OF_MEMORY: (&[&str], &[&str]) = (
    &["*out of memory*", "*cannot allocate memory*", "*memory allocation of * failed*"],
    &["java.lang.OutOfMemoryError*"],
);

impl Statement {
    /// Whether a notice says that a stack overflowed.
    pub fn is_stack_overflow(notice: &Notice) -> bool {
        Statement::is_one_of(notice, STACK_OVERFLOW)
    }

    /// Whether a notice says that there was no memory left.
    pub fn is_out_of_memory(notice: &Notice) -> bool {
        Statement::is_one_of(notice, OUT_OF_MEMORY)
    }

    fn is_one_of(notice: &Notice, (fatal, uncaught): (&[&str], &[&str])) -> bool {
        match notice.kind {
            NoticeKind::Fatal => matches_any(fatal, &notice.message),
            NoticeKind::Panic => matches_any(uncaught, &notice.message),
            _ => false,
        }
    }

    /// What a notice says.
    pub fn of(notice: &Notice) -> Statement {
        let says = |patterns| matches_any(patterns, &notice.message);
        match notice.kind {
            NoticeKind::Deadlock if notice.threads.is_empty() => Statement::NobodyAwake,
            NoticeKind::Deadlock => Statement::Circle,
            NoticeKind::Fatal if says(NOBODY_AWAKE) => Statement::NobodyAwake,
            NoticeKind::Fatal if says(CONCURRENT_MAP) => Statement::ConcurrentMap,
            NoticeKind::Fatal => Statement::Fatal,
            NoticeKind::Panic => Statement::Panic,
            NoticeKind::DataRace => Statement::DataRace,
            NoticeKind::Failure => Statement::Failure,
        }
    }
}

/// Functions that raise a panic or report a fatal error: what called the outermost of them is
/// where it happened.
const RAISING: &[&str] = &[
    "panic",
    "runtime.gopanic*",
    "runtime.goPanic*",
    "runtime.panic*",
    "runtime.sigpanic*",
    "runtime.throw*",
    "runtime.fatal*",
    "runtime.morestack*",
    "runtime.newstack",
    "internal/sync.fatal",
    "internal/sync.throw",
    "internal/runtime/maps.fatal",
    "core::panicking::*",
    "std::panicking::begin_panic*",
    "std::panicking::panic_*",
    "std::panicking::rust_panic*",
    "std::rt::panic_fmt",
    "rust_begin_unwind",
    "__rust_end_short_backtrace",
    "std::sys::backtrace::__rust_end_short_backtrace",
    "core::option::*failed",
    "core::result::*failed",
    "core::slice::index::*fail*",
    "core::str::*fail*",
];

/// The calls from where it happened outwards: without those that raised and reported it.
pub(crate) fn beneath_raising<'a>(
    calls: impl DoubleEndedIterator<Item = &'a Call> + ExactSizeIterator + Clone,
) -> impl Iterator<Item = &'a Call> {
    let raised = calls.clone().rposition(|call| matches_any(RAISING, &call.function));
    calls.skip(raised.map_or(0, |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::Scene;
    use sigquit_dump::Runtime;

    fn notice(kind: NoticeKind, message: &str) -> Notice {
        Notice { kind, message: message.into(), threads: vec![0], ..Notice::default() }
    }

    #[test]
    fn statements_are_sorted_by_what_they_say() {
        for (kind, message, expected) in [
            (NoticeKind::Fatal, "concurrent map read and map write", Statement::ConcurrentMap),
            (NoticeKind::Fatal, "concurrent map writes", Statement::ConcurrentMap),
            (NoticeKind::Fatal, "all goroutines are asleep - deadlock!", Statement::NobodyAwake),
            (NoticeKind::Fatal, "sync: unlock of unlocked mutex", Statement::Fatal),
            (NoticeKind::Panic, "concurrent map writes, said the user", Statement::Panic),
            (NoticeKind::Deadlock, "Found one Java-level deadlock", Statement::Circle),
        ] {
            assert_eq!(Statement::of(&notice(kind, message)), expected, "{message}");
        }
    }

    #[test]
    fn what_catches_panics_at_the_root_of_every_rust_thread_raises_none() {
        let stack = [
            "core::panicking::panic_fmt",
            "shop::books::settle",
            "std::panicking::catch_unwind::do_call",
            "std::panicking::catch_unwind",
            "std::panic::catch_unwind",
        ];
        let incident = Scene::of(Runtime::Rust)
            .dump(0, |dump| {
                dump.thread("1", &stack);
            })
            .incident();
        let calls = incident.calls(incident.named("1"), 0);
        let first = beneath_raising(calls).next().map(|call| call.function.as_str());
        assert_eq!(first, Some("shop::books::settle"));
    }

    #[test]
    fn it_happened_beneath_the_outermost_raising_call() {
        let stack = ["main.repanic.func1", "panic", "main.(*Cart).At", "main.main"];
        let incident = Scene::of(Runtime::Go)
            .dump(0, |dump| {
                dump.thread("1", &stack);
            })
            .incident();
        let calls = incident.calls(incident.named("1"), 0);
        assert_eq!(
            beneath_raising(calls).next().map(|call| call.function.as_str()),
            Some("main.(*Cart).At")
        );
    }
}
