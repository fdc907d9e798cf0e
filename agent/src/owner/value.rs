//! What is known of a machine word while code is walked: all of it, some bytes, or nothing.

/// A 64-bit word of which each byte is known or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Value {
    /// The bytes; those that are not known are zero.
    bits: u64,
    /// All bits are set in the bytes that are known, and none in the others.
    known: u64,
}

impl Value {
    /// Nothing is known.
    pub const UNKNOWN: Value = Value { bits: 0, known: 0 };

    /// All of it is known.
    pub fn known(bits: u64) -> Value {
        Value { bits, known: u64::MAX }
    }

    /// The low `width` bytes are known; the rest does not matter and counts as zero.
    pub fn of_width(bits: u64, width: u32) -> Value {
        Value::known(bits & mask(width))
    }

    /// The low `width` bytes as a number, when all of them are known.
    pub fn get(self, width: u32) -> Option<u64> {
        let wanted = mask(width);
        (self.known & wanted == wanted).then_some(self.bits & wanted)
    }

    /// The low `width` bytes, extended with zeros that are known.
    pub fn zero_extended(self, width: u32) -> Value {
        Value { bits: self.bits & mask(width), known: self.known | !mask(width) }
    }

    /// The low `width` bytes, extended with their sign.
    pub fn sign_extended(self, width: u32) -> Value {
        match self.get(width) {
            Some(bits) => Value::known(sign_extend(bits, width)),
            None => Value { bits: self.bits & mask(width), known: self.known & mask(width) },
        }
    }

    /// This word with its low `width` bytes replaced by those of `low`.
    pub fn with_low(self, low: Value, width: u32) -> Value {
        let lower = mask(width);
        Value {
            bits: self.bits & !lower | low.bits & lower,
            known: self.known & !lower | low.known & lower,
        }
    }

    /// The bytes from `count` upwards, moved down.
    pub fn shifted_down(self, count: u32) -> Value {
        let down = |bits: u64| bits.checked_shr(count * 8).unwrap_or(0);
        Value { bits: down(self.bits), known: down(self.known) }
    }

    /// The bytes moved up by `count`, with unknown ones below.
    pub fn shifted_up(self, count: u32) -> Value {
        let up = |bits: u64| bits.checked_shl(count * 8).unwrap_or(0);
        Value { bits: up(self.bits), known: up(self.known) }
    }

    /// What is known when it is either of the two.
    pub fn join(self, other: Value) -> Value {
        let same = zero_bytes(self.bits ^ other.bits);
        let known = self.known & other.known & same;
        Value { bits: self.bits & known, known }
    }

    /// Bitwise and: a byte is known also when either side is known to be zero there.
    pub fn and(self, other: Value) -> Value {
        let zeros = self.zero_bytes() | other.zero_bytes();
        let known = self.known & other.known | zeros;
        Value { bits: self.bits & other.bits & known, known }
    }

    /// Bitwise or, byte by byte.
    pub fn or(self, other: Value) -> Value {
        let known = self.known & other.known;
        Value { bits: (self.bits | other.bits) & known, known }
    }

    /// Bitwise exclusive or, byte by byte.
    pub fn xor(self, other: Value) -> Value {
        let known = self.known & other.known;
        Value { bits: (self.bits ^ other.bits) & known, known }
    }

    /// The bytes that are known to be zero.
    fn zero_bytes(self) -> u64 {
        self.known & zero_bytes(self.bits)
    }
}

/// All bits of the bytes that are zero.
fn zero_bytes(bits: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lower seven bits of a byte carry into its highest when one of them is set.
    let set = (((bits & !HIGH) + !HIGH) | bits) & HIGH;
    let zero = (set ^ HIGH) >> 7;
    zero * 0xff
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
    fn bytes_on_which_two_agree_are_known() {
        let both = Value::known(0x0102_0380_0000_80ff).join(Value::known(0x0102_0480_0001_00ff));
        assert_eq!(both.get(1), Some(0xff));
        assert_eq!(both.shifted_down(1).get(1), None);
        assert_eq!(both.shifted_down(3).get(2), Some(0x8000));
        assert_eq!(both.shifted_down(5).get(1), None);
        assert_eq!(both.shifted_down(6).get(8), None);
        assert_eq!(both.shifted_down(6).get(2), Some(0x0102));
    }

    #[test]
    fn signs_are_kept() {
        assert_eq!(Value::known(0x80).sign_extended(1).get(8), Some(!0x7f));
        assert_eq!(sign_extend(0xffff_ffff, 4), u64::MAX);
    }
}
