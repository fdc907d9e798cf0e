//! One claim about an incident, with what supports it.

use sigquit_dump::OwnerSource;

use crate::model::MemberId;

/// One claim: what is wrong, with whom, why that is believed, what to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// The detector's name.
    pub detector: &'static str,
    /// How bad, if true.
    pub severity: Severity,
    /// What kind of evidence it rests on.
    pub grade: Grade,
    /// How sure, from 0 to 1, at most the grade's cap.
    pub confidence: f64,
    /// One sentence.
    pub headline: String,
    /// A few sentences more.
    pub detail: String,
    /// What to do now.
    pub next_step: String,
    /// Who is in this condition.
    pub members: Vec<MemberId>,
    /// Others who suffer from it directly: waiters of the lock, bystanders of a cycle. What
    /// makes another finding about them a symptom of this one.
    pub victims: Vec<MemberId>,
    /// Who holds what the members wait for, where that is not one lock with one owner: the
    /// borrowers of a pool, its busy workers. What makes this finding a symptom of one about them.
    pub holders: Vec<MemberId>,
    /// The lock that it is about.
    pub lock: Option<LockOf>,
    /// Who owns that lock, or holds up the others.
    pub owner: Option<MemberId>,
    /// How the owner is known.
    pub owner_source: Option<OwnerSource>,
    /// The functions that matter, innermost first.
    pub frames: Vec<String>,
    /// What supports it.
    pub evidence: Vec<Evidence>,
}

/// A lock as a finding names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOf {
    /// Its address, or another text that tells it from others.
    pub id: String,
    /// What kind of lock.
    pub kind: String,
    /// Its type, when known.
    pub type_name: Option<String>,
}

/// One fact in an input that supports a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The fact, as a sentence.
    pub text: String,
    /// Which dump shows it, counted from 0.
    pub dump: Option<usize>,
    /// Whom it is about.
    pub member: Option<MemberId>,
    /// Its figure, when it has one.
    pub value: Option<f64>,
}

impl Evidence {
    /// A fact without a place or a figure.
    pub fn text(text: impl Into<String>) -> Evidence {
        Evidence { text: text.into(), dump: None, member: None, value: None }
    }

    /// A figure of each dump, in words.
    pub fn per_dump(counts: &[usize], text: impl Fn(usize) -> String) -> Vec<Evidence> {
        let fact = |(dump, &count): (usize, &usize)| Evidence {
            text: text(count),
            dump: Some(dump),
            member: None,
            value: Some(count as f64),
        };
        counts.iter().enumerate().map(fact).collect()
    }
}

/// How bad a finding is, if it is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Worth a look on a quiet day.
    Low,
    /// Something suffers.
    Medium,
    /// A part of the service does not work.
    High,
    /// The service does not work.
    Critical,
}

/// What kind of evidence a finding rests on; it caps the confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Names of functions in one dump.
    #[default]
    Pattern,
    /// The same in several dumps, without counters.
    Repeat,
    /// Counters that moved, or did not, between dumps.
    Counter,
    /// It follows from the facts: a cycle of known owners, a statement of the runtime.
    Proof,
}

impl Grade {
    /// The greatest confidence that this kind of evidence carries.
    pub fn cap(self) -> f64 {
        match self {
            Grade::Pattern => 0.5,
            Grade::Repeat => 0.8,
            Grade::Counter => 0.95,
            Grade::Proof => 0.99,
        }
    }
}
