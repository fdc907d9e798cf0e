//! The dumps themselves, like `jstack`: one thread or task a block, equal stacks folded together.

use std::collections::HashMap;
use std::io::{self, Write};

use sigquit_dump::{
    Dump, Frame, FrameId, Kind, Nanos, Notice, Profile, RegisterSamples, Stack, Thread,
    ThreadState, Unanswered, UnansweredReason, Unit,
};

use super::fold::fold;
use super::frame::{
    frame_lines, hold_sentence, place, starts_the_program, truncation_sentence, wait_sentence,
};
use super::plain::plain;
use super::task;
use crate::explain::MemberReport;
use crate::model::Incident;

/// How many groups of names a folded block lists.
const NAMES: usize = 12;
/// How many different locks a folded block lists at one place.
const LOCKS: usize = 3;

/// Writes all dumps, process by process in time order. With `all`, every thread has a block of
/// its own.
///
/// # Errors
/// Those of the writer.
pub fn show(incidents: &[Incident], all: bool, mut out: impl Write) -> io::Result<()> {
    let mut gap = "";
    for incident in incidents {
        let profile = incident.profile().filter(|_| incident.is_only_a_profile());
        for (number, dump) in (1..).zip(&incident.dumps) {
            let shown = profile.map_or(dump, |profile| &profile.dump);
            writeln!(out, "{gap}{}.{number}: {}", incident.id, dump_sentence(shown))?;
            gap = "\n";
            match profile {
                Some(profile) => show_profile(profile, all, &mut out)?,
                None => show_dump(dump, all, &mut out)?,
            }
        }
    }
    Ok(())
}

fn show_dump(dump: &Dump, all: bool, out: &mut impl Write) -> io::Result<()> {
    for notice in &dump.notices {
        show_notice(dump, notice, out)?;
    }
    for sentence in task::sentences(dump) {
        writeln!(out, "{sentence}")?;
    }
    for block in blocks(dump, all) {
        writeln!(out)?;
        show_block(dump, &block, all, out)?;
    }
    if dump.truncated {
        writeln!(out, "\nThe dump ends here before it is complete.")?;
    }
    Ok(())
}

/// The stacks of a profile, those that count most first; `all` shows the rare ones too.
fn show_profile(profile: &Profile, all: bool, out: &mut impl Write) -> io::Result<()> {
    const MOST: usize = 20;
    let weights = profile.weights_of_stacks(|_| true);
    let mut stacks: Vec<(&Stack, u64)> = profile.dump.stacks.iter().zip(weights).collect();
    stacks.retain(|&(_, weight)| weight > 0);
    stacks.sort_by_key(|&(_, weight)| std::cmp::Reverse(weight));
    let shown = if all { stacks.len() } else { stacks.len().min(MOST) };
    let amount = |weight: u64| match profile.unit {
        Unit::Nanos => format!("{:.3} s", weight as f64 / 1e9),
        unit => format!("{weight} {}", unit.noun()),
    };
    writeln!(out, "{}", plain(&profile.summary()))?;
    for &(stack, weight) in &stacks[..shown] {
        writeln!(out, "\n{}", amount(weight))?;
        for line in stack_lines(&profile.dump, stack, &[], false) {
            writeln!(out, "{line}")?;
        }
    }
    match stacks.len() - shown {
        0 => Ok(()),
        more => writeln!(out, "\nand {more} more stacks (--all)"),
    }
}

fn dump_sentence(dump: &Dump) -> String {
    let process = &dump.process;
    let mut words = Vec::new();
    words.extend(process.executable.as_deref().or(process.runtime_version.as_deref()).map(plain));
    words.extend(process.pid.map(|pid| format!("pid {pid}")));
    words.extend(process.host.as_deref().map(|host| format!("on {}", plain(host))));
    match dump.threads.len() {
        0 if !dump.stacks.is_empty() => words.push(format!("{} stacks", dump.stacks.len())),
        threads => words.push(format!("{threads} threads and tasks")),
    }
    if let Some(capture) = dump.capture.as_ref().filter(|capture| capture.unanswered > 0) {
        words.push(format!("{} did not answer", capture.unanswered));
    }
    words.join(", ")
}

fn show_notice(dump: &Dump, notice: &Notice, out: &mut impl Write) -> io::Result<()> {
    for line in notice.message.lines() {
        writeln!(out, "! {}", plain(line))?;
    }
    if let Some(location) = &notice.location {
        writeln!(out, "!   at {}", place(location))?;
    }
    for stack in &notice.stacks {
        for line in stack_lines(dump, &dump.stacks[stack.0 as usize], &[], false) {
            writeln!(out, "! {line}")?;
        }
    }
    Ok(())
}

