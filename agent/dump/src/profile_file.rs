//! Profiles in files: the same shape of lines as in [a dump's](mod@crate::format).
//!
//! ```text
//! {"sigquit-profile":{"version":1,"engine":"perf","delivery":{"rate":99,...},...}}
//! {"process":{...}}  {"module":[0,{...}]}  {"frame":[0,{...}]}  {"stack":[0,{...}]}
//! {"sampled":[0,{"os_id":4711,"name":"request-1"}]}     a thread
//! {"sample":{"thread":0,"stack":0,"weight":1,"time":10101010}}
//! {"end":{"samples":1}}
//! {"names":{"frame":0,"symbols":[...]}}                 found afterwards
//! ```

use std::io::{self, Write};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::format::{Names, VERSION};
use crate::profile::{Profile, Sample, SampledThread};
use crate::read::{ReadError, Warning, lines, place};
use crate::{Frame, FrameId, Module, ModuleId, Nanos, Process, Stack, StackId};

/// How the line begins that begins a profile.
pub const PROFILE_BEGINS: &str = "{\"sigquit-profile\":{";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Record {
    SigquitProfile(Box<Header>),
    Process(Box<Process>),
    Module((ModuleId, Module)),
    Frame((FrameId, Frame)),
    Stack((StackId, Stack)),
    Sampled((u32, SampledThread)),
    Sample(Sample),
    End(End),
    Names(Names),
    Named(IgnoredAny),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum RecordRef<'a> {
    SigquitProfile(HeaderRef<'a>),
    Process(&'a Process),
    Module((ModuleId, &'a Module)),
    Frame((FrameId, &'a Frame)),
    Stack((StackId, &'a Stack)),
    Sampled((u32, &'a SampledThread)),
    Sample(&'a Sample),
    End(End),
}

#[derive(Deserialize)]
struct Header {
    version: u32,
    #[serde(default)]
    time: Option<Nanos>,
    #[serde(default)]
    monotonic: Option<Nanos>,
    #[serde(flatten)]
    profile: Profile,
}

#[derive(Serialize)]
struct HeaderRef<'a> {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Nanos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monotonic: Option<Nanos>,
    #[serde(flatten)]
    profile: &'a Profile,
}

#[derive(Serialize, Deserialize)]
struct End {
    samples: u64,
}

/// Writes a profile, whole. What [`read_profiles`] makes of it is equal to it. Names that are
/// found later are appended by [`write_names`](crate::write_names).
///
/// # Errors
/// Those of the writer.
pub fn write_profile(profile: &Profile, mut out: impl Write) -> io::Result<()> {
    let mut record = |record: &RecordRef| {
        serde_json::to_writer(&mut out, record)?;
        out.write_all(b"\n")
    };
    let dump = &profile.dump;
    let (time, monotonic) = (dump.time, dump.monotonic);
    record(&RecordRef::SigquitProfile(HeaderRef { version: VERSION, time, monotonic, profile }))?;
    record(&RecordRef::Process(&dump.process))?;
    for (id, module) in (0..).map(ModuleId).zip(&dump.modules) {
        record(&RecordRef::Module((id, module)))?;
    }
    for (id, frame) in (0..).map(FrameId).zip(&dump.frames) {
        record(&RecordRef::Frame((id, frame)))?;
    }
    for (id, stack) in (0..).map(StackId).zip(&dump.stacks) {
        record(&RecordRef::Stack((id, stack)))?;
    }
    for (index, thread) in (0..).zip(&profile.threads) {
        record(&RecordRef::Sampled((index, thread)))?;
    }
    for sample in &profile.samples {
        record(&RecordRef::Sample(sample))?;
    }
    record(&RecordRef::End(End { samples: profile.samples.len() as u64 }))
}

/// Reads all profiles of a file, and says what it did not understand, as
/// [`read`](crate::read()) does with dumps.
///
/// # Errors
/// When no line of the input begins a profile.
pub fn read_profiles(bytes: &[u8]) -> Result<(Vec<Profile>, Vec<Warning>), ReadError> {
    let mut reader = Reader::default();
    for (number, line) in lines(bytes) {
        reader.line(number, line);
    }
    reader.finish();
    if reader.profiles.is_empty() {
        let reason =
            format!("expected a line {PROFILE_BEGINS}\"version\":1,...}}}} that begins a profile");
        return Err(ReadError::new(1, reason));
    }
    Ok((reader.profiles, reader.warnings))
}

#[derive(Default)]
struct Reader {
    profiles: Vec<Profile>,
    warnings: Vec<Warning>,
    current: Option<Profile>,
    ended: bool,
    last_line: u64,
}

impl Reader {
    fn line(&mut self, number: u64, line: &[u8]) {
        self.last_line = number;
        match serde_json::from_slice(line) {
            Ok(Record::SigquitProfile(header)) => self.begin(number, *header),
            Ok(record) => self.record(number, record),
            Err(error) => self.warn(number, format!("not a record: {error}; left out")),
        }
    }

    fn begin(&mut self, number: u64, header: Header) {
        self.finish();
        if header.version > VERSION {
            let version = header.version;
            self.warn(
                number,
                format!("written in version {version} of the format, newer than {VERSION}: facts may be left out"),
            );
        }
        let Header { time, monotonic, mut profile, .. } = header;
        (profile.dump.time, profile.dump.monotonic) = (time, monotonic);
        (self.current, self.ended) = (Some(profile), false);
    }

    fn record(&mut self, number: u64, record: Record) {
        let Some(profile) = &mut self.current else {
            let message = "a record before the line that begins a profile: left out";
            return self.warn(number, message.into());
        };
        match add(profile, record) {
            Ok(Some(expected)) => {
                self.ended = true;
                let found = profile.samples.len() as u64;
                if found != expected {
                    profile.dump.truncated = true;
                    let message = format!("{expected} samples were written, {found} could be read");
                    self.warn(number, message);
                }
            }
            Ok(None) => {}
            Err(message) => self.warn(number, message),
        }
    }

    fn finish(&mut self) {
        let Some(mut profile) = self.current.take() else { return };
        if !self.ended {
            profile.dump.truncated = true;
            let samples = profile.samples.len();
            let message =
                format!("the profile ends before its end record: {samples} samples, a lower bound");
            self.warn(self.last_line, message);
        }
        if profile.mend() {
            let message = "records refer to frames, stacks, modules or threads that are missing: placeholders stand for them";
            self.warn(self.last_line, message.into());
        }
        self.profiles.push(profile);
    }

    fn warn(&mut self, line: u64, message: String) {
        self.warnings.push(Warning { line, message });
    }
}

/// Adds a record; the number of samples when it is the last one.
fn add(profile: &mut Profile, record: Record) -> Result<Option<u64>, String> {
    match record {
        Record::SigquitProfile(_) | Record::Named(IgnoredAny) => Ok(()),
        Record::Process(process) => {
            profile.dump.process = *process;
            Ok(())
        }
        Record::Module((id, module)) => place(&mut profile.dump.modules, id.0, module),
        Record::Frame((id, frame)) => place(&mut profile.dump.frames, id.0, frame),
        Record::Stack((id, stack)) => place(&mut profile.dump.stacks, id.0, stack),
        Record::Sampled((index, thread)) => place(&mut profile.threads, index, thread),
        Record::Sample(sample) => {
            profile.samples.push(sample);
            Ok(())
        }
        Record::End(end) => return Ok(Some(end.samples)),
        Record::Names(names) => match profile.dump.frames.get_mut(names.frame.0 as usize) {
            Some(frame) => {
                (frame.symbols, frame.reason) = (names.symbols, names.reason);
                Ok(())
            }
            None => Err("names for a frame that is not in the profile: left out".into()),
        },
    }
    .map(|()| None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Clock, Delivery, ProfileBuilder, Unit};
    use crate::{Dump, Symbol, Truncation, write_names};

    fn small() -> Profile {
        let delivery = Delivery {
            rate: Some(99),
            expected: Some(12.5),
            lost: 2,
            without_timer: vec![9],
            ..Delivery::default()
        };
        let mut building = ProfileBuilder::new(Profile {
            dump: Dump { time: Some(Nanos(7)), ..Dump::default() },
            unit: Unit::Nanos,
            duration: Nanos(1_000_000_000),
            engine: "perf".into(),
            clock: Clock::Wall,
            refused: vec!["process-timer: taken".into()],
            delivery,
            ..Profile::default()
        });
        for (name, weight) in [("a", 1), ("b", 3), ("a", 2)] {
            let frame = building.frame(Frame::named(Symbol::function(name)));
            let truncated = (name == "b").then_some(Truncation::TooDeep);
            let stack = building.stack(Stack { truncated, ..vec![frame].into() });
            let thread = building.thread(Some(4), "w");
            let time = Nanos(weight);
            building.sample(Sample { thread, task: Some(5), stack, weight, time });
        }
        building.profile
    }

    fn bytes(profile: &Profile) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_profile(profile, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn equal_places_are_put_in_once_and_samples_are_counted() {
        let profile = small();
        assert_eq!(
            (profile.dump.frames.len(), profile.dump.stacks.len(), profile.threads.len()),
            (2, 2, 1)
        );
        let delivery = &profile.delivery;
        assert_eq!((delivery.taken, delivery.weight, delivery.truncated), (3, 6, 1));
        assert_eq!(delivery.share(), Some(6.0 / 12.5));
        assert_eq!(profile.weights(), [6]);
    }

    #[test]
    fn a_profile_is_read_as_it_was_written() {
        let mut twice = bytes(&small());
        twice.extend(bytes(&small()));
        assert_eq!(read_profiles(&twice), Ok((vec![small(), small()], vec![])));
    }

    #[test]
    fn names_come_after_the_facts() {
        let mut profile = small();
        profile.dump.frames[0] = Frame { offset: Some(0x10), ..Frame::default() };
        let mut file = bytes(&profile);
        let symbols = vec![Symbol::function("found::later")];
        let names = Names { frame: FrameId(0), symbols: symbols.clone(), reason: None };
        write_names(&[names], &mut file).unwrap();
        let (profiles, warnings) = read_profiles(&file).unwrap();
        assert_eq!((&profiles[0].dump.frames[0].symbols, warnings), (&symbols, vec![]));
    }

    #[test]
    fn every_place_at_which_a_file_can_end_gives_what_it_holds() {
        let whole = bytes(&small());
        for length in whole.iter().position(|&byte| byte == b'\n').unwrap()..whole.len() - 1 {
            let (profiles, warnings) = read_profiles(&whole[..length]).unwrap();
            let profile = &profiles[0];
            assert!(profile.dump.truncated && !warnings.is_empty());
            for sample in &profile.samples {
                assert!(profile.calls(profile.stack(sample)).count() <= 1);
                assert!((sample.thread as usize) < profile.threads.len());
            }
        }
    }

    #[test]
    fn references_to_nothing_lead_to_placeholders() {
        let samples =
            vec![Sample { thread: 7, task: None, stack: StackId(9), weight: 1, time: Nanos(0) }];
        let dump = Dump { stacks: vec![vec![FrameId(4)].into()], ..Dump::default() };
        let (profiles, warnings) =
            read_profiles(&bytes(&Profile { samples, dump, ..Profile::default() })).unwrap();
        let sample = &profiles[0].samples[0];
        assert_eq!(profiles[0].stack(sample).truncated, Some(Truncation::InputEnded));
        assert_eq!((profiles[0].weights().len(), warnings.len()), (1, 1));
    }

    #[test]
    fn what_is_no_profile_is_an_error() {
        for text in ["", "hello", "{}", "{\"sigquit\":{\"version\":1}}"] {
            assert!(read_profiles(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
