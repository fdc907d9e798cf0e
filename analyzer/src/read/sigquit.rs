//! The format that the agent writes, of dumps and of profiles; see [`sigquit_dump::format`].

use sigquit_dump::{PROFILE_BEGINS, ReadError, Warning};

use super::{DumpsAndProfiles, Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "sigquit",
    looks_like: "a line {\"sigquit\":{\"version\":1,...}} that begins a dump, or \
                 {\"sigquit-profile\":{...}} that begins a profile",
    recognize,
    read: Read::Samples(read),
};

const DUMP_BEGINS: &str = "{\"sigquit\":{";

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| begins(line.text).is_some()) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

/// What a line begins.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Dump,
    Profile,
}

fn begins(line: &str) -> Option<Kind> {
    match line {
        _ if line.starts_with(DUMP_BEGINS) => Some(Kind::Dump),
        _ if line.starts_with(PROFILE_BEGINS) => Some(Kind::Profile),
        _ => None,
    }
}

fn read(text: &Text) -> DumpsAndProfiles {
    let (mut dumps, mut profiles, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for Section { kind, before, bytes } in sections(text) {
        let warned = match kind {
            Kind::Dump => keep(sigquit_dump::read(bytes), &mut dumps),
            Kind::Profile => keep(sigquit_dump::read_profiles(bytes), &mut profiles),
        };
        let at = |warning: Warning| Warning { line: warning.line + before, ..warning };
        warnings.extend(warned.into_iter().map(at));
    }
    (dumps, profiles, warnings)
}

/// Keeps what was read of a section, and says what was not understood of it.
fn keep<T>(read: Result<(Vec<T>, Vec<Warning>), ReadError>, kept: &mut Vec<T>) -> Vec<Warning> {
    match read {
        Ok((read, warnings)) => {
            kept.extend(read);
            warnings
        }
        Err(error) => vec![Warning { line: 1, message: error.to_string() }],
    }
}

/// Lines of one kind, after so many others.
struct Section<'t> {
    kind: Kind,
    before: u64,
    bytes: &'t [u8],
}

/// A text cut where a profile follows a dump, or a dump a profile. What stands before the first of
/// them belongs to it.
fn sections<'t>(text: &'t Text) -> Vec<Section<'t>> {
    let whole = text.as_str();
    let mut sections: Vec<Section> = Vec::new();
    let (mut start, mut before, mut at) = (0, 0, 0);
    let mut current = None;
    for (number, line) in (0..).zip(whole.split_inclusive('\n')) {
        let kind = begins(line);
        if let (Some(of), Some(next)) = (current, kind)
            && of != next
        {
            sections.push(Section { kind: of, before, bytes: &whole.as_bytes()[start..at] });
            (start, before) = (at, number);
        }
        current = kind.or(current);
        at += line.len();
    }
    let last = current.map(|kind| Section { kind, before, bytes: &whole.as_bytes()[start..] });
    sections.extend(last);
    sections
}

#[cfg(test)]
mod tests {
    use sigquit_dump::{Dump, Profile};

    use super::*;

    #[test]
    fn dumps_and_profiles_may_stand_in_one_file() {
        let (mut dump, mut profile) = (Vec::new(), Vec::new());
        sigquit_dump::write(&Dump::default(), &mut dump).unwrap();
        let engine = "perf".to_owned();
        let sampled = Profile { engine, ..Profile::default() };
        sigquit_dump::write_profile(&sampled, &mut profile).unwrap();
        let bytes = [&dump[..], &profile, b"damage\n", &dump].concat();
        let lines = [&dump[..], &profile].concat().split(|&byte| byte == b'\n').count() as u64;
        let (dumps, profiles, warnings) = read(&Text::from_bytes(&bytes));
        assert_eq!((dumps.len(), profiles), (2, vec![sampled]));
        assert_eq!(warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(), [lines]);
    }
}
