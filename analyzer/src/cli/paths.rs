//! Reads what the arguments name.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::read::{Input, ReadError, read};

/// Reads files, folders and standard input (`-`), as far as they can be read.
pub(super) fn read_paths(paths: &[PathBuf], format: Option<&str>) -> (Vec<Input>, Vec<ReadError>) {
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    for path in paths.iter().flat_map(|path| files(path)) {
        match read_path(&path, format) {
            Ok(input) => inputs.push(input),
            Err(error) => errors.push(error),
        }
    }
    (inputs, errors)
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().flat_map(|path| self::files(path)).collect()
}

fn read_path(path: &Path, format: Option<&str>) -> Result<Input, ReadError> {
    let name = path.to_string_lossy().into_owned();
    let mut bytes = Vec::new();
    let got = match name.as_str() {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => fs::read(path).map(|read| bytes = read),
    };
    match got {
        Ok(()) => read(&name, &bytes, format),
        Err(error) => Err(ReadError { path: name, line: None, message: error.to_string() }),
    }
}
