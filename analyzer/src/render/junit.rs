//! The report as JUnit XML, for build servers: a detector is a test, which fails when something of
//! medium severity or more was found. What is slight is told and fails nothing.

use std::io::{self, Write};

use askama::Template;

use super::phrase::{evidence, severity_name};
use super::plain::plain;
use crate::detect::{self, Detector, Severity};
use crate::explain::{RankedFinding, Report};

/// Writes the report as JUnit XML.
///
/// # Errors
/// Those of the writer.
pub fn junit(report: &Report, mut out: impl Write) -> io::Result<()> {
    let cases: Vec<Case> = detect::all().iter().map(|detector| case(report, detector)).collect();
    let failures = cases.iter().filter(|case| !case.failures.is_empty()).count();
    JUnit { cases, failures }.write_into(&mut out)
}

#[derive(Template)]
#[template(path = "junit.xml")]
struct JUnit {
    cases: Vec<Case>,
    /// Cases that failed.
    failures: usize,
}

struct Case {
    detector: &'static str,
    failures: Vec<Failure>,
    /// What was found and fails nothing, one a line.
    remarks: String,
}

struct Failure {
    severity: &'static str,
    headline: String,
    /// Facts and what to do, one a line.
    text: String,
}

fn case(report: &Report, detector: &Detector) -> Case {
    let found = report.findings.iter().filter(|finding| finding.detector == detector.name);
    let (failed, slight): (Vec<&RankedFinding>, Vec<&RankedFinding>) =
        found.partition(|finding| finding.severity >= Severity::Medium);
    let remarks: Vec<String> = slight.iter().map(|finding| plain(&finding.headline)).collect();
    Case {
        detector: detector.name,
        failures: failed.into_iter().map(failure).collect(),
        remarks: remarks.join("\n"),
    }
}

fn failure(finding: &RankedFinding) -> Failure {
    let facts = finding.evidence.iter().map(|fact| plain(&evidence(fact)));
    let lines: Vec<String> = facts.chain([plain(&finding.next_step)]).collect();
    Failure {
        severity: severity_name(finding.severity),
        headline: plain(&finding.headline),
        text: lines.join("\n"),
    }
}
