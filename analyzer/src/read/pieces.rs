//! An input piece by piece, so that a long one need not be in memory at once.

use std::io::{ErrorKind, Read};

use memchr::memmem;

/// What was read of an input and not yet given away.
pub(super) struct Pieces<'s> {
    source: &'s mut dyn Read,
    block: Block,
    /// How many lines were given away.
    lines: u64,
    ended: bool,
    /// Why the input ends where it does, when that is not its end.
    failure: Option<String>,
}

/// Bytes of an input, and memory for more. The memory is cleared once, and not for every piece that
/// is read into it.
#[derive(Default)]
pub(super) struct Block {
    memory: Vec<u8>,
    begin: usize,
    end: usize,
}

/// Memory for so much is got first; then, while there is more to read, for twice as much.
const AT_FIRST: usize = 1 << 16;

impl Block {
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.end]
    }

    /// Memory for so many more bytes at most, after those that are there.
    fn room(&mut self, most: u64) -> &mut [u8] {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if self.end == self.memory.len() {
            let mut more = vec![0; self.end + most.min(self.end.max(AT_FIRST))];
            more[..self.end].copy_from_slice(&self.memory);
            self.memory = more;
        }
        let room = most.min(self.memory.len() - self.end);
        &mut self.memory[self.end..self.end + room]
    }

    /// Moves what is there to the beginning of the memory.
    fn compact(&mut self) {
        self.memory.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
    }

    /// Holds these bytes and no others.
    fn hold(&mut self, bytes: &[u8]) {
        (self.begin, self.end) = (0, bytes.len());
        if self.memory.len() < bytes.len() {
            self.memory = vec![0; bytes.len()];
        }
        self.memory[..bytes.len()].copy_from_slice(bytes);
    }
}

impl<'s> Pieces<'s> {
    pub fn new(source: &'s mut dyn Read) -> Pieces<'s> {
        Pieces { source, block: Block::default(), lines: 0, ended: false, failure: None }
    }

    /// Reads on until so many bytes are there, or the input ends.
    pub fn fill(&mut self, length: u64) {
        self.block.compact();
        while !self.ended
            && let room = length.saturating_sub(self.block.end as u64)
            && room > 0
        {
            match self.source.read(self.block.room(room)) {
                Ok(0) => self.ended = true,
                Ok(count) => self.block.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error.to_string());
                }
            }
        }
    }

    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        self.block.bytes()
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
        let taken = &self.bytes()[..length];
        self.lines += memchr::memchr_iter(b'\n', taken).count() as u64;
        self.block.begin += length;
    }

    /// The same, as they lie in memory: what is left goes into that of `other`.
    pub fn split(&mut self, length: usize, mut other: Block) -> Block {
        let begin = self.block.begin;
        self.take(length);
        other.hold(self.bytes());
        let given = std::mem::replace(&mut self.block, other);
        Block { begin, end: begin + length, ..given }
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
        let mut old = Block::default();
        old.hold(b"old");
        assert_eq!(pieces.split(3, old).bytes(), b"cd\n");
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
