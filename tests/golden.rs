use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{analyze, sigquit};

/// Relative, as cargo runs a package's tests in its folder: the paths in the reports are then the
/// same everywhere.
const FIXTURES: &str = "../fixtures";

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Every `fixtures/FORMAT/CASE/`: the dumps of one incident, with `CASE.expected.txt` beside it.
fn cases() -> Vec<(String, PathBuf)> {
    let formats = sigquit_analyzer::read::FORMATS.iter().map(|format| format.name.to_owned());
    let folder = |format: &str| Path::new(FIXTURES).join(format);
    formats
        .filter(|format| folder(format).is_dir())
        .flat_map(|format| {
            folders(&folder(&format)).into_iter().map(move |case| (format.clone(), case))
        })
        .collect()
}

#[test]
fn every_case_is_of_the_format_under_which_it_lies() {
    for (format, case) in cases() {
        let report = analyze(&case);
        let inputs = report.0["inputs"].as_array().unwrap();
        let is_of = |format: &str| inputs.iter().filter(|input| input["format"] == format).count();
        // Tables of threads stand beside dumps of any format.
        let expected =
            if format == "top" { 1..inputs.len() } else { inputs.len()..inputs.len() + 1 };
        assert!(expected.contains(&is_of(&format)), "{}", case.display());
    }
}

/// `UPDATE_EXPECT=1 cargo test golden` writes what the analyzer says now.
#[test]
fn every_case_gets_the_report_that_it_should() {
    let mut wrong = Vec::new();
    for (_, case) in cases() {
        let report = sigquit(&["analyze".into(), case.clone().into()]);
        let expected = PathBuf::from(format!("{}.expected.txt", case.display()));
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, report).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != report {
            wrong.push(format!("{}; now it is:\n{report}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_EXPECT=1 accepts these:\n{}", wrong.join("\n"));
}
