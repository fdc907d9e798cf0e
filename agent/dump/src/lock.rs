//! Locks: who waits, for what, owned by whom.

use serde::{Deserialize, Serialize};

use crate::{Location, Nanos};

/// The number of a lock within its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockId(pub u32);

/// Anything that one owner holds, or a place where threads wait together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Where it lies in the process, when the source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// The number by which its runtime knows it, the same in every dump, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The name that the program gave it, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(default)]
    pub kind: LockKind,
    /// Its type as the source names it (`java.lang.Object`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Where in the source it was made, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Location>,
    /// For a futex: the first four 32-bit words at the address when the dump was taken. What
    /// they mean depends on who uses the futex; the third is the owner's tid in a pthread mutex. Absent
    /// where that owner waits itself and was not seen to stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<[u32; 4]>,
    /// For a futex: the 64-bit word that lies 32 bytes below it, where parking_lot 0.12 keeps
    /// the address of the lock for which it parks the thread. Means nothing elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parking_key: Option<u64>,
    /// How many may hold it at once, for what is made to be held by several: a semaphore's permits,
    /// a pool's resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// How many of these are held, by known owners and unknown ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<u64>,
    /// How often somebody had to wait for it, this moment's waiters among them, when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<u64>,
    /// How long those waits that have ended took, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<Nanos>,
    /// Who waits for it as it says itself, whatever else they wait for meanwhile: indices in
    /// [`Dump::threads`](crate::Dump::threads).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiters: Vec<u32>,
    /// Who holds it, when known. Several for a lock held by readers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
}

/// What kind of lock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// The source does not say.
    #[default]
    Unknown,
    /// A word on which the kernel lets threads wait; what is built on it is not known.
    Futex,
    /// A mutex.
    Mutex,
    /// A read-write lock.
    RwLock,
    /// The lock inside a JVM object.
    Monitor,
    /// A `java.util.concurrent` lock or another owned synchronizer.
    Synchronizer,
    /// The lock that a class holds while it is initialised.
    ClassInitialisation,
    /// A condition variable or the wait set of a monitor.
    Condition,
    /// A semaphore.
    Semaphore,
    /// A pool, of connections or the like.
    Pool,
    /// A channel.
    Channel,
    /// Something initialised once.
    Once,
    /// A place where one thread is parked until another unparks it.
    Parker,
}

impl LockKind {
    /// What to call one in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            LockKind::Unknown | LockKind::Synchronizer => "lock",
            LockKind::Futex => "futex",
            LockKind::Mutex => "mutex",
            LockKind::RwLock => "read-write lock",
            LockKind::Monitor => "monitor",
            LockKind::ClassInitialisation => "class initialisation lock",
            LockKind::Condition => "condition",
            LockKind::Semaphore => "semaphore",
            LockKind::Pool => "pool",
            LockKind::Channel => "channel",
            LockKind::Once => "one-time initialisation",
            LockKind::Parker => "parker",
        }
    }
}

/// A thread that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its index in [`Dump::threads`](crate::Dump::threads).
    pub thread: u32,
    /// How that is known.
    pub source: OwnerSource,
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerSource {
    /// The runtime or the lock's own memory says so.
    Runtime,
    /// A lock that records its owner says so.
    Tracked,
    /// Read from the owner's machine code or from frames: not certain.
    Inferred,
}

/// A lock that a thread holds, and since which frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which lock.
    pub lock: LockId,
    /// The frame that acquired it, counted from the leaf (0), when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// Where in the source it was acquired, when the lock records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Location>,
    /// For how long it has been held, when the lock records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Nanos>,
    /// How that is known.
    pub source: OwnerSource,
}

impl Hold {
    /// A hold of which no more is known.
    pub fn new(lock: LockId, frame: Option<u32>, source: OwnerSource) -> Hold {
        Hold { lock, frame, taken_at: None, held: None, source }
    }
}

/// What a thread waits for: one edge of the wait-for graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Which lock.
    pub lock: LockId,
    /// To do what with it.
    pub wait_for: WaitFor,
}

/// What a waiter wants of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// To own it alone.
    Exclusive,
    /// To share it with other readers.
    Shared,
    /// To be notified; whoever holds the lock is not in the way.
    Notification,
    /// To own it again after a notification.
    Reacquire,
    /// Not known: a futex whose user is not recognised.
    Unknown,
}

impl WaitFor {
    /// Whether the owner of the lock is what the waiter waits for.
    pub fn needs_owner_to_leave(self) -> bool {
        matches!(self, WaitFor::Exclusive | WaitFor::Shared | WaitFor::Reacquire)
    }
}
