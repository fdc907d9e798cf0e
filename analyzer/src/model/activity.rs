//! What a thread is doing, told from the innermost frames: the words that follow "the owner".
//! One list of rules a runtime.

use std::fmt;

use sigquit_dump::{Runtime, Thread, ThreadState};

use super::call::{Call, Origin};
use super::incident::{Incident, MemberId};
use super::pattern::matches_any;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activity {
    /// It runs, or could run if it had a CPU.
    Computing,
    /// Reads from or writes to a peer, or waits to.
    Network,
    /// Reads or writes files, or waits for the disk.
    File,
    /// Waits for another process to end.
    ChildProcess,
    /// Sleeps for a time that the program chose.
    Sleeping,
    /// Waits until a lock is free.
    Lock,
    /// Waits for another thread to signal, send, receive or end.
    Event,
    /// In a system call or in foreign code.
    SystemCall,
    /// The source does not tell.
    Unknown,
}

impl Activity {
    /// Whether it waits for a time or for another thread, and not for anything outside.
    pub fn is_wait_for_event(self) -> bool {
        matches!(self, Activity::Sleeping | Activity::Event)
    }

    /// The same words for several members.
    pub fn of_several(self) -> &'static str {
        match self {
            Activity::Computing => "are running",
            Activity::Network => "are in network I/O",
            Activity::File => "are in file I/O",
            Activity::ChildProcess => "wait for a child process",
            Activity::Sleeping => "sleep",
            Activity::Lock => "wait for a lock",
            Activity::Event => "wait for another thread",
            Activity::SystemCall => "are in a system call",
            Activity::Unknown => "do something that the dump does not tell",
        }
    }

    /// Whether it does not use a CPU.
    pub fn is_wait(self) -> bool {
        !matches!(self, Activity::Computing | Activity::Unknown)
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activity::Computing => "is running",
            Activity::Network => "is in network I/O",
            Activity::File => "is in file I/O",
            Activity::ChildProcess => "waits for a child process",
            Activity::Sleeping => "sleeps",
            Activity::Lock => "itself waits for a lock",
            Activity::Event => "waits for another thread",
            Activity::SystemCall => "is in a system call",
            Activity::Unknown => "does something that the dump does not tell",
        })
    }
}

/// What a thread is doing.
pub(crate) fn activity<'a>(
    runtime: Runtime,
    thread: &Thread,
    calls: impl Iterator<Item = &'a Call> + Clone,
) -> Activity {
    if thread.wait.as_ref().is_some_and(|wait| wait.wait_for.needs_owner_to_leave()) {
        return Activity::Lock;
    }
    by_frames(runtime, calls).unwrap_or_else(|| by_state(thread))
}

/// Whoever waits in one of these waits for a child process, in whatever way.
const FOR_A_CHILD: &[&str] = &[
    "java.lang.ProcessHandleImpl.waitForProcessExit*",
    "java.lang.ProcessImpl.waitFor*",
    "java.lang.UNIXProcess.waitFor*",
    "os.(*Process).*ait*",
    "os/exec.(*Cmd).Wait",
    "std::process::Child::wait*",
];

/// Within these it is a connection that is written to or read from, though the code that does so is that of files.
const OF_SOCKETS: &[&str] = &["sun.nio.ch.SocketDispatcher.*"];

/// The innermost frame that a rule knows decides, up to the program's own first frame.
fn by_frames<'a>(
    runtime: Runtime,
    calls: impl Iterator<Item = &'a Call> + Clone,
) -> Option<Activity> {
    let rules = rules(runtime);
    let mut calls = calls.take_while(|call| call.origin != Origin::Application);
    if calls.clone().any(|call| matches_any(FOR_A_CHILD, &call.function)) {
        return Some(Activity::ChildProcess);
    }
    if calls.clone().any(|call| matches_any(OF_SOCKETS, &call.function)) {
        return Some(Activity::Network);
    }
    calls.find_map(|call| {
        let rule = rules.iter().find(|(_, patterns)| matches_any(patterns, &call.function));
        rule.map(|&(activity, _)| activity)
    })
}

