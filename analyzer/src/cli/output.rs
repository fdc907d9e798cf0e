//! A file written whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Replaces a file with what `write` writes. Until that is complete, and if it fails, whatever
/// was there stays. Something that is no file (a pipe, a terminal) is written to as it is.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
        return write_to(fs::OpenOptions::new().write(true).open(&target)?, write).map(drop);
    }
    let file = tempfile::Builder::new()
        .prefix(".sigquit-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder(&target))?;
    let file = write_to(file, write)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error).map(drop)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn write_to<W: Write>(
    file: W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let mut buffered = BufWriter::new(file);
    write(&mut buffered)?;
    buffered.into_inner().map_err(|error| error.into_error())
}
