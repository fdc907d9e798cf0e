//! Bytes -> text. What is not text becomes replacement characters, never an error: a dump with
//! one odd thread name is still a dump.

use std::borrow::Cow;

/// Whether lines can be told by their ends before they are decoded, which they cannot in UTF-16.
pub(super) fn has_plain_line_ends(bytes: &[u8]) -> bool {
    let marked = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    !marked && matches!(zeros(bytes), Zeros::Other)
}

/// What a text was written in that is not Unicode, and where that shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What its bytes were taken for: a clause.
    pub taken_for: &'static str,
    /// The first of them.
    pub at: usize,
}

/// Decodes UTF-8 or UTF-16, with or without a byte order mark; what is neither, as GBK or Latin-1.
pub(super) fn decode(bytes: &[u8]) -> (Cow<'_, str>, Option<Foreign>) {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest, true),
        [0xFF, 0xFE, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_le_bytes)), None),
        [0xFE, 0xFF, rest @ ..] => (Cow::Owned(utf16(rest, u16::from_be_bytes)), None),
        _ => match zeros(bytes) {
            Zeros::Odd => (Cow::Owned(utf16(bytes, u16::from_le_bytes)), None),
            Zeros::Even => (Cow::Owned(utf16(bytes, u16::from_be_bytes)), None),
            Zeros::Other => utf8(bytes, false),
        },
    }
}

/// Most texts are valid, which is checked a hundred times faster than mended.
fn utf8(bytes: &[u8], is_marked: bool) -> (Cow<'_, str>, Option<Foreign>) {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return (Cow::Borrowed(text), None);
    }
    let at = str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let (text, taken_for) = match Letters::of(bytes) {
        _ if is_marked || !bytes[..at].is_ascii() || memchr::memchr(0, bytes).is_some() => {
            (String::from_utf8_lossy(bytes), "damaged UTF-8, with a mark in their place")
        }
        Letters::Utf8 => {
            (String::from_utf8_lossy(bytes), "damaged UTF-8, with a mark in their place")
        }
        Letters::Pairs => (encoding_rs::GBK.decode_without_bom_handling(bytes).0, "GBK"),
        Letters::Single => (encoding_rs::mem::decode_latin1(bytes), "Latin-1"),
    };
    (text, Some(Foreign { taken_for, at }))
}

/// In what a text's letters that are no ASCII are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// In sequences of UTF-8, but for a few.
    Utf8,
    /// In two bytes each, both of them high: Chinese.
    Pairs,
    /// In one byte each.
    Single,
}

impl Letters {
    /// By the lengths of the runs of high bytes; those of single bytes are odd as often as even.
    fn of(bytes: &[u8]) -> Letters {
        const LOOKED_AT: usize = 1000;
        let runs = bytes.split(u8::is_ascii).filter(|run| !run.is_empty()).take(LOOKED_AT);
        let (mut valid, mut even, mut all) = (0, 0, 0);
        for run in runs {
            all += 1;
            valid += usize::from(str::from_utf8(run).is_ok());
            even += usize::from(run.len() % 2 == 0 && run.iter().all(|&byte| byte >= 0xA1));
        }
        match all {
            _ if valid * 2 > all => Letters::Utf8,
            _ if even * 10 >= all * 9 => Letters::Pairs,
            _ => Letters::Single,
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Where the zero bytes of a beginning lie. A dump is mostly ASCII, so in UTF-16 every other
/// byte is zero; in UTF-8 none is.
enum Zeros {
    Odd,
    Even,
    Other,
}

fn zeros(bytes: &[u8]) -> Zeros {
    let beginning = &bytes[..bytes.len().min(512) & !1];
    let count = |at: usize| beginning.iter().skip(at).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, most) = (count(0), count(1), beginning.len() / 2 * 9 / 10);
    match most {
        0 => Zeros::Other,
        _ if odd >= most && even == 0 => Zeros::Odd,
        _ if even >= most && odd == 0 => Zeros::Even,
        _ => Zeros::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_with_and_without_a_byte_order_mark() {
        let little: Vec<u8> = "goroutine 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "goroutine 1".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&[&[0xFF, 0xFE], &little[..]].concat(), &[&[0xFE, 0xFF], &big[..]].concat()] {
            assert_eq!(decode(bytes).0, "goroutine 1");
        }
        assert_eq!(decode(&little).0, "goroutine 1");
        assert_eq!(decode(&big).0, "goroutine 1");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(decode(b"\xEF\xBB\xBFd\xE9j\xE0").0, "d\u{FFFD}j\u{FFFD}");
        assert_eq!(decode(b"a\0b\0\0\0").0, "a\0b\0\0\0");
        assert_eq!(decode(b""), (Cow::Borrowed(""), None));
        let (text, foreign) = decode("gr\u{fc}n \u{fc}ber".as_bytes());
        assert_eq!((text.as_ref(), foreign), ("gr\u{fc}n \u{fc}ber", None));
        let damaged = ["gr\u{fc}n \u{fc}ber ".as_bytes(), b"\xE9."].concat();
        assert!(decode(&damaged).0.ends_with("ber \u{FFFD}."));
    }

    #[test]
    fn letters_of_other_encodings_are_kept() {
        let (text, foreign) = decode(b"\"d\xE9j\xE0 vu\" #7");
        assert_eq!(text, "\"d\u{e9}j\u{e0} vu\" #7");
        assert_eq!(foreign, Some(Foreign { taken_for: "Latin-1", at: 2 }));
        let (text, foreign) = decode(b"\"\xB6\xA9\xB5\xA5-1\" #7");
        assert_eq!(text, "\"\u{8ba2}\u{5355}-1\" #7");
        assert_eq!(foreign.map(|foreign| foreign.taken_for), Some("GBK"));
    }
}
