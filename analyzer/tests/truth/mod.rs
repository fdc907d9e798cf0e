//! A folder of samples, and what the program that made it knew.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sigquit_analyzer::explain::Report;
use sigquit_analyzer::{analyze, read};

/// A folder of samples beside the repository; says so when there is none.
pub fn sample(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.ancestors().map(|folder| folder.join("shared/samples").join(name));
    let found = folder.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no shared/samples/{name} beside the repository");
    }
    found
}

/// What the analyzer says of some files of a folder.
pub fn report(folder: &Path, files: &[&str]) -> Report {
    let read = |file: &&str| {
        let bytes = fs::read(folder.join(file)).expect("the sample is there");
        read::read(file, &bytes, None).expect("it holds a dump")
    };
    analyze(files.iter().map(read).collect())
}

/// What the program knew.
pub fn truth(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("truth.json")).expect("every sample has its truth");
    serde_json::from_str(&text).expect("JSON")
}
