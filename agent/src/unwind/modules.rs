//! The binaries that are mapped, and their unwind tables.
//!
//! From the map of memory, never from the loader's list: that has a lock, and the thread that
//! holds it may be the one that hangs. A library can be unmapped by another thread at any
//! moment, so what is needed of it is copied; only the executable, the C library, the loader
//! and the vdso stay for the life of the process and are read where they lie.

use std::borrow::Cow;
use std::ops::Range;

use object::elf::{self, FileHeader64, ProgramHeader64};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use sigquit_dump::{BuildId, Module, ModuleId};

use super::cfi::{self, UnwindTable};
use crate::capture::{self, Mapping, Maps};

/// What is read of a binary's begin: its header and its program headers.
const HEADERS: usize = 4096;
/// An unwind table larger than this is taken for damage.
const TABLE_CAP: u64 = 256 << 20;

/// The modules of one dump, by number; between dumps, what is known of the last ones.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    mapped: Vec<Mapped>,
    /// First address, end and number of each module, in the order of addresses.
    by_address: Vec<(Range<u64>, usize)>,
}

/// One module, with what unwinding needs of it.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    module: Module,
    file: (u64, u64),
    pub table: UnwindTable,
    /// It was mapped when the maps were last read; if not, it was in the dump before.
    is_current: bool,
}

impl Modules {
    /// Reads the table for a new dump. Modules that have been unmapped since the last one are
    /// kept for this one: a thread's frames may have been copied a moment before. Returns whether
    /// anything changed.
    pub fn refresh(&mut self, maps: &Maps) -> bool {
        let spans = spans(maps);
        let mut before = std::mem::take(&mut self.mapped);
        let count = before.len();
        before.retain(|mapped| mapped.is_current);
        let dropped = before.len() < count;
        let (kept, old) =
            before.into_iter().partition(|mapped| spans.iter().any(|span| mapped.is(span)));
        self.set(kept, old, maps) || dropped
    }

    /// Adds what has been mapped since the table was read; the numbers stay. Returns whether
    /// anything was.
    pub fn add_new(&mut self, maps: &Maps) -> bool {
        let mapped = std::mem::take(&mut self.mapped);
        self.set(mapped, Vec::new(), maps)
    }

    fn set(&mut self, kept: Vec<Mapped>, old: Vec<Mapped>, maps: &Maps) -> bool {
        let spans = spans(maps);
        let new = spans.iter().filter(|span| !kept.iter().any(|mapped| mapped.is(span)));
        let new: Vec<Mapped> = new.filter_map(|span| read_module(span, maps)).collect();
        let changed = !new.is_empty() || !old.is_empty();
        self.mapped = kept;
        self.mapped.extend(new);
        let old = old.into_iter().map(|mapped| Mapped { is_current: false, ..mapped });
        self.mapped.extend(old);
        self.by_address = self.index();
        changed
    }

    /// The ranges of all modules; where an old one overlaps a current one, the current one.
    fn index(&self) -> Vec<(Range<u64>, usize)> {
        let range = |at: usize| self.mapped[at].module.start..self.mapped[at].module.end;
        let mut index: Vec<(Range<u64>, usize)> = Vec::new();
        let (current, old): (Vec<usize>, Vec<usize>) =
            (0..self.mapped.len()).partition(|&at| self.mapped[at].is_current);
        for at in current.into_iter().chain(old) {
            let new = range(at);
            let overlaps =
                |(known, _): &(Range<u64>, usize)| known.start < new.end && new.start < known.end;
            if !index.iter().any(overlaps) {
                index.push((new, at));
            }
        }
        index.sort_unstable_by_key(|(range, _)| range.start);
        index
    }

    pub(super) fn at(&self, address: u64) -> Option<(usize, &Mapped)> {
        let after = self.by_address.partition_point(|(range, _)| range.start <= address);
        let (range, at) = self.by_address.get(after.checked_sub(1)?)?;
        range.contains(&address).then_some((*at, self.mapped.get(*at)?))
    }

    /// The module that holds an address, and what the address is in its file.
    pub fn find(&self, address: u64) -> Option<(ModuleId, u64)> {
        let (at, mapped) = self.at(address)?;
        Some((ModuleId(at as u32), address.wrapping_sub(mapped.module.bias)))
    }

    /// The modules, by their numbers.
    pub fn list(&self) -> impl Iterator<Item = &Module> {
        self.mapped.iter().map(|mapped| &mapped.module)
    }
}

