//! What dumps are packed in: compressed files, archives of many, one in the other.
//!
//! Told by content, as formats are:
//!
//! ```text
//! 1F 8B             gzip
//! FD "7zXZ" 00      xz
//! 28 B5 2F FD       zstd, or a frame to pass over, 5x 2A 4D 18
//! "BZh"             bzip2
//! "PK" 03 04        zip
//! "ustar" at 257    tar
//! ```

mod xz;
mod zstd;

use std::cell::Cell;
use std::io::{self, Cursor, Read};

use self::xz::Xz;
use self::zstd::Zstd;
use super::limits::{Limits, in_words};

/// A file in an input, unpacked as it is read.
pub(super) struct Member<'m> {
    /// The input's path and, in an archive, the member's within it: `dumps.tar.gz/host-1/t0.txt`.
    pub name: String,
    /// What it holds.
    pub source: &'m mut dyn Read,
    /// It is one of an archive's.
    pub archived: bool,
}

/// Compressions and archives inside each other, at most.
const DEEPEST: usize = 4;

/// The most memory that a decompressor may take, as its input demands: what `xz -9` and
/// `zstd --ultra` need, and no more.
const MOST_MEMORY: u64 = 128 << 20;

/// Gives every file in an input to `take`: the input itself when it is neither compressed nor an
/// archive.
///
/// # Errors
/// A sentence, when an archive cannot be read further. What was taken before stands.
pub(super) fn unpack(
    name: &str,
    source: &mut dyn Read,
    limits: &Limits,
    take: &mut dyn FnMut(Member),
) -> Result<(), String> {
    let budget = Cell::new(limits.bytes);
    let mut unpacking = Unpacking { limits, budget: &budget, members: 0, take };
    unpacking.open(Member { name: name.to_owned(), source, archived: false }, 0)
}

struct Unpacking<'u> {
    limits: &'u Limits,
    /// Bytes that may still be given away.
    budget: &'u Cell<u64>,
    members: usize,
    take: &'u mut dyn FnMut(Member),
}

impl Unpacking<'_> {
    fn open(&mut self, member: Member, depth: usize) -> Result<(), String> {
        let Member { name, source, archived } = member;
        let head = match head(source) {
            Ok(head) => head,
            Err(error) => return self.failed(name, archived, error),
        };
        let packing = if depth < DEEPEST { Packing::of(&head) } else { None };
        let mut whole = Cursor::new(head).chain(source);
        let Some(packing) = packing else {
            let source =
                &mut Bounded { source: &mut whole, limits: self.limits, left: self.budget };
            (self.take)(Member { name, source, archived });
            return Ok(());
        };
        let opened: io::Result<Box<dyn Read>> = match packing {
            Packing::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(whole))),
            Packing::Bzip2 => Ok(Box::new(bzip2::read::MultiBzDecoder::new(whole))),
            Packing::Xz => Ok(Box::new(Xz::new(whole, MOST_MEMORY))),
            Packing::Zstd => Ok(Box::new(Zstd::new(whole))),
            Packing::Tar => return self.tar(&name, whole, depth),
            Packing::Zip => return self.zip(&name, &mut whole, depth),
        };
        match opened {
            Ok(mut inside) => self.open(Member { name, source: &mut *inside, archived }, depth + 1),
            Err(error) => self.failed(name, archived, error),
        }
    }

    /// Gives away what cannot be read as what it is: its reader says so.
    fn failed(&mut self, name: String, archived: bool, error: io::Error) -> Result<(), String> {
        (self.take)(Member { name, source: &mut Failed(Some(error)), archived });
        Ok(())
    }

    fn tar(&mut self, name: &str, source: impl Read, depth: usize) -> Result<(), String> {
        let broken = |error| format!("the tar archive is damaged from here on: {error}");
        let mut archive = tar::Archive::new(source);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.member(name, &path, &mut entry, depth)?;
        }
        Ok(())
    }

    /// The list of a zip archive's members stands at its end, so it has to be read whole.
    fn zip(&mut self, name: &str, source: &mut dyn Read, depth: usize) -> Result<(), String> {
        let broken = |error: &dyn std::fmt::Display| format!("the zip archive is damaged: {error}");
        let mut bytes = Vec::new();
        source.take(self.limits.memory).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        let mut archive =
            zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        for index in 0..archive.len() {
            match archive.by_index(index) {
                Ok(mut entry) if entry.is_file() => {
                    let path = String::from_utf8_lossy(entry.name_raw()).into_owned();
                    self.member(name, &path, &mut entry, depth)?;
                }
                Ok(_) => {}
                Err(error) => {
                    let error = io::Error::other(error);
                    self.failed(format!("{name}/{index}"), true, error)?;
                }
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        archive: &str,
        path: &str,
        source: &mut dyn Read,
        depth: usize,
    ) -> Result<(), String> {
        self.members += 1;
        if self.members > self.limits.members {
            let most = self.limits.members;
            return Err(format!(
                "more than {most} files in it: the rest is left out (--max-files)"
            ));
        }
        self.open(Member { name: format!("{archive}/{path}"), source, archived: true }, depth + 1)
    }
}

/// How an input is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Zip,
    Tar,
}

/// Where in a tar archive its mark stands.
const TAR_MARK: usize = 257;

impl Packing {
    fn of(head: &[u8]) -> Option<Packing> {
        match head {
            [0x1F, 0x8B, ..] => Some(Packing::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
                Some(Packing::Zstd)
            }
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Some(Packing::Bzip2),
            [b'P', b'K', 3, 4, ..] => Some(Packing::Zip),
            _ if head.get(TAR_MARK..).is_some_and(|mark| mark.starts_with(b"ustar")) => {
                Some(Packing::Tar)
            }
            _ => None,
        }
    }
}

