//! Who holds a lock, read from the threads' machine code: owners are named, and nobody else.
//!
//! Threads play scenes with locks of six kinds. Each lock has one owner, three bystanders that
//! had it, will take it, or just know it, and two waiters; all of them know what they are. A dump
//! is taken, and what it says in `will_release` is held against that.
//!
//! A test binary of its own, because it is the process that is looked at. This measures two thousand locks,
//! and prints a table; `CARGO_PROFILE_RELEASE_LTO=fat`, `CARGO_PROFILE_RELEASE_OPT_LEVEL=s` and
//! `CARGO_PROFILE_RELEASE_PANIC=abort` choose other settings:
//!
//! ```sh
//! SIGQUIT_TEST_SEEDS=1000 cargo test --release -p sigquit-tests --test owner a_lock_s -- --nocapture
//! ```

#[path = "owner/gate.rs"]
mod gate;
#[path = "owner/locks.rs"]
mod locks;
#[path = "owner/scenes.rs"]
mod scenes;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gate::{Gate, Pastime};
use locks::{Lock, ParkingMutex, ParkingReader, ParkingWriter, StdMutex, StdReader, StdWriter};
use scenes::{Place, Scene};
use sigquit::dump::{self, Dump, LockId, NoticeKind, Thread};

/// How many casts each test plays, unless `SIGQUIT_TEST_SEEDS` says how many.
const SEEDS: u64 = 12;

/// What a thread is to its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Owner,
    /// An owner that need not be found.
    Hidden,
    Bystander,
    Waiter,
}

/// A thread that plays a scene.
struct Actor {
    tid: i32,
    role: Role,
    /// What kind of lock.
    kind: String,
    scene: String,
    /// The address of the lock that it plays with.
    lock: u64,
    gate: &'static Gate,
}

/// What the dumps of a test said.
#[derive(Default)]
struct Tally {
    owners: usize,
    found: usize,
    missed: BTreeMap<String, usize>,
    wrong: BTreeMap<String, usize>,
    kinds: BTreeMap<String, OfKind>,
}

/// What the dumps of a test said of locks of one kind.
#[derive(Default)]
struct OfKind {
    found: usize,
    wrong: usize,
    unknown: usize,
}

/// One test at a time: a dump shows the threads of all, and the agent gives the search for owners a
/// fifth of a second of CPU. Tests begin in the order of their names; those of the last stay.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|lock| lock.into_inner())
}

#[test]
fn a_lock_s_owners_are_named_and_nobody_else() {
    let _turn = turn();
    let mut tally = Tally::default();
    for seed in seeds() {
        let mut stage = Stage::new(seed);
        stage.play_any(Role::Owner);
        stage.play_any(Role::Owner);
        stage.judge(&mut tally);
    }
    tally.print("owners");
    println!("missed: {:?}", tally.missed);
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
    // How far code is followed has limits, and the compiler decides how long the way is. Of so few
    // owners, chance may draw several with a long way.
    assert!(tally.found * 6 >= tally.owners * 5, "these hold the lock: {:?}", tally.missed);
}

#[test]
fn an_owner_that_cannot_be_found_makes_nobody_else_one() {
    let _turn = turn();
    let mut tally = Tally::default();
    // Those who hold a lock for ever stay; so there are few.
    for seed in 1..=6 {
        let mut stage = Stage::new(seed);
        stage.play_any(Role::Hidden);
        stage.judge(&mut tally);
    }
    tally.print("hidden owners");
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
}

#[test]
fn a_thread_that_waits_for_itself_is_its_owner() {
    let _turn = turn();
    let mut tally = Tally::default();
    let mut stage = Stage::new(1);
    stage.wait_for_itself::<StdMutex>("std mutex");
    stage.wait_for_itself::<ParkingMutex>("parking_lot mutex");
    stage.judge(&mut tally);
    tally.print("self-deadlocks");
    assert!(tally.wrong.is_empty(), "these do not hold the lock: {:?}", tally.wrong);
    // Whether a wait in the standard library ended with the lock cannot be read from its code.
    assert!(tally.found > 0, "these hold the lock: {:?}", tally.missed);
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    let said = std::env::var("SIGQUIT_TEST_SEEDS").ok();
    1..=said.and_then(|said| said.parse().ok()).unwrap_or(SEEDS)
}

/// One cast, in place.
struct Stage {
    random: Random,
    cast: Vec<Actor>,
    closed: &'static Mutex<()>,
    /// Keeps those waiting whose pastime is to wait for a lock.
    held: MutexGuard<'static, ()>,
    /// There is one process to look at.
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    fn new(seed: u64) -> Stage {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let closed: &'static Mutex<()> = Box::leak(Box::default());
        let held = closed.lock().unwrap();
        Stage { random: Random(seed), cast: Vec::new(), closed, held, _turn: turn }
    }

    /// Plays with a lock of any kind.
    fn play_any(&mut self, owner: Role) {
        match self.random.below(6) {
            0 => self.play::<StdMutex>("std mutex", owner),
            1 => self.play::<StdWriter>("std writer", owner),
            2 => self.play::<StdReader>("std reader", owner),
            3 => self.play::<ParkingMutex>("parking_lot mutex", owner),
            4 => self.play::<ParkingWriter>("parking_lot writer", owner),
            _ => self.play::<ParkingReader>("parking_lot reader", owner),
        }
    }

