//! What is known of a machine word while code is walked: all of it, some bytes, or nothing.

/// A 64-bit word of which each byte is known or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Value {
    /// The bytes; those that are not known are zero.
    bits: u64,
    /// One bit a byte: set when the byte is known.
    known: u8,
}

impl Value {
    /// Nothing is known.
    pub const UNKNOWN: Value = Value { bits: 0, known: 0 };

    /// All of it is known.
    pub fn known(bits: u64) -> Value {
        Value { bits, known: 0xff }
    }

    /// The low `width` bytes are known; the rest does not matter and counts as zero.
    pub fn of_width(bits: u64, width: u32) -> Value {
        Value::known(bits & mask(width))
    }

    /// The low `width` bytes as a number, when all of them are known.
    pub fn get(self, width: u32) -> Option<u64> {
        let wanted = byte_mask(width);
        (self.known & wanted == wanted).then_some(self.bits & mask(width))
    }

    /// The low `width` bytes, extended with zeros that are known.
    pub fn zero_extended(self, width: u32) -> Value {
        Value { bits: self.bits & mask(width), known: self.known | !byte_mask(width) }
    }

    /// The low `width` bytes, extended with their sign.
    pub fn sign_extended(self, width: u32) -> Value {
        match self.get(width) {
            Some(bits) => Value::known(sign_extend(bits, width)),
            None => Value { bits: self.bits & mask(width), known: self.known & byte_mask(width) },
        }
    }

    /// This word with its low `width` bytes replaced by those of `low`.
    pub fn with_low(self, low: Value, width: u32) -> Value {
        let (bits, bytes) = (mask(width), byte_mask(width));
        Value {
            bits: self.bits & !bits | low.bits & bits,
            known: self.known & !bytes | low.known & bytes,
        }
    }

    /// The bytes from `count` upwards, moved down.
    pub fn shifted_down(self, count: u32) -> Value {
        Value {
            bits: self.bits.checked_shr(count * 8).unwrap_or(0),
            known: self.known.checked_shr(count).unwrap_or(0),
        }
    }

    /// The bytes moved up by `count`, with unknown ones below.
    pub fn shifted_up(self, count: u32) -> Value {
        Value {
            bits: self.bits.checked_shl(count * 8).unwrap_or(0),
            known: self.known.checked_shl(count).unwrap_or(0),
        }
    }

    /// What is known when it is either of the two.
    pub fn join(self, other: Value) -> Value {
        let same = Value { bits: self.bits ^ other.bits, known: 0xff }.zero_bytes();
        let known = self.known & other.known & same;
        Value { bits: self.bits & spread(known), known }
    }

    /// Bitwise and: a byte is known also when either side is known to be zero there.
    pub fn and(self, other: Value) -> Value {
        let zeros = self.zero_bytes() | other.zero_bytes();
        let known = self.known & other.known | zeros;
        Value { bits: self.bits & other.bits & spread(known), known }
    }

    /// Bitwise or, byte by byte.
    pub fn or(self, other: Value) -> Value {
        let known = self.known & other.known;
        Value { bits: (self.bits | other.bits) & spread(known), known }
    }

    /// Bitwise exclusive or, byte by byte.
    pub fn xor(self, other: Value) -> Value {
        let known = self.known & other.known;
        Value { bits: (self.bits ^ other.bits) & spread(known), known }
    }

    fn zero_bytes(self) -> u8 {
        let zero = |at: &u32| self.known >> at & 1 == 1 && self.bits >> (at * 8) & 0xff == 0;
        (0..8).filter(zero).fold(0, |bytes, at| bytes | 1 << at)
    }
}

/// The bits of the low `width` bytes.
pub(super) fn mask(width: u32) -> u64 {
    if width >= 8 { u64::MAX } else { (1 << (width * 8)) - 1 }
}

/// A number of `width` bytes as a signed one of eight.
pub(super) fn sign_extend(bits: u64, width: u32) -> u64 {
    let unused = 64 - width.clamp(1, 8) * 8;
    ((bits << unused) as i64 >> unused) as u64
}

fn byte_mask(width: u32) -> u8 {
    if width >= 8 { u8::MAX } else { (1 << width) - 1 }
}

fn spread(bytes: u8) -> u64 {
    (0..8).filter(|at| bytes >> at & 1 == 1).fold(0, |bits, at| bits | 0xff << (at * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_known_though_the_register_is_not() {
        let rax = Value::UNKNOWN.with_low(Value::known(1), 1);
        assert_eq!(rax.get(1), Some(1));
        assert_eq!(rax.get(4), None);
        assert_eq!(rax.zero_extended(1).get(8), Some(1));
    }

    #[test]
    fn a_mask_makes_bytes_known() {
        assert_eq!(Value::UNKNOWN.and(Value::known(0xff)).shifted_down(1).get(4), Some(0));
        assert_eq!(Value::UNKNOWN.and(Value::known(0xff)).get(1), None);
    }

    #[test]
    fn signs_are_kept() {
        assert_eq!(Value::known(0x80).sign_extended(1).get(8), Some(!0x7f));
        assert_eq!(sign_extend(0xffff_ffff, 4), u64::MAX);
    }
}
