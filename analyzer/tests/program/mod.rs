//! Programs that tests ask, where they are installed: in a folder of PATH, or by `tests/set-up`
//! beside what cargo builds.

use std::path::{Path, PathBuf};

/// A program under the first of its names that is found; where there is none that is said.
pub fn installed(names: &[&str]) -> Option<PathBuf> {
    let found = || {
        let mut files =
            names.iter().flat_map(|name| folders().map(move |folder| folder.join(name)));
        files.find(|file| file.is_file())
    };
    found().or_else(|| {
        println!("skipped: no {} is installed; tests/set-up installs it", names[0]);
        None
    })
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools");
    let own = ["python/bin", "node_modules/.bin"].map(|folder| tools.join(folder));
    let path = std::env::var_os("PATH").unwrap_or_default();
    own.into_iter().chain(std::env::split_paths(&path).collect::<Vec<_>>())
}
