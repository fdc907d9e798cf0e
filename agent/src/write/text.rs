//! A dump as text, in the manner of `jstack`, equal stacks once.
//!
//! ```text
//! dump 1 of 5, 42 threads
//!
//! "request-1" #4713 S (sleeping), cpu 0.12 s, waits for 0x7f12a4000c90
//! "request-2" #4714 S (sleeping), cpu 0.09 s, waits for 0x7f12a4000c90
//! task "sender" #7 Waiting, polls 3, the last 8.1 s ago, spawned at src/sender.rs:40
//!     at order::pool::acquire (src/pool.rs:31)
//!     at order::checkout (src/checkout.rs:88)
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};

use sigquit_dump::{Dump, Frame, StackId, Task, Thread, ThreadState};

/// More threads than this with one stack are counted and not listed.
const LISTED: usize = 20;

/// Writes a dump.
pub(crate) fn text(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    if let Some(series) = &dump.series {
        write!(out, "{}, dump {} of {}, ", series.incident, series.index, series.of)?;
    }
    writeln!(out, "{} threads", dump.threads.len())?;
    for notice in &dump.notices {
        writeln!(out, "\n{:?}: {}", notice.kind, notice.message)?;
    }
    let mut stacks: BTreeMap<Option<StackId>, Vec<&Thread>> = BTreeMap::new();
    for thread in &dump.threads {
        stacks.entry(thread.stack).or_default().push(thread);
    }
    for (stack, threads) in stacks {
        writeln!(out)?;
        for thread in threads.iter().take(LISTED) {
            heading(dump, thread, out)?;
        }
        if threads.len() > LISTED {
            writeln!(out, "and {} more", threads.len() - LISTED)?;
        }
        if stack.is_some() {
            frames(dump, threads[0], out)?;
        }
    }
    Ok(())
}

fn heading(dump: &Dump, thread: &Thread, out: &mut impl Write) -> io::Result<()> {
    match &thread.task {
        Some(task) => task_heading(dump, thread, task, out)?,
        None => {
            let id = thread.os_id.unwrap_or_default();
            write!(out, "{:?} #{id} {}", thread.name, thread.state_text)?;
        }
    }
    if let Some(cpu) = thread.cpu {
        write!(out, ", cpu {:.2} s", cpu.as_secs_f64())?;
    }
    if let Some(address) = thread.wait.as_ref().and_then(|wait| dump.lock(wait.lock).address) {
        write!(out, ", waits for {address:#x}")?;
    }
    if let Some(unanswered) = &thread.unanswered {
        write!(out, ", did not answer: {:?}", unanswered.reason)?;
    }
    writeln!(out)
}

fn task_heading(dump: &Dump, thread: &Thread, task: &Task, out: &mut impl Write) -> io::Result<()> {
    let (id, state) = (thread.number.unwrap_or_default(), thread.state);
    write!(out, "task {:?} #{id} {state:?}, polls {}", thread.name, task.polls)?;
    if let Some(since) = task.since_poll {
        write!(out, ", the last {:.1} s ago", since.as_secs_f64())?;
    }
    if let (Some(tid), ThreadState::Running) = (task.polled_by, thread.state) {
        write!(out, ", on thread #{tid}")?;
    }
    match dump.spawn(thread).and_then(|spawn| spawn.location.as_ref()) {
        Some(at) => write!(out, ", spawned at {}:{}", at.file, at.line.unwrap_or_default()),
        None => Ok(()),
    }
}

fn frames(dump: &Dump, thread: &Thread, out: &mut impl Write) -> io::Result<()> {
    let Some(stack) = dump.stack(thread) else { return Ok(()) };
    for &id in &stack.frames {
        frame(dump, dump.frame(id), out)?;
    }
    match stack.truncated {
        Some(reason) => writeln!(out, "    ... {reason:?}"),
        None => Ok(()),
    }
}

fn frame(dump: &Dump, frame: &Frame, out: &mut impl Write) -> io::Result<()> {
    for symbol in &frame.symbols {
        write!(out, "    at {}", symbol.function)?;
        if let Some(at) = &symbol.location {
            write!(out, " ({}:{})", at.file, at.line.unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    if !frame.symbols.is_empty() {
        return Ok(());
    }
    let module = frame.module.and_then(|id| dump.modules.get(id.0 as usize));
    let path = module.map_or("unknown", |module| &*module.path);
    writeln!(out, "    at {path} +{:#x}", frame.offset.or(frame.address).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Kind, Location, Lock, Nanos, Spawn, Symbol, Wait, WaitFor};

    use super::*;

    #[test]
    fn equal_stacks_stand_once_below_their_threads() {
        let mut dump = Dump::default();
        let location = Some(Location { file: "src/pool.rs".into(), line: Some(31), column: None });
        let symbol = Symbol { location, ..Symbol::function("order::pool::acquire") };
        let named = dump.intern_frame(Frame::named(symbol));
        let unnamed = dump.intern_frame(Frame { address: Some(0x4711), ..Frame::default() });
        let stack = Some(dump.intern_stack(vec![named, unnamed].into()));
        let lock = dump.add_lock(Lock { address: Some(0x10), ..Lock::default() });
        let wait = Some(Wait { lock, wait_for: WaitFor::Unknown });
        for name in ["request-1", "request-2"] {
            dump.threads.push(Thread {
                name: name.into(),
                state_text: "S (sleeping)".into(),
                stack,
                wait: wait.clone(),
                ..Thread::default()
            });
        }
        let mut out = Vec::new();
        text(&dump, &mut out).unwrap();
        let expected = "2 threads\n\n\
            \"request-1\" #0 S (sleeping), waits for 0x10\n\
            \"request-2\" #0 S (sleeping), waits for 0x10\n\
            \x20   at order::pool::acquire (src/pool.rs:31)\n\
            \x20   at unknown +0x4711\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_task_says_when_it_was_polled_and_where_it_runs() {
        let mut dump = Dump::default();
        let location =
            Some(Location { file: "src/sender.rs".into(), line: Some(40), column: None });
        let spawn = Some(dump.add_spawn(Spawn { location, ..Spawn::default() }));
        let since_poll = Some(Nanos::from_millis(8_100));
        let suspended = Task { polls: 3, since_poll, spawn, ..Task::default() };
        let running = Task { polls: 4, polled_by: Some(4711), ..Task::default() };
        let states = [ThreadState::Waiting, ThreadState::Running];
        for (state, task) in states.into_iter().zip([suspended, running]) {
            let (kind, task) = (Kind::Task, Some(Box::new(task)));
            dump.threads.push(Thread { kind, number: Some(7), state, task, ..Thread::default() });
        }
        let mut out = Vec::new();
        text(&dump, &mut out).unwrap();
        let expected = "2 threads\n\n\
            task \"\" #7 Waiting, polls 3, the last 8.1 s ago, spawned at src/sender.rs:40\n\
            task \"\" #7 Running, polls 4, on thread #4711\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
