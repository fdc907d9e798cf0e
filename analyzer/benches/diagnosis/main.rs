//! How often the diagnosis is right: `cargo bench -p sigquit-analyzer --bench diagnosis`.
//!
//! Sets of cases, told apart in every table:
//!
//! - *recorded*: the fixtures, dumps of real programs. What each did is known from its source and
//!   stands in `fixtures/labels.txt`.
//! - *midnight*, *winter*, *spring*, *autumn*, *summer*, *afternoon*, *dawn*, *holiday*: fixtures as well, labelled in the
//!   same file, and recorded before anybody looked at what is said of them. Some of what they showed was mended since. At first
//!   sight the faults of *winter* to *holiday* were named in 61.8 %, 54.8 %, 66.7 %, 66.7 %, 66.7 %, 85.7 % and 72.0 %, as
//!   this bench printed when each was recorded (of *holiday* first the JVM's part, and the others when that was mended).
//! - *all recorded*: these together.
//! - *weekend*: recorded in the same way and set aside: nothing was mended for it. It says what programs that
//!   nobody here has seen give.
//! - *generated*: one fault, or something healthy that looks like one, among the idle and busy
//!   threads of a service; with and without load, one dump and a series, three runtimes. The label
//!   is what was put in. Easier than life: it shows that detectors and ranking work together, and
//!   no more than that.
//!
//! For each detector: how many of those that it found at medium or above are true, and how many of
//! the true ones were found, at any severity. For each set, and for its parts (one dump or a series, with load or
//! without, each runtime): how often the fault that was put in is found, how often it is the first root, and how many
//! false alarms a thousand healthy dumps make. Then how well clusters
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
    /// What the program does; cases of one kind differ in runtime, load and number of dumps.
    pub kind: String,
    /// The dumps.
    pub inputs: Vec<Input>,
    /// How many dumps these are.
    pub dumps: usize,
    /// Whether others are at work in it too, where that is known.
    pub load: Option<bool>,
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
    /// What of that has to be found.
    pub owed: Vec<String>,
}

impl Truth {
    /// What follows from a fault is given in words of the detectors; those with `!` have to be found.
    fn of(root: Vec<String>, also: Vec<String>) -> Truth {
        let owed = also.iter().filter_map(|name| name.strip_prefix('!').map(str::to_owned));
        let owed = owed.collect();
        let also = also.iter().map(|name| name.trim_start_matches('!').to_owned()).collect();
        Truth { root, also, owed }
    }

    fn is_healthy(&self) -> bool {
        self.root.is_empty()
    }
}

/// For which nothing was mended, and no threshold set.
const SET_ASIDE: &str = "weekend";

fn main() {
    let (aside, seen): (Vec<_>, Vec<_>) =
        recorded::sets().into_iter().partition(|(name, _)| name == SET_ASIDE);
    let mut of_all = Scores::default();
    for (name, cases) in seen {
        let mut of_set = Scores::default();
        for case in cases {
            let outcome = judge(case);
            of_all.add(outcome.clone());
            of_set.add(outcome);
        }
        println!("{name}");
        of_set.print();
    }
    println!("all recorded");
    of_all.print_counts();
    println!();
    for (name, cases) in aside {
        let mut of_set = Scores::default();
        cases.into_iter().for_each(|case| of_set.add(judge(case)));
        println!("{name}, set aside");
        of_set.print();
    }
    let mut generated = Scores::default();
    fault::cases().into_iter().for_each(|case| generated.add(judge(case)));
    println!("generated");
    generated.print();
    agreement::print();
}

fn judge(mut case: Case) -> Outcome {
    let report = analyze(std::mem::take(&mut case.inputs));
    outcome(&report, &case)
}

fn outcome(report: &Report, case: &Case) -> Outcome {
    let found = |finding: &sigquit_analyzer::explain::RankedFinding| score::Found {
        detector: finding.detector,
        severity: finding.severity,
    };
    Outcome {
        name: case.name.clone(),
        kind: case.kind.clone(),
        healthy: case.truth.is_healthy(),
        root: case.truth.root.clone(),
        also: case.truth.also.clone(),
        owed: case.truth.owed.clone(),
        first: report.findings.first().map(found),
        found: report.findings.iter().map(found).collect(),
        dumps: case.dumps,
        load: case.load,
        runtime: report.processes.first().map_or("unknown", |process| process.runtime),
    }
}
