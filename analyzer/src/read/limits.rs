//! How much is read before the rest is left out.

/// Bounds on what one input may claim, so that a hostile or damaged one cannot fill the memory
/// or hang the command. What is beyond a bound is left out, and said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one named file, or of all that is packed in it, unpacked.
    pub bytes: u64,
    /// Bytes of an input that has to be in memory at once: one of a format that is not read
    /// piece by piece, or one that is carried in a log. As many inputs as there are cores are read at
    /// once, each within this.
    pub memory: u64,
    /// Threads, goroutines and tasks of one input.
    pub threads: usize,
    /// Files in an archive.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 16 << 30, memory: 1 << 30, threads: 1 << 22, members: 10_000 }
    }
}

/// So many bytes in words: `512 bytes`, `64 MiB`, `2 GiB`.
pub(super) fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut count = bytes;
    while count >= 1024 && count.is_multiple_of(1024) && unit + 1 < UNITS.len() {
        count /= 1024;
        unit += 1;
    }
    format!("{count} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn sizes_in_words() {
        assert_eq!(in_words(512), "512 bytes");
        assert_eq!(in_words(1500), "1500 bytes");
        assert_eq!(in_words(64 << 20), "64 MiB");
        assert_eq!(in_words(4096 << 30), "4096 GiB");
    }
}
