//! Profiles from files, folders and standard input; and from dumps, when there is no profile.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sigquit_dump::{
    Clock, Delivery, Dump, PROFILE_BEGINS, Profile, Sample, SampledThread, Warning,
};

use super::{Input, ReadError};

/// One profile, and where it is from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileInput {
    /// Its path as the user gave it, or `-`.
    pub path: String,
    /// The profile.
    pub profile: Profile,
    /// What was not understood, by line.
    pub warnings: Vec<Warning>,
}

/// Reads what is a profile among files, folders (with all below them) and standard input (`-`).
/// What is something else is passed over; what cannot be read is an error.
pub fn read_profiles(paths: &[PathBuf]) -> (Vec<ProfileInput>, Vec<ReadError>) {
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    for path in paths.iter().flat_map(|path| files(path)) {
        match bytes_of(&path) {
            Ok(bytes) => inputs.extend(profiles_in(&path, &bytes)),
            Err(error) => {
                let message = format!("cannot be read: {error}");
                errors.push(ReadError { path: name(&path), line: None, message });
            }
        }
    }
    (inputs, errors)
}

fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut below: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    below.iter().flat_map(|path| files(path)).collect()
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        _ => fs::read(path),
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn profiles_in(path: &Path, bytes: &[u8]) -> Vec<ProfileInput> {
    if !bytes.starts_with(PROFILE_BEGINS.as_bytes()) {
        return Vec::new();
    }
    let (profiles, warnings) = sigquit_dump::read_profiles(bytes).unwrap_or_default();
    let input = |profile| ProfileInput { path: name(path), profile, warnings: warnings.clone() };
    profiles.into_iter().map(input).collect()
}

/// Each dump as a profile: one sample of each thread, whether it runs or waits.
pub fn profiles_of_dumps(inputs: Vec<Input>) -> Vec<ProfileInput> {
    let profile = |(path, dump)| ProfileInput { path, profile: of(dump), warnings: Vec::new() };
    let dumps = inputs
        .into_iter()
        .flat_map(|input| input.dumps.into_iter().map(move |dump| (input.path.clone(), dump)));
    dumps.map(profile).collect()
}

fn of(dump: Dump) -> Profile {
    let mut profile = Profile {
        time: dump.time,
        monotonic: dump.monotonic,
        clock: Clock::Wall,
        engine: "dump".into(),
        delivery: Delivery::default(),
        process: dump.process,
        modules: dump.modules,
        frames: dump.frames,
        stacks: dump.stacks,
        truncated: dump.truncated,
        ..Profile::default()
    };
    for thread in dump.threads {
        let Some(stack) = thread.stack else { continue };
        let delivery = &mut profile.delivery;
        (delivery.taken, delivery.weight) = (delivery.taken + 1, delivery.weight + 1);
        let truncated = profile.stacks[stack.0 as usize].truncated.is_some();
        delivery.truncated += u64::from(truncated);
        let number = profile.threads.len() as u32;
        profile.threads.push(SampledThread {
            os_id: thread.os_id.or(thread.number),
            name: thread.name,
            cpu: thread.cpu,
            registers: thread.registers,
        });
        let (task, time) = (thread.carries, Default::default());
        profile.samples.push(Sample { thread: number, task, stack, weight: 1, time });
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_profile_and_passes_over_the_dumps() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile { engine: "perf".into(), ..Profile::default() };
        let mut bytes = Vec::new();
        sigquit_dump::write_profile(&profile, &mut bytes).unwrap();
        fs::write(folder.path().join("profile.sigquit"), &bytes).unwrap();
        fs::write(folder.path().join("dump-1.sigquit"), "{\"sigquit\":{\"version\":1}}").unwrap();
        let missing = folder.path().join("missing");
        let (inputs, errors) = read_profiles(&[folder.path().to_owned(), missing]);
        let profiles: Vec<&Profile> = inputs.iter().map(|input| &input.profile).collect();
        assert_eq!((profiles, errors.len()), (vec![&profile], 1));
    }

    #[test]
    fn a_dump_is_a_sample_of_each_thread() {
        let text = b"goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:12 +0x1d\n";
        let input = super::super::read("a", text, None).unwrap();
        let profiles = profiles_of_dumps(vec![input]);
        assert_eq!(profiles[0].profile.delivery.weight, 1);
        assert!(profiles[0].profile.folded()[0].ends_with("main.main 1"));
    }
}
