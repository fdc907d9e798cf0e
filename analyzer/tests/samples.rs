//! Real dumps, where they are at hand: whatever they hold, the report keeps its contract and the
//! text its screen.

mod schema;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::cli;

/// The samples beside the repository, when there are any.
fn samples() -> Option<PathBuf> {
    let beside = |folder: &Path| folder.join("shared/samples");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(beside).find(|samples| samples.is_dir())
}

/// Every folder of samples that holds files.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| self::folders(folder));
    below.chain((!files.is_empty()).then(|| folder.to_owned())).collect()
}

fn run(arguments: &[&str], path: &Path) -> (u8, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = ["sigquit"].iter().chain(arguments).map(OsString::from);
    let status = cli::run(arguments.chain([path.into()]), &mut out, &mut err);
    (status, String::from_utf8(out).expect("text"))
}

#[test]
fn every_report_keeps_the_contract() {
    let Some(samples) = samples() else {
        println!("skipped: no shared/samples beside the repository");
        return;
    };
    let folders = folders(&samples);
    assert!(!folders.is_empty());
    for folder in folders {
        let (status, json) = run(&["analyze", "--output=json"], &folder);
        if status == 2 {
            assert_eq!(json, "", "{}", folder.display());
            continue;
        }
        assert_eq!(status, 0, "{}", folder.display());
        let report = serde_json::from_str(&json).expect("JSON");
        assert_eq!(schema::violations(&report), Vec::<String>::new(), "{}", folder.display());
        check_text(&folder);
        let (status, shown) = run(&["show"], &folder);
        assert!(status == 0 && !shown.is_empty(), "{}", folder.display());
    }
}

fn check_text(folder: &Path) {
    let (_, text) = run(&["analyze"], folder);
    assert!(text.lines().count() <= 25, "{}:\n{text}", folder.display());
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{}:\n{text}", folder.display());
}
