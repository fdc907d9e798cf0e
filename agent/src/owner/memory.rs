//! The memory that lies outside the copied stacks: code, tables, the heap.

use std::ops::Range;

use super::address_map::AddressMap;

const PAGE: u64 = 4096;

/// Smaller numbers are no addresses.
pub(super) const SMALLEST_ADDRESS: u64 = 1 << 16;

/// Nor are larger ones, in a process's half of memory.
pub(super) const LARGEST_ADDRESS: u64 = 1 << 56;

/// A door to the process's memory, which need not be there.
pub(super) trait Memory {
    /// Fills `into` with the bytes from `address` on, as many as can be read without a gap, and
    /// says how many.
    fn read(&mut self, address: u64, into: &mut [u8]) -> usize;

    /// The registers that the function at this address has put aside there to use them itself, and where,
    /// counted from the canonical frame address; nothing when that is not known.
    fn put_aside(&mut self, address: u64) -> Option<Vec<(u16, Option<i64>)>> {
        let _ = address;
        None
    }

    /// The addresses of the function that holds this one, when they are known.
    fn function(&mut self, address: u64) -> Option<Range<u64>> {
        let _ = address;
        None
    }
}

/// Memory that is asked for page by page, and for each page once.
pub(super) struct Pages<M> {
    source: M,
    pages: Vec<Box<[u8]>>,
    /// Where in `pages` the page is that begins at an address.
    known: AddressMap<usize>,
    /// The page that was asked for last, for most often it is the next, too.
    last: Option<(u64, usize)>,
}

impl<M: Memory> Pages<M> {
    pub fn new(source: M) -> Pages<M> {
        Pages { source, pages: Vec::new(), known: AddressMap::default(), last: None }
    }

    pub fn source(&mut self) -> &mut M {
        &mut self.source
    }

    /// The readable bytes from `address` to the end of its page.
    pub fn from(&mut self, address: u64) -> &[u8] {
        let start = address & !(PAGE - 1);
        let at = match self.last {
            Some((last, at)) if last == start => at,
            _ => self.find(start),
        };
        self.last = Some((start, at));
        let page = self.pages.get(at).and_then(|page| page.get((address - start) as usize..));
        page.unwrap_or_default()
    }

    /// Where the page is that begins here.
    fn find(&mut self, start: u64) -> usize {
        let (source, pages) = (&mut self.source, &mut self.pages);
        *self.known.entry(start).or_insert_with(|| {
            let mut bytes = vec![0; PAGE as usize];
            let length = source.read(start, &mut bytes);
            bytes.truncate(length);
            pages.push(bytes.into());
            pages.len() - 1
        })
    }

    /// Copies bytes that may go over the end of a page.
    pub fn copy(&mut self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let bytes = self.from(address.wrapping_add(done as u64));
            let length = bytes.len().min(rest.len());
            if length == 0 {
                break;
            }
            rest[..length].copy_from_slice(&bytes[..length]);
            done += length;
        }
        done
    }

    /// The number of `width` bytes (at most eight) at an address.
    pub fn number(&mut self, address: u64, width: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let wanted = bytes.get_mut(..width as usize)?;
        (self.copy(address, wanted) == width as usize).then(|| u64::from_le_bytes(bytes))
    }

    pub fn put_aside(&mut self, address: u64) -> Option<Vec<(u16, Option<i64>)>> {
        self.source.put_aside(address)
    }

    pub fn function(&mut self, address: u64) -> Option<Range<u64>> {
        self.source.function(address)
    }
}
