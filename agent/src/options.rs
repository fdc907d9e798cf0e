//! What the program chose, and what is right for production where it chose nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::profiler::{HIGHEST_RATE, HIGHEST_RECORDER_RATE, RECORDER_RATE};
use crate::{agent, environment};

/// What a panic leads to; see [`Builder::on_panic`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// Nothing.
    #[default]
    Off,
    /// It is remembered, and stands in every later dump.
    Note,
    /// It is remembered, and a dump of all threads is taken at once. The thread that panics
    /// waits for it, for a few seconds at most. No more than one such dump in ten seconds.
    Dump,
}

/// Options of the agent; made by [`builder`](crate::builder).
#[derive(Clone, Debug)]
pub struct Builder {
    options: Options,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub directory: Option<PathBuf>,
    pub prefix: Option<String>,
    pub dumps: u32,
    pub interval: Duration,
    pub deadline: Duration,
    /// By the number of threads when not said.
    pub owner_search: Option<Duration>,
    pub trace_tasks: bool,
    pub task_deadline: Duration,
    pub retention: usize,
    /// For how long a series is accompanied by a profile; as long as it lasts when not said.
    pub profile: Option<Duration>,
    pub profile_rate: u32,
    /// The rate of the flight recorder; 0 for none.
    pub recorder_rate: u32,
    pub stderr: bool,
    pub signal: i32,
    pub arguments: bool,
    pub on_panic: OnPanic,
    /// The operator wants no agent.
    pub off: bool,
}

