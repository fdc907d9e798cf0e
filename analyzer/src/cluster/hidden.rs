//! Frames that one way of printing a stack shows and another hides: Go's scheduler frames stand
//! in a SIGQUIT dump and not in a profile's text.

use crate::model::pattern::matches_any;

/// Innermost frames that only say how a goroutine came to wait or was interrupted.
const INNERMOST: &[&str] = &[
    "runtime.asyncPreempt*",
    "runtime.block",
    "runtime.chanrecv*",
    "runtime.chansend*",
    "runtime.gopark*",
    "runtime.goparkunlock",
    "runtime.goschedImpl*",
    "runtime.mcall",
    "runtime.netpollblock*",
    "runtime.selectgo",
    "runtime.semacquire*",
    "runtime.semasleep*",
    "runtime.systemstack*",
];

/// Outermost frames that begin every goroutine.
const OUTERMOST: &[&str] = &["runtime.goexit*", "runtime.main"];

/// A stack without them, unless nothing else is left.
pub(super) fn strip<'a, 'n>(stack: &'a [u32], name: impl Fn(u32) -> &'n str) -> &'a [u32] {
    let is = |patterns: &[&str], &function: &u32| matches_any(patterns, name(function));
    let inner = stack.iter().take_while(|function| is(INNERMOST, function)).count();
    let rest = &stack[inner..];
    let outer = rest.iter().rev().take_while(|function| is(OUTERMOST, function)).count();
    match &rest[..rest.len() - outer] {
        [] => stack,
        shown => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn scheduler_frames_go_unless_they_are_all() {
        let names = ["runtime.gopark", "runtime.chanrecv1", "main.consume", "runtime.goexit"];
        let name = |function: u32| names[function as usize];
        assert_eq!(strip(&[0, 1, 2, 3], name), [2]);
        assert_eq!(strip(&[0, 3], name), [0, 3]);
        assert_eq!(strip(&[], name), [0_u32; 0]);
    }
}
