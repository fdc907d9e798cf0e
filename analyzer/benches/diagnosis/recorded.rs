//! The fixtures, with what their programs did.

use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::read::read_paths;

use crate::{Case, Truth};

/// Every fixture that has a label, in the sets that headings in brackets begin.
pub fn sets() -> Vec<(String, Vec<Case>)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let labels = fs::read_to_string(fixtures.join("labels.txt")).unwrap_or_default();
    let mut sets: Vec<(String, Vec<Case>)> = Vec::new();
    for line in labels.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => sets.push((name.to_owned(), Vec::new())),
            None => {
                let Some((_, cases)) = sets.last_mut() else { continue };
                cases.extend(case(&fixtures, line));
            }
        }
    }
    sets
}

/// `hotspot/pool-slow-peer  connection-pool-exhaustion downstream-stall  +thread-pool-exhaustion`: a
/// folder, what is wrong in any of these words, and what may follow from it, with `+!` what has to. `healthy` is no
/// word of a detector.
fn case(fixtures: &Path, label: &str) -> Option<Case> {
    let mut words = label.split_whitespace();
    let name = words.next()?;
    let (also, root): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('+'));
    let root = root.into_iter().filter(|&word| word != "healthy").map(str::to_owned).collect();
    let also = also.into_iter().map(|word| word[1..].to_owned()).collect();
    let folder: PathBuf = fixtures.join(name);
    let (inputs, _) = read_paths(&[folder], None);
    let dumps = inputs.iter().map(|input| input.dumps.len()).sum();
    (dumps > 0).then(|| Case {
        name: name.into(),
        kind: name.rsplit('/').next().unwrap_or(name).into(),
        inputs,
        dumps,
        load: None,
        truth: Truth::of(root, also),
    })
}
