//! Unpacks xz.
//!
//! The decoder is fed by hand: its own reader does not end on some damaged files, and a decoder
//! that neither takes nor gives anything can be seen here.

use std::io::{self, Read};

use lzma_rust2::{Action, Status, XzStream};

/// The streams of an xz file, one after the other.
pub(super) struct Xz<R> {
    source: R,
    decoder: XzStream,
    packed: Vec<u8>,
    /// How much of that the decoder has taken.
    taken: usize,
    /// The source has ended.
    ended: bool,
}

impl<R: Read> Xz<R> {
    /// A file of which nothing was read, and how many bytes of memory its decoder may take.
    pub fn new(source: R, most: u64) -> Xz<R> {
        let most = u32::try_from(most >> 10).unwrap_or(u32::MAX);
        let decoder = XzStream::new_mem_limit(true, most);
        Xz { source, decoder, packed: Vec::new(), taken: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        const LENGTH: u64 = 1 << 16;
        self.packed.clear();
        self.taken = 0;
        self.ended = (&mut self.source).take(LENGTH).read_to_end(&mut self.packed)? == 0;
        Ok(())
    }
}

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if self.taken == self.packed.len() && !self.ended {
                self.fill()?;
            }
            let action = if self.ended { Action::Finish } else { Action::Run };
            let done = self.decoder.process(&self.packed[self.taken..], buffer, action)?;
            self.taken += done.bytes_consumed;
            match (done.bytes_produced, done.status) {
                (0, Status::StreamEnd) => break,
                (0, Status::Ok) if done.bytes_consumed == 0 && self.is_stuck() => {
                    return Err(io::Error::other("damaged: its decoder does not go on"));
                }
                (0, Status::Ok) => {}
                (count, _) => return Ok(count),
            }
        }
        Ok(0)
    }
}

impl<R> Xz<R> {
    /// The decoder had all that it could ask for.
    fn is_stuck(&self) -> bool {
        self.ended || self.taken < self.packed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_ends_with_an_error_and_not_never() {
        // Found by fuzzing: `lzma_rust2::XzReader` does not end on it.
        const DAMAGED: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/container/xz-no-end");
        let result = Xz::new(DAMAGED, 1 << 20).read_to_end(&mut Vec::new());
        assert!(result.is_err());
    }

    #[test]
    fn a_decoder_takes_no_more_memory_than_it_may() {
        // Of `printf a | xz -9`: its dictionary is of 64 MiB.
        const LARGE: &[u8] = &[
            0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0x00, 0x04, 0xE6, 0xD6, 0xB4, 0x46, 0x02, 0x00,
            0x21, 0x01, 0x1C, 0x00, 0x00, 0x00, 0x10, 0xCF, 0x58, 0xCC,
        ];
        let mut text = Vec::new();
        let error = Xz::new(LARGE, 1 << 20).read_to_end(&mut text).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
