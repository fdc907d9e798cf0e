//! Goroutines that a profile counts by their stacks. It prints neither numbers nor states; what a
//! goroutine waits for is told by the runtime's functions at its leaf.

use sigquit_dump::{
    Dump, Frame, Kind, Location, Lock, LockKind, Process, Runtime, Stack, Symbol, Thread,
    ThreadState, Wait, WaitFor, Warning,
};

use super::intern::Interned;

/// More goroutines than this are not made of a profile, which can claim any number of them.
const MOST: u64 = 1 << 20;

/// A dump of goroutines while a profile is read.
#[derive(Debug)]
pub(super) struct Goroutines {
    dump: Dump,
    interned: Interned<Call>,
    left_out: u64,
}

/// One call as a profile shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub function: String,
    pub file: String,
    pub line: Option<u32>,
    pub inlined: bool,
}

impl Call {
    pub(super) fn read(&self) -> Frame {
        let location = (!self.file.is_empty()).then(|| Location {
            file: self.file.clone(),
            line: self.line,
            column: None,
        });
        let function = self.function.clone();
        Frame::named(Symbol { function, location, inlined: self.inlined })
    }
}

impl Default for Goroutines {
    fn default() -> Self {
        let process = Process { runtime: Runtime::Go, ..Process::default() };
        Goroutines {
            dump: Dump { process, ..Dump::default() },
            interned: Interned::default(),
            left_out: 0,
        }
    }
}

impl Goroutines {
    /// Adds so many goroutines with one stack, innermost call first.
    pub fn add(
        &mut self,
        count: u64,
        calls: &[Call],
        labels: Vec<(String, String)>,
        line: Option<u64>,
    ) {
        let room = MOST - self.dump.threads.len() as u64;
        self.left_out = self.left_out.saturating_add(count.saturating_sub(room));
        let dump = &mut self.dump;
        let frames: Vec<_> = calls
            .iter()
            .map(|call| self.interned.frame(dump, call.clone(), || call.read()))
            .collect();
        let stack = (!frames.is_empty()).then(|| self.interned.stack(dump, Stack::from(frames)));
        let (state, state_text, wanted) = doing(calls);
        let wait = wanted.map(|(kind, type_name, wait_for)| {
            let type_name = Some(type_name.to_owned());
            Wait { lock: dump.add_lock(Lock { kind, type_name, ..Lock::default() }), wait_for }
        });
        let goroutine = Thread {
            kind: Kind::Goroutine,
            state,
            state_text: state_text.to_owned(),
            stack,
            wait,
            labels,
            line,
            ..Thread::default()
        };
        dump.threads.extend(std::iter::repeat_n(goroutine, count.min(room) as usize));
    }

    /// The whole dump, when it holds anybody.
    pub fn finish(mut self, warnings: &mut Vec<Warning>) -> Option<Dump> {
        if self.left_out > 0 {
            self.dump.truncated = true;
            let message = format!("{} more goroutines are counted and left out", self.left_out);
            warnings.push(Warning { line: 1, message });
        }
        (!self.dump.threads.is_empty()).then_some(self.dump)
    }
}

type Wanted = (LockKind, &'static str, WaitFor);

/// What a goroutine does, by the innermost functions: the state that the runtime would print, and
/// the lock that it waits for.
fn doing(calls: &[Call]) -> (ThreadState, &'static str, Option<Wanted>) {
    let is_runtime = |call: &&Call| {
        ["runtime.", "sync.", "internal/", "time."].iter().any(|own| call.function.starts_with(own))
    };
    let near = calls.iter().take_while(is_runtime);
    let known = near.filter_map(|call| {
        STATES.iter().find(|(function, ..)| call.function.starts_with(function))
    });
    match known.last() {
        Some(&(_, state, text, wanted)) => (state, text, wanted),
        None => (ThreadState::Unknown, "", None),
    }
}

/// What the runtime's functions tell of who is in them. The outermost of a stack decides.
const STATES: &[(&str, ThreadState, &str, Option<Wanted>)] = &[
    ("runtime.chansend", ThreadState::Waiting, "chan send", None),
    ("runtime.chanrecv", ThreadState::Waiting, "chan receive", None),
    ("runtime.selectgo", ThreadState::Waiting, "select", None),
    ("runtime.block", ThreadState::Waiting, "select (no cases)", None),
    ("time.Sleep", ThreadState::TimedWaiting, "sleep", None),
    ("internal/poll.runtime_pollWait", ThreadState::Waiting, "IO wait", None),
    ("sync.(*Cond).Wait", ThreadState::Waiting, "sync.Cond.Wait", None),
    ("sync.(*WaitGroup).Wait", ThreadState::Waiting, "sync.WaitGroup.Wait", None),
    (
        "sync.(*Mutex).Lock",
        ThreadState::Blocked,
        "sync.Mutex.Lock",
        Some((LockKind::Mutex, "sync.Mutex", WaitFor::Exclusive)),
    ),
    (
        "sync.(*Mutex).lockSlow",
        ThreadState::Blocked,
        "sync.Mutex.Lock",
        Some((LockKind::Mutex, "sync.Mutex", WaitFor::Exclusive)),
    ),
    (
        "sync.(*RWMutex).Lock",
        ThreadState::Blocked,
        "sync.RWMutex.Lock",
        Some((LockKind::RwLock, "sync.RWMutex", WaitFor::Exclusive)),
    ),
    (
        "sync.(*RWMutex).RLock",
        ThreadState::Blocked,
        "sync.RWMutex.RLock",
        Some((LockKind::RwLock, "sync.RWMutex", WaitFor::Shared)),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(functions: &[&str]) -> Vec<Call> {
        let call = |function: &&str| Call { function: (*function).into(), ..Call::default() };
        functions.iter().map(call).collect()
    }

    #[test]
    fn what_the_leaf_tells() {
        let state = |functions: &[&str]| doing(&calls(functions)).1;
        assert_eq!(state(&["runtime.gopark", "runtime.chansend", "main.leak"]), "chan send");
        assert_eq!(
            state(&[
                "sync.runtime_SemacquireMutex",
                "sync.(*Mutex).lockSlow",
                "sync.(*RWMutex).Lock",
                "main.f"
            ]),
            "sync.RWMutex.Lock"
        );
        assert_eq!(state(&["main.compute", "runtime.chansend"]), "");
    }

    #[test]
    fn a_lie_about_the_number_fills_no_memory() {
        let mut goroutines = Goroutines::default();
        goroutines.add(u64::MAX, &calls(&["main.f"]), Vec::new(), None);
        goroutines.add(u64::MAX, &calls(&["main.g"]), Vec::new(), None);
        let mut warnings = Vec::new();
        let dump = goroutines.finish(&mut warnings).expect("a dump");
        assert_eq!((dump.threads.len() as u64, warnings.len(), dump.truncated), (MOST, 1, true));
    }
}
