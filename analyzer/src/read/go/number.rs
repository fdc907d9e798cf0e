//! The numbers among a call's arguments: most of the bytes of a large dump.

use std::ops::Range;

/// A hexadecimal number in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Where its digits begin.
    pub at: u16,
    /// How many these are.
    pub digits: u16,
    /// It is the first argument, or the first part of it.
    pub is_first: bool,
    /// Its value is certain: `0x1?` may be stale.
    pub is_certain: bool,
}

impl Number {
    /// Whether it is certain, and the first one or long enough for an address.
    pub fn may_be_address(self) -> bool {
        const LEAST: u16 = 5;
        let least = if self.is_first { 1 } else { LEAST };
        self.is_certain && (least..=16).contains(&self.digits)
    }

    /// Where its digits are.
    pub fn range(self) -> Range<usize> {
        let at = self.at as usize;
        at..at + self.digits as usize
    }

    /// Its value, in a text that has it there: of the sixteen bytes that end with it those that
    /// are its digits, without asking how many these are.
    pub fn value(self, text: &str) -> u64 {
        let Range { start, end } = self.range();
        let Some(before) = text.as_bytes().get(..end) else { return 0 };
        match before.last_chunk() {
            Some(&last) if self.digits <= 16 => {
                value_of_sixteen(last)
                    & u64::MAX.checked_shr(64 - 4 * u32::from(self.digits)).unwrap_or(0)
            }
            _ => value(&before[start..]),
        }
    }
}

/// More is not looked through.
const LONGEST: usize = u16::MAX as usize;

/// Tells of each number in a call's arguments.
///
/// ```text
/// 0xc0000644c0, {0x6ea7d1, 0x2}, 0x0?
/// ```
pub(super) fn numbers(text: &str, mut tell: impl FnMut(Number)) {
    let bytes = &text.as_bytes()[..text.len().min(LONGEST)];
    let (mut at, mut is_first) = (0, true);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0' if bytes.get(at + 1) == Some(&b'x') => {
                let begin = at + 2;
                let digits = count_digits(&bytes[begin..]);
                at = begin + digits;
                let is_certain = matches!(bytes.get(at), None | Some(b',' | b'}' | b' ' | b')'));
                let (at, digits) = (begin as u16, digits as u16);
                tell(Number { at, digits, is_first, is_certain });
                is_first = false;
            }
            b'(' | b')' => break,
            b'{' => at += 1,
            _ => (at, is_first) = (at + 1, false),
        }
    }
}

/// Those that may be addresses.
pub(super) fn addresses(text: &str) -> Vec<Number> {
    let mut addresses = Vec::new();
    numbers(text, |number| addresses.extend(Some(number).filter(|number| number.may_be_address())));
    addresses
}

/// How many hexadecimal digits bytes begin with. They are looked at eight at a time: a large dump
/// has more of them than of anything else.
fn count_digits(bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(eight) = bytes[count..].first_chunk() {
        let digits = digits_of_eight(u64::from_be_bytes(*eight));
        count += digits;
        if digits < 8 {
            return count;
        }
    }
    let is_digit = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    count + bytes[count..].iter().take_while(is_digit).count()
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// With how many digits eight bytes begin, the first of which is the highest.
fn digits_of_eight(word: u64) -> usize {
    const HIGHEST: u64 = EACH << 7;
    /// What makes the highest bit of a byte when the byte is at least that letter.
    const fn at_least(letter: u8) -> u64 {
        EACH * (0x80 - letter) as u64
    }
    let low = word & !HIGHEST;
    let is_decimal = (low + at_least(b'0')) & !(low + at_least(b'9' + 1));
    let is_letter = (low + at_least(b'a')) & !(low + at_least(b'f' + 1));
    let is_none = (!(is_decimal | is_letter) | word) & HIGHEST;
    is_none.leading_zeros() as usize / 8
}

/// The value of sixteen hexadecimal digits at most.
fn value(digits: &[u8]) -> u64 {
    match (digits.first_chunk(), digits.last_chunk()) {
        // Where the two overlap they say the same.
        (Some(first), Some(last)) => {
            value_of_eight(*first) << (4 * (digits.len() - 8)) | value_of_eight(*last)
        }
        _ => digits.iter().fold(0, |value, &digit| value << 4 | value_of_digit(digit.into())),
    }
}

/// The same, where bytes before the digits may be anything, and make the value too large.
fn value_of_sixteen(digits: [u8; 16]) -> u64 {
    let word = u128::from_be_bytes(digits);
    value_of_eight(((word >> 64) as u64).to_be_bytes()) << 32
        | value_of_eight((word as u64).to_be_bytes())
}

fn value_of_eight(digits: [u8; 8]) -> u64 {
    let word = u64::from_be_bytes(digits);
    let values = value_of_digit(word);
    let pairs = (values | values >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    (fours | fours >> 16) & 0xFFFF_FFFF
}

/// In each byte the value of the digit there. `a` is 0x61: one, and nine for being a letter.
fn value_of_digit(word: u64) -> u64 {
    (word & (EACH * 0xF)) + ((word >> 6) & EACH) * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certain ones, and whether each is the first argument.
    fn certain(text: &str) -> Vec<(u64, bool)> {
        let mut all = Vec::new();
        numbers(text, |number| {
            if number.is_certain && number.digits > 0 {
                all.push((number.value(text), number.is_first));
            }
        });
        all
    }

    #[test]
    fn certain_arguments() {
        assert_eq!(
            certain("0xc0000644c0, {0x6ea7d1, 0x2?}, 0x0"),
            [(0xc0000644c0, true), (0x6ea7d1, false), (0, false)]
        );
        assert_eq!(certain("{0x7, ...}, 0x0?"), [(7, true)]);
        assert_eq!(certain("0x7?, 0x8"), [(8, false)]);
        assert_eq!(certain("...")[..], []);
        assert_eq!(certain("x, {x}, 0x")[..], []);
        assert_eq!(certain("0xfedcba9876543210, 0xABC")[..], [(0xfedcba9876543210, true)]);
        assert_eq!(certain("0x1) 0x2")[..], [(1, true)]);
    }

    #[test]
    fn digits_end_where_something_else_stands() {
        for text in ["", "7", "7fffffff", "0123456789abcdef", "c000123456"] {
            for end in ["", ")", "g", "`", "/", ":", "A", "\u{e9}", "\u{b1}", "}, 0x12345678"] {
                let digits = count_digits(format!("{text}{end}").as_bytes());
                assert_eq!(digits, text.len(), "{text}{end}");
            }
            assert_eq!(value(text.as_bytes()), u64::from_str_radix(text, 16).unwrap_or(0));
        }
    }

    #[test]
    fn short_ones_may_be_addresses_when_they_are_the_first() {
        let text = "{0x7, 0x12345}, 0x1234, 0x12345?, 0x11112222333344445";
        let all: Vec<_> = addresses(text).iter().map(|number| number.value(text)).collect();
        assert_eq!(all, [7, 0x12345]);
    }
}