/// The first bytes, as far as packings are told by them.
fn head(source: &mut dyn Read) -> io::Result<Vec<u8>> {
    const LENGTH: u64 = 512;
    let mut head = Vec::new();
    match source.take(LENGTH).read_to_end(&mut head) {
        Err(error) if head.is_empty() => Err(error),
        _ => Ok(head),
    }
}

/// Ends, with an error, when all bytes that may be given away are.
struct Bounded<'b> {
    source: &'b mut dyn Read,
    limits: &'b Limits,
    left: &'b Cell<u64>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.get()).unwrap_or(usize::MAX);
        if left == 0 && !buffer.is_empty() {
            let more = self.source.read(&mut [0])? > 0;
            let most = in_words(self.limits.bytes);
            let message = format!("more than {most} in it: the rest is left out (--max-bytes)");
            return if more { Err(io::Error::other(message)) } else { Ok(0) };
        }
        let room = buffer.len().min(left);
        let count = self.source.read(&mut buffer[..room])?;
        self.left.set(self.left.get() - count as u64);
        Ok(count)
    }
}

/// Gives an error once, and nothing after it.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:1 +0x1\n";

    type Members = Vec<(String, Vec<u8>)>;

    fn unpacked(bytes: &[u8], limits: &Limits) -> (Members, Result<(), String>) {
        let mut members = Vec::new();
        let result = unpack("x", &mut Cursor::new(bytes), limits, &mut |member| {
            let mut text = Vec::new();
            let _ = member.source.read_to_end(&mut text);
            members.push((member.name, text));
        });
        (members, result)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_file_in_every_compression_and_twice() {
        // `printf 'goroutine 1 [running]:\nmain.main()\n\t/srv/main.go:1 +0x1\n' | xz`
        let skipped = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, b'a', b'b', b'c'];
        for packed in [
            gzip(TEXT),
            zstd(TEXT),
            [&skipped[..], &zstd(TEXT)].concat(),
            bzip2(TEXT),
            XZ.to_vec(),
            gzip(&zstd(TEXT)),
            TEXT.to_vec(),
        ] {
            let (members, result) = unpacked(&packed, &Limits::default());
            assert_eq!(members, [("x".to_owned(), TEXT.to_vec())]);
            assert_eq!(result, Ok(()));
        }
        let twice = [gzip(TEXT), gzip(TEXT)].concat();
        assert_eq!(unpacked(&twice, &Limits::default()).0[0].1, TEXT.repeat(2));
    }

    #[test]
    fn archives_of_many() {
        let files: [(&str, &[u8]); 2] = [("a/t0.txt", TEXT), ("a/t1.txt.gz", &gzip(TEXT))];
        for packed in [tar(&files), gzip(&tar(&files)), zip(&files), zip(&[("b", &tar(&files))])] {
            let (members, result) = unpacked(&packed, &Limits::default());
            assert_eq!(members.len(), 2);
            assert!(members.iter().all(|(_, text)| text == TEXT), "{members:?}");
            assert!(members[0].0.ends_with("a/t0.txt"));
            assert_eq!(result, Ok(()));
        }
    }

    #[test]
    fn what_is_packed_cannot_fill_the_memory() {
        let limits = Limits { bytes: 1000, members: 1, ..Limits::default() };
        let bomb = gzip(&gzip(&vec![0; 1 << 20]));
        assert_eq!(unpacked(&bomb, &limits).0[0].1.len(), 1000);
        let many = tar(&[("a", TEXT), ("b", TEXT)]);
        let (members, result) = unpacked(&many, &limits);
        assert_eq!(members.len(), 1);
        assert!(result.unwrap_err().contains("--max-files"));
    }

    #[test]
    fn damage_leaves_what_stands_before_it() {
        let long = TEXT.repeat(10_000);
        for packed in [gzip(&long), zstd(&long), bzip2(&long), tar(&[("a", &long)])] {
            let (members, _) = unpacked(&packed[..packed.len() - 9], &Limits::default());
            assert!(long.starts_with(&members[0].1));
        }
        let files: [(&str, &[u8]); 2] = [("a", TEXT), ("b", &long)];
        let cut = tar(&files)[..4096].to_vec();
        assert_eq!(unpacked(&cut, &Limits::default()).0[0].1, TEXT);
        assert!(unpacked(&zip(&files)[..200], &Limits::default()).1.is_err());
    }

    const XZ: [u8; 112] = [
        0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0x00, 0x04, 0xE6, 0xD6, 0xB4, 0x46, 0x02, 0x00, 0x21,
        0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2F, 0xE5, 0xA3, 0x01, 0x00, 0x37, 0x67, 0x6F, 0x72,
        0x6F, 0x75, 0x74, 0x69, 0x6E, 0x65, 0x20, 0x31, 0x20, 0x5B, 0x72, 0x75, 0x6E, 0x6E, 0x69,
        0x6E, 0x67, 0x5D, 0x3A, 0x0A, 0x6D, 0x61, 0x69, 0x6E, 0x2E, 0x6D, 0x61, 0x69, 0x6E, 0x28,
        0x29, 0x0A, 0x09, 0x2F, 0x73, 0x72, 0x76, 0x2F, 0x6D, 0x61, 0x69, 0x6E, 0x2E, 0x67, 0x6F,
        0x3A, 0x31, 0x20, 0x2B, 0x30, 0x78, 0x31, 0x0A, 0x00, 0x41, 0xA9, 0x0C, 0x27, 0x88, 0xA4,
        0x96, 0x3F, 0x00, 0x01, 0x50, 0x38, 0xE1, 0x50, 0x3F, 0xB2, 0x1F, 0xB6, 0xF3, 0x7D, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5A,
    ];
}
