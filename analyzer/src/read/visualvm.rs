//! Threads as VisualVM, Java Mission Control and Spring Boot's `/actuator/threaddump` (as text) write
//! them: HotSpot's shape, from the beans of `java.lang.management`.
//!
//! ```text
//! 2026-11-26 19:24:55
//! Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):
//!
//! "Timer-180" - Thread t@332
//!    java.lang.Thread.State: TIMED_WAITING on java.util.TaskQueue@7311acb7
//!     at java.lang.Object.wait(Native Method)
//!     - waiting on <7311acb7> (a java.util.TaskQueue)
//!     at shop.Ledger.post(Ledger.java:35)
//!     - waiting to lock <1a2b3c4d> (a java.lang.Object) owned by "west" t@18
//!     - locked java.lang.Object@5e6f7a8b
//!
//!    Locked ownable synchronizers:
//!     - Locked <2b3c4d5e> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)
//! ```

use std::collections::HashSet;

use sigquit_dump::{Dump, Thread, Warning};

use super::by_line::{self, ByLine, Dumps};
use super::foreign::is_log_line;
use super::hotspot::{thread, title};
use super::jvm::{Building, Does, Named, Row};
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "visualvm",
    looks_like: "a line `\"main\" - Thread t@1` of VisualVM or Spring Boot's actuator",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| header(line.text).is_some()) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader {
    dumps: Dumps<Building>,
    /// The numbers of the threads in this dump.
    seen: HashSet<u64>,
}

impl<'t> ByLine<'t> for Reader {
    type Building = Building;

    fn dumps(&mut self) -> &mut Dumps<Building> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let body = line.text.trim();
        if let Some(time) = title::time(body) {
            self.end_dump();
            self.dumps.building.time = Some(time);
        } else if let Some(title) = body.strip_prefix("Full thread dump ") {
            if self.dumps.open.is_some() {
                self.end_dump();
            }
            let version = title.split_once(" VM (").map(|(_, version)| version);
            let version = version.map(|version| version.trim_end_matches(':'));
            let version = version.map(|version| version.strip_suffix(')').unwrap_or(version));
            self.dumps.building.process.runtime_version = version.map(str::to_owned);
        } else if let Some((name, number)) = header(body) {
            if !self.seen.insert(number) {
                self.end_dump();
                self.seen.insert(number);
            }
            let thread = Thread {
                name: name.to_owned(),
                number: Some(number),
                line: Some(line.number),
                ..Thread::default()
            };
            self.dumps.open(Row { thread, ..Row::default() });
        } else if let Some(row) = &mut self.dumps.open
            && !(of_thread(row, body) || is_log_line(body))
        {
            self.dumps.not_understood.note(line.number);
        }
    }

    fn end_dump(&mut self) {
        self.seen.clear();
        self.dumps.end();
    }
}

/// `"Timer-180" - Thread t@332`
fn header(text: &str) -> Option<(&str, u64)> {
    let (name, number) = text.trim().strip_prefix('"')?.rsplit_once("\" - Thread t@")?;
    Some((name, number.parse().ok()?))
}

/// Reads a line of a thread; whether it is one.
fn of_thread(row: &mut Row, body: &str) -> bool {
    if let Some(state) = body.strip_prefix("java.lang.Thread.State: ") {
        let word = state.split(' ').next().unwrap_or_default();
        row.state(thread::state(word), word);
    } else if let Some(call) = body.strip_prefix("at ").filter(|call| call.ends_with(')')) {
        row.frames.push(call.to_owned());
    } else if let Some(mark) = body.strip_prefix("- ") {
        return lock(row, mark);
    } else {
        return body.is_empty() || body == "Locked ownable synchronizers:";
    }
    true
}

fn lock(row: &mut Row, mark: &str) -> bool {
    const VERBS: &[(&str, Does)] = &[
        ("waiting to lock ", Does::WaitToLock),
        ("waiting on ", Does::WaitOn),
        ("parking to wait for ", Does::Park),
        ("locked ", Does::Lock),
        ("Locked ", Does::Own),
    ];
    let known = VERBS.iter().find_map(|&(verb, does)| Some((does, mark.strip_prefix(verb)?)));
    let Some((does, object)) = known else { return mark == "None" };
    let Some(named) = Named::in_brackets(object).or_else(|| Named::at(object)) else {
        return false;
    };
    // Who is parked wants a synchronizer, also where these words are those of monitors.
    let is_parked = row.frames.last().is_some_and(|leaf| leaf.contains(".park"));
    let does = if is_parked && does == Does::WaitToLock { Does::Park } else { does };
    let owner = object.rsplit_once(" t@").and_then(|(_, owner)| owner.parse().ok());
    row.owner = owner.or(row.owner);
    row.mark(does, named);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigquit_dump::WaitFor;

    const DUMP: &str = "2026-11-26 19:24:55
Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode, sharing):

\"east\" - Thread t@17
   java.lang.Thread.State: BLOCKED
\tat shop.Ledger.post(Ledger.java:35)
\t- waiting to lock <1a2b3c4d> (a java.lang.Object) owned by \"west\" t@18

   Locked ownable synchronizers:
\t- Locked <2b3c4d5e> (a java.util.concurrent.locks.ReentrantLock$NonfairSync)

\"west\" - Thread t@18
   java.lang.Thread.State: WAITING
\tat java.base@17.0.15/jdk.internal.misc.Unsafe.park(Native Method)
\t- waiting to lock <2b3c4d5e> (a java.util.concurrent.locks.ReentrantLock$NonfairSync) owned by \"east\" t@17
\tat shop.Ledger.post(Ledger.java:36)
\t- locked java.lang.Object@1a2b3c4d

   Locked ownable synchronizers:
\t- None
";

    #[test]
    fn threads_and_their_locks() {
        let text = Text::from_bytes(DUMP.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        let (dumps, warnings) = read(&text);
        assert_eq!((dumps.len(), &warnings[..]), (1, &[][..]));
        let dump = &dumps[0];
        for (waiter, owner) in [(0, 1), (1, 0)] {
            let wait = dump.threads[waiter].wait.as_ref().expect("a wait");
            assert_eq!(wait.wait_for, WaitFor::Exclusive);
            assert_eq!(dump.lock(wait.lock).owners[0].thread, owner);
        }
        assert_eq!(dump.process.runtime_version.as_deref(), Some("17.0.15+6 mixed mode, sharing"));
        assert_eq!(read(&Text::from_bytes(DUMP.repeat(2).as_bytes())).0.len(), 2);
    }
}
