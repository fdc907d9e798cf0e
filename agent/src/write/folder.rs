//! Where files go.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::incident_name::IncidentName;

/// Makes the folder that the program or the operator named, if need be. Who named it answers for
/// what it is.
fn named_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// The folders for a program for which none was named, best first: everybody can write to the
/// system's temporary folder, so the first may be somebody else's.
pub(crate) fn default_directories(temporary: &Path, program: &str) -> [PathBuf; 2] {
    // SAFETY: geteuid takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    [temporary.join(program), temporary.join(format!("{program}-{user}"))]
}

/// Makes a folder that nobody else can write to, or makes sure that it is one.
fn private_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_private(directory),
        made => made,
    }
}

fn is_private(directory: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(directory)?;
    // SAFETY: geteuid takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    let ours = found.is_dir() && found.uid() == user && found.permissions().mode() & 0o022 == 0;
    ours.then_some(()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to somebody else, or others can write to it", directory.display()),
        )
    })
}

/// Makes the folder of one incident: a new one, always.
pub(crate) fn create_incident(
    directory: Option<&Path>,
    defaults: &[PathBuf],
    name: &IncidentName,
) -> io::Result<PathBuf> {
    let folder = match directory {
        Some(directory) => {
            named_directory(directory)?;
            directory
        }
        None => first_private(defaults)?,
    };
    let path = folder.join(name.to_string());
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn first_private(candidates: &[PathBuf]) -> io::Result<&Path> {
    let mut outcome = Err(io::Error::from(io::ErrorKind::NotFound));
    for candidate in candidates {
        match private_directory(candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => outcome = outcome.or(Err(error)),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use sigquit_dump::Nanos;

    use super::*;

    fn name() -> IncidentName {
        IncidentName::new("orders", 7, Nanos(0))
    }

    #[test]
    fn folders_are_made_for_the_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let defaults = default_directories(temporary.path(), "orders");
        let made = create_incident(None, &defaults, &name()).unwrap();
        for folder in [&made, made.parent().unwrap()] {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(create_incident(None, &defaults, &name()).is_err(), "it exists");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_passed_over_and_so_is_a_link() {
        let temporary = tempfile::tempdir().unwrap();
        let defaults = default_directories(temporary.path(), "orders");
        fs::create_dir(&defaults[0]).unwrap();
        fs::set_permissions(&defaults[0], fs::Permissions::from_mode(0o777)).unwrap();
        let made = create_incident(None, &defaults, &name()).unwrap();
        assert_eq!(made.parent().unwrap(), defaults[1]);

        let temporary = tempfile::tempdir().unwrap();
        let defaults = default_directories(temporary.path(), "orders");
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), &defaults[0]).unwrap();
        symlink(elsewhere.path(), &defaults[1]).unwrap();
        assert!(create_incident(None, &defaults, &name()).is_err());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_named_folder_is_made_with_all_above_it() {
        let temporary = tempfile::tempdir().unwrap();
        let named = temporary.path().join("var/log/orders");
        let made = create_incident(Some(&named), &[], &name()).unwrap();
        assert_eq!(made.parent(), Some(&*named));
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(create_incident(Some(&file.join("below")), &[], &name()).is_err());
    }
}
