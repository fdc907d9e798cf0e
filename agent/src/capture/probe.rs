//! What the kernel says about a thread that does not answer.

use sigquit_dump::UnansweredReason;

/// A thread's `/proc/self/task/TID/status`, as far as it explains a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// The state letter.
    pub state: char,
    /// The signals that the thread blocks.
    blocked: u64,
    /// It is one of the kernel's own helpers: never runs user code, blocks every signal.
    pub is_kernel_helper: bool,
}

/// Reads it; nothing when the thread is gone.
pub(super) fn status(tid: i32) -> Option<Status> {
    let text = std::fs::read(format!("/proc/self/task/{tid}/status")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Option<Status> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let name = field("Name:").unwrap_or_default();
    Some(Status {
        state: field("State:")?.chars().next()?,
        blocked: u64::from_str_radix(field("SigBlk:")?, 16).ok()?,
        is_kernel_helper: name.starts_with("iou-wrk-") || name.starts_with("iou-sqp-"),
    })
}

impl Status {
    /// The thread has ended and only its entry is left.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// The thread blocks that signal.
    pub fn blocks(&self, signal: i32) -> bool {
        self.blocked >> (signal - 1) & 1 == 1
    }

    /// Why the thread will not answer, when that is certain before the deadline.
    pub fn certain(&self, signal: i32, seen_before: bool) -> Option<UnansweredReason> {
        match self.state {
            'T' | 't' => Some(UnansweredReason::Stopped),
            // One look can fall into a page fault or a short read of a disk.
            'D' => seen_before.then_some(UnansweredReason::Uninterruptible),
            // A thread that runs may be about to unblock it.
            'R' => None,
            _ => self.blocks(signal).then_some(UnansweredReason::SignalBlocked),
        }
    }

    /// Why the thread has not answered, when the time is over.
    pub fn at_deadline(&self, signal: i32) -> UnansweredReason {
        match self.certain(signal, true) {
            Some(reason) => reason,
            None if self.blocks(signal) => UnansweredReason::SignalBlocked,
            None if self.state == 'R' => UnansweredReason::NotScheduled,
            None => UnansweredReason::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, blocked: &str) -> Status {
        let text = format!("Name:\tworker\nState:\t{state}\nSigBlk:\t{blocked}\n");
        parse(&text).expect("a status")
    }

    #[test]
    fn a_sleeper_that_blocks_the_signal_is_certain_and_a_runner_is_not() {
        assert_eq!(
            status("S (sleeping)", "0000000200000000").certain(34, false),
            Some(UnansweredReason::SignalBlocked)
        );
        assert_eq!(status("S (sleeping)", "0000000100000000").certain(34, false), None);
        let runner = status("R (running)", "0000000200000000");
        assert_eq!(runner.certain(34, true), None);
        assert_eq!(runner.at_deadline(34), UnansweredReason::SignalBlocked);
    }

    #[test]
    fn disk_sleep_is_certain_when_it_lasts() {
        let sleeper = status("D (disk sleep)", "0000000000000000");
        assert_eq!(sleeper.certain(34, false), None);
        assert_eq!(sleeper.certain(34, true), Some(UnansweredReason::Uninterruptible));
    }

    #[test]
    fn at_the_deadline_a_runner_had_no_cpu_and_a_sleeper_is_a_riddle() {
        let none = "0000000000000000";
        assert_eq!(status("R (running)", none).at_deadline(34), UnansweredReason::NotScheduled);
        assert_eq!(status("S (sleeping)", none).at_deadline(34), UnansweredReason::Unknown);
        assert_eq!(status("t (tracing stop)", none).at_deadline(34), UnansweredReason::Stopped);
    }

    #[test]
    fn the_kernel_s_helpers_are_known_by_name() {
        let text = "Name:\tiou-wrk-4711\nState:\tS (sleeping)\nSigBlk:\tfffffffffff3bff7\n";
        assert!(parse(text).is_some_and(|status| status.is_kernel_helper));
    }
}
