//! Names for the frames of successive dumps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sigquit_dump::{BuildId, Dump, Frame, FrameId, Module, Names, Reason, Symbol};

use crate::binary::{Binary, build_id, contained};
use crate::image::Image;

/// Finds names, and remembers them: an address is looked up once, however many dumps show it.
pub struct Symbolizer {
    locate: Locate,
    opened: HashMap<(String, Option<BuildId>), usize>,
    sources: Vec<Source>,
    found: HashMap<(usize, u64), Found>,
}

/// Says where a module's files may be, best first.
type Locate = Box<dyn Fn(&Module) -> Vec<PathBuf>>;
type Found = Result<Vec<Symbol>, Reason>;

/// Where the names of one module come from.
enum Source {
    Files(Vec<Binary>),
    Image(Image),
    Nowhere(Reason),
}

impl Symbolizer {
    /// A symbolizer that looks for a module's files where `locate` says, best first. A file that
    /// is another build than the module is passed over.
    pub fn new(locate: impl Fn(&Module) -> Vec<PathBuf> + 'static) -> Symbolizer {
        Symbolizer {
            locate: Box::new(locate),
            opened: HashMap::new(),
            sources: Vec::new(),
            found: HashMap::new(),
        }
    }

    /// Takes the names of a module that has no file from its mapped bytes.
    pub fn add_image(&mut self, module: &Module, bytes: &[u8]) {
        let image = contained(|| Image::read(bytes)).unwrap_or_else(Image::nameless);
        self.add(module, Source::Image(image));
    }

    /// Names, or reasons, for the frames of a dump that have no name yet.
    pub fn names(&mut self, dump: &Dump) -> Vec<Names> {
        (0..)
            .map(FrameId)
            .zip(&dump.frames)
            .filter(|(_, frame)| frame.symbols.is_empty() && frame.address.is_some())
            .map(|(id, frame)| match self.look_up(dump, frame) {
                Ok(symbols) => Names { frame: id, symbols, reason: None },
                Err(reason) => Names { frame: id, symbols: Vec::new(), reason: Some(reason) },
            })
            .collect()
    }

    fn look_up(&mut self, dump: &Dump, frame: &Frame) -> Found {
        let module = frame.module.and_then(|id| dump.modules.get(id.0 as usize));
        let (Some(module), Some(offset)) = (module, frame.offset) else {
            return Err(Reason::Unmapped);
        };
        let source = self.source(module);
        let sources = &self.sources;
        self.found.entry((source, offset)).or_insert_with(|| sources[source].names(offset)).clone()
    }

    fn source(&mut self, module: &Module) -> usize {
        match self.opened.get(&key(module)) {
            Some(&source) => source,
            None => self.add(module, open(module, &(self.locate)(module))),
        }
    }

    fn add(&mut self, module: &Module, source: Source) -> usize {
        self.sources.push(source);
        self.opened.insert(key(module), self.sources.len() - 1);
        self.sources.len() - 1
    }
}

fn key(module: &Module) -> (String, Option<BuildId>) {
    (module.path.clone(), module.build_id.clone())
}

/// Opens every candidate that is the very build that was mapped: a stripped binary and the
/// debug file that was split from it complete each other.
fn open(module: &Module, candidates: &[PathBuf]) -> Source {
    let is_this_build =
        |path: &&PathBuf| build_id(path).is_ok_and(|build_id| build_id == module.build_id);
    let files: Vec<&PathBuf> = candidates.iter().filter(is_this_build).collect();
    let readable: Vec<Binary> = files.iter().filter_map(|path| open_file(path)).collect();
    match (files.is_empty(), readable.is_empty()) {
        (true, _) => Source::Nowhere(Reason::NoFile),
        (false, true) => Source::Nowhere(Reason::BadDebugInformation),
        (false, false) => Source::Files(readable),
    }
}

fn open_file(path: &Path) -> Option<Binary> {
    contained(|| Binary::open(path).ok())?
}

impl Source {
    fn names(&self, offset: u64) -> Found {
        match self {
            Source::Files(files) => from_files(files, offset),
            Source::Image(image) => {
                image.symbol(offset).map(|symbol| vec![symbol]).ok_or(Reason::UnknownAddress)
            }
            Source::Nowhere(reason) => Err(*reason),
        }
    }
}

