//! What threads of macOS and iOS wait for, by the system calls at their leaves.

use sigquit_dump::{Lock, LockKind, ThreadState, WaitFor};

use super::NativeFrame;

/// What a thread does that waits.
#[derive(Debug)]
pub(in crate::read) struct Waits {
    pub state: ThreadState,
    /// The lock, where it waits for one.
    pub lock: Option<(Lock, WaitFor)>,
}

impl Waits {
    /// What a thread waits for, innermost call first.
    ///
    /// ```text
    /// __psynch_mutexwait
    /// _pthread_mutex_firstfit_lock_wait        a mutex
    ///
    /// __ulock_wait
    /// _dispatch_thread_event_wait_slow
    /// __DISPATCH_WAIT_FOR_QUEUE__
    /// _dispatch_sync_f_slow                    a dispatch queue, which runs one block at a time
    /// ```
    pub fn of_darwin(frames: &[NativeFrame]) -> Option<Waits> {
        let leaf = &*frames.first()?.function;
        let calls = |words: &[&str]| {
            let near = || frames.iter().take(NEAREST).map(|frame| &frame.function);
            words.iter().any(|word| near().any(|function| function.contains(word)))
        };
        let lock = |kind, type_name: Option<&str>, wait_for| Waits {
            state: ThreadState::Blocked,
            lock: Some((
                Lock { kind, type_name: type_name.map(str::to_owned), ..Lock::default() },
                wait_for,
            )),
        };
        Some(match leaf {
            "__psynch_mutexwait" => lock(LockKind::Mutex, None, WaitFor::Exclusive),
            "__psynch_rw_wrlock" => lock(LockKind::RwLock, None, WaitFor::Exclusive),
            "__psynch_rw_rdlock" => lock(LockKind::RwLock, None, WaitFor::Shared),
            _ if calls(&["os_unfair_lock_lock_slow", "os_unfair_recursive_lock_lock_slow"])
                && leaf.starts_with("__ulock_wait") =>
            {
                lock(LockKind::Mutex, Some("os_unfair_lock"), WaitFor::Exclusive)
            }
            _ if calls(&["__DISPATCH_WAIT_FOR_QUEUE__"]) => {
                lock(LockKind::Unknown, Some("dispatch queue"), WaitFor::Exclusive)
            }
            "__semwait_signal" | "__semwait_signal_nocancel" | "semaphore_timedwait_trap" => {
                Waits { state: ThreadState::TimedWaiting, lock: None }
            }
            _ if IN_KERNEL.contains(&leaf) || leaf.starts_with("__ulock_wait") => {
                Waits { state: ThreadState::Waiting, lock: None }
            }
            _ => return None,
        })
    }
}

/// The calls nearest the leaf among which those of locks are.
const NEAREST: usize = 6;

/// System calls that are entered in order to wait.
const IN_KERNEL: &[&str] = &[
    "__psynch_cvwait",
    "__workq_kernreturn",
    "mach_msg_trap",
    "mach_msg2_trap",
    "semaphore_wait_trap",
    "kevent",
    "kevent_id",
    "kevent_qos",
    "kevent64",
    "__select",
    "poll",
    "__accept",
    "__sigwait",
    "__wait4",
];