/// Threads with the same stack and state, in the order in which the first of each stands.
fn blocks(dump: &Dump, all: bool) -> Vec<Vec<&Thread>> {
    if all {
        return dump.threads.iter().map(|thread| vec![thread]).collect();
    }
    let mut frames: HashMap<&Frame, usize> = HashMap::new();
    let mut known = HashMap::new();
    let mut blocks: Vec<Vec<&Thread>> = Vec::new();
    for thread in &dump.threads {
        let stack = dump.stack(thread);
        let same = |&id| {
            let next = frames.len();
            *frames.entry(dump.frame(id)).or_insert(next)
        };
        let calls: Option<Vec<usize>> = stack.map(|stack| stack.frames.iter().map(same).collect());
        let cut = stack.and_then(|stack| stack.truncated);
        let key = (thread.kind, thread.state, &thread.state_text, calls, cut, task::key(thread));
        let at = *known.entry(key).or_insert_with(|| {
            blocks.push(Vec::new());
            blocks.len() - 1
        });
        blocks[at].push(thread);
    }
    blocks
}

fn show_block(dump: &Dump, threads: &[&Thread], all: bool, out: &mut impl Write) -> io::Result<()> {
    let Some(first) = threads.first() else { return Ok(()) };
    writeln!(out, "{}", head(threads, first))?;
    for fact in facts(dump, threads) {
        writeln!(out, "    {fact}")?;
    }
    match dump.stack(first) {
        Some(stack) => {
            for line in stack_lines(dump, stack, threads, all) {
                writeln!(out, "    {line}")?;
            }
        }
        None => writeln!(out, "    {}", task::without_stack(first).unwrap_or("no stack"))?,
    }
    for &branch in first.task.iter().flat_map(|task| &task.branches).take(task::BRANCHES) {
        writeln!(out, "    and at the same time")?;
        for line in stack_lines(dump, &dump.stacks[branch.0 as usize], &[], all) {
            writeln!(out, "    {line}")?;
        }
    }
    if let Some(created) = first.created_by {
        let by = first.parent.map(|parent| format!(" by {parent}")).unwrap_or_default();
        writeln!(out, "    created{by} at")?;
        for line in stack_lines(dump, &dump.stacks[created.0 as usize], &[], all) {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

/// Who, in what state, with what CPU time.
fn head(threads: &[&Thread], first: &Thread) -> String {
    let members: Vec<MemberReport> = threads.iter().map(|thread| named(thread)).collect();
    let mut head = fold(&members, NAMES);
    if let [one] = threads {
        head += &numbers(one);
    }
    let state = match first.state_text.is_empty() {
        true => state_words(first.state).to_owned(),
        false => plain(&first.state_text),
    };
    head += &format!("  {state}");
    if let Some(cpu) = range(threads.iter().filter_map(|thread| thread.cpu)) {
        head += &format!("  cpu {cpu}");
    }
    head += &task::head(threads);
    if let Some(since) = range(threads.iter().filter_map(|thread| thread.waiting_since)) {
        head += &format!("  for {since}");
    }
    head
}

fn state_words(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Unknown => "state unknown",
        ThreadState::Running => "running",
        ThreadState::Runnable => "runnable",
        ThreadState::Blocked => "blocked",
        ThreadState::Waiting => "waiting",
        ThreadState::TimedWaiting => "waiting for a time",
        ThreadState::Parked => "parked",
        ThreadState::Syscall => "in a system call",
        ThreadState::Uninterruptible => "uninterruptible",
        ThreadState::Stopped => "stopped",
        ThreadState::New => "new",
        ThreadState::Ended => "ended",
    }
}

fn named(thread: &Thread) -> MemberReport {
    let id = thread.number.or(thread.os_id).map(|id| id.to_string()).unwrap_or_default();
    MemberReport { kind: thread.kind, id, name: thread.name.clone() }
}

fn numbers(thread: &Thread) -> String {
    let shown_by_name = thread.name.is_empty() || thread.kind == Kind::Goroutine;
    let number = thread.number.filter(|_| !shown_by_name).map(|number| format!(" #{number}"));
    let tid = thread.os_id.map(|tid| format!(" tid {tid}"));
    format!("{}{}", number.unwrap_or_default(), tid.unwrap_or_default())
}

/// The least and the greatest of some times.
pub(super) fn range(times: impl Iterator<Item = Nanos> + Clone) -> Option<String> {
    let (least, most) = (times.clone().min()?, times.max()?);
    let seconds = |time: Nanos| format!("{:.3}", time.as_secs_f64());
    Some(match least == most {
        true => format!("{} s", seconds(least)),
        false => format!("{} to {} s", seconds(least), seconds(most)),
    })
}

/// What is known beside the stack, each fact once for all to whom it applies.
fn facts(dump: &Dump, threads: &[&Thread]) -> Vec<String> {
    let mut facts = distinct(threads, |thread| {
        thread.wait.iter().map(|wait| wait_sentence(dump, wait)).collect()
    });
    facts.extend(distinct(threads, |thread| {
        let unplaced = thread.holds.iter().filter(|hold| hold.frame.is_none());
        unplaced.map(|hold| hold_sentence(dump, hold)).collect()
    }));
    facts.extend(distinct(threads, |thread| thread.unanswered.iter().map(unanswered).collect()));
    facts.extend(distinct(threads, |thread| {
        thread.wchan.iter().map(|wchan| format!("- in the kernel in {}", plain(wchan))).collect()
    }));
    facts.extend(distinct(threads, |thread| thread.registers.iter().map(registers).collect()));
    facts.extend(distinct(threads, |thread| {
        thread.carries.iter().map(|number| format!("- carries #{number}")).collect()
    }));
    facts.extend(task::facts(dump, threads));
    facts
}

fn registers(looks: &RegisterSamples) -> String {
    let (recurring, samples) = (looks.recurring, looks.samples);
    let decides = looks.control.as_ref().filter(|control| control.samples > 0).map(|control| {
        let (recurring, samples) = (control.recurring, control.samples);
        format!("; what decides whether its loop goes on came back in {recurring} of {samples}")
    });
    format!(
        "- {recurring} of {samples} looks at its registers show a state seen twice{}",
        decides.unwrap_or_default()
    )
}

fn unanswered(unanswered: &Unanswered) -> String {
    let why = match unanswered.reason {
        UnansweredReason::SignalBlocked => "it blocks the capture's signal",
        UnansweredReason::Uninterruptible => "it sleeps in the kernel and cannot be interrupted",
        UnansweredReason::NotScheduled => "it was ready to run and got no CPU in time",
        UnansweredReason::Stopped => "it is stopped",
        UnansweredReason::SignalQueueFull => "no more signals could be queued",
        UnansweredReason::Unknown => "the kernel gave no reason",
    };
    let state = unanswered.kernel_state.map(|state| format!(", state {}", state.escape_default()));
    format!("- did not answer: {why}{}", state.unwrap_or_default())
}

/// The different sentences about some threads, with how many each is true of.
pub(super) fn distinct(threads: &[&Thread], about: impl Fn(&Thread) -> Vec<String>) -> Vec<String> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    let mut known = HashMap::new();
    for sentence in threads.iter().flat_map(|thread| about(thread)) {
        let at = *known.entry(sentence.clone()).or_insert_with(|| {
            counts.push((sentence, 0));
            counts.len() - 1
        });
        counts[at].1 += 1;
    }
    let different = counts.len();
    let told = |(sentence, count): (String, usize)| match (count, threads.len()) {
        (_, 1) => sentence,
        (count, all) if count == all => format!("{sentence} (all)"),
        (count, _) => format!("{sentence} ({count})"),
    };
    let mut lines: Vec<String> = counts.into_iter().take(LOCKS).map(told).collect();
    if different > LOCKS {
        lines.push(format!("- and {} others like it", different - LOCKS));
    }
    lines
}

/// A stack's frames, with the locks that were taken in each. Frames that only start a thread are
/// left out where threads are folded.
fn stack_lines(dump: &Dump, stack: &Stack, threads: &[&Thread], all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let is_start = |&id: &FrameId| starts_the_program(dump.frame(id));
    let start = stack.frames.iter().position(is_start).filter(|_| !all);
    let shown = start.unwrap_or(stack.frames.len());
    for (depth, &id) in (0..).zip(&stack.frames[..shown]) {
        lines.extend(frame_lines(dump, dump.frame(id)));
        lines.extend(distinct(threads, |thread| {
            let here = thread.holds.iter().filter(|hold| hold.frame == Some(depth));
            here.map(|hold| hold_sentence(dump, hold)).collect()
        }));
    }
    let left_out = stack.frames.len() - shown;
    if left_out > 0 {
        lines.push(format!("... and {left_out} frames that start the thread (--all shows them)"));
    }
    lines.extend(stack.truncated.map(truncation_sentence));
    lines
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{
        BuildId, Hold, Location, Lock, LockKind, Module, ModuleId, Owner, OwnerSource, Process,
        Reason, Runtime, Symbol, Truncation, Wait, WaitFor,
    };

    use super::*;
    use crate::model::incidents;
    use crate::read::Input;

    /// Two threads that wait for a mutex, its owner in a stripped binary, and one that is silent.
    fn dump() -> Dump {
        let mut dump = Dump {
            process: Process { runtime: Runtime::Rust, pid: Some(7), ..Process::default() },
            ..Dump::default()
        };
        dump.modules.push(Module {
            path: "/srv/shop".into(),
            build_id: Some(BuildId("beef".into())),
            ..Module::default()
        });
        let at = |line| Some(Location { file: "shop.rs".into(), line: Some(line), column: None });
        let waits = dump.intern_frame(Frame {
            symbols: vec![
                Symbol { inlined: true, location: at(3), ..Symbol::function("Mutex::lock") },
                Symbol { location: at(9), ..Symbol::function("shop::pay") },
            ],
            ..Frame::default()
        });
        let stripped = dump.intern_frame(Frame {
            module: Some(ModuleId(0)),
            offset: Some(0x1a2b),
            reason: Some(Reason::Stripped),
            ..Frame::default()
        });
        let waiting = dump.intern_stack(vec![waits].into());
        let working = dump.intern_stack(Stack {
            frames: vec![stripped],
            truncated: Some(Truncation::NoUnwindTable),
            ..Stack::default()
        });
        let lock = dump.add_lock(Lock {
            address: Some(0x70),
            kind: LockKind::Mutex,
            owners: vec![Owner { thread: 2, source: OwnerSource::Tracked }],
            ..Lock::default()
        });
        for number in 1..=2u64 {
            dump.threads.push(Thread {
                name: format!("pay-{number}"),
                os_id: Some(10 + number),
                state: ThreadState::Blocked,
                stack: Some(waiting),
                wait: Some(Wait { lock, wait_for: WaitFor::Exclusive }),
                cpu: Some(Nanos::from_millis(number * 1500)),
                ..Thread::default()
            });
        }
        dump.threads.push(Thread {
            name: "owner".into(),
            os_id: Some(13),
            state: ThreadState::Running,
            stack: Some(working),
            holds: vec![Hold::new(lock, Some(0), OwnerSource::Tracked)],
            ..Thread::default()
        });
        let reason = UnansweredReason::Uninterruptible;
        dump.threads.push(Thread {
            name: "silent".into(),
            os_id: Some(14),
            unanswered: Some(Unanswered { reason, kernel_state: Some('D') }),
            ..Thread::default()
        });
        dump
    }

    fn shown(all: bool) -> String {
        let input = Input { dumps: vec![dump()], ..Input::default() };
        let mut out = Vec::new();
        show(&incidents(vec![input]), all, &mut out).expect("a buffer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn equal_stacks_are_one_block() {
        let expected = "\
p1.1: pid 7, 4 threads and tasks

pay-1, pay-2  blocked  cpu 1.500 to 3.000 s
    - waits to own mutex 0x70, owned by owner (tracked) (all)
    at Mutex::lock (shop.rs:3) [inlined]
    at shop::pay (shop.rs:9)

owner tid 13  running
    at /srv/shop+0x1a2b (no name: the binary is stripped, build id beef)
    - owns mutex 0x70 (tracked)
    ... cut here: the binary does not say how to unwind this address

silent tid 14  state unknown
    - did not answer: it sleeps in the kernel and cannot be interrupted, state D
    no stack
";
        assert_eq!(shown(false), expected);
    }

    #[test]
    fn frames_that_start_a_thread_are_left_out_when_folded() {
        let mut dump = Dump::default();
        let names = ["shop::pay", "std::sys::backtrace::__rust_begin_short_backtrace", "clone3"];
        let frames = names.map(|name| dump.intern_frame(Frame::named(Symbol::function(name))));
        let stack = Stack::from(frames.to_vec());
        let folded = stack_lines(&dump, &stack, &[], false);
        let start = "... and 2 frames that start the thread (--all shows them)";
        assert_eq!(folded, ["at shop::pay", start]);
        assert_eq!(stack_lines(&dump, &stack, &[], true).len(), 3);
    }

    #[test]
    fn paths_are_told_from_where_they_mean_something() {
        let at = |file: &str| place(&Location { file: file.into(), ..Location::default() });
        assert_eq!(at("/rustc/59807616e1fa/library/std/src/rt.rs"), "std/src/rt.rs");
        assert_eq!(
            at("/home/me/.cargo/registry/src/index-1/serde-1.0/src/lib.rs"),
            "serde-1.0/src/lib.rs"
        );
        assert_eq!(at("/srv/shop/src/main.rs"), "/srv/shop/src/main.rs");
    }

    #[test]
    fn unfolded_every_thread_has_its_block() {
        let all = shown(true);
        assert!(all.contains("pay-1 tid 11  blocked  cpu 1.500 s\n"), "{all}");
        assert!(all.contains("pay-2 tid 12  blocked  cpu 3.000 s\n"), "{all}");
    }
}
