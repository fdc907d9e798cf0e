//! The place where a thread of a scene is when it is looked at.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// What a thread does at the gate until it opens.
#[derive(Clone, Copy, Debug)]
pub enum Pastime {
    /// It sleeps for a while, again and again.
    Sleep,
    /// It computes.
    Compute,
    /// It waits to be notified.
    Notification,
    /// It is parked.
    Park,
    /// It waits for a lock that another holds.
    Lock,
}

impl Pastime {
    /// Those that need no CPU.
    pub const OFF_CPU: [Pastime; 4] =
        [Pastime::Sleep, Pastime::Notification, Pastime::Park, Pastime::Lock];
}

/// One thread's gate.
pub struct Gate {
    pastime: Pastime,
    /// The thread that has arrived, by the kernel's number.
    arrived: AtomicI32,
    open: AtomicBool,
    opened: Mutex<bool>,
    notify: Condvar,
    door: &'static dyn Door,
}

/// A lock that another thread holds until all gates open.
pub trait Door: Sync {
    /// Takes the lock and gives it back.
    fn pass(&self);
}

impl Door for Mutex<()> {
    fn pass(&self) {
        drop(self.lock());
    }
}

impl Gate {
    /// A closed gate, at which one may wait for `door`.
    pub fn new(pastime: Pastime, door: &'static dyn Door) -> Gate {
        Gate {
            pastime,
            arrived: AtomicI32::new(0),
            open: AtomicBool::new(false),
            opened: Mutex::new(false),
            notify: Condvar::new(),
            door,
        }
    }

    /// The thread that stands at the gate, once there is one.
    pub fn arrived(&self) -> Option<i32> {
        Some(self.arrived.load(SeqCst)).filter(|&tid| tid != 0)
    }

    /// Says that the calling thread is there.
    pub fn arrive(&self) {
        // SAFETY: gettid takes nothing.
        self.arrived.store(unsafe { libc::gettid() }, SeqCst);
    }

    /// Whether the thread may go on.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.open.load(SeqCst)
    }

    /// Stands at the gate until it opens.
    #[inline(never)]
    pub fn wait(&self) {
        self.arrive();
        while !self.is_open() {
            match self.pastime {
                Pastime::Sleep => std::thread::sleep(Duration::from_millis(5)),
                Pastime::Compute => std::hint::spin_loop(),
                Pastime::Park => std::thread::park_timeout(Duration::from_millis(50)),
                Pastime::Lock => self.door.pass(),
                Pastime::Notification => {
                    let opened = self.opened.lock().unwrap();
                    drop(self.notify.wait_while(opened, |opened| !*opened).unwrap());
                }
            }
        }
    }

    /// Lets the thread go on.
    pub fn open(&self) {
        self.open.store(true, SeqCst);
        *self.opened.lock().unwrap() = true;
        self.notify.notify_all();
    }
}
