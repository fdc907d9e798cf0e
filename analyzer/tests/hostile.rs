//! Input that is damaged or made to do harm: every fixture, cut and changed in many ways, gives
//! dumps or an error, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use sigquit_analyzer::read::{FORMATS, read};
use sigquit_analyzer::{analyze, render};

/// What is looked at of one file; longer ones are of the same kind throughout.
const LONGEST: usize = 10_000;

/// How often each file is changed.
const CHANGES: u64 = 10;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files.sort();
    files
}

/// The files of all formats' fixtures.
fn inputs() -> Vec<(&'static str, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let is_input = |path: &PathBuf| path.parent() != Some(&fixtures);
    let of = |name| files(&fixtures.join(name)).into_iter().map(move |path| (name, path));
    FORMATS.iter().flat_map(|format| of(format.name)).filter(|(_, path)| is_input(path)).collect()
}

/// Reads bytes as the format that is seen in them and as the one that they come from, and
/// carries what was read through the whole analysis.
fn survive(format: &str, bytes: &[u8]) {
    for forced in [None, Some(format)] {
        if let Ok(input) = read("damaged", bytes, forced) {
            let report = analyze(vec![input]);
            render::json(&report, &mut std::io::sink()).expect("a report can be written");
        }
    }
}

#[test]
fn a_cut_anywhere_is_survived() {
    for (format, path) in inputs() {
        let bytes = fs::read(&path).expect("a fixture");
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        let step = (bytes.len() / 8).max(1);
        for cut in (0..bytes.len()).step_by(step) {
            survive(format, &bytes[..cut]);
            survive(format, &bytes[cut..]);
        }
    }
}

#[test]
fn changes_anywhere_are_survived() {
    for (format, path) in inputs() {
        let whole = fs::read(&path).expect("a fixture");
        let whole = &whole[..whole.len().min(LONGEST)];
        for seed in 1..=CHANGES {
            survive(format, &changed(whole, Numbers(seed)));
        }
    }
}

/// A few bytes replaced, a piece moved, a line doubled or joined with the next, a number made huge.
fn changed(whole: &[u8], mut numbers: Numbers) -> Vec<u8> {
    const REPLACEMENTS: &[u8] = b"\0\n\r\t \"'(){}[]<>:=#,.-0x9\xff";
    let mut bytes = whole.to_vec();
    for _ in 0..numbers.below(8) {
        let at = numbers.below(bytes.len());
        match (numbers.below(5), bytes.len()) {
            (_, 0) => {}
            (0, _) => bytes[at] = REPLACEMENTS[numbers.below(REPLACEMENTS.len())],
            (1, _) => {
                bytes.remove(at);
            }
            (2, length) => {
                let end = at + numbers.below(length - at);
                let piece = bytes.drain(at..end).collect::<Vec<_>>();
                let to = numbers.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            (3, _) => {
                let piece = bytes[at..].iter().take(200).copied().collect::<Vec<_>>();
                bytes.splice(at..at, piece);
            }
            _ => {
                bytes.splice(at..at, *b"18446744073709551616");
            }
        }
    }
    bytes
}

/// Numbers that look random and are the same every time: xorshift (Marsaglia, 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}
