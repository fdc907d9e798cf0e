//! Maps, sets and sorted lists by address, made for many look-ups.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Addresses are looked up very often, and nobody chooses them to do harm.
pub(super) type AddressMap<V> = HashMap<u64, V, BuildHasherDefault<AddressHasher>>;

/// The same without values.
pub(super) type AddressSet = HashSet<u64, BuildHasherDefault<AddressHasher>>;

/// Whether an address may lie at one of many that have this first and this last, or less than `reach` before
/// one. Most lie far from all locks, and need not be searched for.
pub(super) fn is_near(ends: Option<(u64, u64)>, address: u64, reach: u64) -> bool {
    ends.is_some_and(|(first, last)| address <= last && first.saturating_sub(address) < reach)
}

#[derive(Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    /// Lengths, and which variant of a type it is.
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}
