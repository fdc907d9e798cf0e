//! Reports as HTML, written by the command.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::cli;

/// A report, and the folder that holds it.
pub struct Report {
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Report {
    /// What the command writes of what lies under a path.
    pub fn of(input: &Path) -> Report {
        Report::with(input, &[])
    }

    /// The same with more arguments.
    pub fn with(input: &Path, more: &[OsString]) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.html");
        let mut arguments: Vec<OsString> =
            vec!["sigquit".into(), "analyze".into(), "--output=html".into(), "-o".into()];
        arguments.extend([path.clone().into(), input.into()]);
        arguments.extend_from_slice(more);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = cli::run(arguments, &mut out, &mut err);
        assert_eq!(status, 0, "{}", String::from_utf8_lossy(&err));
        Report { path, _folder: folder }
    }

    /// That of a fixture.
    pub fn of_fixture(name: &str) -> Report {
        Report::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name))
    }

    /// That of one dump.
    pub fn of_bytes(bytes: &[u8]) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("input");
        fs::write(&input, bytes).expect("a file");
        Report::of(&input)
    }

    /// The whole file.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("UTF-8")
    }
}
