//! What `dotnet-stack report` prints of a .NET process: the managed calls of each thread.
//!
//! ```text
//! Thread (0x48839B):
//!   [Native Frames]
//!   System.Private.CoreLib.il!System.Threading.Monitor.Enter(class System.Object,bool&)
//!   shop!Shop.Ledger.Post(class Shop.Order)
//!
//! Thread (0x48839C):
//!   CPU_TIME
//!   shop!Shop.Prices.Sum(int32)
//! ```
//!
//! A thread has one sample of a few milliseconds. It prints no names and no locks: the runtime's own calls show who
//! waits for one; whose it is remains unknown.

use std::collections::HashSet;

use sigquit_dump::{
    Dump, Frame, Lock, LockKind, Process, Runtime, Stack, Symbol, Thread, ThreadState, Wait,
    WaitFor, Warning,
};

use super::by_line::{self, Build, ByLine, Dumps};
use super::foreign::is_log_line;
use super::intern::Interned;
use super::{Format, Line, Lines, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "dotnet-stack",
    looks_like: "a line `Thread (0x48839B):` of dotnet-stack, and calls below it",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if thread(line.text).is_some() {
            let next = lines.clone().next().map(|line| line.text).unwrap_or_default();
            return match call(next) {
                Some(call) if call.is_marker() || !call.assembly.is_empty() => Recognition::Yes,
                _ => Recognition::Perhaps,
            };
        }
    }
    Recognition::No
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    by_line::read::<Reader>(text)
}

#[derive(Default)]
struct Reader<'t> {
    dumps: Dumps<Building<'t>>,
    /// The threads of this dump: one that is shown again begins another.
    shown: HashSet<u64>,
}

impl<'t> ByLine<'t> for Reader<'t> {
    type Building = Building<'t>;

    fn dumps(&mut self) -> &mut Dumps<Building<'t>> {
        &mut self.dumps
    }

    fn line(&mut self, line: Line<'t>, _: &mut Lines<'t>) {
        let text = line.text.trim_end();
        if let Some(tid) = thread(text) {
            if !self.shown.insert(tid) {
                self.end_dump();
                self.shown.insert(tid);
            }
            let thread = Thread { os_id: Some(tid), line: Some(line.number), ..Thread::default() };
            self.dumps.open((thread, Vec::new()));
        } else if let Some((_, calls)) = &mut self.dumps.open {
            match call(text) {
                Some(call) => calls.push(call),
                None if text.is_empty() || text.starts_with('#') || is_log_line(text) => {}
                None => self.dumps.not_understood.note(line.number),
            }
        }
    }

    fn end_dump(&mut self) {
        self.shown.clear();
        self.dumps.end();
    }
}

struct Building<'t> {
    dump: Dump,
    interned: Interned<Call<'t>>,
}

impl Default for Building<'_> {
    fn default() -> Self {
        let runtime_version = Some(".NET".to_owned());
        let process = Process { runtime: Runtime::Unknown, runtime_version, ..Process::default() };
        Building { dump: Dump { process, ..Dump::default() }, interned: Interned::default() }
    }
}

