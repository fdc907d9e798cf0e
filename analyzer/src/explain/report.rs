//! The report: all that a renderer needs, computed. Plain values; no reference into the model.

use sigquit_dump::{Kind, OwnerSource};

use super::flame::Flame;
use super::picture::Picture;
use crate::detect::{Grade, LockOf, Severity};
use crate::read::{Input, ReadError, Warning};

/// What is rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The answer in one line.
    pub verdict: Verdict,
    /// What was read.
    pub inputs: Vec<InputReport>,
    /// The processes that the dumps show.
    pub processes: Vec<ProcessReport>,
    /// The findings, causes first.
    pub findings: Vec<RankedFinding>,
    /// Where everyone is, the largest cluster first.
    pub clusters: Vec<ClusterReport>,
    /// What pictures are drawn from, one a process that shows somebody; empty unless asked for.
    pub pictures: Vec<Picture>,
    /// What flame graphs are drawn from; empty unless asked for.
    pub flames: Vec<Flame>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Healthy, suspect or an incident.
    pub status: Status,
    /// One sentence.
    pub headline: String,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No finding above low.
    Healthy,
    /// Something of medium severity, or severe and not sure.
    Suspect,
    /// Something severe.
    Incident,
}

/// One input as read.
#[derive(Clone, Debug, PartialEq)]
pub struct InputReport {
    /// Its path.
    pub path: String,
    /// Its format's name.
    pub format: &'static str,
    /// How many dumps, threads and tasks (goroutines, virtual threads, async tasks) it held.
    pub dumps: usize,
    /// OS and platform threads.
    pub threads: usize,
    /// Goroutines, virtual threads, async tasks.
    pub tasks: usize,
    /// Profiles.
    pub profiles: usize,
    /// A dump in it ends early.
    pub truncated: bool,
    /// What was not understood.
    pub warnings: Vec<Warning>,
}

impl From<&Input> for InputReport {
    fn from(input: &Input) -> InputReport {
        let threads = || input.dumps.iter().flat_map(|dump| &dump.threads);
        let platform = threads().filter(|thread| thread.kind == Kind::Thread).count();
        InputReport {
            path: input.path.clone(),
            format: input.format,
            dumps: input.dumps.len(),
            threads: platform,
            tasks: threads().count() - platform,
            profiles: input.profiles.len(),
            truncated: input.dumps.iter().any(|dump| dump.truncated),
            warnings: input.warnings.clone(),
        }
    }
}

/// An input that could not be read is reported as one that holds nothing, with the reason.
impl From<&ReadError> for InputReport {
    fn from(error: &ReadError) -> InputReport {
        let reason = Warning { line: error.line.unwrap_or(1), message: error.message.clone() };
        InputReport {
            path: error.path.clone(),
            format: "unknown",
            dumps: 0,
            threads: 0,
            tasks: 0,
            profiles: 0,
            truncated: false,
            warnings: vec![reason],
        }
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessReport {
    /// `p1`, `p2`, ...
    pub id: String,
    /// `rust`, `jvm`, `go`, `native`, `unknown`.
    pub runtime: &'static str,
    /// Process id.
    pub pid: Option<u64>,
    /// Host name.
    pub host: Option<String>,
    /// Executable or runtime version: what helps to know it again.
    pub title: String,
    /// Its dumps.
    pub dumps: Vec<DumpReport>,
    /// There is only a profile of it, which stands among the dumps and shows nobody.
    pub is_profile: bool,
}

/// One dump of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct DumpReport {
    /// `p1.1`, `p1.2`, ...
    pub id: String,
    /// When, as RFC 3339 in UTC, when known.
    pub time: Option<String>,
    /// OS and platform threads in it.
    pub threads: usize,
    /// Goroutines, virtual threads and tasks in it.
    pub tasks: usize,
}

/// The place of a finding in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A cause: nothing else that was found explains it.
    Root,
    /// Follows from another finding.
    Symptom,
    /// Makes it worse, or stands beside it.
    Contributing,
}

/// A finding with its place in the story.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedFinding {
    /// `f1`, `f2`, ... in rank order.
    pub id: String,
    /// The detector's name.
    pub detector: &'static str,
    /// The process's id.
    pub process: String,
    /// The detector, the functions that matter and the lock's type: the same for the same cause
    /// in other runs and builds.
    pub signature: String,
    /// Its place in the story.
    pub role: Role,
    /// How bad, if true.
    pub severity: Severity,
    /// From 0 to 100.
    pub score: u32,
    /// What kind of evidence.
    pub grade: Grade,
    /// From 0 to 1.
    pub confidence: f64,
    /// One sentence.
    pub headline: String,
    /// A few sentences more.
    pub detail: String,
    /// What to do now.
    pub next_step: String,
    /// Who is in this condition.
    pub members: Vec<MemberReport>,
    /// Others who suffer from it directly.
    pub victims: Vec<MemberReport>,
    /// Who holds what the members wait for, where that is not one lock with one owner.
    pub holders: Vec<MemberReport>,
    /// The lock that it is about.
    pub lock: Option<LockOf>,
    /// Who owns it.
    pub owner: Option<MemberReport>,
    /// How the owner is known.
    pub owner_source: Option<OwnerSource>,
    /// The functions that matter, innermost first.
    pub frames: Vec<String>,
    /// Where these are in the sources, as far as that is known.
    pub places: Vec<PlaceReport>,
    /// The ids of the findings that cause this one.
    pub caused_by: Vec<String>,
    /// What supports it.
    pub evidence: Vec<EvidenceReport>,
}

/// A thread or task as a report names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// What kind it is.
    pub kind: Kind,
    /// Its id: a JVM thread's name, otherwise a number as text.
    pub id: String,
    /// Its name; may be empty.
    pub name: String,
}

/// Where a function was in its source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceReport {
    /// The function, as in the finding's frames.
    pub function: String,
    /// The file, as the source of the dump names it.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
}

/// One fact that supports a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceReport {
    /// The fact, as a sentence.
    pub text: String,
    /// The dump's id.
    pub dump: Option<String>,
    /// Whom it is about.
    pub member: Option<MemberReport>,
    /// Its figure.
    pub value: Option<f64>,
}

/// Where some members are.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterReport {
    /// `c1`, `c2`, ...
    pub id: String,
    /// The process's id.
    pub process: String,
    /// What clusters have in common that are probably one problem, met in different places.
    pub family: Option<String>,
    /// The normalized stack's short name.
    pub signature: String,
    /// How many members in the newest dump that shows any.
    pub count: usize,
    /// For each dump of the process.
    pub per_dump: Vec<usize>,
    /// What kind the members are.
    pub kind: Kind,
    /// Members by state, in the source's words.
    pub states: Vec<(String, usize)>,
    /// Nothing but idle members.
    pub idle: bool,
    /// Normalized functions, innermost first.
    pub frames: Vec<String>,
    /// The first few members.
    pub members: Vec<MemberReport>,
}