#[cfg(test)]
impl Modules {
    /// A table of one made-up module.
    pub(super) fn of(range: Range<u64>, table: UnwindTable) -> Modules {
        let module = Module { start: range.start, end: range.end, ..Module::default() };
        let mapped = vec![Mapped { module, file: (0, 1), table, is_current: true }];
        Modules { mapped, by_address: vec![(range, 0)] }
    }
}

/// Where a binary lies, by the map of memory.
#[derive(Debug, PartialEq, Eq)]
struct Span<'a> {
    first: &'a Mapping,
    end: u64,
    executable: bool,
}

impl Mapped {
    fn is(&self, span: &Span<'_>) -> bool {
        self.module.start == span.first.start
            && self.module.end == span.end
            && self.file == span.first.file
            && self.module.path == span.first.path
    }
}

/// The files (and the vdso) that are mapped from their begin and have executable parts.
fn spans(maps: &Maps) -> Vec<Span<'_>> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    for mapping in &maps.mappings {
        let is_file = mapping.file != (0, 0) || mapping.path == "[vdso]";
        match spans.last_mut() {
            Some(span) if is_file && continues(span, mapping) => {
                span.end = mapping.end;
                span.executable |= mapping.executable;
            }
            _ if is_file && mapping.offset == 0 && mapping.readable => {
                let executable = mapping.executable;
                spans.push(Span { first: mapping, end: mapping.end, executable });
            }
            _ => {}
        }
    }
    spans.retain(|span| span.executable);
    spans
}

fn continues(span: &Span<'_>, mapping: &Mapping) -> bool {
    let same = span.first.file == mapping.file && span.first.path == mapping.path;
    same && mapping.offset > 0
}

/// Reads what a mapped binary says of itself. Nothing when it is no ELF binary.
fn read_module(span: &Span<'_>, maps: &Maps) -> Option<Mapped> {
    let mut headers = vec![0; HEADERS.min((span.first.end - span.first.start) as usize)];
    let length = capture::read(span.first.start, &mut headers);
    headers.truncate(length);
    let header = FileHeader64::<LittleEndian>::parse(&headers[..]).ok()?;
    let segments = header.program_headers(LittleEndian, &headers[..]).ok()?;
    let bias = span.first.start.wrapping_sub(stated_start(segments)?);
    let image = Image { bias, segments, stays: stays(span, maps) };
    Some(Mapped {
        module: Module {
            path: span.first.path.clone(),
            start: span.first.start,
            end: span.end,
            bias,
            build_id: image.build_id(),
        },
        file: span.first.file,
        table: image.unwind_table(maps).unwrap_or_default(),
        is_current: true,
    })
}

/// The stated address of the file's first byte.
fn stated_start(segments: &[ProgramHeader64<LittleEndian>]) -> Option<u64> {
    let load =
        |segment: &&ProgramHeader64<LittleEndian>| segment.p_type(LittleEndian) == elf::PT_LOAD;
    let first = segments.iter().find(load)?;
    Some(first.p_vaddr(LittleEndian).wrapping_sub(first.p_offset(LittleEndian)))
}

/// Whether a module stays mapped for the life of the process.
fn stays(span: &Span<'_>, maps: &Maps) -> bool {
    let holds = |address: u64| {
        let mapping = maps.find(address);
        mapping.is_some_and(|mapping| mapping.file == span.first.file)
            && (span.first.start..span.end).contains(&address)
    };
    // SAFETY: getauxval takes a number and looks it up.
    let [executable, loader, vdso] = [libc::AT_PHDR, libc::AT_BASE, libc::AT_SYSINFO_EHDR]
        .map(|kind| unsafe { libc::getauxval(kind) });
    [executable, loader, vdso, libc::getauxval as *const () as u64].into_iter().any(holds)
}

/// A mapped binary whose program headers have been read.
struct Image<'a> {
    bias: u64,
    segments: &'a [ProgramHeader64<LittleEndian>],
    stays: bool,
}