impl<'t> Build for Building<'t> {
    type Open = (Thread, Vec<Call<'t>>);

    fn add(&mut self, (mut thread, calls): (Thread, Vec<Call<'t>>)) {
        let leaf = calls.iter().position(|call| !call.is_marker()).unwrap_or(calls.len());
        let (markers, calls) = calls.split_at(leaf);
        let is_native = markers.iter().any(|marker| marker.function == NATIVE);
        let wait = calls.first().filter(|_| is_native).and_then(|_| waited(calls));
        match wait {
            Some((state, lock)) => {
                thread.state = state;
                thread.wait = lock.map(|(kind, wait_for)| {
                    let lock = self.dump.add_lock(Lock { kind, ..Lock::default() });
                    Wait { lock, wait_for }
                });
            }
            None if markers.iter().any(|marker| marker.function == MANAGED) => {
                thread.state = ThreadState::Runnable;
            }
            None => {}
        }
        thread.state_text = markers.first().map_or(String::new(), |marker| match marker.function {
            NATIVE => "in native code".into(),
            MANAGED => "in managed code".into(),
            other => other.into(),
        });
        let dump = &mut self.dump;
        let frames: Vec<_> = calls
            .iter()
            .map(|&call| {
                self.interned.frame(dump, call, || Frame::named(Symbol::function(call.function)))
            })
            .collect();
        if !frames.is_empty() {
            thread.stack = Some(self.interned.stack(dump, Stack::from(frames)));
        }
        dump.threads.push(thread);
    }

    fn finish(self) -> Dump {
        self.dump
    }
}

/// One call, or what stands in the place of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call<'t> {
    /// Without its arguments.
    function: &'t str,
    /// The assembly; empty of what is no call.
    assembly: &'t str,
}

/// Where the innermost calls are not managed code.
const NATIVE: &str = "[Native Frames]";
/// Above the calls of a thread that executed managed code.
const MANAGED: &str = "CPU_TIME";

impl Call<'_> {
    /// Whether it stands for what the thread does, and is no call.
    fn is_marker(&self) -> bool {
        self.assembly.is_empty() && [NATIVE, MANAGED].contains(&self.function)
    }
}

/// `Thread (0x48839B):`
fn thread(text: &str) -> Option<u64> {
    let digits = text.trim_end().strip_prefix("Thread (0x")?.strip_suffix("):")?;
    u64::from_str_radix(digits, 16).ok()
}

/// `  System.Console!System.IO.StdInReader.ReadKey(bool&)`, `  [Native Frames]`
fn call(text: &str) -> Option<Call<'_>> {
    let text = text.strip_prefix("  ").filter(|text| !text.starts_with(' '))?.trim_end();
    let (assembly, function) = text.split_once('!').unwrap_or(("", text));
    let end = function.find('(').filter(|&end| end > 0).unwrap_or(function.len());
    (!function.is_empty()).then_some(Call { function: &function[..end], assembly })
}

type Doing = (ThreadState, Waits);
/// What it waits for, when that is a lock.
type Waits = Option<(LockKind, WaitFor)>;

/// What a thread in native code waits for, by the runtime's calls nearest the leaf. The outermost of them
/// decides, as what is built on a lock waits for that in turn.
///
/// ```text
///   [Native Frames]
///   System.Private.CoreLib.il!System.Threading.Monitor.ObjWait(int32,class System.Object)
///   System.Private.CoreLib.il!System.Threading.SemaphoreSlim.Wait(int32)        a semaphore
///   shop!Shop.Session.Take()
/// ```
fn waited(calls: &[Call]) -> Option<Doing> {
    let near = calls.iter().take_while(|call| call.function.starts_with("System.Threading."));
    near.filter_map(|call| {
        let method = call.function.strip_prefix("System.Threading.")?;
        WAITS.iter().find(|(prefix, ..)| method.starts_with(prefix))
    })
    .last()
    .map(|&(_, state, lock)| (state, lock))
}

