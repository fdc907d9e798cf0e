//! One dump file.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sigquit_dump::{Dump, Names, Thread};

/// A file that holds a dump's facts, and can take the names that are found for it.
#[derive(Debug)]
pub(crate) struct DumpFile {
    file: File,
    path: PathBuf,
}

impl DumpFile {
    /// Writes a dump under a name of its own, which nothing has before and which appears when
    /// the dump is on disk.
    /// `tasks` are written beside the dump's own threads.
    pub fn write(
        folder: &Path,
        name: &str,
        dump: &Dump,
        tasks: impl Iterator<Item = Thread>,
    ) -> io::Result<DumpFile> {
        write_new(folder, name, |out| sigquit_dump::write_with(dump, tasks, out))
    }

    /// Appends names, all or none.
    pub fn append(&self, names: &[Names]) -> io::Result<()> {
        let facts = self.file.metadata()?.len();
        fill(&self.file, |out| sigquit_dump::write_names(names, out))
            .inspect_err(|_| drop(self.file.set_len(facts)))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a file under a name that nothing has before, and which appears when all is on disk.
pub(crate) fn write_new(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<DumpFile> {
    let (partial, path) = (folder.join(format!(".{name}.partial")), folder.join(name));
    let file = create(&partial)?;
    let written = fill(&file, write).and_then(|()| rename_to_new(&partial, &path));
    match written {
        Ok(()) => Ok(DumpFile { file, path }),
        Err(error) => {
            // The first error is the one to report.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create_new(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

fn fill(
    file: &File,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_data()
}

/// Renames, and fails where something of that name exists.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (c_string(from)?, c_string(to)?);
    // SAFETY: both paths are C strings that outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
            link_to_new(from, to)
        }
        error => Err(error),
    }
}

/// The same where the file system knows no such renaming: a link never replaces anything.
fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::iter::empty;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use sigquit_dump::{Frame, FrameId, Symbol, Thread};

    use super::*;

    fn dump() -> Dump {
        let frame = Frame { address: Some(8), ..Frame::default() };
        let thread = Thread { name: "a".into(), ..Thread::default() };
        Dump { frames: vec![frame], threads: vec![thread], ..Dump::default() }
    }

    #[test]
    fn a_dump_is_written_whole_and_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = DumpFile::write(folder.path(), "dump-1.sigquit", &dump(), empty()).unwrap();
        let symbols = vec![Symbol::function("f")];
        file.append(&[Names { frame: FrameId(0), symbols: symbols.clone(), reason: None }])
            .unwrap();
        let (dumps, warnings) = sigquit_dump::read(&fs::read(file.path()).unwrap()).unwrap();
        assert_eq!((dumps[0].frames[0].symbols.clone(), warnings), (symbols, vec![]));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
    }

    #[test]
    fn a_file_that_exists_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump-1.sigquit");
        fs::write(&path, "mine").unwrap();
        assert!(DumpFile::write(folder.path(), "dump-1.sigquit", &dump(), empty()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(link_to_new(&path, &path).is_err());
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        for name in ["dump-1.sigquit", ".dump-1.sigquit.partial"] {
            let link = folder.path().join(name);
            symlink(&target, &link).unwrap();
            assert!(DumpFile::write(folder.path(), "dump-1.sigquit", &dump(), empty()).is_err());
            assert!(!target.exists());
            fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn where_renaming_is_not_known_a_link_does() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "facts").unwrap();
        link_to_new(&from, &to).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read_to_string(to).unwrap(), "facts");
    }
}