    /// Three bystanders come and are done with the lock, the owner takes it, two wait for it.
    fn play<L: Lock>(&mut self, kind: &str, owner: Role) {
        let place: &'static Place<L> = Box::leak(Box::default());
        for _ in 0..3 {
            let scene = self.random.one_of(scenes::bystanders());
            self.begin(place, kind, scene, Role::Bystander);
        }
        let scene = match owner {
            Role::Hidden => self.random.one_of(scenes::hidden_owners()),
            _ => self.random.one_of(scenes::owners()),
        };
        self.begin(place, kind, scene, owner);
        for _ in 0..2 {
            let scene = self.random.one_of(scenes::waiters());
            self.begin(place, kind, scene, Role::Waiter);
        }
    }

    fn wait_for_itself<L: Lock>(&mut self, kind: &str) {
        let place: &'static Place<L> = Box::leak(Box::default());
        self.begin(place, kind, ("waits for itself", scenes::itself), Role::Waiter);
        if let Some(actor) = self.cast.last_mut() {
            actor.role = Role::Owner;
        }
    }

    /// Starts a thread and waits until it is where it is to be seen.
    fn begin<L: Lock>(
        &mut self,
        place: &'static Place<L>,
        kind: &str,
        (name, scene): (&str, Scene<L>),
        role: Role,
    ) {
        let pastime = match self.random.below(24) {
            0 => Pastime::Compute,
            _ => self.random.one_of(Pastime::OFF_CPU.to_vec()),
        };
        let gate: &'static Gate = Box::leak(Box::new(Gate::new(pastime, self.closed)));
        thread::spawn(move || {
            if role == Role::Waiter {
                gate.arrive();
            }
            scene(place, gate);
        });
        let tid = loop {
            match gate.arrived() {
                Some(tid) => break tid,
                None => thread::yield_now(),
            }
        };
        while role == Role::Waiter && !waits(tid) {
            thread::yield_now();
        }
        let scene = format!("{kind} {name} ({pastime:?})");
        let kind = kind.to_owned();
        self.cast.push(Actor { tid, role, kind, scene, lock: place.lock.address(), gate });
    }

    /// Takes a dump and holds it against the truth, and lets all go.
    fn judge(self, tally: &mut Tally) {
        let dump = whole_dump();
        for actor in &self.cast {
            let thread = thread_of(&dump, actor.tid);
            let locks: Vec<LockId> = thread.will_release.clone();
            let is_its = |lock: &LockId| is_at(&dump, *lock, actor.lock);
            let has_it = locks.iter().any(is_its);
            let of_kind = tally.kinds.entry(actor.kind.clone()).or_default();
            let may_have_it = matches!(actor.role, Role::Owner | Role::Hidden);
            if locks.iter().any(|lock| !is_its(lock)) || has_it && !may_have_it {
                *tally.wrong.entry(actor.scene.clone()).or_default() += 1;
                of_kind.wrong += 1;
            }
            if actor.role == Role::Owner {
                tally.owners += 1;
                tally.found += usize::from(has_it);
                of_kind.found += usize::from(has_it);
                of_kind.unknown += usize::from(!has_it);
            }
            if actor.role == Role::Owner && !has_it {
                *tally.missed.entry(actor.scene.clone()).or_default() += 1;
            }
        }
        drop(self.held);
        self.cast.iter().for_each(|actor| actor.gate.open());
    }
}

impl Tally {
    fn print(&self, what: &str) {
        let (found, owners) = (self.found, self.owners);
        println!("{what}: {found} of {owners} found, {} wrong", self.wrong.len());
        for (kind, OfKind { found, wrong, unknown }) in &self.kinds {
            println!("{kind:<20}  found {found:>5}  wrong {wrong:>5}  unknown {unknown:>5}");
        }
    }
}

/// A dump in which every thread was looked at to the end: on a machine that is very busy the
/// agent gives up earlier, and says so.
fn whole_dump() -> Dump {
    static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let builder = sigquit::builder().directory(directory.path()).stderr(false);
        let builder = builder.owner_search(Duration::from_secs(30));
        builder.deadline(Duration::from_secs(60)).install().expect("an agent");
        directory
    });
    LazyLock::force(&DIRECTORY);
    for _ in 0..30 {
        let path = sigquit::dump_now().expect("a dump");
        let bytes = std::fs::read(path).expect("the dump's file");
        let (dumps, warnings) = dump::read(&bytes).expect("a dump");
        assert!(warnings.is_empty(), "{warnings:?}");
        let dump = dumps.into_iter().next().expect("one dump");
        if dump.notices.iter().all(|notice| notice.kind != NoticeKind::Failure) {
            return dump;
        }
        println!("once more, for {:?}", dump.notices);
    }
    panic!("no whole dump in thirty");
}

fn thread_of(dump: &Dump, tid: i32) -> &Thread {
    let is_it = |thread: &&Thread| thread.os_id == u64::try_from(tid).ok();
    dump.threads.iter().find(is_it).expect("the thread is in the dump")
}

/// Whether a futex stands for the lock at an address: its own word, the one on which an
/// `RwLock`'s writers wait, or a parked thread's, who waits for the lock or for its readers.
fn is_at(dump: &Dump, futex: LockId, address: u64) -> bool {
    let futex = dump.lock(futex);
    let keys = [futex.address, futex.address.map(|at| at - 4), futex.parking_key];
    keys.contains(&Some(address)) || futex.parking_key == Some(address + 1)
}

/// Whether a thread sleeps on a futex.
fn waits(tid: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall"));
    call.is_ok_and(|call| call.starts_with(&format!("{} ", libc::SYS_futex)))
}

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    /// Vigna's splitmix64.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end as u64) as usize
    }

    fn one_of<T>(&mut self, mut choices: Vec<T>) -> T {
        let at = self.below(choices.len());
        choices.swap_remove(at)
    }
}
