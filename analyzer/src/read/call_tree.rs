//! Trees of calls with counts, as macOS prints what it sampled of each thread: a call stands below its caller and to
//! the right of it, and counts the samples of all that it calls.
//!
//! ```text
//! 49 start
//!   49 main           12 samples are in it, and in nothing that it calls
//!     37 render
//! ```
//!
//! Threads are seen whether they run or wait. A process is read as a profile and as one dump, in which each thread
//! has the stack in which it was seen most. Only of threads that never left it is it said that they wait: others'
//! waits need not have been at one moment.

use sigquit_dump::{
    Clock, Dump, LockId, Process, Profile, Runtime, Series, Thread, Unit, Wait, Warning,
};

use super::by_line::Build;
use super::foreign::NotUnderstood;
use super::goroutines::Call;
use super::native::{self, NativeFrame, Open, Waits, without_return_type};
use super::profile::{Sampling, Told};
use super::{DumpsAndProfiles, too_many_threads};

/// The processes of a text, one after the other.
pub(super) struct Processes<'t> {
    format: &'static str,
    /// How many threads are read of all of them.
    most: usize,
    threads: usize,
    /// The one that is being read, and the line on which it begins.
    open: Option<(u64, Trees<'t>)>,
    pub not_understood: NotUnderstood,
    dumps: Vec<Dump>,
    profiles: Vec<Profile>,
    warnings: Vec<Warning>,
}

impl<'t> Processes<'t> {
    /// Of a text in that format, of which so many threads are read at most.
    pub fn new(format: &'static str, most: usize) -> Processes<'t> {
        Processes {
            format,
            most,
            threads: 0,
            open: None,
            not_understood: NotUnderstood::default(),
            dumps: Vec::new(),
            profiles: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Ends the process that is being read, and begins another.
    pub fn begin(&mut self, line: u64, process: Process) {
        self.end();
        self.open = Some((line, Trees::new(process, self.format)));
    }

    /// The process that is being read.
    pub fn open(&mut self) -> Option<&mut Trees<'t>> {
        self.open.as_mut().map(|(_, trees)| trees)
    }

    /// The same; of one whose beginning is lost nothing is known.
    pub fn trees(&mut self, line: u64) -> &mut Trees<'t> {
        let new = || (line, Trees::new(Process::default(), self.format));
        &mut self.open.get_or_insert_with(new).1
    }

    /// Begins a thread that stands on that line. False when there are too many, which is said.
    pub fn thread(&mut self, line: u64, thread: Thread) -> bool {
        if self.threads >= self.most {
            self.warnings.push(too_many_threads(line, self.most));
            return false;
        }
        self.threads += 1;
        self.trees(line).open(Thread { line: Some(line), ..thread });
        true
    }

    /// Ends the process that is being read.
    pub fn end(&mut self) {
        let Some((line, trees)) = self.open.take() else { return };
        let (dump, profile, warning) = trees.finish(line);
        self.dumps.extend(dump);
        self.profiles.extend(profile);
        self.warnings.extend(warning);
        self.warnings.extend(std::mem::take(&mut self.not_understood).warning());
    }

    /// All that was read.
    pub fn finish(mut self) -> DumpsAndProfiles {
        self.end();
        (self.dumps, self.profiles, self.warnings)
    }
}

/// A process while the trees of its threads are read.
pub(super) struct Trees<'t> {
    building: native::Building<'t>,
    sampling: Sampling,
    thread: Option<Tree<'t>>,
    /// Locks, and the numbers of the threads that have them.
    owned: Vec<(LockId, u64)>,
    /// Threads that were seen in several stacks.
    moved: usize,
}

/// The tree of one thread while it is read.
struct Tree<'t> {
    thread: Thread,
    /// From the root to the call that was read last.
    path: Vec<Node<'t>>,
    /// The stack that was seen most, innermost call first, how often, and who keeps it from going on.
    most: (Vec<NativeFrame<'t>>, u64, Option<u64>),
    samples: u64,
    stacks: usize,
}

struct Node<'t> {
    column: usize,
    frame: NativeFrame<'t>,
    /// Samples in it, and in none of the calls below it that were read.
    own: u64,
    /// The thread that keeps it from going on, when that is said.
    owner: Option<u64>,
}

/// A tree is no deeper than this: each of a text's lines could be a call of the one before.
const DEEPEST: usize = 1 << 12;

