//! Every dump under `fixtures/`, in every output: JSON and SARIF against their schemas, and the
//! others as far as they are the same for all.

mod schema;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sigquit_analyzer::{cli, read};

const SARIF: &str = include_str!("schema/sarif-2.1.0.schema.json");

/// Every `fixtures/FORMAT/CASE/`, for the formats that can be read.
fn cases() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let formats = read::FORMATS.iter().map(|format| fixtures.join(format.name));
    let entries = formats.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let cases: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    assert!(cases.len() > 50, "the fixtures are there");
    cases
}

/// What the command prints of a case.
fn analyze(case: &Path, output: &str) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments: [OsString; 5] =
        ["sigquit".into(), "analyze".into(), "--output".into(), output.into(), case.into()];
    let status = cli::run(arguments, &mut out, &mut err);
    assert_eq!(status, 0, "{}: {}", case.display(), String::from_utf8_lossy(&err));
    String::from_utf8(out).expect("text")
}

fn json(case: &Path, output: &str) -> Value {
    serde_json::from_str(&analyze(case, output)).expect("JSON")
}

#[test]
fn every_report_keeps_the_published_schema() {
    for case in cases() {
        let violations = schema::violations(&json(&case, "json"));
        assert_eq!(violations, Vec::<String>::new(), "{}", case.display());
    }
}

#[test]
fn every_report_is_sarif() {
    for case in cases() {
        let (report, sarif) = (json(&case, "json"), json(&case, "sarif"));
        assert_eq!(
            schema::violations_of(SARIF, &sarif),
            Vec::<String>::new(),
            "{}",
            case.display()
        );
        let run = &sarif["runs"][0];
        let results = run["results"].as_array().expect("results");
        let findings = report["findings"].as_array().expect("findings");
        assert_eq!(results.len(), findings.len());
        for (result, finding) in results.iter().zip(findings) {
            let rule = result["ruleIndex"].as_u64().expect("a rule") as usize;
            assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], finding["detector"]);
            assert_eq!(result["partialFingerprints"]["signature/v1"], finding["signature"]);
        }
    }
}

#[test]
fn markdown_tells_every_finding_and_holds_no_markup_of_the_input() {
    for case in cases() {
        let (report, markdown) = (json(&case, "json"), analyze(&case, "markdown"));
        for finding in report["findings"].as_array().expect("findings") {
            let title = format!(
                "\n### {} {}: ",
                finding["id"].as_str().unwrap(),
                finding["detector"].as_str().unwrap()
            );
            assert!(markdown.contains(&title), "{}", case.display());
        }
        let outside_of_code = markdown.split('`').step_by(2);
        for text in outside_of_code {
            assert!(!text.replace("\\<", "").contains('<'), "{}: {text}", case.display());
        }
    }
}
