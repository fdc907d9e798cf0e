//! A binary that has no file: the vdso, which the kernel maps into every process.

use object::{Object, SymbolMap, SymbolMapEntry};
use sigquit_dump::Symbol;

/// The names of a binary of which only the mapped bytes exist.
pub(crate) struct Image {
    symbols: SymbolMap<Name>,
}

struct Name {
    start: u64,
    size: u64,
    name: String,
}

impl SymbolMapEntry for Name {
    fn address(&self) -> u64 {
        self.start
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl Image {
    /// Reads the symbol table; what is not an ELF image has no names.
    pub fn read(bytes: &[u8]) -> Image {
        let Ok(file) = object::File::parse(bytes) else { return Image::nameless() };
        let symbols = file.symbol_map();
        let names = symbols.symbols().iter().map(|symbol| Name {
            start: symbol.address(),
            size: symbol.size(),
            name: symbol.name().to_owned(),
        });
        Image { symbols: SymbolMap::new(names.collect()) }
    }

    /// The image of which no name is known.
    pub fn nameless() -> Image {
        Image { symbols: SymbolMap::new(Vec::new()) }
    }

    /// The function at a stated address.
    pub fn symbol(&self, address: u64) -> Option<Symbol> {
        self.symbols.containing(address).map(|found| Symbol::function(&found.name))
    }
}
