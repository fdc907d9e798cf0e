//! Where files go.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::incident_name::IncidentName;

/// Where the incidents of this program go. Decided when the agent is installed: later the program
/// may have moved to another working directory, and a thread that hangs may hold the lock of the
/// environment.
#[derive(Debug)]
pub(crate) struct Destination {
    /// How the names of its incidents begin.
    pub prefix: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A folder that the program or the operator named. Who named it answers for what it is.
    Named(PathBuf),
    /// Folders that nobody else may be able to write to, best first: everybody can write to the
    /// system's temporary folder, so the first may be somebody else's.
    Private([PathBuf; 2]),
}

impl Destination {
    /// The folder that was named, or else one of the program's own.
    pub fn new(directory: Option<PathBuf>, prefix: Option<String>) -> Destination {
        let program = program();
        let place = match directory {
            Some(directory) => Place::Named(std::path::absolute(&directory).unwrap_or(directory)),
            None => Place::private(&std::env::temp_dir(), &program),
        };
        Destination { prefix: prefix.unwrap_or(program), place }
    }

    /// Makes the folder of one incident: a new one, always.
    pub fn create(&self, incident: &IncidentName) -> io::Result<PathBuf> {
        let directory = match &self.place {
            Place::Named(directory) => {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
                directory
            }
            Place::Private(candidates) => first_private(candidates)?,
        };
        let path = directory.join(incident.to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// The folders that are tried, in this order.
    pub fn directories(&self) -> &[PathBuf] {
        match &self.place {
            Place::Named(directory) => std::slice::from_ref(directory),
            Place::Private(candidates) => candidates,
        }
    }

    /// The folder that is tried first.
    pub fn directory(&self) -> &Path {
        match &self.place {
            Place::Named(directory) => directory,
            Place::Private([first, _]) => first,
        }
    }
}

impl Place {
    fn private(temporary: &Path, program: &str) -> Place {
        // SAFETY: geteuid takes nothing and cannot fail.
        let user = unsafe { libc::geteuid() };
        Place::Private([temporary.join(program), temporary.join(format!("{program}-{user}"))])
    }
}

/// The program's name, as part of a file name.
fn program() -> String {
    let path = fs::read_link("/proc/self/exe").unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name).trim_start_matches('.');
    if name.is_empty() { "program".to_owned() } else { name.chars().take(100).collect() }
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

    fn private(temporary: &Path) -> (Destination, [PathBuf; 2]) {
        let place = Place::private(temporary, "orders");
        let Place::Private(folders) = &place else { unreachable!() };
        let folders = folders.clone();
        (Destination { prefix: "orders".into(), place }, folders)
    }

    fn named(directory: &Path) -> Destination {
        Destination::new(Some(directory.to_owned()), None)
    }

    #[test]
    fn folders_are_made_for_the_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let (destination, _) = private(temporary.path());
        let made = destination.create(&name()).unwrap();
        for folder in [&made, destination.directory()] {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(destination.create(&name()).is_err(), "it exists");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_passed_over_and_so_is_a_link() {
        let temporary = tempfile::tempdir().unwrap();
        let (destination, folders) = private(temporary.path());
        fs::create_dir(&folders[0]).unwrap();
        fs::set_permissions(&folders[0], fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(destination.create(&name()).unwrap().parent().unwrap(), folders[1]);

        let temporary = tempfile::tempdir().unwrap();
        let (destination, folders) = private(temporary.path());
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), &folders[0]).unwrap();
        symlink(elsewhere.path(), &folders[1]).unwrap();
        assert!(destination.create(&name()).is_err());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_named_folder_is_made_with_all_above_it() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("var/log/orders");
        let made = named(&directory).create(&name()).unwrap();
        assert_eq!(made.parent(), Some(&*directory));
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(named(&file.join("below")).create(&name()).is_err());
        assert!(named(Path::new("logs")).directory().is_absolute());
    }
}
