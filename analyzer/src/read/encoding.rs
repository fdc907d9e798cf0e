//! Bytes -> text. What is not text becomes replacement characters, never an error: a dump with
//! one odd thread name is still a dump.

use std::borrow::Cow;

/// Whether lines can be told by their ends before they are decoded, which they cannot in UTF-16.
pub(super) fn has_plain_line_ends(bytes: &[u8]) -> bool {
    let marked = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    !marked && matches!(zeros(bytes), Zeros::Other)
}

/// Decodes UTF-8 or UTF-16, with or without a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)),
        _ => match zeros(bytes) {
            Zeros::Odd => Cow::Owned(utf16(bytes, u16::from_le_bytes)),
            Zeros::Even => Cow::Owned(utf16(bytes, u16::from_be_bytes)),
            Zeros::Other => utf8(bytes),
        },
    }
}

/// Most texts are valid, which is checked ten times faster than mended.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
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
            assert_eq!(decode(bytes), "goroutine 1");
        }
        assert_eq!(decode(&little), "goroutine 1");
        assert_eq!(decode(&big), "goroutine 1");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(decode(b"\xEF\xBB\xBFd\xE9j\xE0"), "d\u{FFFD}j\u{FFFD}");
        assert_eq!(decode(b"a\0b\0\0\0"), "a\0b\0\0\0");
        assert_eq!(decode(b""), "");
    }
}
