//! Real dumps, where they are at hand: whatever they hold, the report keeps its contract and the
//! text its screen.

mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::explain::Report;
use sigquit_analyzer::read::read_paths;
use sigquit_analyzer::render::{self, TextOptions};
use sigquit_analyzer::{analyze_read, model};

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

#[test]
fn every_report_keeps_the_contract() {
    let Some(samples) = samples() else {
        println!("skipped: no shared/samples beside the repository");
        return;
    };
    let mut folders = folders(&samples);
    folders.retain(|folder| *folder != samples);
    assert!(!folders.is_empty());
    for folder in folders {
        let (inputs, errors) = read_paths(std::slice::from_ref(&folder), None);
        let mut shown = Vec::new();
        render::show(&model::incidents(inputs.clone()), false, &mut shown).expect("a buffer");
        assert_eq!(shown.is_empty(), inputs.is_empty(), "{}", folder.display());
        let report = analyze_read(inputs, &errors);
        check_json(&report, &folder);
        check_text(&report, &folder);
    }
}

fn check_json(report: &Report, folder: &Path) {
    let mut json = Vec::new();
    render::json(report, &mut json).expect("a buffer");
    let json = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(schema::violations(&json), Vec::<String>::new(), "{}", folder.display());
}

fn check_text(report: &Report, folder: &Path) {
    for width in [80, 100] {
        let mut text = Vec::new();
        let options = TextOptions { width, color: false, top: None };
        render::text(report, options, &mut text).expect("a buffer");
        let text = String::from_utf8(text).expect("text");
        assert!(text.lines().count() <= 25, "{}:\n{text}", folder.display());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{}:\n{text}", folder.display());
    }
}
