//! Files, folders and standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Input, ReadError, read};

/// The largest input that is read, in bytes: it has to fit into memory.
const LARGEST: u64 = 2 << 30;

/// Reads files, folders and standard input (`-`), as far as they can be read.
///
/// What lies in a folder and is no dump is passed over; a folder without any dump is an error,
/// and so is a file that is named and is none. Folders are read with all that is below them, in
/// the order of their names; links to folders are not followed.
pub fn read_paths(paths: &[PathBuf], format: Option<&str>) -> (Vec<Input>, Vec<ReadError>) {
    let mut found = Found::default();
    for path in paths {
        if path.is_dir() {
            found.folder(path, format);
        } else {
            match bytes_of(path).and_then(|bytes| read(&name(path), &bytes, format)) {
                Ok(input) => found.inputs.push(input),
                Err(error) => found.errors.push(error),
            }
        }
    }
    (found.inputs, found.errors)
}

#[derive(Default)]
struct Found {
    inputs: Vec<Input>,
    errors: Vec<ReadError>,
}

impl Found {
    fn folder(&mut self, folder: &Path, format: Option<&str>) {
        let files = files_below(folder);
        let before = (self.inputs.len(), self.errors.len());
        for file in &files {
            match bytes_of(file) {
                Ok(bytes) => self.inputs.extend(read(&name(file), &bytes, format).ok()),
                Err(error) => self.errors.push(error),
            }
        }
        if before == (self.inputs.len(), self.errors.len()) {
            let message = match files.len() {
                0 => "an empty folder".to_owned(),
                1 => "no thread dump in this folder: its one file is none".to_owned(),
                count => format!("no thread dump in this folder: none of its {count} files is one"),
            };
            self.errors.push(error(folder, message));
        }
    }
}

/// All regular files below a folder, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    const DEEPEST: usize = 64;
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                    folders.push((entry.path(), depth + 1));
                }
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                Ok(kind) if kind.is_symlink() && entry.path().is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, ReadError> {
    let bytes = match path.to_str() {
        Some("-") => bounded(io::stdin().lock()),
        _ => File::open(path).and_then(bounded),
    };
    match bytes {
        Ok(bytes) if bytes.len() as u64 <= LARGEST => Ok(bytes),
        Ok(_) => {
            Err(error(path, "larger than 2 GiB: cut it into pieces at dump boundaries".into()))
        }
        Err(why) => Err(error(path, format!("cannot be read: {why}"))),
    }
}

/// All bytes, or one more than the largest input has.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn error(path: &Path, message: String) -> ReadError {
    ReadError { path: name(path), line: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:1 +0x1\n";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn read_below(folder: &tempfile::TempDir, paths: &[&str]) -> (Vec<String>, Vec<String>) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
        let (inputs, errors) = read_paths(&paths, None);
        let below = |path: &str| {
            let path = Path::new(path).strip_prefix(folder.path()).unwrap();
            path.to_string_lossy().into_owned()
        };
        (
            inputs.iter().map(|input| below(&input.path)).collect(),
            errors.iter().map(|error| below(&error.path)).collect(),
        )
    }

    #[test]
    fn folders_give_what_is_a_dump_in_them() {
        let folder = folder(&[("b/2.txt", DUMP), ("b/1.txt", DUMP), ("a.json", "{}"), ("c/x", "")]);
        assert_eq!(read_below(&folder, &[""]), (vec!["b/1.txt".into(), "b/2.txt".into()], vec![]));
        assert_eq!(read_below(&folder, &["c"]), (vec![], vec!["c".into()]));
    }

    #[test]
    fn a_named_file_that_is_no_dump_is_an_error_beside_the_others() {
        let folder = folder(&[("1.txt", DUMP), ("a.json", "{}")]);
        assert_eq!(
            read_below(&folder, &["a.json", "1.txt", "missing"]),
            (vec!["1.txt".into()], vec!["a.json".into(), "missing".into()])
        );
    }
}
