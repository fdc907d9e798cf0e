//! Old incidents make room for new ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::incident_name::IncidentName;

/// Removes the oldest incidents of a prefix, so that no more than `keep` remain. A folder that
/// holds anything that the agent did not put there stays, and does not count.
pub(crate) fn remove_oldest(directory: &Path, prefix: &str, keep: usize) -> io::Result<()> {
    let mut incidents: Vec<(IncidentName, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| IncidentName::read(name, prefix));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(name) = name.filter(|_| is_folder && is_untouched(&entry.path())) {
            incidents.push((name, entry.path()));
        }
    }
    incidents.sort_by(|(a, _), (b, _)| b.time.cmp(&a.time));
    incidents.iter().skip(keep).try_for_each(|(_, folder)| remove(folder))
}

fn is_untouched(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map_while(Result::ok).all(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file())
            && entry.file_name().to_str().is_some_and(is_ours)
    })
}

fn is_ours(file: &str) -> bool {
    let whole = file.strip_prefix('.').and_then(|file| file.strip_suffix(".partial"));
    let file = whole.unwrap_or(file);
    if [super::PROFILE, super::BEFORE, super::FLAMEGRAPH].contains(&file) {
        return true;
    }
    let number = file.strip_prefix("dump-");
    number.and_then(|rest| rest.strip_suffix(".sigquit")).is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Removes what was found to be ours; the folder itself goes only when nothing else is in it.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_name().to_str().is_some_and(is_ours) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(directory: &Path, name: &str, files: &[&str]) {
        let folder = directory.join(name);
        fs::create_dir(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "").unwrap();
        }
    }

    #[test]
    fn the_oldest_of_the_prefix_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        incident(directory, "orders-9-20260101T000000.000Z", &["dump-1.sigquit"]);
        incident(directory, "orders-1-20260102T000000.000Z", &[".dump-2.sigquit.partial"]);
        incident(directory, "orders-5-20260103T000000.000Z", &["dump-1.sigquit"]);
        incident(directory, "orders-5-20250101T000000.000Z", &["dump-1.sigquit", "notes.txt"]);
        incident(directory, "orders-eu-5-20250101T000000.000Z", &["dump-1.sigquit"]);
        incident(directory, "other", &["dump-1.sigquit"]);
        fs::write(directory.join("orders-5-20240101T000000.000Z"), "a file").unwrap();

        remove_oldest(directory, "orders", 1).unwrap();

        let mut left: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let kept = [
            "orders-5-20240101T000000.000Z",
            "orders-5-20250101T000000.000Z",
            "orders-5-20260103T000000.000Z",
            "orders-eu-5-20250101T000000.000Z",
            "other",
        ];
        assert_eq!(left, kept);
    }

    #[test]
    fn the_agent_knows_its_own_files() {
        assert!(is_ours("dump-12.sigquit") && is_ours(".dump-1.sigquit.partial"));
        assert!(is_ours("profile.sigquit") && is_ours("before.sigquit"));
        assert!(is_ours(".flamegraph.svg.partial"));
        for other in ["dump-.sigquit", "dump-1.sigquit.bak", "dump-x.sigquit", ".dump-1.sigquit"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
