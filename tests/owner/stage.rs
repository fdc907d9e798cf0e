//! Threads that play scenes around locks, and what a dump says of them, held against what they are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use sigquit::dump::{Dump, LockId};

use super::gate::{Door, Gate, Pastime};
use super::locks::Lock;
use super::scenes::{self, Place, Scene};

/// What a thread is to its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
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
    thread: JoinHandle<()>,
}

/// One cast, in place.
pub struct Stage {
    random: Random,
    cast: Vec<Actor>,
    closed: &'static Mutex<()>,
    /// Keeps those waiting whose pastime is to wait for a lock.
    held: MutexGuard<'static, ()>,
}

impl Stage {
    /// The same cast for the same seed.
    pub fn new(seed: u64) -> Stage {
        let closed: &'static Mutex<()> = Box::leak(Box::default());
        let held = closed.lock().unwrap();
        Stage { random: Random(seed), cast: Vec::new(), closed, held }
    }

    /// A lock that nobody gets while the cast is in place.
    pub fn closed(&self) -> &'static dyn Door {
        self.closed
    }

    /// A number below this.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    /// Three bystanders come and are done with the lock, the owner takes it, others wait for it.
    /// `door` is what the owner waits for when it waits for a lock.
    pub fn play<L: Lock>(
        &mut self,
        place: &'static Place<L>,
        kind: &str,
        owner: Role,
        door: &'static dyn Door,
        waiters: usize,
    ) {
        for _ in 0..3 {
            let scene = self.random.one_of(scenes::bystanders());
            self.begin(place, kind, scene, Role::Bystander, self.closed);
        }
        let scene = match owner {
            Role::Hidden => self.random.one_of(scenes::hidden_owners()),
            _ => self.random.one_of(scenes::owners()),
        };
        self.begin(place, kind, scene, owner, door);
        for _ in 0..waiters {
            let scene = self.random.one_of(scenes::waiters());
            self.begin(place, kind, scene, Role::Waiter, self.closed);
        }
    }

    /// Someone takes the lock and waits for it.
    pub fn wait_for_itself<L: Lock>(&mut self, place: &'static Place<L>, kind: &str) {
        let scene: Scene<L> = scenes::itself;
        self.begin(place, kind, ("waits for itself", scene), Role::Waiter, self.closed);
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
        door: &'static dyn Door,
    ) {
        let pastime = match self.random.below(24) {
            0 => Pastime::Compute,
            _ => self.random.one_of(Pastime::OFF_CPU.to_vec()),
        };
        let gate: &'static Gate = Box::leak(Box::new(Gate::new(pastime, door)));
        let thread = thread::spawn(move || {
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
        let scene = match role {
            Role::Waiter => format!("{kind} {name}"),
            _ => format!("{kind} {name} ({pastime:?})"),
        };
        let (kind, lock) = (kind.to_owned(), place.lock.address());
        self.cast.push(Actor { tid, role, kind, scene, lock, gate, thread });
    }

    /// Holds a dump against the truth.
    pub fn judge(&self, dump: &Dump, tally: &mut Tally) {
        for actor in &self.cast {
            let thread = dump.threads.iter().find(|thread| is_of(thread.os_id, actor.tid));
            let locks = &thread.expect("the thread is in the dump").will_release;
            let is_its = |lock: &&LockId| is_at(dump, **lock, actor.lock);
            let has_it = locks.iter().any(|lock| is_its(&lock));
            let of_kind = tally.kinds.entry(actor.kind.clone()).or_default();
            let may_have_it = matches!(actor.role, Role::Owner | Role::Hidden);
            let wrong = locks.iter().filter(|lock| !may_have_it || !is_its(lock)).count();
            if wrong > 0 {
                *tally.wrong.entry(actor.scene.clone()).or_default() += wrong;
                of_kind.wrong += wrong;
            }
            if actor.role == Role::Owner {
                of_kind.found += usize::from(has_it);
                of_kind.unknown += usize::from(!has_it);
            }
            if actor.role == Role::Owner && !has_it {
                *tally.missed.entry(actor.scene.clone()).or_default() += 1;
            }
        }
        self.judge_audience(dump, tally);
    }

    /// Nobody else has any of the cast's locks.
    fn judge_audience(&self, dump: &Dump, tally: &mut Tally) {
        let is_in_cast = |os_id| self.cast.iter().any(|actor| is_of(os_id, actor.tid));
        for thread in dump.threads.iter().filter(|thread| !is_in_cast(thread.os_id)) {
            let is_theirs =
                |lock: &&LockId| self.cast.iter().any(|actor| is_at(dump, **lock, actor.lock));
            for _ in thread.will_release.iter().filter(is_theirs) {
                *tally.wrong.entry("not in the cast".to_owned()).or_default() += 1;
            }
        }
    }

    /// Lets all go, and returns their threads.
    pub fn end(self) -> Vec<JoinHandle<()>> {
        drop(self.held);
        self.cast.iter().for_each(|actor| actor.gate.open());
        self.cast.into_iter().map(|actor| actor.thread).collect()
    }
}

/// What dumps said.
#[derive(Default)]
pub struct Tally {
    /// Owners that were not found, by what they did.
    pub missed: BTreeMap<String, usize>,
    /// Locks that were said to be held by someone who does not hold them, by what that one did.
    pub wrong: BTreeMap<String, usize>,
    pub kinds: BTreeMap<String, OfKind>,
}

/// What dumps said of locks of one kind.
#[derive(Clone, Copy, Default)]
pub struct OfKind {
    pub found: usize,
    pub wrong: usize,
    pub unknown: usize,
}

impl Tally {
    pub fn found(&self) -> usize {
        self.kinds.values().map(|kind| kind.found).sum()
    }

    pub fn owners(&self) -> usize {
        self.kinds.values().map(|kind| kind.found + kind.unknown).sum()
    }
}

fn is_of(os_id: Option<u64>, tid: i32) -> bool {
    os_id == u64::try_from(tid).ok()
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
