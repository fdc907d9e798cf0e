//! The lines of an input, with what carried them (log prefixes, carriage returns, encodings)
//! taken off, each with its number in the file.

/// An input as lines.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The bytes as they came.
    pub bytes: Vec<u8>,
    /// The lines, without their ends.
    pub lines: Vec<Line>,
}

/// One line of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Its text.
    pub text: String,
}

impl Text {
    /// Splits bytes into lines; bytes that are not UTF-8 become replacement characters.
    pub fn from_bytes(bytes: &[u8]) -> Text {
        let text = String::from_utf8_lossy(bytes);
        let lines = (1..)
            .zip(text.lines())
            .map(|(number, text)| Line { number, text: text.to_owned() })
            .collect();
        Text { bytes: bytes.to_vec(), lines }
    }
}