/// The first file that knows a name; otherwise the reason that says most.
fn from_files(files: &[Binary], offset: u64) -> Found {
    let mut reason = Reason::Stripped;
    for file in files {
        match contained(|| file.symbols(offset)).unwrap_or(Err(Reason::BadDebugInformation)) {
            Ok(symbols) => return Ok(symbols),
            Err(Reason::Stripped) => {}
            Err(other) => reason = other,
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use std::env::current_exe;
    use std::fs;
    use std::hint::black_box;
    use std::path::{Path, PathBuf};

    use object::{Object, ObjectSection, ObjectSymbol};
    use sigquit_dump::{Dump, Frame, Module, ModuleId, Names, Reason};

    use super::Symbolizer;
    use crate::binary::build_id;

    /// A function to look for, with another one merged into it.
    #[inline(never)]
    fn outer_of_the_symbolizer_test(number: u64) -> u64 {
        merged(black_box(number)) + black_box(1)
    }

    #[inline(always)]
    fn merged(number: u64) -> u64 {
        black_box(number) * black_box(number)
    }

    /// The stated addresses of that function.
    fn addresses() -> std::ops::Range<u64> {
        black_box(outer_of_the_symbolizer_test(3));
        let bytes = fs::read(current_exe().unwrap()).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|symbol| {
            symbol.name().is_ok_and(|name| name.contains("outer_of_the_symbolizer_test"))
        });
        let symbol = symbol.expect("the test binary has a symbol table");
        symbol.address()..symbol.address() + symbol.size()
    }

    fn dump(path: &Path, addresses: impl Iterator<Item = u64>) -> Dump {
        let build_id = build_id(&current_exe().unwrap()).unwrap();
        let module = Module { path: path.display().to_string(), build_id, ..Module::default() };
        let frame = |offset| Frame {
            address: Some(offset),
            module: Some(ModuleId(0)),
            offset: Some(offset),
            ..Frame::default()
        };
        Dump { modules: vec![module], frames: addresses.map(frame).collect(), ..Dump::default() }
    }

    fn names(path: &Path, addresses: impl Iterator<Item = u64>) -> Vec<Names> {
        let locate = |module: &Module| vec![PathBuf::from(&module.path)];
        Symbolizer::new(locate).names(&dump(path, addresses))
    }

    #[test]
    fn an_inlined_function_stands_before_the_one_that_it_was_merged_into() {
        let all = names(&current_exe().unwrap(), addresses());
        let deep = all
            .iter()
            .find(|names| names.symbols.iter().any(|symbol| symbol.function.ends_with("::merged")));
        let symbols = &deep.expect("some address lies in the merged function").symbols;
        let at = symbols.iter().position(|symbol| symbol.function.ends_with("::merged")).unwrap();
        assert!(symbols[at].inlined);
        let outermost = symbols.last().unwrap();
        assert_eq!(
            outermost.function,
            "sigquit_symbolize::symbolizer::tests::outer_of_the_symbolizer_test"
        );
        assert!(!outermost.inlined);
        let location = outermost.location.as_ref().unwrap();
        assert!(location.file.ends_with("symbolizer.rs") && location.line.is_some());
    }

    #[test]
    fn another_build_under_the_same_path_names_nothing() {
        let mut dump = dump(&current_exe().unwrap(), addresses().take(1));
        dump.modules[0].build_id = Some(sigquit_dump::BuildId("00ff".into()));
        let locate = |module: &Module| vec![PathBuf::from(&module.path)];
        assert_eq!(Symbolizer::new(locate).names(&dump)[0].reason, Some(Reason::NoFile));
    }

    #[test]
    fn an_address_without_a_module_says_so() {
        let frame = Frame { address: Some(8), ..Frame::default() };
        let dump = Dump { frames: vec![frame], ..Dump::default() };
        let names = Symbolizer::new(|_| Vec::new()).names(&dump);
        assert_eq!(names[0].reason, Some(Reason::Unmapped));
    }

    #[test]
    fn damaged_debug_information_costs_names_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for section in [".debug_info", ".debug_line", ".debug_abbrev", ".symtab", ".strtab"] {
            let path = folder.path().join(section);
            fs::write(&path, damaged(section)).unwrap();
            for names in names(&path, addresses()) {
                let outer = |name: &sigquit_dump::Symbol| name.function.contains("outer_of");
                let named = names.symbols.last().is_some_and(outer);
                assert!(named || names.reason.is_some() || section == ".strtab", "{names:?}");
            }
        }
    }

    /// The test binary with one section overwritten.
    fn damaged(section: &str) -> Vec<u8> {
        let mut bytes = fs::read(current_exe().unwrap()).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let range = file.section_by_name(section).and_then(|section| section.file_range());
        let (start, size) = range.expect("the section exists");
        for (number, at) in (start..start + size).enumerate() {
            bytes[at as usize] = (number as u8).wrapping_mul(151) ^ 0xa5;
        }
        bytes
    }

    #[test]
    fn the_folder_needs_no_name_but_the_build_id() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("some/where");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("notes.txt"), "not a binary").unwrap();
        fs::copy(current_exe().unwrap(), below.join("renamed")).unwrap();
        let mut dump = dump(Path::new("/gone"), addresses().take(1));
        assert_eq!(crate::resolve(folder.path(), &mut dump), 1);
        let outermost = dump.frames[0].symbols.last().unwrap();
        assert!(outermost.function.ends_with("::outer_of_the_symbolizer_test"));
    }
}
