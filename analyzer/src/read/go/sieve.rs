//! A quick look at addresses, before it is looked up whether they are among those that are sought.

/// Tells of most addresses, with one bit, that they are not among some.
pub(super) struct Sieve([u64; 64]);

impl Sieve {
    pub fn of(addresses: impl Iterator<Item = u64>) -> Sieve {
        let mut bits = [0; 64];
        for address in addresses {
            let (word, bit) = place(address);
            bits[word] |= bit;
        }
        Sieve(bits)
    }

    /// Whether an address may be one of them.
    pub fn passes(&self, address: u64) -> bool {
        let (word, bit) = place(address);
        self.0[word] & bit != 0
    }
}

fn place(address: u64) -> (usize, u64) {
    let mixed = address.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 58) as usize, 1 << (mixed >> 52 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_passes_and_little_else() {
        let sought = (0..20).map(|number| 0xc000_0000_0000 + number * 0x100);
        let sieve = Sieve::of(sought.clone());
        assert!(sought.clone().all(|address| sieve.passes(address)));
        let others = (0..1000).map(|number| 0xc000_1000_0000 + number * 8);
        assert!(others.filter(|&address| sieve.passes(address)).count() < 50);
    }
}
