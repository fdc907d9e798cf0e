//! A long input, read piece by piece. Where there are two cores, one gets the bytes and divides
//! them while the other understands those before.

use std::sync::mpsc::sync_channel;
use std::{panic, thread};

use sigquit_dump::{Dump, Warning};

use super::pieces::{Block, Pieces};
use super::{Limits, Piecewise, Text};

/// How the pieces of an input are made: before one of the marks, so long, within limits.
#[derive(Clone, Copy)]
pub(super) struct Division<'l> {
    pub marks: &'l [&'l str],
    pub length: u64,
    pub limits: &'l Limits,
}

/// So many pieces are got before they are wanted.
const AHEAD: usize = 2;

/// Reads an input with a reader that has read nothing.
pub(super) fn stream(
    reader: fn() -> Box<dyn Piecewise>,
    pieces: &mut Pieces,
    division: Division,
) -> (Vec<Dump>, Vec<Warning>) {
    let has_two_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let read = has_two_cores.then(|| on_two_cores(reader, pieces, division)).flatten();
    let read = read.unwrap_or_else(|| on_one_core(Reading::begin(reader), pieces, division));
    read.finish(&Text::of_piece(pieces.bytes(), pieces.lines(), *division.limits))
}

/// A reader under way.
struct Reading {
    reader: Box<dyn Piecewise>,
    /// Where the first letters are that are not UTF-8.
    foreign: Option<Warning>,
}

impl Reading {
    fn begin(reader: fn() -> Box<dyn Piecewise>) -> Reading {
        Reading { reader: reader(), foreign: None }
    }

    fn piece(&mut self, piece: &Text<'_>) {
        self.foreign = self.foreign.take().or_else(|| piece.foreign());
        self.reader.piece(piece);
    }

    fn finish(self, last: &Text<'_>) -> (Vec<Dump>, Vec<Warning>) {
        let (dumps, mut warnings) = self.reader.finish(last);
        warnings.extend(self.foreign.or_else(|| last.foreign()));
        (dumps, warnings)
    }
}

/// Reads all but the last piece.
fn on_one_core(
    mut reading: Reading,
    pieces: &mut Pieces,
    Division { marks, length, limits }: Division,
) -> Reading {
    while !pieces.has_ended() {
        let end = pieces.end_of_blocks(marks);
        reading.piece(&Text::of_piece(&pieces.bytes()[..end], pieces.lines(), *limits));
        pieces.take(end);
        pieces.fill(length);
    }
    reading
}

/// The same, understanding on a thread of its own; none when the system has no thread.
fn on_two_cores(
    reader: fn() -> Box<dyn Piecewise>,
    pieces: &mut Pieces,
    Division { marks, length, limits }: Division,
) -> Option<Reading> {
    let (send, divided) = sync_channel::<(Block, u64)>(AHEAD);
    let (give_back, spare) = sync_channel::<Block>(AHEAD);
    let understand = move || {
        let mut reading = Reading::begin(reader);
        for (piece, before) in divided {
            reading.piece(&Text::of_piece(piece.bytes(), before, *limits));
            // Where there is memory enough already, it goes.
            let _ = give_back.try_send(piece);
        }
        reading
    };
    thread::scope(|scope| {
        let understanding = thread::Builder::new().spawn_scoped(scope, understand).ok()?;
        while !pieces.has_ended() {
            let before = pieces.lines();
            let end = pieces.end_of_blocks(marks);
            let piece = pieces.split(end, spare.try_recv().unwrap_or_default());
            if send.send((piece, before)).is_err() {
                break;
            }
            pieces.fill(length);
        }
        drop(send);
        Some(understanding.join().unwrap_or_else(|why| panic::resume_unwind(why)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::{Read, named, read_paths};
    use super::*;

    /// More than most blocks of the fixtures take.
    const LENGTH: u64 = 12_000;

    /// So much, or what the longest block takes.
    fn length(bytes: &[u8], marks: &[&str]) -> u64 {
        let mut begins: Vec<usize> =
            marks.iter().flat_map(|mark| memchr::memmem::find_iter(bytes, mark)).collect();
        begins.extend([0, bytes.len()]);
        begins.sort_unstable();
        let longest = begins.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        LENGTH.max(longest as u64 + 1)
    }

    #[test]
    fn read_piece_by_piece_a_dump_is_what_it_is_as_a_whole() {
        let mut read = 0;
        for folder in ["go", "hotspot"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder);
            let (inputs, _) = read_paths(&[folder], None);
            for input in inputs {
                let bytes = fs::read(&input.path).unwrap();
                let Read::Pieces { marks, reader } = named(input.format).unwrap().read else {
                    panic!("{}", input.format)
                };
                let whole =
                    Reading::begin(reader).finish(&Text::of_piece(&bytes, 0, Limits::default()));
                let length = length(&bytes, marks);
                let division = Division { marks, length, limits: &Limits::default() };
                let one =
                    |pieces: &mut Pieces| on_one_core(Reading::begin(reader), pieces, division);
                let two = |pieces: &mut Pieces| on_two_cores(reader, pieces, division).unwrap();
                assert_eq!(in_pieces(&bytes, one), whole, "{}", input.path);
                assert_eq!(in_pieces(&bytes, two), whole, "{}", input.path);
                read += 1;
            }
        }
        assert!(read > 20);
    }

    fn in_pieces(
        mut bytes: &[u8],
        read: impl Fn(&mut Pieces) -> Reading,
    ) -> (Vec<Dump>, Vec<Warning>) {
        let mut pieces = Pieces::new(&mut bytes);
        pieces.fill(LENGTH);
        let reading = read(&mut pieces);
        reading.finish(&Text::of_piece(pieces.bytes(), pieces.lines(), Limits::default()))
    }
}
