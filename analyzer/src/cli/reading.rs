//! Reads what the arguments name.

use std::path::{Path, PathBuf};

use sigquit_dump::Dump;

use super::arguments::Reading;
use super::progress::Progress;
use crate::model::{RuleError, Rules};
use crate::read::{Input, ReadError, read_paths_within, read_text};

/// What was read, and what to tell the user of it beside the result.
pub(super) struct Read {
    /// What holds, or was to hold, dumps.
    pub inputs: Vec<Input>,
    /// What could not be read.
    pub errors: Vec<ReadError>,
    /// Sentences for standard error.
    pub remarks: Vec<String>,
}

impl Read {
    /// Whether anything was understood.
    pub(super) fn holds_a_dump(&self) -> bool {
        let holds = |input: &Input| !(input.dumps.is_empty() && input.profiles.is_empty());
        self.inputs.iter().any(holds)
    }
}

/// Reads what the arguments name, and gives names to frames where they ask for it.
pub(super) fn read_all(reading: &Reading, progress: &Progress) -> Read {
    read_these(&reading.paths, reading, progress)
}

/// Reads other paths the same way.
pub(super) fn read_these(paths: &[PathBuf], reading: &Reading, progress: &Progress) -> Read {
    let (mut inputs, errors) =
        read_paths_within(&reading.limits(), paths, reading.format.as_deref());
    let mut remarks: Vec<String> = errors.iter().map(ReadError::to_string).collect();
    let mut is_dump = inputs.iter().map(|input| !input.dumps.is_empty());
    if !is_dump.any(|is_dump| is_dump) {
        let tables = inputs.iter().filter(|input| !input.usages.is_empty());
        remarks.extend(tables.map(|input| {
            format!(
                "{}: threads' CPU time, and no dump beside it that says where they are",
                input.path
            )
        }));
    }
    if let Some(folder) = &reading.symbols {
        progress.say("looking for names");
        remarks.extend(name_frames(&mut inputs, folder));
    }
    Read { inputs, errors, remarks }
}

/// Gives names to frames that have none, from a folder of binaries; says so when that is in vain.
fn name_frames(inputs: &mut [Input], folder: &Path) -> Option<String> {
    let mut dumps: Vec<&mut Dump> = inputs.iter_mut().flat_map(dumps_of).collect();
    let frames = dumps.iter().flat_map(|dump| &dump.frames);
    let nameless = frames.filter(|frame| frame.symbols.is_empty()).count();
    let named: usize = dumps.iter_mut().map(|dump| sigquit_symbolize::resolve(folder, dump)).sum();
    let folder = folder.display();
    (nameless > 0 && named == 0).then(|| {
        format!("{folder}: holds none of the builds that the dumps show: no frame got a name")
    })
}

/// The dumps of an input, and what lies in its profiles as in dumps.
fn dumps_of(input: &mut Input) -> impl Iterator<Item = &mut Dump> {
    input.dumps.iter_mut().chain(input.profiles.iter_mut().map(|profile| &mut profile.dump))
}

/// The user's own rules, of all files that the arguments name.
///
/// # Errors
/// The file and line that are wrong, as a sentence.
pub(super) fn rules(paths: &[PathBuf]) -> Result<Rules, String> {
    let mut rules = Rules::default();
    for path in paths {
        let text = read_text(path).map_err(|error| error.to_string())?;
        let mistake = |error: RuleError| {
            format!("{}:{}: a rule: {}", path.display(), error.line, error.message)
        };
        rules.add(&text).map_err(mistake)?;
    }
    Ok(rules)
}
