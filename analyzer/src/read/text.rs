//! An input as lines: decoded, taken out of what carried it, each with its number in the file.

use std::borrow::Cow;

use super::encoding::decode;
use super::transport;

/// An input as text.
#[derive(Clone, Debug, Default)]
pub struct Text<'a> {
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// For each line its number in the file, where that is not its place in the text.
    numbers: Option<Vec<u64>>,
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
        transport::unwrap(Text { bytes, text: decode(bytes), numbers: None })
    }

    /// What was taken out of a text: lines that stand elsewhere in the file than their order
    /// says.
    pub(super) fn unwrapped(&self, text: String, numbers: Vec<u64>) -> Text<'a> {
        Text { bytes: self.bytes, text: Cow::Owned(text), numbers: Some(numbers) }
    }

    /// The bytes that were decoded, for formats that are no text.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its lines.
    pub fn lines(&self) -> Lines<'_> {
        Lines { rest: Some(&self.text), next: 0, numbers: self.numbers.as_deref() }
    }
}

/// The lines of a [`Text`], in order. A copy is a cheap way to look ahead.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    rest: Option<&'t str>,
    next: usize,
    numbers: Option<&'t [u64]>,
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        let rest = self.rest?;
        let text = match rest.split_once('\n') {
            Some((line, rest)) => {
                self.rest = Some(rest);
                line
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
        let number = match self.numbers {
            Some(numbers) => numbers.get(place).copied().unwrap_or_default(),
            None => place as u64 + 1,
        };
        Some(Line { number, text: text.strip_suffix('\r').unwrap_or(text) })
    }
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
}
