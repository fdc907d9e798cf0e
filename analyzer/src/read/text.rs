//! An input as lines: decoded, taken out of what carried it, each with its number in the file.

use std::borrow::Cow;

use super::encoding::{Foreign, decode};
use super::limits::Limits;
use super::{Warning, transport};

/// An input as text.
#[derive(Clone, Debug, Default)]
pub struct Text<'a> {
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// For each line its number in the file, where that is not its place in the text.
    numbers: Option<Vec<u64>>,
    /// How many lines of the file stand before it.
    before: u64,
    limits: Limits,
    foreign: Option<Foreign>,
}

/// One line of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'t> {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Its text, without its end.
    pub text: &'t str,
}

impl<'a> Text<'a> {
    /// Decodes bytes and takes them out of the log that carried them, when there is one. Bytes
    /// that mean nothing become replacement characters.
    pub fn from_bytes(bytes: &'a [u8]) -> Text<'a> {
        transport::unwrap(Text::of_piece(bytes, 0, Limits::default()))
    }

    /// Decodes a piece of a file before which so many lines stand, and leaves it as it is.
    pub(super) fn of_piece(bytes: &'a [u8], before: u64, limits: Limits) -> Text<'a> {
        let (text, foreign) = decode(bytes);
        Text { bytes, text, numbers: None, before, limits, foreign }
    }

    /// What was taken out of a text: lines that stand elsewhere in the file than their order
    /// says.
    pub(super) fn unwrapped(&self, text: String, numbers: Vec<u64>) -> Text<'a> {
        Text { text: Cow::Owned(text), numbers: Some(numbers), ..*self }
    }

    /// Tells when its bytes are no UTF-8.
    pub(super) fn foreign(&self) -> Option<Warning> {
        let Foreign { taken_for, at } = self.foreign?;
        let line =
            self.before + memchr::memchr_iter(b'\n', self.bytes.get(..at)?).count() as u64 + 1;
        let message = format!("bytes that are no UTF-8, from here on: taken for {taken_for}");
        Some(Warning { line, message })
    }

    /// How much of it is to be read.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes that were decoded, for formats that are no text.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first lines, so many bytes at most; the whole text where nothing else can be told
    /// apart.
    pub(super) fn beginning(&self, length: usize) -> Text<'_> {
        let bytes = self.text.as_bytes();
        let end = match bytes.get(..length).and_then(|bytes| memchr::memrchr(b'\n', bytes)) {
            Some(end) => end + 1,
            None => bytes.len(),
        };
        let text = Cow::Borrowed(&self.text[..end]);
        Text { text, numbers: None, bytes: self.bytes, ..*self }
    }

    /// Its lines.
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            rest: Some(&self.text),
            next: 0,
            numbers: self.numbers.as_deref(),
            before: self.before,
        }
    }
}

/// The lines of a [`Text`], in order. A copy is a cheap way to look ahead.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    rest: Option<&'t str>,
    next: usize,
    numbers: Option<&'t [u64]>,
    before: u64,
}

impl<'t> Lines<'t> {
    /// What is left, for those who know a line by its text before they know where it ends.
    pub(super) fn rest(&self) -> &'t str {
        self.rest.unwrap_or_default()
    }

    /// Passes over the next lines, which are so long with their ends, and tells the number of the
    /// last one.
    pub(super) fn pass(&mut self, lines: usize, length: usize) -> u64 {
        self.rest = self.rest.and_then(|rest| rest.get(length..));
        self.next += lines;
        self.number(self.next - 1)
    }

    fn number(&self, place: usize) -> u64 {
        match self.numbers {
            Some(numbers) => numbers.get(place).copied().unwrap_or_default(),
            None => self.before + place as u64 + 1,
        }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        let rest = self.rest?;
        let text = match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(end) => {
                self.rest = Some(&rest[end + 1..]);
                &rest[..end]
            }
            None => {
                self.rest = None;
                if rest.is_empty() {
                    return None;
                }
                rest
            }
        };
        let place = self.next;
        self.next += 1;
        let number = self.number(place);
        Some(Line { number, text: text.strip_suffix('\r').unwrap_or(text) })
    }
}

/// Splits at the first such byte, as `str::split_once` does, and several times as fast: lines are
/// short, and there are many.
pub(super) fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &Text) -> Vec<(u64, String)> {
        text.lines().map(|line| (line.number, line.text.to_owned())).collect()
    }

    #[test]
    fn line_ends_of_both_kinds() {
        let text = Text::from_bytes(b"one\r\ntwo\n\nfour");
        let expected = [(1, "one"), (2, "two"), (3, ""), (4, "four")];
        assert_eq!(lines(&text), expected.map(|(number, line)| (number, line.to_owned())));
        assert!(lines(&Text::from_bytes(b"")).is_empty());
    }

    #[test]
    fn lines_that_are_passed_over_count() {
        let text = Text::from_bytes(b"one\ntwo\nthree\nfour");
        let mut lines = text.lines();
        assert_eq!((lines.pass(2, 8), lines.rest()), (2, "three\nfour"));
        assert_eq!(lines.next(), Some(Line { number: 3, text: "three" }));
        assert_eq!((lines.pass(1, 4), lines.next()), (4, None));
    }
}
