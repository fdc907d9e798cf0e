//! Threads that use a library, stopped where one of them runs under its lock.
//!
//! A program knows which of its threads use one thing together (a logger, a key of a cache), and which
//! of them a library calls back while it holds the lock of that thing. It does not know the lock.
//!
//! ```text
//! open    they come and go
//! shut    who is called back stays inside; the others come up behind the lock, until all stand still
//! ```

use std::cell::RefCell;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// A thread that stands still twice, so far apart, stands.
const STILL: Duration = Duration::from_millis(10);
/// What they get to come to a stand.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a thing is used inside while the gate is open.
const INSIDE: Duration = Duration::from_micros(50);

static STAGE: LazyLock<Stage> = LazyLock::new(Stage::new);

thread_local! {
    static MINE: RefCell<Option<Arc<Actor>>> = const { RefCell::new(None) };
}

struct Stage {
    shut: AtomicBool,
    /// Has a byte while the gate is open, for all to see.
    gate: Mutex<PipeWriter>,
    passage: PipeReader,
    actors: Mutex<Vec<Arc<Actor>>>,
}

struct Actor {
    tid: u32,
    uses: AtomicUsize,
    /// It may use its thing at any time, and waits for other things, too.
    belongs: AtomicBool,
    /// How many calls back it is in.
    inside: AtomicU32,
}

/// Where a thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub tid: u32,
    /// Which thing it uses or wants to use; nothing for none.
    pub uses: Option<usize>,
    /// The library has called it back, with the lock of that thing held.
    pub inside: bool,
    /// It sleeps in the kernel on a word of memory, and for no other reason than to use that thing.
    pub queues: bool,
}

/// Uses a thing, a number above 0. When the gate is shut, one of four stays away.
pub fn using(thing: usize, random: &mut Random, use_it: impl FnOnce()) {
    if STAGE.shut.load(SeqCst) && random.below(4) == 0 {
        pass();
    }
    let mine = mine();
    mine.uses.store(thing, SeqCst);
    use_it();
    mine.uses.store(0, SeqCst);
}

/// From now on the calling thread may use a thing at any time.
pub fn belong(thing: usize) {
    let mine = mine();
    mine.uses.store(thing, SeqCst);
    mine.belongs.store(true, SeqCst);
}

/// What a library calls back while it holds the lock of the thing that the calling thread uses.
#[inline(never)]
pub fn inside() {
    let mine = mine();
    mine.inside.fetch_add(1, SeqCst);
    thread::sleep(INSIDE);
    pass();
    mine.inside.fetch_sub(1, SeqCst);
}

/// Shuts the gate; says where everyone stands once nobody moves any more.
pub fn shut() -> Option<Vec<Standing>> {
    STAGE.shut.store(true, SeqCst);
    (&STAGE.passage).read_exact(&mut [0]).expect("the byte that is there");
    let until = Instant::now() + PATIENCE;
    let (mut before, mut seen) = (look(), None);
    while Instant::now() < until && seen.is_none() {
        thread::sleep(STILL);
        let now = look();
        seen = now.as_ref().filter(|now| before.as_ref() == Some(now)).cloned();
        before = now;
    }
    seen.map(|(standing, _)| standing)
}

/// Opens it again.
pub fn open() {
    STAGE.shut.store(false, SeqCst);
    STAGE.gate.lock().unwrap().write_all(&[0]).expect("a byte into a pipe");
}

/// Where everyone stands, with how often each has gone to sleep; nothing while someone runs, or
/// nobody is inside.
pub fn look() -> Option<(Vec<Standing>, Vec<String>)> {
    let actors = STAGE.actors.lock().unwrap();
    let (mut standing, mut slept) = (Vec::new(), Vec::new());
    for actor in actors.iter() {
        let of = |file: &str| fs::read_to_string(format!("/proc/self/task/{}/{file}", actor.tid));
        let (status, call) = (of("status").ok()?, of("syscall").ok()?);
        let line = |name: &str| status.lines().find(|line| line.starts_with(name));
        if !line("State:")?.contains('S') {
            return None;
        }
        slept.push(line("voluntary_ctxt_switches:")?.to_owned());
        let uses = Some(actor.uses.load(SeqCst)).filter(|&uses| uses > 0);
        let inside = actor.inside.load(SeqCst) > 0;
        let on_futex = call.starts_with(&format!("{} ", libc::SYS_futex));
        let queues = uses.is_some() && !inside && !actor.belongs.load(SeqCst) && on_futex;
        standing.push(Standing { tid: actor.tid, uses, inside, queues });
    }
    standing.iter().any(|one| one.inside).then_some((standing, slept))
}

/// Goes through the gate, once it is open.
fn pass() {
    let mut gate = libc::pollfd { fd: STAGE.passage.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which is ours. Interrupted, it begins again.
    while unsafe { libc::poll(&raw mut gate, 1, -1) } < 1 {}
}

fn mine() -> Arc<Actor> {
    MINE.with_borrow_mut(|mine| mine.get_or_insert_with(Actor::enter).clone())
}

impl Stage {
    fn new() -> Stage {
        let (passage, mut gate) = pipe().expect("a pipe");
        gate.write_all(&[0]).expect("a byte into a pipe");
        Stage {
            shut: AtomicBool::new(false),
            gate: Mutex::new(gate),
            passage,
            actors: Mutex::default(),
        }
    }
}

impl Actor {
    fn enter() -> Arc<Actor> {
        // SAFETY: gettid takes nothing.
        let tid = unsafe { libc::gettid() }.unsigned_abs();
        let actor =
            Arc::new(Actor { tid, uses: 0.into(), belongs: false.into(), inside: 0.into() });
        STAGE.actors.lock().unwrap().push(actor.clone());
        actor
    }
}

/// The same numbers for the same seed.
pub struct Random(pub u64);

impl Random {
    /// Vigna's splitmix64.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end as u64) as usize
    }
}
