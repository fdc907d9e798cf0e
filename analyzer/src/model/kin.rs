//! Which dumps are of one process.
//!
//! A pid and a host settle it where both dumps have them. Most sources print neither; then the
//! threads tell: two dumps are kin when most of the threads that share a number between them
//! also share their name and the function that they began with.

use std::collections::HashMap;

use sigquit_dump::{Dump, Kind, Nanos, Process, Runtime, Symbol, Thread};

use super::pattern::matches_any;

/// Whether two dumps can be of one process.
pub(super) fn are_kin(one: &Dump, other: &Dump) -> bool {
    match by_process(&one.process, &other.process) {
        Some(known) => known,
        None => threads_agree(one, other),
    }
}

/// What the processes themselves say, when they say enough.
fn by_process(one: &Process, other: &Process) -> Option<bool> {
    let pids = agree(&one.pid, &other.pid, |one, other| one == other);
    let hosts = agree(&one.host, &other.host, |one, other| one == other);
    let starts = agree(&one.started, &other.started, is_near);
    let other_runtime =
        one.runtime != other.runtime && ![one.runtime, other.runtime].contains(&Runtime::Unknown);
    if other_runtime || [pids, hosts, starts].contains(&Some(false)) {
        return Some(false);
    }
    (pids.is_some() && (hosts.is_some() || starts.is_some())).then_some(true)
}

/// A start is counted from the machine's boot, whose own moment is not known to the microsecond.
/// No machine gives a pid to another process within so short a time.
const SAME_START: Nanos = Nanos(1_000_000_000);

fn is_near(one: &Nanos, other: &Nanos) -> bool {
    one.0.abs_diff(other.0) < SAME_START.0
}

fn agree<T>(one: &Option<T>, other: &Option<T>, same: fn(&T, &T) -> bool) -> Option<bool> {
    one.as_ref().zip(other.as_ref()).map(|(one, other)| same(one, other))
}

/// A dump without numbers, or without threads, contradicts nobody.
fn threads_agree(one: &Dump, other: &Dump) -> bool {
    let known = Numbers::of(one);
    let numbered = other.threads.iter().filter(|thread| has_number(thread));
    if known.is_empty() || numbered.clone().next().is_none() {
        return true;
    }
    let shared = numbered.filter_map(|thread| Some((known.find(thread)?, thread)));
    let verdicts: Vec<bool> =
        shared.map(|(before, after)| is_same((one, before), (other, after))).collect();
    let alike = verdicts.iter().filter(|same| **same).count();
    let same_pid = one.process.pid.is_some() && one.process.pid == other.process.pid;
    same_pid && !verdicts.is_empty() || alike > 0 && alike * 2 >= verdicts.len()
}

/// Two threads of one number are one thread by their name, or, where it has none, by how it
/// began.
fn is_same((one, before): (&Dump, &Thread), (other, after): (&Dump, &Thread)) -> bool {
    match (before.name.as_str(), after.name.as_str()) {
        ("", _) | (_, "") => began_alike((one, before), (other, after)),
        (name, other_name) => name == other_name,
    }
}

fn has_number(thread: &Thread) -> bool {
    thread.number.is_some() || thread.os_id.is_some()
}

/// The threads of a dump by their numbers: the system's, and the runtime's.
struct Numbers<'a> {
    by_os_id: HashMap<u64, &'a Thread>,
    by_number: HashMap<(Kind, u64), &'a Thread>,
}