/// Calls that nothing but a disk makes wait. A read or a write may be of a pipe.
const OF_DISKS: &[&str] = &[
    "*fsync",
    "*fdatasync",
    "*msync",
    "*rename",
    "*unlink",
    "java.io.FileDescriptor.sync*",
    "java.io.UnixFileSystem.*",
    "java.nio.MappedByteBuffer.force*",
    "sun.nio.ch.File*.force*",
    "sun.nio.fs.UnixNativeDispatcher.*",
    "internal/poll.(*FD).Fsync*",
    "os.(*File).Sync",
];

/// Whether nothing but a disk makes a function wait.
pub(super) fn is_of_disk(function: &str) -> bool {
    matches_any(OF_DISKS, function)
}

impl Incident {
    /// Whether a member is in a call that only a disk makes wait.
    pub fn waits_for_disk(&self, id: MemberId, dump: usize) -> bool {
        let calls = self.calls(id, dump).zip(self.marks(id, dump));
        let mut inner = calls.take_while(|(call, _)| call.origin != Origin::Application);
        inner.any(|(_, marks)| marks.of_disk)
    }
}

fn by_state(thread: &Thread) -> Activity {
    match thread.state {
        ThreadState::Running | ThreadState::Runnable => Activity::Computing,
        ThreadState::Blocked => Activity::Lock,
        ThreadState::Waiting | ThreadState::TimedWaiting | ThreadState::Parked => Activity::Event,
        ThreadState::Syscall => Activity::SystemCall,
        ThreadState::Uninterruptible => Activity::File,
        _ => Activity::Unknown,
    }
}

