//! What every fuzz target does with an input, and what must be true of the dumps in it.

use sigquit_analyzer::read::{Limits, read, read_packed};
use sigquit_dump::Dump;

/// Bytes that a small input may unpack to: enough to see that a bound holds.
const UNPACKED: u64 = 1 << 20;

/// Reads bytes as a target does: one named for a format as that format, `container` as a file in
/// which others are packed, and any other as what is seen in them.
///
/// # Panics
/// When a dump refers to what is not in it.
pub fn survive(target: &str, bytes: &[u8]) {
    let dumps: Vec<Dump> = match target {
        "container" => {
            let limits = Limits { bytes: UNPACKED, members: 100, ..Limits::default() };
            let (inputs, _) = read_packed(&limits, "-", bytes, None);
            inputs.into_iter().flat_map(|input| input.dumps).collect()
        }
        "transport" => read("-", bytes, None).map_or(Vec::new(), |input| input.dumps),
        format => read("-", bytes, Some(format)).map_or(Vec::new(), |input| input.dumps),
    };
    dumps.iter().for_each(assert_whole);
}

/// Everything that a dump refers to is in it.
///
/// # Panics
/// When something is not.
pub fn assert_whole(dump: &Dump) {
    let (stacks, locks) = (dump.stacks.len() as u32, dump.locks.len() as u32);
    let threads = dump.threads.len() as u32;
    for stack in &dump.stacks {
        assert!(stack.frames.iter().all(|frame| (frame.0 as usize) < dump.frames.len()));
    }
    for thread in &dump.threads {
        assert!(thread.stack.iter().chain(&thread.created_by).all(|stack| stack.0 < stacks));
        assert!(thread.wait.iter().all(|wait| wait.lock.0 < locks));
        assert!(thread.holds.iter().all(|hold| hold.lock.0 < locks));
    }
    for lock in &dump.locks {
        assert!(lock.owners.iter().all(|owner| owner.thread < threads));
    }
    for notice in &dump.notices {
        assert!(notice.stacks.iter().all(|stack| stack.0 < stacks));
        assert!(notice.threads.iter().all(|&thread| thread < threads));
    }
}
