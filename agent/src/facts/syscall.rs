//! `/proc/PID/task/TID/syscall`: the system call in which the thread sleeps, and its arguments.
//!
//! ```text
//! 202 0x7f12a4000c90 0x80 0x2 0x0 0x0 0xffffffff 0x7f12a8ffe0b0 0x7f12b1c8e117
//! running
//! -1 0x7ffd2b6e9d38 0x7f0e3a1d5f4a          asleep, and in no system call
//! ```

use sigquit_dump::Syscall;

/// The call and its six arguments.
pub(super) fn parse(text: &str) -> Option<Syscall> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let argument = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let arguments = words.take(6).map_while(argument).collect();
    Some(Syscall { number, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_arguments_and_neither_stack_pointer_nor_pc() {
        let line = "202 0x7f12a4000c90 0x80 0x2 0x0 0x0 0xffffffff 0x7f12a8ffe0b0 0x7f12b1c8e117";
        let arguments = vec![0x7f12_a400_0c90, 0x80, 2, 0, 0, 0xffff_ffff];
        assert_eq!(parse(line), Some(Syscall { number: 202, arguments }));
    }

    #[test]
    fn a_thread_that_runs_or_faults_is_in_none() {
        assert_eq!(parse("running\n"), None);
        assert_eq!(parse("-1 0x7ffd2b6e9d38 0x7f0e3a1d5f4a\n"), None);
        assert_eq!(parse(""), None);
    }
}
