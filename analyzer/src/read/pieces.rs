//! An input piece by piece, so that a long one need not be in memory at once.

use std::io::Read;

use memchr::memmem;

/// What was read of an input and not yet given away.
pub(super) struct Pieces<'s> {
    source: &'s mut dyn Read,
    buffer: Vec<u8>,
    /// How much of the buffer was given away.
    taken: usize,
    /// How many lines were given away.
    lines: u64,
    ended: bool,
    /// Why the input ends where it does, when that is not its end.
    failure: Option<String>,
}

/// Memory for so much is got before it is known how much there is to read.
const AT_ONCE: u64 = 1 << 20;

impl<'s> Pieces<'s> {
    pub fn new(source: &'s mut dyn Read) -> Pieces<'s> {
        Pieces { source, buffer: Vec::new(), taken: 0, lines: 0, ended: false, failure: None }
    }

    /// Reads on until so many bytes are there, or the input ends.
    pub fn fill(&mut self, length: u64) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let room = length.saturating_sub(self.buffer.len() as u64);
        if self.ended || room == 0 {
            return;
        }
        let before = self.buffer.len();
        self.buffer.reserve(room.min(AT_ONCE) as usize);
        let result = (&mut *self.source).take(room).read_to_end(&mut self.buffer);
        self.ended = result.is_err() || ((self.buffer.len() - before) as u64) < room;
        self.failure = result.err().map(|error| error.to_string());
    }

    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// How many lines of the input stand before that.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// No more can be read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Why the input ends where it does, when that is not its end.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// How much of what is there ends where a block begins, as one of the marks shows; where
    /// none does, how much ends with a line; or all of it.
    pub fn end_of_blocks(&self, marks: &[&str]) -> usize {
        let bytes = self.bytes();
        if self.ended {
            return bytes.len();
        }
        let before = |mark: &&str| memmem::rfind(bytes, mark.as_bytes()).map(|at| at + 1);
        let line = || memchr::memrchr(b'\n', bytes).map(|at| at + 1);
        marks.iter().filter_map(before).max().or_else(line).unwrap_or(bytes.len())
    }

    /// Gives so many bytes away.
    pub fn take(&mut self, length: usize) {
        let taken = &self.buffer[self.taken..self.taken + length];
        self.lines += memchr::memchr_iter(b'\n', taken).count() as u64;
        self.taken += length;
    }

    /// The same, as they lie in memory: what is left goes into that of `other`.
    pub fn split(&mut self, length: usize, mut other: Vec<u8>) -> Vec<u8> {
        let begin = self.taken;
        self.take(length);
        other.clear();
        other.extend_from_slice(&self.buffer[self.taken..]);
        let mut given = std::mem::replace(&mut self.buffer, other);
        given.truncate(self.taken);
        given.drain(..begin);
        self.taken = 0;
        given
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn pieces_end_where_blocks_begin() {
        let mut source = &b"goroutine 1 [x]:\na\n\ngoroutine 2 [x]:\nb\n"[..];
        let mut pieces = Pieces::new(&mut source);
        pieces.fill(30);
        assert_eq!(pieces.bytes().len(), 30);
        let end = pieces.end_of_blocks(&["\ngoroutine "]);
        assert_eq!(&pieces.bytes()[..end], b"goroutine 1 [x]:\na\n\n");
        assert_eq!(pieces.end_of_blocks(&["\nthread "]), 20);
        pieces.take(end);
        assert_eq!(pieces.lines(), 3);
        pieces.fill(30);
        assert!(pieces.has_ended());
        assert_eq!(pieces.bytes(), b"goroutine 2 [x]:\nb\n");
        assert_eq!(pieces.end_of_blocks(&["\n"]), 19);
    }

    #[test]
    fn what_is_split_off_takes_its_memory_with_it() {
        let mut source = &b"ab\ncd\nef\ngh"[..];
        let mut pieces = Pieces::new(&mut source);
        pieces.fill(10);
        pieces.take(3);
        assert_eq!(pieces.split(3, b"old".to_vec()), b"cd\n");
        assert_eq!((pieces.bytes(), pieces.lines()), (&b"ef\ng"[..], 2));
        pieces.fill(10);
        assert_eq!((pieces.bytes(), pieces.has_ended()), (&b"ef\ngh"[..], true));
    }

    #[test]
    fn an_input_that_cannot_be_read_further() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = std::mem::take(&mut self.0).min(buffer.len());
                buffer[..count].fill(b'a');
                if count == 0 { Err(io::Error::other("broken")) } else { Ok(count) }
            }
        }
        let mut broken = Broken(3);
        let mut pieces = Pieces::new(&mut broken);
        pieces.fill(10);
        assert_eq!((pieces.bytes(), pieces.failure()), (&b"aaa"[..], Some("broken")));
        assert!(pieces.has_ended());
    }
}
