//! The report as SARIF 2.1.0 (Static Analysis Results Interchange Format, OASIS), for tools that
//! show results beside the code.
//!
//! A detector is a rule, a finding a result; its signature is the fingerprint by which a viewer
//! knows it again in the next run.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::detectors::first_sentence;
use super::fold::called;
use super::phrase::{self, evidence, grade_name, role_name, severity_name};
use crate::detect::{self, Detector, Severity};
use crate::explain::{MemberReport, PlaceReport, RankedFinding, Report};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the report as one SARIF log with one run, and a line end.
///
/// # Errors
/// Those of the writer.
pub fn sarif(report: &Report, mut out: impl Write) -> io::Result<()> {
    let rules: Vec<&Detector> = detect::all()
        .iter()
        .filter(|rule| report.findings.iter().any(|finding| finding.detector == rule.name))
        .collect();
    let results = report.findings.iter().map(|finding| result(finding, &rules));
    let notifications = phrase::warnings(report).map(|(input, warning)| {
        json!({
            "level": "warning",
            "message": message(&warning.message),
            "locations": [{ "physicalLocation": physical(&input.path, Some(warning.line)) }],
        })
    });
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sigquit",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| reporting_descriptor(rule)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "results": results.collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut out, &log)?;
    out.write_all(b"\n")
}

fn reporting_descriptor(detector: &Detector) -> Value {
    let documentation = detector.documentation.trim();
    json!({
        "id": detector.name,
        "shortDescription": message(&first_sentence(documentation)),
        "help": { "text": documentation, "markdown": documentation },
    })
}

fn result(finding: &RankedFinding, rules: &[&Detector]) -> Value {
    let mut result = json!({
        "ruleId": finding.detector,
        "level": level(finding.severity),
        "rank": finding.score,
        "message": message(&sentences(finding)),
        "locations": locations(finding),
        "partialFingerprints": { "signature/v1": finding.signature },
        "properties": {
            "id": finding.id,
            "role": role_name(finding.role),
            "severity": severity_name(finding.severity),
            "grade": grade_name(finding.grade),
            "confidence": finding.confidence,
            "process": finding.process,
            "causedBy": finding.caused_by,
            "members": names(&finding.members),
            "victims": names(&finding.victims),
        },
    });
    if let Some(index) = rules.iter().position(|rule| rule.name == finding.detector) {
        result["ruleIndex"] = index.into();
    }
    if !finding.frames.is_empty() {
        let frames: Vec<Value> = finding
            .frames
            .iter()
            .map(|frame| json!({ "location": location(finding, frame) }))
            .collect();
        result["stacks"] =
            json!([{ "message": { "text": "the functions that matter" }, "frames": frames }]);
    }
    result
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// What is wrong, why that is believed, and what to do.
fn sentences(finding: &RankedFinding) -> String {
    let facts = finding.evidence.iter().map(evidence);
    let parts = [finding.headline.clone(), finding.detail.clone()];
    let parts = parts.into_iter().chain(facts).chain([finding.next_step.clone()]);
    let parts = parts.map(|part| part.trim().trim_end_matches('.').to_owned());
    let mut text = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(". ");
    text.push('.');
    text
}

/// A message in plain text. SARIF reads `{0}` as a placeholder and `[text](place)` as a link there;
/// an input makes neither.
fn message(text: &str) -> Value {
    let text = text.replace('{', "{{").replace('}', "}}").replace("](", "] (");
    json!({ "text": text })
}

fn names(members: &[MemberReport]) -> Vec<String> {
    members.iter().map(called).collect()
}

/// The innermost function whose place is known; without one, the innermost.
fn locations(finding: &RankedFinding) -> Vec<Value> {
    let known = finding.places.iter().find(|place| place.line.is_some());
    let function = known.map(|place| &place.function).or(finding.frames.first());
    function.map(|function| location(finding, function)).into_iter().collect()
}

fn location(finding: &RankedFinding, function: &str) -> Value {
    let mut location = json!({
        "logicalLocations": [{ "fullyQualifiedName": function, "kind": "function" }],
    });
    let with_line = |place: &&PlaceReport| place.function == function && place.line > Some(0);
    if let Some(place) = finding.places.iter().find(with_line) {
        location["physicalLocation"] = physical(&place.file, place.line.map(u64::from));
    }
    location
}

fn physical(path: &str, line: Option<u64>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(path) } });
    if let Some(line) = line.filter(|&line| line > 0) {
        physical["region"] = json!({ "startLine": line });
    }
    physical
}

/// A path as a URI reference (RFC 3986): all but unreserved characters and slashes by number.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for &byte in path.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("src/main.rs"), "src/main.rs");
        assert_eq!(uri("/srv/my app/a.rs"), "file:///srv/my%20app/a.rs");
        assert_eq!(uri("c:\\ä"), "c%3A%5C%C3%A4");
    }

    #[test]
    fn an_input_makes_neither_placeholders_nor_links() {
        assert_eq!(
            message("{{closure}} [x](http://evil)")["text"],
            "{{{{closure}}}} [x] (http://evil)"
        );
    }
}
