//! Names from a folder of binaries and debug files, found by build id.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use sigquit_dump::{BuildId, Dump, Module};

use crate::binary::build_id;
use crate::symbolizer::Symbolizer;

/// More than this many files are not looked at: the folder is then something else.
const MOST_FILES: usize = 100_000;

/// Gives names to the frames of a dump that have none, from the files in `directory`: ELF files
/// of any name at any depth, and the layout of `/usr/lib/debug/.build-id`. Says how many frames
/// got a name. A module without a build id gets none: nothing says which file it is.
pub fn resolve(directory: &Path, dump: &mut Dump) -> usize {
    let wanted: Vec<BuildId> = dump.modules.iter().filter_map(|m| m.build_id.clone()).collect();
    let found = find(directory, &wanted);
    let files_of = move |module: &Module| {
        module.build_id.as_ref().and_then(|id| found.get(id)).cloned().unwrap_or_default()
    };
    let mut named = 0;
    for names in Symbolizer::new(files_of).names(dump) {
        if names.symbols.is_empty() {
            continue;
        }
        if let Some(frame) = dump.frames.get_mut(names.frame.0 as usize) {
            frame.symbols = names.symbols;
            frame.reason = None;
            named += 1;
        }
    }
    named
}

/// The files of the wanted builds. A debug file comes before the binary that it was split from:
/// it knows lines.
fn find(directory: &Path, wanted: &[BuildId]) -> HashMap<BuildId, Vec<PathBuf>> {
    let mut found: HashMap<BuildId, Vec<PathBuf>> = HashMap::new();
    for path in files_below(directory) {
        match build_id(&path) {
            Ok(Some(id)) if wanted.contains(&id) => found.entry(id).or_default().push(path),
            _ => {}
        }
    }
    for files in found.values_mut() {
        files.sort_by_key(|path| (!is_debug_file(path), path.clone()));
    }
    found
}

fn is_debug_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "debug" || extension == "dbg")
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.is_file() && files.len() < MOST_FILES {
                files.push(path);
            }
        }
    }
    files
}