type Rules = &'static [(Activity, &'static [&'static str])];

fn rules(runtime: Runtime) -> Rules {
    match runtime {
        Runtime::Jvm => JAVA,
        Runtime::Go => GO,
        Runtime::Rust | Runtime::Native | Runtime::Unknown => NATIVE,
    }
}

const JAVA: Rules = &[
    (Activity::Sleeping, &["java.lang.Thread.sleep*", "java.util.concurrent.TimeUnit.sleep"]),
    (
        Activity::Network,
        &[
            "java.net.*Socket*",
            "java.net.Inet*AddressImpl.*",
            "sun.nio.ch.*Socket*",
            "sun.nio.ch.Net.*",
            "sun.nio.ch.*Poll*",
            "sun.nio.ch.IOUtil.*",
            "sun.security.ssl.*",
            "io.netty.channel.epoll.Native.*",
        ],
    ),
    (
        Activity::File,
        &[
            "java.io.File*",
            "java.io.RandomAccessFile.*",
            "java.io.UnixFileSystem.*",
            "sun.nio.ch.File*",
            "sun.nio.fs.*",
            "java.nio.MappedByteBuffer.force*",
        ],
    ),
    (
        Activity::Event,
        &[
            "java.lang.Object.wait*",
            "*.LockSupport.park*",
            "*.Unsafe.park",
            "java.lang.Thread.join",
        ],
    ),
];

const GO: Rules = &[
    (Activity::Sleeping, &["time.Sleep"]),
    (Activity::File, &["os.(*File).*"]),
    (
        Activity::Network,
        &["internal/poll.*", "net.*", "net/http.*", "runtime.netpollblock", "crypto/tls.*"],
    ),
    (Activity::ChildProcess, &["os.(*Process).*", "os/exec.*"]),
    (Activity::SystemCall, &["syscall.*", "runtime.cgocall"]),
    (
        Activity::Event,
        &[
            "sync.(*Cond).Wait",
            "sync.(*WaitGroup).Wait",
            "runtime.chan*",
            "runtime.selectgo",
            "runtime.block",
        ],
    ),
];

const NATIVE: Rules = &[
    (
        Activity::Sleeping,
        &[
            "std::thread::sleep*",
            "*::thread::sleep*",
            "*nanosleep*",
            "usleep",
            "sleep",
            "System.Threading.Thread.Sleep*",
        ],
    ),
    (
        Activity::Network,
        &[
            "*recv",
            "*recvfrom*",
            "*recvmsg*",
            "*__send*",
            "send",
            "sendto",
            "sendmsg",
            "*connect",
            "*accept",
            "*accept4",
            "*epoll_wait*",
            "*epoll_pwait*",
            "*__poll",
            "poll",
            "ppoll",
            "select",
            "*getaddrinfo*",
            "std::net::*",
            "std::sys::net::*",
            "std::os::unix::net::*",
            "System.Net.*",
        ],
    ),
    (
        Activity::File,
        &[
            "*fsync",
            "*fdatasync",
            "*msync",
            "*pread*",
            "*pwrite*",
            "*openat*",
            "std::fs::*",
            "std::sys::fs::*",
            "std::io::stdio::*",
            "*__read*",
            "*__write*",
            "read",
            "write",
        ],
    ),
    (Activity::ChildProcess, &["*waitpid*", "*wait4*", "*waitid*", "std::process::Child::wait*"]),
    (
        Activity::Event,
        &[
            "std::thread::park*",
            "std::sync::*::wait*",
            "std::sync::mpsc::*",
            "std::sync::mpmc::*",
            "pthread_cond_*wait*",
            "*futex_wait*",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scene::Scene;

    fn check(runtime: Runtime, state: ThreadState, stack: &[&str], expected: Activity) {
        let incident =
            Scene::of(runtime).dump(0, |dump| dump.thread("t", stack).state = state).incident();
        let member = incident.ids().next().expect("one member");
        assert_eq!(incident.activity(member, 0), expected, "{stack:?}");
    }

    #[test]
    fn the_innermost_known_frame_decides() {
        let read = [
            "sun.nio.ch.SocketDispatcher.read0",
            "java.net.Socket$SocketInputStream.read",
            "shop.Wire.call",
        ];
        check(Runtime::Jvm, ThreadState::Runnable, &read, Activity::Network);
        let write = ["sun.nio.ch.FileDispatcherImpl.write0", "sun.nio.ch.SocketDispatcher.write"];
        check(Runtime::Jvm, ThreadState::Runnable, &write, Activity::Network);
        let append = ["sun.nio.ch.FileDispatcherImpl.write0", "sun.nio.ch.FileChannelImpl.write"];
        check(Runtime::Jvm, ThreadState::Runnable, &append, Activity::File);
        let child = ["java.lang.Object.wait", "java.lang.ProcessImpl.waitFor", "shop.Pdf.of"];
        check(Runtime::Jvm, ThreadState::Waiting, &child, Activity::ChildProcess);
        let sleep = ["java.lang.Thread.sleep", "shop.Retry.backOff"];
        check(Runtime::Jvm, ThreadState::TimedWaiting, &sleep, Activity::Sleeping);
        let poll = ["internal/poll.runtime_pollWait", "net.(*conn).Read", "main.fetch"];
        check(Runtime::Go, ThreadState::Waiting, &poll, Activity::Network);
        let waits =
            ["syscall.Syscall6", "os.(*Process).Wait", "os/exec.(*Cmd).Wait", "main.convert"];
        check(Runtime::Go, ThreadState::Syscall, &waits, Activity::ChildProcess);
        let writes = ["syscall.Syscall", "syscall.write", "os.(*File).Write", "main.log"];
        check(Runtime::Go, ThreadState::Syscall, &writes, Activity::SystemCall);
        let fsync = ["fsync", "std::fs::File::sync_all", "journal::append"];
        check(Runtime::Rust, ThreadState::Syscall, &fsync, Activity::File);
    }

    #[test]
    fn below_the_programs_own_code_the_state_decides() {
        let hash = ["shop.Digest.update", "java.net.Socket$SocketInputStream.read"];
        check(Runtime::Jvm, ThreadState::Runnable, &hash, Activity::Computing);
        check(Runtime::Rust, ThreadState::Running, &["order::price"], Activity::Computing);
        check(Runtime::Rust, ThreadState::Unknown, &["order::price"], Activity::Unknown);
    }
}
