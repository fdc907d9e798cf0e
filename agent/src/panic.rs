//! Panics: remembered by the thread that panics, told by the agent.
//!
//! A second panic inside a panic hook aborts the process, and nothing can catch it. So the hook
//! does only what cannot panic: it copies the message and the place, walks the stack, puts all
//! that on a list, and calls the hook that was there before. Whatever can go wrong happens on
//! the agent's thread.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use sigquit_dump::{Location, Nanos};

use crate::options::OnPanic;
use crate::{agent, facts};

/// Panics at different places that are remembered. What is remembered of a storm is where it
/// began.
const PLACES: usize = 16;
/// Letters of a message that are kept.
const MESSAGE: usize = 4096;
/// Frames of a panicking thread that are kept.
const DEPTH: usize = 256;
/// Between two dumps that panics ask for.
const BETWEEN_DUMPS: Duration = Duration::from_secs(10);
/// For how long a thread that panics waits for a list that another thread holds.
const TRIES: u32 = 1000;

static NOTED: Mutex<Noted> = Mutex::new(Noted { panics: Vec::new(), others: 0 });

/// The panics so far: one for each place.
struct Noted {
    panics: Vec<Panicked>,
    /// Panics at further places.
    others: u64,
}

/// The first panic at one place.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    /// The thread, by the number that the kernel knows it by.
    pub tid: i32,
    /// When, on the monotonic clock.
    pub at: Nanos,
    /// Where.
    pub location: Option<Location>,
    /// The stack, as lookup addresses, innermost first.
    pub addresses: Vec<u64>,
    words: String,
    times: u64,
}

impl Panicked {
    /// The panic's own words, and how often they were said.
    pub fn message(&self) -> String {
        match self.times {
            0 | 1 => self.words.clone(),
            times => format!("{} ({times} panics at this place)", self.words),
        }
    }
}

/// What was noted until now, and how many more panics there were at places that were not.
pub(crate) fn noted() -> (Vec<Panicked>, u64) {
    let noted = NOTED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    (noted.panics.clone(), noted.others)
}

/// Puts our hook before the program's. Not to be called by a thread that panics.
pub(crate) fn install(on_panic: OnPanic) {
    if on_panic == OnPanic::Off {
        return;
    }
    let before = take_hook();
    set_hook(Box::new(move |info| {
        if agent::serves_this_thread() {
            notice(info, on_panic);
        }
        before(info);
    }));
}

fn notice(info: &PanicHookInfo<'_>, on_panic: OnPanic) {
    note(panicked(info));
    if on_panic == OnPanic::Dump && is_due(facts::monotonic()) {
        agent::dump_for_panic();
    }
}

fn panicked(info: &PanicHookInfo<'_>) -> Panicked {
    let payload = info.payload();
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = info.location().map(|at| Location {
        file: at.file().to_owned(),
        line: Some(at.line()),
        column: Some(at.column()),
    });
    Panicked {
        tid: agent::current_thread(),
        at: facts::monotonic(),
        location,
        addresses: addresses(),
        words: words.unwrap_or("(not a text)").chars().take(MESSAGE).collect(),
        times: 1,
    }
}

/// The calling thread's stack.
fn addresses() -> Vec<u64> {
    let mut addresses = Vec::new();
    // SAFETY: what is not synchronised is the lookup of names on other systems; walking the
    // stack needs no lock here. The lock is avoided because a thread that hangs may hold it.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let pc = frame.ip() as u64;
            addresses.push(pc.saturating_sub(1));
            addresses.len() < DEPTH
        });
    }
    addresses
}

/// Never waits for long: the list may have been held by another thread when this process was
/// forked off, and then for ever.
fn note(panicked: Panicked) {
    for _ in 0..TRIES {
        if let Ok(mut noted) = NOTED.try_lock() {
            return noted.add(panicked);
        }
        std::thread::yield_now();
    }
}

impl Noted {
    fn add(&mut self, panicked: Panicked) {
        let known = self.panics.iter().position(|known| known.location == panicked.location);
        match known {
            Some(known) => self.panics[known].times += 1,
            None if self.panics.len() < PLACES => self.panics.push(panicked),
            None => self.others += 1,
        }
    }
}

/// Whether a panic may ask for a dump now; of several at once, one.
fn is_due(now: Nanos) -> bool {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let between = BETWEEN_DUMPS.as_nanos() as u64;
    let last = LAST.load(SeqCst);
    (last == 0 || now.0.saturating_sub(last) >= between)
        && LAST.compare_exchange(last, now.0, SeqCst, SeqCst).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked(line: u32) -> Panicked {
        let location = Some(Location { file: "a.rs".into(), line: Some(line), column: None });
        let (at, addresses) = (Nanos(0), Vec::new());
        Panicked { tid: 1, at, location, addresses, words: "boom".into(), times: 1 }
    }

    #[test]
    fn a_storm_is_counted_and_where_it_began_is_kept() {
        let mut noted = Noted { panics: Vec::new(), others: 0 };
        for line in [1, 2, 1, 1] {
            noted.add(panicked(line));
        }
        for line in 100..200 {
            noted.add(panicked(line));
        }
        assert_eq!(noted.panics.len(), PLACES);
        assert_eq!(noted.panics[0].message(), "boom (3 panics at this place)");
        assert_eq!(noted.panics[1].message(), "boom");
        assert_eq!(noted.others, 86);
    }

    #[test]
    fn a_stack_of_its_own_begins_in_this_crate() {
        assert!(addresses().len() > 3);
    }

    #[test]
    fn panics_may_ask_for_one_dump_in_ten_seconds() {
        let second = 1_000_000_000;
        let due = [5, 6, 14, 15, 16, 40].map(|at| is_due(Nanos(at * second)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
