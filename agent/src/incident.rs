//! One incident: a series of dumps, on disk one by one, and named when all are there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sigquit_dump::{Clock, Dump, Names, Nanos, Profile, Trigger};

use crate::busy::Usage;
use crate::facts;
use crate::options::Options;
use crate::sample::{self, Before, Session, Settings};
use crate::schedule::Schedule;
use crate::symbolize::{name, name_profile};
use crate::take::{Sampled, Taker};
use crate::task::TaskDump;
use crate::write::{self, Destination, DumpFile, IncidentName, Stderr, say};

/// For how long, before a dump, busy threads are looked at; less when dumps follow each other
/// quickly.
const SAMPLING: Duration = Duration::from_millis(400);
/// A series that lasts longer is accompanied by a profile of its begin.
const LONGEST_PROFILE: Duration = Duration::from_secs(60);
/// Tasks that are printed as text: more are for the file.
const TASKS_PRINTED: usize = 10_000;
/// How many names are tried when an incident of the same millisecond exists.
const NAMES_TRIED: u64 = 20;

/// One incident under way.
pub(crate) struct Incident {
    name: IncidentName,
    schedule: Schedule,
    sampling: Duration,
    folder: Option<PathBuf>,
    /// The files, each with what is needed of its dump to name the frames.
    written: Vec<(DumpFile, Dump)>,
    usage: Usage,
    /// The profile of the same seconds.
    profile: Option<Session>,
    /// What the flight recorder was asked for.
    asked: Option<Before>,
    /// The minute before, on disk.
    before: Option<(DumpFile, Profile)>,
}

impl Incident {
    pub fn begin(trigger: Trigger, dumps: u32, interval: Duration, prefix: &str) -> Incident {
        Incident {
            name: IncidentName::new(prefix, std::process::id(), facts::now()),
            schedule: Schedule::new(trigger, dumps, interval, Instant::now()),
            sampling: SAMPLING.min(interval / 2),
            folder: None,
            written: Vec::new(),
            usage: Usage::default(),
            profile: None,
            asked: None,
            before: None,
        }
    }

    /// Asks the flight recorder for the minute before now; before a profile begins.
    pub fn ask_for_before(&mut self) {
        self.asked = sample::before();
    }

    /// Puts that minute on disk, without names.
    fn keep_before(&mut self) {
        if let Some(profile) = self.asked.take().and_then(Before::wait) {
            self.before = self.write_profile(write::BEFORE, profile);
        }
    }

    /// Begins a profile, when one is wanted: for so long, or while the series lasts.
    pub fn begin_profile(&mut self, options: &Options) {
        let longest = options.profile.unwrap_or(LONGEST_PROFILE);
        if longest.is_zero() || (options.profile.is_none() && options.dumps < 2) {
            return;
        }
        let settings = Settings {
            rate: options.profile_rate,
            clock: Clock::Cpu,
            engine: None,
            longest,
            incident: Some(self.name.to_string()),
            arguments: options.arguments,
            detail: true,
        };
        match Session::begin(settings) {
            Ok(session) => self.profile = Some(session),
            Err(error) => say(format_args!("no profile is taken: {error}")),
        }
    }

    /// Puts the profile on disk, as soon as it has ended; without names.
    fn keep_profile(&mut self, options: &Options) -> Option<(DumpFile, Profile)> {
        let mut session = self.profile.take()?;
        if options.profile.is_none() {
            session.stop();
        }
        let finished = session.finish();
        let profile = finished
            .inspect_err(|error| say(format_args!("no profile could be taken: {error}")))
            .ok()?;
        self.write_profile(write::PROFILE, profile)
    }

    fn write_profile(&self, name: &str, profile: Profile) -> Option<(DumpFile, Profile)> {
        let profile = Profile { incident: Some(self.name.to_string()), ..profile };
        let write = |out: &mut BufWriter<&File>| sigquit_dump::write_profile(&profile, out);
        match write::write_new(self.folder.as_deref()?, name, write) {
            Ok(file) => Some((file, profile)),
            Err(error) => {
                say(format_args!("{name} cannot be written: {error}"));
                None
            }
        }
    }

    /// Notes requests that are not served again.
    pub fn note_requests(&mut self, count: u32) {
        self.schedule.note_requests(count);
    }

    /// Whether all dumps have been taken.
    pub fn is_over(&self) -> bool {
        self.schedule.is_over()
    }

    /// How long nothing is to be done. Looking at busy threads comes before each dump but the
    /// first.
    pub fn due_in(&self, now: Instant) -> Duration {
        self.schedule.due_in(now).saturating_sub(self.sampling)
    }

    /// Takes the next dump and writes it. `requests` says at the last moment how many further
    /// requests came.
    pub fn advance(
        &mut self,
        taker: &mut Taker,
        destination: &Destination,
        as_text: bool,
        requests: impl FnOnce() -> u32,
    ) {
        let sampled = self.sample(taker);
        std::thread::sleep(self.schedule.due_in(Instant::now()));
        self.schedule.note_requests(requests());
        self.schedule.begin_dump(Instant::now());
        self.make_folder(destination);
        let series = self.schedule.series(&self.name.to_string());
        let (dump, tasks) = taker.take(series, sampled);
        self.usage = Usage::of(&dump);
        self.keep(dump, &tasks, as_text);
        self.keep_before();
    }

