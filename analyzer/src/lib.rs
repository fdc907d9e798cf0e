//! Reads dumps of many runtimes after the fact and names the cause of the incident.
//!
//! The pipeline, one room after the other; each room uses only those before it:
//!
//! ```text
//! read      bytes -> dumps and warnings; the only room that opens files
//! model     dumps -> incidents: one process, its dumps in time order, what is true of them
//! cluster   alike stacks together
//! detect    what is wrong; one detector a file; knows no format
//! explain   findings -> a ranked story: cause, what it causes, evidence, next step
//! render    report -> text, JSON, HTML and others, dumps -> stacks to read; computes nothing
//! ```
//!
//! ```
//! use sigquit_analyzer::{analyze, read, render};
//!
//! let dump = b"goroutine 1 [running]:\nmain.main()\n\t/srv/app/main.go:12 +0x1d\n";
//! let input = read::read("dump.txt", dump, None)?;
//! let report = analyze(vec![input]);
//! assert_eq!(report.inputs[0].format, "go");
//!
//! let mut json = Vec::new();
//! render::json(&report, &mut json)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is to be shared goes through [`redact`] after `read`, and again after `explain`.
//!
//! The command `sigquit` is [`cli`]: it reads, calls [`analyze_read`] and renders. What it prints
//! as JSON is a public contract, published as `schema/report-1.schema.json`; this library's types
//! are free to change.

#![forbid(unsafe_code)]

pub mod cli;
pub mod cluster;
pub mod detect;
pub mod explain;
pub mod model;
pub mod read;
pub mod redact;
pub mod render;

/// The whole analysis of inputs that were read: from dumps to a report.
pub fn analyze(inputs: Vec<read::Input>) -> explain::Report {
    analyze_read(inputs, &[])
}

/// The same, where some inputs could not be read: the report tells of them too.
pub fn analyze_read(inputs: Vec<read::Input>, errors: &[read::ReadError]) -> explain::Report {
    let rules = model::Rules::default();
    analyze_with(inputs, errors, Vec::new(), &rules, explain::Detail::Story)
}

/// The same beside healthy dumps of the program, by the user's own rules too: what healthy dumps also show
/// is not reported. In as much detail as is wanted.
pub fn analyze_with(
    mut inputs: Vec<read::Input>,
    errors: &[read::ReadError],
    healthy: Vec<read::Input>,
    rules: &model::Rules,
    detail: explain::Detail,
) -> explain::Report {
    for (input, line) in model::without_dump(&inputs) {
        let message = "this table of threads is of none of the dumps: it is left out".into();
        inputs[input].warnings.push(read::Warning { line, message });
    }
    let read = inputs.iter().map(explain::InputReport::from);
    let reports = read.chain(errors.iter().map(explain::InputReport::from)).collect();
    let healthy = model::incidents_by(rules, healthy);
    let baseline = detect::Baseline::of(&healthy);
    let incidents = model::incidents_by(rules, inputs);
    let diagnoses = incidents.iter().map(|incident| {
        let clusters = cluster::cluster(incident);
        let (known, findings) = detect::detect(incident)
            .into_iter()
            .partition(|finding| baseline.knows(&clusters, finding));
        explain::Diagnosis { incident, clusters, findings, known }
    });
    let report = explain::explain(reports, diagnoses.collect(), detail);
    match detail {
        explain::Detail::Story => report,
        explain::Detail::Pictures => {
            explain::Report { flames: explain::flames(&incidents, &healthy), ..report }
        }
    }
}
