//! `/proc/self/task`: one folder a thread.
//!
//! Facts are read before the threads are asked for their stacks: the question wakes them, and
//! would show threads that sleep as ready to run.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;

use sigquit_dump::{Nanos, Syscall, Thread, ThreadState};

use super::{awaited_futex, clock, schedstat, stat, status, syscall};

/// The folder, held open: a file is found faster from here than from the root.
pub(crate) struct Tasks {
    folder: File,
    tick: Nanos,
    text: Vec<u8>,
}

impl Tasks {
    /// Opens the folder.
    ///
    /// # Errors
    /// When there is no `/proc`, or no file can be opened.
    pub fn open() -> io::Result<Tasks> {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC);
        let folder = options.open("/proc/self/task")?;
        Ok(Tasks { folder, tick: clock::tick(), text: Vec::with_capacity(4096) })
    }

    /// The threads that there are now.
    pub fn ids() -> Vec<i32> {
        let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// What the kernel says of one thread; nothing when it is gone.
    pub fn thread(&mut self, tid: i32) -> Option<Thread> {
        let mut thread = Thread { os_id: u64::try_from(tid).ok(), ..Thread::default() };
        let tick = self.tick;
        let (name, started) = stat::parse(&self.read(tid, "stat")?)
            .map(|(name, started)| (name.to_owned(), stat::ticks(started, tick)))?;
        thread.name = name;
        thread.elapsed = Some(clock::since_boot().since(started));
        self.add_status(tid, &mut thread);
        if let Some((cpu, delay)) = self.cpu(tid) {
            thread.cpu = Some(cpu);
            thread.run_delay = Some(delay);
        }
        if !thread.state_text.starts_with('R') {
            thread.syscall = self.read(tid, "syscall").and_then(|text| syscall::parse(&text));
            thread.wchan = self.read(tid, "wchan").filter(|name| !matches!(&**name, "" | "0"));
        }
        thread.state = state(&thread.state_text, thread.syscall.as_ref());
        Some(thread)
    }

    /// CPU time and run-queue delay of one thread.
    pub fn cpu(&mut self, tid: i32) -> Option<(Nanos, Nanos)> {
        schedstat::parse(&self.read(tid, "schedstat")?)
    }

    /// How often one thread got a CPU so far: who has not had one in between has done nothing.
    pub fn turns(&mut self, tid: i32) -> Option<u64> {
        schedstat::turns(&self.read(tid, "schedstat")?)
    }

    /// The futex on which one thread sleeps now.
    pub fn awaits(&mut self, tid: i32) -> Option<u64> {
        awaited_futex(None, syscall::parse(&self.read(tid, "syscall")?).as_ref())
    }

    fn add_status(&mut self, tid: i32, thread: &mut Thread) {
        let Some(text) = self.read(tid, "status") else { return };
        let status = status::parse(&text);
        thread.state_text = status.state.to_owned();
        thread.voluntary_switches = status.voluntary_switches;
        thread.involuntary_switches = status.involuntary_switches;
    }

    fn read(&mut self, tid: i32, file: &str) -> Option<String> {
        let path = std::ffi::CString::new(format!("{tid}/{file}")).ok()?;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a C string that outlives the call.
        let fd = unsafe { libc::openat(self.folder.as_raw_fd(), path.as_ptr(), flags) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the descriptor is new and nobody else's.
        let mut file = unsafe { File::from_raw_fd(fd) };
        self.text.clear();
        file.read_to_end(&mut self.text).ok()?;
        Some(String::from_utf8_lossy(&self.text).into_owned())
    }
}

/// The kernel's state letter in our words. `R` is both on a CPU and ready for one.
fn state(text: &str, syscall: Option<&Syscall>) -> ThreadState {
    match text.chars().next() {
        Some('R') => ThreadState::Runnable,
        Some('S') => asleep(syscall),
        Some('D' | 'I') => ThreadState::Uninterruptible,
        Some('T' | 't') => ThreadState::Stopped,
        Some('Z' | 'X' | 'x') => ThreadState::Ended,
        _ => ThreadState::Unknown,
    }
}

/// The calls of which the waiting is the whole purpose; any other is just a system call.
fn asleep(syscall: Option<&Syscall>) -> ThreadState {
    let Some(Syscall { number, arguments }) = syscall else { return ThreadState::Waiting };
    match i64::try_from(*number) {
        Ok(libc::SYS_futex) if arguments.get(3) == Some(&0) => ThreadState::Waiting,
        Ok(libc::SYS_futex | libc::SYS_nanosleep | libc::SYS_clock_nanosleep) => {
            ThreadState::TimedWaiting
        }
        _ => ThreadState::Syscall,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn this_thread_is_found_running_under_its_name() {
        let named = std::thread::Builder::new().name("facts (of) me".into());
        let read = || Tasks::open().unwrap().thread(current());
        let thread = named.spawn(read).unwrap().join().unwrap().unwrap();
        assert_eq!(thread.name, "facts (of) me");
        assert_eq!(thread.state, ThreadState::Runnable);
        assert!(thread.cpu.is_some() && thread.elapsed.is_some() && thread.wchan.is_none());
    }

    #[test]
    fn a_thread_that_sleeps_on_a_futex_says_on_which() {
        let (tell, told) = channel();
        let (release, released) = channel::<()>();
        let sleeper = std::thread::spawn(move || {
            tell.send(current()).unwrap();
            let _ = released.recv();
        });
        let tid = told.recv().unwrap();
        let mut tasks = Tasks::open().unwrap();
        let asleep = std::iter::repeat_with(|| tasks.thread(tid).unwrap())
            .find(|thread| thread.state == ThreadState::Waiting)
            .unwrap();
        let syscall = asleep.syscall.unwrap();
        assert_eq!(syscall.number, libc::SYS_futex as u64);
        assert_eq!(tasks.awaits(tid), Some(syscall.arguments[0]));
        assert!(tasks.turns(tid).is_some());
        drop(release);
        sleeper.join().unwrap();
    }

    #[test]
    fn a_thread_that_is_gone_has_no_facts() {
        assert!(Tasks::open().unwrap().thread(i32::MAX).is_none());
    }

    fn current() -> i32 {
        // SAFETY: gettid takes nothing and cannot fail.
        unsafe { libc::gettid() }
    }

    #[test]
    fn a_futex_wait_with_a_deadline_is_timed() {
        let futex = |timeout| Syscall { number: 202, arguments: vec![1, 128, 2, timeout, 0, 0] };
        assert_eq!(asleep(Some(&futex(0))), ThreadState::Waiting);
        assert_eq!(asleep(Some(&futex(0x7f00))), ThreadState::TimedWaiting);
        let read = Syscall { number: 0, arguments: vec![3] };
        assert_eq!(asleep(Some(&read)), ThreadState::Syscall);
    }
}
