//! No input can make a reader panic, or leave a reference that leads nowhere: fixtures, damaged
//! in many ways, by dice that fall the same way every time.
//!
//! `ROUNDS=100000 cargo test -p sigquit-analyzer --test damage` looks longer than CI does. Fuzzing,
//! which sees what it reaches, is in `tests/fuzz`; what it kept is read here too.

/// What must be true of what was read, the same as where it is fuzzed.
#[path = "../../tests/fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::read::{self, FORMATS, Input};

/// Damaged texts for each fixture, unless the environment says otherwise.
const ROUNDS: u64 = 15;

/// Of longer fixtures a part is taken, so that every round is short.
const LONGEST: usize = 24 << 10;

#[test]
fn no_damage_makes_a_reader_panic() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let fixtures = fixtures();
    assert!(fixtures.len() > 10);
    for (seed, fixture) in (1..).zip(&fixtures) {
        let mut dice = Dice(seed);
        for _ in 0..rounds.unwrap_or(ROUNDS) {
            let other = &fixtures[dice.below(fixtures.len())];
            let damaged = damage(part(fixture, &mut dice), part(other, &mut dice), &mut dice);
            read_every_way(&damaged, &mut dice);
        }
    }
}

#[test]
fn what_fuzzing_kept_is_survived() {
    let mut read = 0;
    for target in fs::read_dir(root().join("tests/fuzz/corpus")).unwrap().flatten() {
        let mut files = Vec::new();
        below(&target.path(), &mut files);
        for file in files {
            fuzz::survive(&target.file_name().to_string_lossy(), &fs::read(file).unwrap());
            read += 1;
        }
    }
    assert!(read > 10);
}

#[test]
fn every_reader_has_a_fuzz_target() {
    let targets = root().join("tests/fuzz/fuzz_targets");
    for format in FORMATS {
        let file = targets.join(format!("{}.rs", format.name.replace('-', "_")));
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("{:?}", format.name)), "{}", file.display());
    }
}

/// Claims that only hostile inputs make.
#[test]
fn no_claim_fills_the_memory_or_the_time() {
    let deep = "[".repeat(1 << 20);
    let wide = format!("\"main\" #1 prio=5 tid=0x1 nid=0x1 runnable [{}", "x ".repeat(1 << 20));
    let numbers = "goroutine 99999999999999999999999 [running]:\nmain.main()\n\ta.go:1 +0x1\n";
    let braces = format!("goroutine 1 [running]:\nmain.main({})\n\ta.go:1\n", "{".repeat(1 << 20));
    let record = "{\"sigquit\":{\"version\":1}}\n{\"thread\":[4294967295,{}]}\n\
                  {\"stack\":[4294967295,{\"frames\":[4294967295]}]}\n";
    let quotes = "\"".repeat(1 << 20);
    let names = "\"a\n".repeat(1 << 17);
    let carried = "{\"log\": \"goroutine 1 [running]:\\n\"}\n".repeat(1 << 14);
    for text in [&deep, &wide, numbers, &braces, record, &quotes, &names, &carried] {
        read_every_way(text.as_bytes(), &mut Dice(1));
        let nested = format!("{{\"log\":{{\"log\":{text}");
        read_every_way(nested.as_bytes(), &mut Dice(1));
    }
}

fn read_every_way(bytes: &[u8], dice: &mut Dice) {
    let forced = FORMATS[dice.below(FORMATS.len())].name;
    for format in [None, Some(forced)] {
        if let Ok(Input { dumps, .. }) = read::read("-", bytes, format) {
            dumps.iter().for_each(fuzz::assert_whole);
        }
    }
}

/// A text with a few of these done to it.
fn damage(text: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=dice.below(4) {
        let (at, end) = dice.range(text.len());
        match dice.below(12) {
            0 => text.truncate(at),
            1 => drop(text.drain(..at)),
            2 => drop(text.drain(at..end)),
            3 => text.extend_from_within(at..end),
            4 => drop(text.splice(at..at, other.iter().copied())),
            5 => text[at..end].iter_mut().for_each(|byte| *byte ^= 0x20),
            6 => text.retain(|&byte| byte != b'\t'),
            7 => text = replaced(&text, b"\n", b"\r\n"),
            8 => text = replaced(&text, b"\n\n", b"\n"),
            9 => text = replaced(&text, b"\n", b"\n2026-11-22T20:59:30Z stderr F "),
            10 => text = replaced(&text, b"0x", FRAGMENTS[dice.below(FRAGMENTS.len())]),
            _ => {
                let fragment = FRAGMENTS[dice.below(FRAGMENTS.len())];
                drop(text.splice(at..at, fragment.iter().copied()));
            }
        }
        text.truncate(4 * LONGEST);
    }
    text
}

const FRAGMENTS: &[&[u8]] = &[
    b"",
    b"\n",
    b"\"",
    b"\xFF\xFE",
    b"\0",
    b" tid=0x",
    b"goroutine ",
    b"\ngoroutine 1 [running]:\n",
    b"(",
    b")\n\t:1",
    b"{",
    b"- locked <",
    b"\nFound one Java-level deadlock:\n",
    b"\"main\" #1 prio=5 tid=0x1 nid=0x1 runnable\n",
    b"created by  in goroutine ",
    b"panic: ",
    b"WARNING: DATA RACE\n",
    b"99999999999999999999",
    b"\xE2\x82",
    "\u{2028}".as_bytes(),
];

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn part<'t>(text: &'t [u8], dice: &mut Dice) -> &'t [u8] {
    let begin = dice.below(text.len().saturating_sub(LONGEST) + 1);
    &text[begin..text.len().min(begin + LONGEST)]
}

/// Every file below `fixtures/` that is no program.
fn fixtures() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    below(&root().join("fixtures"), &mut files);
    files.sort();
    files.iter().filter_map(|file| fs::read(file).ok()).filter(|text| !text.is_empty()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, files);
        } else if !["rs", "go", "java", "md"]
            .iter()
            .any(|end| path.extension() == Some(end.as_ref()))
        {
            files.push(path);
        }
    }
}

/// Numbers that look random and are the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit.max(1) as u64) as usize
    }

    /// A place in a text and one after it.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let at = self.below(length);
        (at, at + self.below((length - at).min(2000) + 1))
    }
}
