//! `/proc/self/maps`: what memory was mapped, a moment ago.

use std::io::Read;

/// One line of the map of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The first address.
    pub start: u64,
    /// Just past the last address.
    pub end: u64,
    /// It can be read.
    pub readable: bool,
    /// It can be written.
    pub writable: bool,
    /// It can be executed.
    pub executable: bool,
    /// Where it begins in its file.
    pub offset: u64,
    /// Which file: device and inode, in the words of the map; zero for none.
    pub file: (u64, u64),
    /// The file's path, or a name in brackets, or nothing.
    pub path: String,
}

/// The map of memory, in the order of addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps {
    /// The mappings.
    pub mappings: Vec<Mapping>,
}

impl Maps {
    /// Reads the process's own. Empty when `/proc` is not there: then nothing is copied plainly
    /// and no module is known, and all answers are registers.
    pub fn read() -> Maps {
        let mut bytes = Vec::new();
        let file = std::fs::File::open("/proc/self/maps");
        let read = file.and_then(|mut file| file.read_to_end(&mut bytes));
        if read.is_err() {
            bytes.clear();
        }
        Maps::parse(&bytes)
    }

    /// From the file's bytes; a line that is not understood is passed over.
    pub fn parse(bytes: &[u8]) -> Maps {
        let lines = bytes.split(|&byte| byte == b'\n');
        Maps { mappings: lines.filter_map(mapping).collect() }
    }

    /// The mapping that holds an address.
    pub fn find(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        (address < mapping.end).then_some(mapping)
    }

    /// Whether an address can be read.
    pub fn is_mapped(&self, address: u64) -> bool {
        self.find(address).is_some_and(|mapping| mapping.readable)
    }
}

/// `7f1c8a600000-7f1c8a628000 r-xp 00028000 fe:00 395276     /usr/lib/libc.so.6`
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut range = fields.next()?.split(|&byte| byte == b'-');
    let (start, end) = (hexadecimal(range.next()?)?, hexadecimal(range.next()?)?);
    let rights = fields.next()?;
    let offset = hexadecimal(fields.next()?)?;
    let mut device = fields.next()?.split(|&byte| byte == b':');
    let device = hexadecimal(device.next()?)? << 32 | hexadecimal(device.next()?)?;
    let inode = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    Some(Mapping {
        start,
        end,
        readable: rights.first() == Some(&b'r'),
        writable: rights.get(1) == Some(&b'w'),
        executable: rights.get(2) == Some(&b'x'),
        offset,
        file: (device, inode),
        path: String::from_utf8_lossy(path).into_owned(),
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let value = |byte: &u8| char::from(*byte).to_digit(16).map(u64::from);
    let fits = (1..=16).contains(&digits.len());
    fits.then(|| digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | value(digit)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_a_name_in_brackets_and_a_nameless_mapping() {
        let maps = Maps::parse(
            b"55d0c8a00000-55d0c8a28000 r-xp 00028000 fe:00 395276     /srv/my orders\n\
              7ffc0000-7ffd0000 rw-p 00000000 00:00 0    [stack]\n\
              7fff0000-7fff1000 ---p 00000000 00:00 0 \n\
              nonsense\n",
        );
        let [file, stack, guard] = &maps.mappings[..] else { panic!("{maps:?}") };
        assert_eq!(file.path, "/srv/my orders");
        assert_eq!((file.offset, file.file), (0x28000, (0xfe << 32, 395276)));
        assert!(file.executable && file.readable && !file.writable);
        assert_eq!((stack.path.as_str(), stack.writable), ("[stack]", true));
        assert!(!guard.readable);
    }

    #[test]
    fn finds_the_mapping_of_an_address() {
        let maps = Maps::parse(b"1000-2000 r--p 0 0:0 0\n3000-4000 ---p 0 0:0 0\n");
        assert!(maps.is_mapped(0x1000) && maps.is_mapped(0x1fff));
        assert!(!maps.is_mapped(0x0fff) && !maps.is_mapped(0x2000) && !maps.is_mapped(0x3000));
        assert_eq!(maps.find(0x3000).map(|mapping| mapping.start), Some(0x3000));
    }

    #[test]
    fn knows_its_own_memory() {
        let local = 1_u8;
        assert!(Maps::read().is_mapped(&raw const local as u64));
    }
}