impl Default for Options {
    fn default() -> Options {
        /// SIGQUIT, the same number on every Unix.
        const SIGQUIT: i32 = 3;
        Options {
            directory: None,
            prefix: None,
            dumps: 5,
            interval: Duration::from_secs(1),
            deadline: Duration::from_secs(1),
            owner_search: None,
            trace_tasks: true,
            task_deadline: Duration::from_millis(300),
            retention: 20,
            profile: None,
            profile_rate: crate::profiler::RATE,
            recorder_rate: 0,
            stderr: false,
            signal: SIGQUIT,
            arguments: false,
            on_panic: OnPanic::Off,
            off: false,
        }
    }
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder { options: Options::default() }
    }

    /// The folder in which incident folders are made. It is made when it is first needed.
    /// Default: a folder named after the program in the system's folder for temporary files,
    /// which nobody else can enter.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.options.directory = Some(directory.into());
        self
    }

    /// The first part of the name of each incident folder. Default: the program's name.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Builder {
        self.options.prefix = Some(prefix.into());
        self
    }

    /// How many dumps one signal produces. Default: 5. What moves and what does not is seen only
    /// between two.
    pub fn dumps(mut self, dumps: u32) -> Builder {
        self.options.dumps = dumps;
        self
    }

    /// The time from one dump of a series to the next, give or take 30 %, so that no rhythm of
    /// the program is mistaken for standing still. Default: 1 second.
    pub fn interval(mut self, interval: Duration) -> Builder {
        self.options.interval = interval;
        self
    }

    /// How long a dump waits for threads that do not answer. Default: 1 second.
    pub fn deadline(mut self, deadline: Duration) -> Builder {
        self.options.deadline = deadline;
        self
    }

    /// How much CPU time of the agent's own thread a dump may use to infer who holds locks, from the
    /// machine code of those who may. What is unlikely (a waiter that holds the lock itself, a guard that is
    /// reached through a pointer only) is looked for last. What is not looked at by then is said in the dump.
    /// Default: 0.235 milliseconds for each thread, but at least 47 (200 threads cost at most 50) and at
    /// most 200.
    ///
    /// In a program that is built for size the search costs less when the agent itself is built for speed:
    /// `sigquit`, `gimli` and `iced-x86` with `opt-level = 3` under `[profile.release.package]`.
    pub fn owner_search(mut self, work: Duration) -> Builder {
        self.options.owner_search = Some(work);
        self
    }

    /// Whether each dump has suspended async tasks polled once, to see where they wait; see
    /// [`task`](crate::task). Without that, all else is known of them. Default: yes.
    pub fn trace_tasks(mut self, poll: bool) -> Builder {
        self.options.trace_tasks = poll;
        self
    }

    /// When no suspended task answers for so long, a dump gives up those that have not; ten times
    /// this is the most that it waits for tasks in all. Default: 300 milliseconds.
    pub fn task_deadline(mut self, deadline: Duration) -> Builder {
        self.options.task_deadline = deadline;
        self
    }

    /// For how long a CPU profile is taken from the first dump of a series on; zero for none.
    /// Default: while the series lasts.
    pub fn profile(mut self, duration: Duration) -> Builder {
        self.options.profile = Some(duration);
        self
    }

    /// Samples of that profile in each second of CPU time of each thread. Default: 99.
    pub fn profile_rate(mut self, rate: u32) -> Builder {
        self.options.profile_rate = rate;
        self
    }

    /// Turns the flight recorder on: CPU time is sampled all the time, so that an incident also shows the
    /// minute before its signal (`before.sigquit`). Samples in each second of CPU time of each
    /// thread: 19. Default: off.
    ///
    /// It has a thread of its own, wakes four times a second, and keeps no more than two megabytes of
    /// samples and stacks, so that a minute of very many is cut short; the file says for how long it
    /// is. To that come the unwind tables and the kernel's ring or ours: half a megabyte a CPU, or four
    /// in all. With the engine [`Perf`](crate::Engine::Perf) it holds a file descriptor for each
    /// thread on each CPU, at most a quarter of those that the process may have, and what the user
    /// may lock for such rings. It pauses while a profile is taken, and then begins anew. Which tasks
    /// were polled it does not know.
    pub fn flight_recorder(self) -> Builder {
        self.flight_recorder_at(RECORDER_RATE)
    }

    /// The same at another rate, at most 99.
    pub fn flight_recorder_at(mut self, rate: u32) -> Builder {
        self.options.recorder_rate = rate;
        self
    }

    /// How many incident folders of this prefix are kept; older ones are removed. Default: 20.
    pub fn retention(mut self, incidents: usize) -> Builder {
        self.options.retention = incidents;
        self
    }

    /// Whether each dump is also printed as text on standard error. Default: no, only the path
    /// of its file.
    pub fn stderr(mut self, text: bool) -> Builder {
        self.options.stderr = text;
        self
    }

    /// The signal that asks for a series, by its number. Default: SIGQUIT.
    pub fn signal(mut self, signal: i32) -> Builder {
        self.options.signal = signal;
        self
    }

    /// Whether the dump shows the program's command line. Default: no, it can hold secrets.
    pub fn arguments(mut self, arguments: bool) -> Builder {
        self.options.arguments = arguments;
        self
    }

    /// What a panic leads to. Default: nothing. The program's own panic hook, when it has set
    /// one before, is called as it always was; a hook that it sets later replaces this one.
    pub fn on_panic(mut self, on_panic: OnPanic) -> Builder {
        self.options.on_panic = on_panic;
        self
    }

    /// Starts the agent, which stays for the life of the process.
    ///
    /// Environment variables override what was chosen here; see the
    /// [crate's documentation](crate#for-operators).
    ///
    /// # Errors
    /// When an option makes no sense, the agent is installed already, the system refuses a
    /// thread or a signal, or this is not Linux on x86_64. Nothing is left behind then.
    pub fn install(self) -> Result<(), Error> {
        let mut options = self.options;
        for complaint in environment::apply(&mut options, |name| std::env::var_os(name)) {
            eprintln!("sigquit: {complaint}");
        }
        if options.off {
            return Ok(());
        }
        options.check()?;
        agent::install(options)
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let complaint = if self.dumps == 0 {
            "a series has at least one dump"
        } else if !(1..=HIGHEST_RATE).contains(&self.profile_rate) {
            "a profile has 1 to 10000 samples a second"
        } else if self.recorder_rate > HIGHEST_RECORDER_RATE {
            "a flight recorder takes at most 99 samples a second"
        } else if self.retention == 0 {
            "at least one incident has to be kept"
        } else if self.prefix.as_deref().is_some_and(|prefix| !is_file_name(prefix)) {
            "a prefix is part of a file name: not empty, at most 100 letters, no / and no NUL"
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::BadOption(complaint.to_owned())))
    }
}

fn is_file_name(prefix: &str) -> bool {
    !prefix.is_empty()
        && prefix.len() <= 100
        && !prefix.starts_with('.')
        && !prefix.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused_before_anything_is_done() {
        let builder = || Builder::new().directory("/nonexistent");
        for (bad, word) in [
            (builder().dumps(0), "dump"),
            (builder().retention(0), "kept"),
            (builder().profile_rate(0), "profile"),
            (builder().flight_recorder_at(999), "recorder"),
            (builder().prefix(""), "prefix"),
            (builder().prefix("../up"), "prefix"),
            (builder().prefix("a/b"), "prefix"),
        ] {
            let error = bad.options.check().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(builder().prefix("orders.v2").options.check().is_ok());
    }
}
