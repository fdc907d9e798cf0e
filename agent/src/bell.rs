//! A bell that a signal handler may ring, and one thread sleeps by.
//!
//! A pipe would do the same. But a program that closes every descriptor it does not know, and
//! then opens its own, would find the agent's byte in the midst of its data.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// The bell: how often it was rung.
pub(crate) struct Bell {
    rings: AtomicU32,
}

impl Bell {
    pub const fn new() -> Bell {
        Bell { rings: AtomicU32::new(0) }
    }

    /// Rings. A signal handler may do it: an atomic addition and a system call, no more. It may
    /// change `errno`, which signal-hook restores.
    pub fn ring(&self) {
        self.rings.fetch_add(1, SeqCst);
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word lives as long as the borrow; waking reads nothing else.
        unsafe { libc::syscall(libc::SYS_futex, self.rings.as_ptr(), operation, 1) };
    }

    /// How often it was rung until now. To be read before looking for work: a ring that comes
    /// after the look ends the next wait at once.
    pub fn rings(&self) -> u32 {
        self.rings.load(SeqCst)
    }

    /// Sleeps until it is rung again, or the time is over, or for no reason.
    pub fn wait(&self, seen: u32, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: word and time live as long as the call.
        unsafe { libc::syscall(libc::SYS_futex, self.rings.as_ptr(), operation, seen, timeout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_slept_through() {
        static BELL: Bell = Bell::new();
        let seen = BELL.rings();
        BELL.ring();
        BELL.wait(seen, None);
        assert_eq!(BELL.rings(), seen + 1);
    }

    #[test]
    fn a_ring_wakes_the_sleeper() {
        static BELL: Bell = Bell::new();
        let seen = BELL.rings();
        let sleeper = std::thread::spawn(move || {
            while BELL.rings() == seen {
                BELL.wait(seen, None);
            }
        });
        BELL.ring();
        sleeper.join().unwrap();
    }

    #[test]
    fn a_wait_may_have_an_end() {
        let bell = Bell::new();
        bell.wait(bell.rings(), Some(Duration::ZERO));
    }
}