impl<'t> Trees<'t> {
    /// Of a process that was sampled, in that format.
    pub fn new(process: Process, format: &str) -> Trees<'t> {
        let mut building = native::Building::default();
        building.dump.process = Process { runtime: Runtime::Native, ..process };
        let sampling = Sampling::new(Runtime::Native, format);
        Trees { building, sampling, thread: None, owned: Vec::new(), moved: 0 }
    }

    /// The dump, of which more may be known than its threads.
    pub fn dump(&mut self) -> &mut Dump {
        &mut self.building.dump
    }

    /// Ends the thread that is being read, and begins another.
    pub fn open(&mut self, thread: Thread) {
        self.close();
        let most = (Vec::new(), 0, None);
        self.thread = Some(Tree { thread, path: Vec::new(), most, samples: 0, stacks: 0 });
    }

    /// Whether a thread is being read.
    pub fn is_open(&self) -> bool {
        self.thread.is_some()
    }

    /// Adds a call to the thread that is being read. `column`: where its count stands in its line.
    pub fn call(&mut self, column: usize, count: u64, frame: NativeFrame<'t>) {
        let Some(tree) = &mut self.thread else { return };
        tree.leave(column, &mut self.sampling);
        if tree.path.len() == DEEPEST {
            return;
        }
        match tree.path.last_mut() {
            Some(caller) => caller.own = caller.own.saturating_sub(count),
            None => tree.samples = tree.samples.saturating_add(count),
        }
        tree.path.push(Node { column, frame, own: count, owner: None });
    }

    /// The call that was read last does not go on because of that thread.
    pub fn kept_by(&mut self, owner: impl FnOnce(&Thread) -> Option<u64>) {
        if let Some(tree) = &mut self.thread
            && let Some(leaf) = tree.path.last_mut()
        {
            leaf.owner = owner(&tree.thread);
        }
    }

    /// Ends the thread that is being read.
    pub fn close(&mut self) {
        let Some(mut tree) = self.thread.take() else { return };
        tree.leave(0, &mut self.sampling);
        let Tree { mut thread, most: (frames, count, owner), samples, stacks, .. } = tree;
        thread.state_text = format!("{count} of {samples} samples");
        if stacks > 1 {
            self.moved += 1;
        } else if let Some(waits) = Waits::of_darwin(&frames) {
            thread.state = waits.state;
            thread.wait = waits.lock.map(|(lock, wait_for)| {
                let lock = self.building.dump.add_lock(lock);
                self.owned.extend(owner.map(|owner| (lock, owner)));
                Wait { lock, wait_for }
            });
        }
        self.building.add(Open { thread, frames, ..Open::default() });
    }

    /// What was read: nothing of a process without threads.
    pub fn finish(mut self, line: u64) -> (Option<Dump>, Option<Profile>, Option<Warning>) {
        self.close();
        let moved = match self.moved {
            0 => None,
            1 => Some("1 thread was".to_owned()),
            count => Some(format!("{count} threads were")),
        };
        let warning = moved.map(|moved| {
            let message = format!(
                "{moved} in several places while samples were taken: the dump shows where they were most, \
                 and not for what they wait"
            );
            Warning { line, message }
        });
        let mut dump = self.building.finish();
        for (lock, tid) in self.owned {
            let owner = dump.threads.iter().position(|thread| thread.os_id == Some(tid));
            if let Some(owner) = owner {
                native::own(&mut dump, lock, owner as u32);
            }
        }
        let mut profile = self.sampling.finish(Clock::Wall, Unit::Samples);
        if let Some(profile) = &mut profile {
            let Process { pid, .. } = dump.process;
            let incident =
                format!("{} at {}", pid.unwrap_or_default(), dump.time.unwrap_or_default().0);
            (profile.dump.process, profile.dump.time) = (dump.process.clone(), dump.time);
            profile.incident = Some(incident.clone());
            dump.series = Some(Series { incident, index: 1, of: 1, ..Series::default() });
        }
        ((!dump.threads.is_empty()).then_some(dump), profile, warning)
    }
}

impl<'t> Tree<'t> {
    /// Leaves the calls that do not call what stands in that column.
    fn leave(&mut self, column: usize, sampling: &mut Sampling) {
        while self.path.last().is_some_and(|leaf| leaf.column >= column) {
            let leaf = self.path.last().map_or(0, |leaf| leaf.own);
            if leaf > 0 {
                self.stacks += 1;
                let calls = self.path.iter().rev();
                let thread = (self.thread.os_id.or(self.thread.number), self.thread.name.as_str());
                sampling.add(
                    calls.clone().map(|node| call(&node.frame)),
                    Told { weight: leaf, thread, ..Told::default() },
                );
                if leaf > self.most.1 {
                    let owner = self.path.last().and_then(|leaf| leaf.owner);
                    self.most = (calls.map(|node| node.frame.clone()).collect(), leaf, owner);
                }
            }
            self.path.pop();
        }
    }
}

/// A function's name; empty where there is none. Words before Swift's names are no types.
pub(super) fn named(function: &str) -> &str {
    let function = function.trim_start_matches("???");
    if function.contains("::") { without_return_type(function) } else { function }
}

/// A call as a profile keeps it; one without a name by its binary.
fn call(frame: &NativeFrame) -> Call {
    let function = match frame.function.is_empty() {
        true => format!("[{}]", frame.module.unwrap_or("unknown")),
        false => frame.function.clone().into_owned(),
    };
    let (file, line) = frame.place.split_once(':').unwrap_or((&*frame.place, ""));
    let line = line.split([':', ',']).next().and_then(|line| line.parse().ok());
    Call { function, file: file.to_owned(), line, inlined: false }
}
