//! A process that runs: asks its agent for dumps, and waits for them. Nothing else in the analyzer
//! knows of processes.

use std::path::PathBuf;
use std::time::Duration;

/// What a process left when it was asked.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no agent elsewhere"))]
pub(super) struct Incident {
    /// Where its dumps are.
    pub folder: PathBuf,
    /// Why that is not all that was asked for.
    pub remark: Option<String>,
}

/// Asks a process for dumps and waits until all are complete, or until none came for as long as
/// the patience lasts. `say` is told how far it is.
///
/// # Errors
/// In words: there is no such process, it is somebody else's, it has no agent (and is sent no
/// signal, which would end it), or it left no dump.
#[cfg(target_os = "linux")]
pub(super) fn dump(pid: i32, patience: Duration, say: &dyn Fn(&str)) -> Result<Incident, String> {
    linux::dump(pid, patience, say)
}

/// There is no agent here to ask.
#[cfg(not(target_os = "linux"))]
pub(super) fn dump(_: i32, _: Duration, _: &dyn Fn(&str)) -> Result<Incident, String> {
    Err("only on Linux do processes have the agent".into())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, Read, Seek, SeekFrom};
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use sigquit_dump::Presence;

    use super::Incident;

    const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
    /// So much of a file's beginning shows of how many dumps it is one.
    const HEAD: u64 = 1 << 16;
    /// So much of its end shows whether its names are there.
    const TAIL: u64 = 256;

    pub(super) fn dump(
        pid: i32,
        patience: Duration,
        say: &dyn Fn(&str),
    ) -> Result<Incident, String> {
        let process = Process::find(pid)?;
        // A series that is under way takes the question as its own.
        let is_over = |incident: &PathBuf| progress_of(incident).is_complete();
        let over: Vec<PathBuf> = process.incidents().into_iter().filter(is_over).collect();
        process.ask()?;
        let mut progress = (Progress::default(), Instant::now());
        loop {
            let newest = process.incidents().into_iter().rfind(|incident| !over.contains(incident));
            let seen = newest.as_deref().map(progress_of).unwrap_or_default();
            if seen != progress.0 {
                say(&seen.words());
                progress = (seen, Instant::now());
            }
            if let Some(folder) = newest.clone().filter(|_| seen.is_complete()) {
                return Ok(Incident { folder, remark: None });
            }
            let gave_up = if process.has_ended() {
                Some(format!("process {pid} has ended"))
            } else if progress.1.elapsed() > patience {
                Some(format!("no further dump came for {} s", patience.as_secs()))
            } else {
                None
            };
            match (gave_up, newest) {
                (Some(remark), Some(folder)) if seen.written > 0 => {
                    let remark = Some(format!("{remark}: {}", seen.words()));
                    return Ok(Incident { folder, remark });
                }
                (Some(remark), _) => return Err(format!("{remark}: it left no dump")),
                (None, _) => thread::sleep(BETWEEN_LOOKS),
            }
        }
    }

    /// A process that has the agent.
    struct Process {
        pid: i32,
        /// Stays this process's, whoever gets its number next.
        handle: OwnedFd,
        presence: Presence,
        /// Where its file system is seen from here.
        root: PathBuf,
    }

    impl Process {
        fn find(pid: i32) -> Result<Process, String> {
            let known = Pid::from_raw(pid).ok_or_else(|| format!("{pid} is no process id"))?;
            let handle = pidfd_open(known, PidfdFlags::empty())
                .map_err(|error| format!("process {pid}: {}", io::Error::from(error)))?;
            let proc = PathBuf::from(format!("/proc/{pid}"));
            let descriptors = fs::read_dir(proc.join("fd"))
                .map_err(|error| format!("process {pid} cannot be looked at: {error}"))?;
            let own = own_pid(&proc);
            let presence = descriptors
                .flatten()
                .filter(|descriptor| is_presence(&descriptor.path()))
                .filter_map(|descriptor| Presence::read(&fs::read(descriptor.path()).ok()?))
                .find(|presence| Some(presence.pid) == own);
            let presence = presence.ok_or_else(|| {
                format!(
                    "process {pid} has no agent: the signal that asks for dumps would end it, and \
                     was not sent. `gdb -p {pid} -batch -ex 'thread apply all bt'` needs no agent."
                )
            })?;
            let root = if same_files(&proc) { PathBuf::from("/") } else { proc.join("root") };
            Ok(Process { pid, handle, presence, root })
        }

        fn ask(&self) -> Result<(), String> {
            let number = self.presence.signal;
            let signal = Signal::from_named_raw(number)
                .ok_or_else(|| format!("signal {number}, which it waits for, has no name"))?;
            pidfd_send_signal(&self.handle, signal)
                .map_err(|error| format!("process {}: {}", self.pid, io::Error::from(error)))
        }

        fn has_ended(&self) -> bool {
            let mut polled = [PollFd::new(&self.handle, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
        }

        /// The folders of its incidents, oldest first: their names end with the time.
        fn incidents(&self) -> Vec<PathBuf> {
            let prefix = format!("{}-{}-", self.presence.prefix, self.presence.pid);
            let is_its = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(&prefix)) && path.is_dir()
            };
            let folders = self.presence.directories.iter().map(|folder| {
                self.root.join(Path::new(folder).strip_prefix("/").unwrap_or(Path::new(folder)))
            });
            let entries = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
            let mut found: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(is_its).collect();
            found.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
            found
        }
    }

    /// The process's number as it knows it itself: the innermost of its namespaces.
    fn own_pid(proc: &Path) -> Option<u32> {
        let status = fs::read_to_string(proc.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_whitespace().next_back()?.parse().ok()
    }

    fn is_presence(descriptor: &Path) -> bool {
        let name = format!("/memfd:{} (deleted)", Presence::NAME);
        fs::read_link(descriptor).is_ok_and(|file| file.as_os_str() == &*name)
    }

    /// Whether the process sees the files that we see. In a container it does not.
    fn same_files(proc: &Path) -> bool {
        let namespace = |proc: &Path| fs::read_link(proc.join("ns/mnt")).ok();
        namespace(proc) == namespace(Path::new("/proc/self"))
    }

    /// How far an incident is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Progress {
        /// Dumps on disk.
        written: usize,
        /// Those that have names.
        named: usize,
        /// Dumps that there will be; nothing is known before the first.
        of: usize,
    }

    impl Progress {
        fn is_complete(self) -> bool {
            self.of > 0 && self.named >= self.of
        }

        fn words(self) -> String {
            match self {
                Progress { of: 0, .. } => "waiting for the first dump".into(),
                Progress { written, of, .. } if written < of => {
                    format!("{written} of {of} dumps are there")
                }
                Progress { named, of, .. } => format!("{named} of {of} dumps have names"),
            }
        }
    }

    fn progress_of(incident: &Path) -> Progress {
        let file = |number: usize| incident.join(format!("dump-{number}.sigquit"));
        let files: Vec<PathBuf> = (1..).map(file).take_while(|file| file.exists()).collect();
        Progress {
            written: files.len(),
            named: files.iter().filter(|file| has_names(file)).count(),
            of: files.first().and_then(|first| series_of(first)).unwrap_or_default(),
        }
    }

    /// Whether the last line says that all names are in the file.
    fn has_names(file: &Path) -> bool {
        end_of(file).is_ok_and(|end| {
            let last = end.trim_ascii_end().rsplit(|&byte| byte == b'\n').next();
            last.is_some_and(|line| line.starts_with(b"{\"named\""))
        })
    }

    fn end_of(file: &Path) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut end = Vec::new();
        file.take(TAIL).read_to_end(&mut end)?;
        Ok(end)
    }

    /// How many dumps the series has to which a file belongs.
    fn series_of(file: &Path) -> Option<usize> {
        let mut head = Vec::new();
        fs::File::open(file).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        let (dumps, _) = sigquit_dump::read(&head).ok()?;
        dumps.first()?.series.as_ref().map(|series| series.of as usize)
    }
}
