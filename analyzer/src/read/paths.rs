//! Files, folders and standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

use super::container::unpack;
use super::{Input, Limits, ReadError, read_source};

/// Reads files, folders and standard input (`-`), as far as they can be read.
///
/// Compressed files and archives are unpacked. What lies in a folder or an archive and is no dump
/// is passed over; one without any dump is an error, and so is a file that is named and is none.
/// Folders are read with all that is below them, in the order of their names; links to folders
/// are not followed.
pub fn read_paths(paths: &[PathBuf], format: Option<&str>) -> (Vec<Input>, Vec<ReadError>) {
    read_paths_within(&Limits::default(), paths, format)
}

/// The same, within limits other than those that are good for most.
pub fn read_paths_within(
    limits: &Limits,
    paths: &[PathBuf],
    format: Option<&str>,
) -> (Vec<Input>, Vec<ReadError>) {
    let below = |path: &PathBuf| path.is_dir().then(|| files_below(path));
    let folders: Vec<Option<Vec<PathBuf>>> = paths.iter().map(below).collect();
    let files: Vec<(&Path, bool)> = folders
        .iter()
        .zip(paths)
        .flat_map(|(folder, path)| match folder {
            Some(files) => files.iter().map(|file| (file.as_path(), false)).collect(),
            None => vec![(path.as_path(), true)],
        })
        .collect();
    let mut read = on_all_cores(&files, |&(file, named)| {
        let mut found = Found { format, limits, inputs: Vec::new(), errors: Vec::new() };
        found.file(file, named);
        (found.inputs, found.errors)
    })
    .into_iter();
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    for (folder, path) in folders.iter().zip(paths) {
        let before = (inputs.len(), errors.len());
        let count = folder.as_ref().map_or(1, Vec::len);
        for (more, wrong) in read.by_ref().take(count) {
            inputs.extend(more);
            errors.extend(wrong);
        }
        if folder.is_some() && before == (inputs.len(), errors.len()) {
            errors.push(no_dump_in("folder", &name(path), count));
        }
    }
    (inputs, errors)
}

/// What work makes of each item, in their order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if cores < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        items.get(at).map(|item| (at, work(item)))
    };
    let take_all = || std::iter::from_fn(take).collect::<Vec<_>>();
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..cores)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, take_all).ok())
            .collect();
        let mut done = take_all();
        for other in others {
            done.extend(other.join().unwrap_or_else(|why| panic::resume_unwind(why)));
        }
        done
    });
    done.sort_by_key(|&(at, _)| at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Reads the bytes of one named file and all that is packed in them, as [`read_paths_within`]
/// reads those of a file.
pub fn read_packed(
    limits: &Limits,
    name: &str,
    bytes: &[u8],
    format: Option<&str>,
) -> (Vec<Input>, Vec<ReadError>) {
    let mut found = Found { format, limits, inputs: Vec::new(), errors: Vec::new() };
    found.source(name.to_owned(), &mut &*bytes, true);
    (found.inputs, found.errors)
}

/// The text of a file that is no dump and that the user names: rules.
///
/// # Errors
/// Why it cannot be read.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    fs::read_to_string(path).map_err(|error| ReadError {
        path: path.display().to_string(),
        line: None,
        message: error.to_string(),
    })
}

struct Found<'f> {
    format: Option<&'f str>,
    limits: &'f Limits,
    inputs: Vec<Input>,
    errors: Vec<ReadError>,
}

impl Found<'_> {
    fn count(&self) -> (usize, usize) {
        (self.inputs.len(), self.errors.len())
    }

    /// Reads a file. One that is `named` is to be a dump.
    fn file(&mut self, path: &Path, named: bool) {
        let name = name(path);
        let mut source: Box<dyn Read> = match path.to_str() {
            Some("-") => Box::new(io::stdin().lock()),
            _ => match File::open(path) {
                Ok(file) => Box::new(file),
                Err(why) => {
                    let message = format!("cannot be read: {why}");
                    return self.errors.push(ReadError { path: name, line: None, message });
                }
            },
        };
        self.source(name, &mut source, named);
    }

    /// Reads all that is packed in a file.
    fn source(&mut self, name: String, source: &mut dyn Read, named: bool) {
        let before = self.count();
        let (format, limits) = (self.format, self.limits);
        let mut archived = None;
        let unpacked = unpack(&name, source, limits, &mut |member| {
            *archived.get_or_insert(0) += usize::from(member.archived);
            match read_source(&member.name, member.source, format, limits) {
                Ok(input) => self.inputs.push(input),
                Err(error) if named && !member.archived => self.errors.push(error),
                Err(_) => {}
            }
        });
        if let Err(message) = unpacked {
            self.errors.push(ReadError { path: name, line: None, message });
        } else if named && before == self.count() {
            self.errors.push(no_dump_in("archive", &name, archived.unwrap_or(0)));
        }
    }
}

fn no_dump_in(what: &str, path: &str, files: usize) -> ReadError {
    let message = match files {
        0 => format!("an empty {what}"),
        1 => format!("no thread dump in this {what}: its one file is none"),
        count => format!("no thread dump in this {what}: none of its {count} files is one"),
    };
    ReadError { path: path.to_owned(), line: None, message }
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

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
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
