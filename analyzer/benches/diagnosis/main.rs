//! How often the diagnosis is right: `cargo bench -p sigquit-analyzer --bench diagnosis`.
//!
//! Two sets of cases, told apart in every table:
//!
//! - *recorded*: the fixtures, dumps of real programs. What each did is known from its source and
//!   stands in `fixtures/labels.txt`.
//! - *generated*: one fault, or something healthy that looks like one, among the idle and busy
//!   threads of a service; with and without load, one dump and a series, three runtimes. The label
//!   is what was put in. Easier than life: it shows that detectors and ranking work together, and
//!   no more than that.
//!
//! For each detector: how many of those that it found at medium or above are true, and how many of
//! the true ones were found, at any severity. For each set: how often the first root is the fault
//! that was put in, and how many false alarms a thousand healthy dumps make. Then how well clusters
//! agree with what the generated threads were made to do, by BCubed precision and recall, beside
//! two simple ways to do it.

mod agreement;
mod draw;
mod fault;
mod recorded;
mod score;

use sigquit_analyzer::analyze;
use sigquit_analyzer::explain::Report;
use sigquit_analyzer::read::Input;

use score::{Outcome, Scores};

/// One case: dumps, and what is true of the program that they are of.
pub struct Case {
    /// Names it in the list of mistakes.
    pub name: String,
    /// The dumps.
    pub inputs: Vec<Input>,
    /// How many dumps these are.
    pub dumps: usize,
    /// What is wrong with the program.
    pub truth: Truth,
}

/// What is true of a program.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// The detectors that name what is wrong, any of them; none for a healthy program.
    pub root: Vec<String>,
    /// What follows from it, and may be found too.
    pub also: Vec<String>,
}

impl Truth {
    fn is_healthy(&self) -> bool {
        self.root.is_empty()
    }
}

fn main() {
    let sets = [("recorded", recorded::cases()), ("generated", fault::cases())];
    for (name, cases) in sets {
        let mut scores = Scores::default();
        for case in cases {
            let report = analyze(case.inputs);
            let outcome = outcome(&report, &case.truth, case.dumps);
            scores.add(&case.name, outcome);
        }
        println!("{name}");
        scores.print();
    }
    agreement::print();
}

fn outcome(report: &Report, truth: &Truth, dumps: usize) -> Outcome {
    let found = |finding: &sigquit_analyzer::explain::RankedFinding| score::Found {
        detector: finding.detector,
        severity: finding.severity,
    };
    Outcome {
        healthy: truth.is_healthy(),
        root: truth.root.clone(),
        also: truth.also.clone(),
        first: report.findings.first().map(found),
        found: report.findings.iter().map(found).collect(),
        dumps,
    }
}