/// Classes of `System.Threading`, and what who is in them waits for. The first that fits decides.
const WAITS: &[(&str, ThreadState, Waits)] = &[
    ("Monitor.Wait", ThreadState::Waiting, None),
    ("Monitor.ObjWait", ThreadState::Waiting, None),
    ("Monitor.Pulse", ThreadState::Unknown, None),
    ("Monitor.Exit", ThreadState::Unknown, None),
    ("Monitor.", ThreadState::Blocked, Some((LockKind::Monitor, WaitFor::Exclusive))),
    ("Lock.Enter", ThreadState::Blocked, Some((LockKind::Mutex, WaitFor::Exclusive))),
    ("Lock.TryEnter", ThreadState::Blocked, Some((LockKind::Mutex, WaitFor::Exclusive))),
    (
        "ReaderWriterLockSlim.EnterReadLock",
        ThreadState::Blocked,
        Some((LockKind::RwLock, WaitFor::Shared)),
    ),
    (
        "ReaderWriterLockSlim.TryEnterReadLock",
        ThreadState::Blocked,
        Some((LockKind::RwLock, WaitFor::Shared)),
    ),
    (
        "ReaderWriterLockSlim.Enter",
        ThreadState::Blocked,
        Some((LockKind::RwLock, WaitFor::Exclusive)),
    ),
    (
        "ReaderWriterLockSlim.TryEnter",
        ThreadState::Blocked,
        Some((LockKind::RwLock, WaitFor::Exclusive)),
    ),
    (
        "SemaphoreSlim.Wait",
        ThreadState::Waiting,
        Some((LockKind::Semaphore, WaitFor::Notification)),
    ),
    ("Thread.Sleep", ThreadState::TimedWaiting, None),
    ("Thread.Join", ThreadState::Waiting, None),
    ("WaitHandle.Wait", ThreadState::Waiting, None),
    ("ManualResetEventSlim.Wait", ThreadState::Waiting, None),
    ("CountdownEvent.Wait", ThreadState::Waiting, None),
    ("Barrier.SignalAndWait", ThreadState::Waiting, None),
    ("LowLevelLifoSemaphore.Wait", ThreadState::Waiting, None),
    ("Tasks.Task.", ThreadState::Waiting, None),
];

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "# Sufficiently large applications can cause this reportCommand to take non-trivial amounts of time
Thread (0x48839B):
  [Native Frames]
  System.Private.CoreLib.il!System.Threading.Monitor.Enter(class System.Object,bool&)
  shop!Shop.Ledger.Post(class Shop.Order)
  shop!Shop.Program+<>c.<Main>b__0_1()

Thread (0x48839C):
  CPU_TIME
  shop!Shop.Prices.Sum(int32)

Thread (0x48839D):
  [Native Frames]
  System.Private.CoreLib.il!System.Threading.Monitor.ObjWait(int32,class System.Object)
  System.Private.CoreLib.il!System.Threading.SemaphoreSlim.Wait(int32,value class System.Threading.CancellationToken)
  shop!Shop.Session.Take()

";

    fn read_text(text: &str) -> (Vec<Dump>, Vec<Warning>) {
        let text = Text::from_bytes(text.as_bytes());
        assert_eq!(recognize(&text), Recognition::Yes);
        read(&text)
    }

    #[test]
    fn threads_and_what_they_wait_for() {
        let (dumps, warnings) = read_text(REPORT);
        assert_eq!((dumps.len(), warnings.len()), (1, 0));
        let [post, sum, take] = &dumps[0].threads[..] else { panic!("{:?}", dumps[0].threads) };
        assert_eq!((post.os_id, post.state), (Some(0x48839B), ThreadState::Blocked));
        assert_eq!((sum.state, take.state), (ThreadState::Runnable, ThreadState::Waiting));
        let kind = |thread: &Thread| thread.wait.as_ref().map(|wait| dumps[0].lock(wait.lock).kind);
        assert_eq!(
            [post, sum, take].map(kind),
            [Some(LockKind::Monitor), None, Some(LockKind::Semaphore)]
        );
        let functions: Vec<&str> =
            dumps[0].calls(post).map(|(.., symbol)| symbol.function.as_str()).collect();
        assert_eq!(
            functions,
            ["System.Threading.Monitor.Enter", "Shop.Ledger.Post", "Shop.Program+<>c.<Main>b__0_1"]
        );
    }

    #[test]
    fn a_thread_that_is_shown_again_begins_another_dump() {
        let (dumps, _) = read_text(&REPORT.repeat(2));
        assert_eq!(dumps.iter().map(|dump| dump.threads.len()).collect::<Vec<_>>(), [3, 3]);
    }

    #[test]
    fn what_is_something_else() {
        for text in ["Thread (0x1) x:", "Thread 1 (Thread 0x7f (LWP 1)):", "Thread (0xg):", ""] {
            assert_eq!(thread(text), None);
        }
        assert_eq!(call("   at a line of another depth"), None);
        assert_eq!(call("  System.Net!?").map(|call| call.function), Some("?"));
    }
}