impl<'a> Numbers<'a> {
    fn of(dump: &'a Dump) -> Numbers<'a> {
        let threads = || dump.threads.iter();
        Numbers {
            by_os_id: threads().filter_map(|thread| Some((thread.os_id?, thread))).collect(),
            by_number: threads()
                .filter_map(|thread| Some(((thread.kind, thread.number?), thread)))
                .collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.by_os_id.is_empty() && self.by_number.is_empty()
    }

    /// The thread with the same numbers, as far as both dumps print them.
    fn find(&self, thread: &Thread) -> Option<&'a Thread> {
        match thread.os_id.filter(|_| !self.by_os_id.is_empty()) {
            Some(os_id) => self.by_os_id.get(&os_id).copied(),
            None => self.by_number.get(&(thread.kind, thread.number?)).copied(),
        }
    }
}

/// Whether two threads were created by the same function, or, where a source does not say so,
/// began with the same one.
fn began_alike(one: (&Dump, &Thread), other: (&Dump, &Thread)) -> bool {
    match (creator(one), creator(other)) {
        (Some(creator), Some(of_other)) => is_one_place(creator, of_other),
        _ => match (root(one), root(other)) {
            (Some(root), Some(of_other)) => is_one_place(root, of_other),
            (root, of_other) => root.is_none() && of_other.is_none(),
        },
    }
}

/// A function and its file.
type Place<'a> = (&'a str, Option<&'a str>);

fn creator<'a>((dump, thread): (&'a Dump, &Thread)) -> Option<Place<'a>> {
    let stack = dump.stacks.get(thread.created_by?.0 as usize)?;
    let symbols = stack.frames.iter().flat_map(|&frame| &dump.frame(frame).symbols);
    symbols.map(place).next()
}

/// The outermost function that says what a thread is for.
fn root<'a>((dump, thread): (&'a Dump, &Thread)) -> Option<Place<'a>> {
    let begins = |symbol: &&Symbol| !matches_any(BEGINNINGS, &symbol.function);
    dump.calls(thread).map(|(_, _, symbol)| symbol).filter(begins).last().map(place)
}

/// Not every source prints files.
fn is_one_place((function, file): Place, (other, other_file): Place) -> bool {
    function == other && file.zip(other_file).is_none_or(|(file, other)| file == other)
}

fn place(symbol: &Symbol) -> Place<'_> {
    (&symbol.function, symbol.location.as_ref().map(|location| location.file.as_str()))
}

/// Functions with which every thread begins, where a source prints them at all.
const BEGINNINGS: &[&str] = &["runtime.goexit*", "runtime.main", "*.gowrap*", "*.deferwrap*"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incidents;
    use crate::model::scene::{Moment, Scene};
    use crate::read::Input;

    fn dump(runtime: Runtime, pid: Option<u64>, draw: impl FnOnce(&mut Moment)) -> Dump {
        let mut incident = Scene::of(runtime).dump(0, draw).incident();
        let mut dump = incident.dumps.remove(0);
        dump.process.pid = pid;
        dump
    }

    /// A JVM's main thread with such a tid.
    fn main_thread(tid: u64) -> impl Fn(&mut Moment) {
        move |dump| {
            let main = dump.thread("main", &["shop.Main.main:3"]);
            (main.number, main.os_id) = (Some(1), Some(tid));
        }
    }

    fn processes(dumps: Vec<Dump>) -> usize {
        incidents(vec![Input { dumps, ..Input::default() }]).len()
    }

    #[test]
    fn a_pid_settles_it() {
        let jvm = |pid| dump(Runtime::Jvm, Some(pid), main_thread(100));
        assert_eq!(processes(vec![jvm(1), jvm(1), jvm(2)]), 2);
    }

    #[test]
    fn without_a_pid_the_threads_tell() {
        let jvm = |pid, tid| dump(Runtime::Jvm, pid, main_thread(tid));
        assert_eq!(processes(vec![jvm(None, 100), jvm(Some(99), 100), jvm(None, 100)]), 1);
        assert_eq!(processes(vec![jvm(None, 100), jvm(None, 200)]), 2);
    }

    #[test]
    fn equal_numbers_of_other_programs_do_not_make_kin() {
        let go = |root: &'static str| {
            dump(Runtime::Go, None, move |dump| {
                dump.thread("", &["runtime.gopark", root]).number = Some(7);
            })
        };
        assert_eq!(processes(vec![go("main.serve"), go("main.serve")]), 1);
        assert_eq!(processes(vec![go("main.serve"), go("main.crawl")]), 2);
    }

    #[test]
    fn a_profile_without_numbers_contradicts_nobody() {
        let nameless = dump(Runtime::Go, None, |dump| {
            dump.thread("", &["main.serve"]);
        });
        let numbered = dump(Runtime::Go, None, |dump| {
            dump.thread("", &["main.crawl"]).number = Some(7);
        });
        assert_eq!(processes(vec![nameless, numbered]), 1);
    }
}