impl Image<'_> {
    fn segments(&self, kind: u32) -> impl Iterator<Item = Range<u64>> {
        let segments = self.segments.iter();
        segments.filter(move |segment| segment.p_type(LittleEndian).0 == kind).map(|segment| {
            let start = self.bias.wrapping_add(segment.p_vaddr(LittleEndian));
            start..start.saturating_add(segment.p_filesz(LittleEndian))
        })
    }

    /// The bytes of a range: in place when they stay, else a copy, as far as there is memory.
    fn bytes(&self, range: Range<u64>, maps: &Maps) -> Option<Cow<'static, [u8]>> {
        let length = range.end.checked_sub(range.start).filter(|&length| length <= TABLE_CAP)?;
        let mapping = maps.find(range.start)?;
        if self.stays && mapping.readable && range.end <= mapping.end {
            // SAFETY: the map shows the range readable, and this module is never unmapped.
            let bytes =
                unsafe { std::slice::from_raw_parts(range.start as *const u8, length as usize) };
            return Some(Cow::Borrowed(bytes));
        }
        let mut bytes = vec![0; length as usize];
        let length = capture::read(range.start, &mut bytes);
        bytes.truncate(length);
        Some(Cow::Owned(bytes))
    }

    fn unwind_table(&self, maps: &Maps) -> Option<UnwindTable> {
        let index_range = self.segments(elf::PT_GNU_EH_FRAME.0).next()?;
        let index_address = index_range.start;
        let index = self.bytes(index_range, maps)?;
        let frames_address = cfi::frames_address(&index, index_address)?;
        let segment =
            self.segments(elf::PT_LOAD.0).find(|segment| segment.contains(&frames_address))?;
        let frames = self.bytes(frames_address..segment.end, maps)?;
        Some(UnwindTable { index, index_address, frames, frames_address })
    }

    fn build_id(&self) -> Option<BuildId> {
        self.segments(elf::PT_NOTE.0).find_map(|range| {
            let length = range.end.wrapping_sub(range.start).min(HEADERS as u64);
            let mut notes = vec![0; length as usize];
            let length = capture::read(range.start, &mut notes);
            build_id(notes.get(..length)?)
        })
    }
}

/// The build id among the notes of a segment: name size, size, type, `GNU\0`, the id.
fn build_id(mut notes: &[u8]) -> Option<BuildId> {
    let word = |notes: &[u8], at: usize| {
        let bytes = notes.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    loop {
        let (name, size, kind) = (word(notes, 0)?, word(notes, 4)?, word(notes, 8)?);
        let value = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let end = value.checked_add(size)?;
        if kind == elf::NT_GNU_BUILD_ID.0 as usize && notes.get(12..16) == Some(b"GNU\0") {
            return notes.get(value..end).map(BuildId::from_bytes);
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_itself_the_c_library_and_the_vdso() {
        let mut modules = Modules::default();
        let maps = Maps::read();
        assert!(modules.refresh(&maps));
        let here = finds_itself_the_c_library_and_the_vdso as *const () as u64;
        let libc = libc::getauxval as *const () as u64;
        for address in [here, libc] {
            let (_, mapped) = modules.at(address).expect("a module");
            assert!(matches!(mapped.table.frames, Cow::Borrowed(bytes) if !bytes.is_empty()));
        }
        let path = |address| {
            let (id, _) = modules.find(address).expect("a module");
            modules.list().nth(id.0 as usize).map(|module| module.path.clone())
        };
        assert_eq!(path(here), std::env::current_exe().ok().map(|path| path.display().to_string()));
        assert!(modules.list().any(|module| module.path == "[vdso]"));
        assert!(modules.list().any(|module| module.build_id.is_some()));
        assert!(!modules.refresh(&maps), "nothing has changed since");
    }

    #[test]
    fn a_module_that_is_gone_is_kept_for_one_dump() {
        let mut modules = Modules::default();
        let maps = Maps::read();
        modules.refresh(&maps);
        let here = a_module_that_is_gone_is_kept_for_one_dump as *const () as u64;
        let without =
            Maps { mappings: maps.mappings.iter().filter(|m| m.file == (0, 0)).cloned().collect() };
        assert!(modules.refresh(&without));
        assert!(modules.find(here).is_some());
        assert!(modules.refresh(&without));
        assert!(modules.find(here).is_none());
        assert!(modules.add_new(&maps));
        assert!(modules.find(here).is_some());
    }

    #[test]
    fn the_build_id_is_found_behind_another_note() {
        let mut notes = Vec::new();
        let mut note = |kind: u32, value: &[u8]| {
            notes.extend([4, 0, 0, 0, value.len() as u8, 0, 0, 0]);
            notes.extend(kind.to_le_bytes());
            notes.extend(b"GNU\0");
            notes.extend(value);
        };
        note(5, &[1, 2, 3, 4]);
        note(3, &[0xab, 0xcd]);
        assert_eq!(build_id(&notes), Some(BuildId("abcd".into())));
        assert_eq!(build_id(&notes[..20]), None);
        assert_eq!(build_id(&[0xff; 40]), None);
    }
}
