//! Reads what the arguments name.

use std::io::Write;
use std::path::{Path, PathBuf};

use sigquit_dump::Dump;

use super::arguments::Reading;
use super::progress::Progress;
use super::say;
use crate::model::{RuleError, Rules};
use crate::read::{Input, ReadError, read_paths_within, read_text};
use crate::redact::Redaction;

/// What was read, and what to tell the user of it beside the result.
pub(super) struct Read {
    /// What holds, or was to hold, dumps.
    pub inputs: Vec<Input>,
    /// What could not be read.
    pub errors: Vec<ReadError>,
    /// The folder of binaries that was asked for names in vain.
    pub vain_symbols: Option<String>,
}

impl Read {
    /// What to tell on standard error.
    pub(super) fn sentences(&self) -> impl Iterator<Item = String> {
        let vain = self.vain_symbols.iter().map(|folder| {
            format!("{folder}: holds none of the builds that the dumps show: no frame got a name")
        });
        self.errors.iter().map(ReadError::to_string).chain(vain).chain(self.lone_tables())
    }

    /// What to tell of tables of CPU time where there is no dump to join them with.
    fn lone_tables(&self) -> impl Iterator<Item = String> {
        let lone = self.inputs.iter().all(|input| input.dumps.is_empty());
        self.inputs.iter().filter(move |input| lone && !input.usages.is_empty()).map(|input| {
            let path = &input.path;
            format!("{path}: threads' CPU time, and no dump beside it that says where they are")
        })
    }

    /// Takes out what is not to be shared.
    pub(super) fn redact(&mut self, redaction: &mut Redaction) {
        redaction.redact_inputs(&mut self.inputs, &mut self.errors);
        self.vain_symbols.iter_mut().for_each(|folder| redaction.redact_path(folder));
    }

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
    let mut vain_symbols = None;
    if let Some(folder) = &reading.symbols {
        progress.say("looking for names");
        vain_symbols = name_frames(&mut inputs, folder);
    }
    Read { inputs, errors, vain_symbols }
}

/// Gives names to frames that have none, from a folder of binaries; the folder when that is in vain.
fn name_frames(inputs: &mut [Input], folder: &Path) -> Option<String> {
    let mut dumps: Vec<&mut Dump> = inputs.iter_mut().flat_map(dumps_of).collect();
    let frames = dumps.iter().flat_map(|dump| &dump.frames);
    let nameless = frames.filter(|frame| frame.symbols.is_empty()).count();
    let named: usize = dumps.iter_mut().map(|dump| sigquit_symbolize::resolve(folder, dump)).sum();
    (nameless > 0 && named == 0).then(|| folder.display().to_string())
}

/// The dumps of an input, and what lies in its profiles as in dumps.
fn dumps_of(input: &mut Input) -> impl Iterator<Item = &mut Dump> {
    input.dumps.iter_mut().chain(input.profiles.iter_mut().map(|profile| &mut profile.dump))
}

/// The user's own rules; none when one is wrong, which the user is told.
pub(super) fn rules(paths: &[PathBuf], err: &mut dyn Write) -> Option<Rules> {
    read_rules(paths).map_err(|mistake| say(err, &mistake)).ok()
}

/// The rules of all files.
///
/// # Errors
/// The file and line that are wrong, as a sentence.
fn read_rules(paths: &[PathBuf]) -> Result<Rules, String> {
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