    fn sample(&self, taker: &mut Taker) -> Sampled {
        if self.schedule.has_begun() {
            taker.sample(&self.usage, self.sampling)
        } else {
            Sampled::new()
        }
    }

    /// Makes the folder, unless it is there; a full disk may have room by the next dump.
    fn make_folder(&mut self, destination: &Destination) {
        if self.folder.is_some() {
            return;
        }
        let mut name = self.name.clone();
        for later in 0..NAMES_TRIED {
            match destination.create(&name) {
                Ok(folder) => {
                    self.folder = Some(folder);
                    self.name = name;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let time = facts::now().0 + later * 1_000_000;
                    name = IncidentName::new(&name.prefix, name.pid, Nanos(time));
                }
                Err(error) => {
                    return say(format_args!("no folder for the dumps can be made: {error}"));
                }
            }
        }
    }

    /// Puts a dump on disk, or else on standard error.
    fn keep(&mut self, dump: Dump, tasks: &TaskDump, as_text: bool) {
        let file = self.write(&dump, tasks);
        if as_text || file.is_none() {
            print(&dump, tasks);
        }
        if let Some(file) = file {
            let frames = Dump { modules: dump.modules, frames: dump.frames, ..Dump::default() };
            self.written.push((file, frames));
        }
    }

    fn write(&self, dump: &Dump, tasks: &TaskDump) -> Option<DumpFile> {
        let folder = self.folder.as_deref()?;
        let series = dump.series.as_ref()?;
        let name = format!("dump-{}.sigquit", series.index);
        match DumpFile::write(folder, &name, dump, tasks.threads()) {
            Ok(file) => {
                let path = file.path().display();
                say(format_args!("dump {} of {}: {path}", series.index, series.of));
                Some(file)
            }
            Err(error) => {
                say(format_args!("a dump cannot be written to {}: {error}", folder.display()));
                None
            }
        }
    }

    /// Ends the profile, names all frames, and makes room for the next incident.
    pub fn finish(mut self, options: &Options) {
        let profile = self.keep_profile(options);
        let (files, dumps): (Vec<DumpFile>, Vec<Dump>) =
            std::mem::take(&mut self.written).into_iter().unzip();
        name(dumps, move |place, names| add_names(&files[place], names));
        let before = self.before.take();
        let Some(folder) = self.folder else { return };
        if let Some((file, mut profile)) = before {
            add_names(&file, &name_profile(&mut profile));
            say(format_args!("the minute before: {}", file.path().display()));
        }
        if let Some((file, profile)) = profile {
            complete_profile(&folder, &file, profile);
        }
        say(format_args!("all dumps are complete: {}", folder.display()));
        if let Some(directory) = folder.parent() {
            make_room(directory, &self.name.prefix, options.retention);
        }
    }

    /// Where the incident's first dump lies.
    pub fn first_file(&self) -> Option<PathBuf> {
        self.written.first().map(|(file, _)| file.path().to_owned())
    }
}

fn add_names(file: &DumpFile, names: &[Names]) {
    if let Err(error) = file.append(names) {
        let path = file.path().display();
        say(format_args!("names cannot be added to {path}: {error}"));
    }
}

/// Adds its names to a profile that is on disk, and the picture.
fn complete_profile(folder: &Path, file: &DumpFile, mut profile: Profile) {
    add_names(file, &name_profile(&mut profile));
    say(format_args!("profile: {}", file.path().display()));
    picture(folder, &profile);
}

#[cfg(feature = "flamegraph")]
fn picture(folder: &Path, profile: &Profile) {
    let write = |out: &mut BufWriter<&File>| write::flamegraph(profile, out);
    match write::write_new(folder, write::FLAMEGRAPH, write) {
        Ok(file) => say(format_args!("flamegraph: {}", file.path().display())),
        Err(error) => say(format_args!("the flamegraph cannot be written: {error}")),
    }
}

#[cfg(not(feature = "flamegraph"))]
fn picture(_: &Path, _: &Profile) {}

/// Prints a dump, with names.
fn print(dump: &Dump, tasks: &TaskDump) {
    let mut dump = dump.clone();
    dump.threads.extend(tasks.threads().take(TASKS_PRINTED));
    name(vec![dump.clone()], move |_, names| {
        let mut named = dump.clone();
        for names in names {
            if let Some(frame) = named.frames.get_mut(names.frame.0 as usize) {
                frame.symbols.clone_from(&names.symbols);
            }
        }
        let mut out = BufWriter::new(Stderr);
        // Where standard error is gone there is nobody to tell.
        let _ = write::text(&named, &mut out).and_then(|()| out.flush());
    });
}

fn make_room(directory: &Path, prefix: &str, keep: usize) {
    if let Err(error) = write::remove_oldest(directory, prefix, keep) {
        say(format_args!("old incidents in {} stay: {error}", directory.display()));
    }
}
