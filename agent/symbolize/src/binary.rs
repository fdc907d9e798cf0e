//! One ELF file: its debug information and its symbol table.

use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use addr2line::Loader;
use object::{Object, ReadCache};
use sigquit_dump::{BuildId, Location, Reason, Symbol};

/// A file that can be asked for names.
pub(crate) struct Binary {
    loader: Loader,
    stripped: bool,
}

/// The build that a file is, without mapping it; an error when it is no ELF file.
pub(crate) fn build_id(path: &Path) -> Result<Option<BuildId>, Box<dyn Error>> {
    contained(|| {
        let cache = ReadCache::new(File::open(path)?);
        let file = object::File::parse(&cache)?;
        Ok(file.build_id()?.map(BuildId::from_bytes))
    })
    .unwrap_or_else(|| Err("the file is damaged".into()))
}

/// Runs what reads a file: damage in it must cost names and nothing else.
pub(crate) fn contained<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

impl Binary {
    pub fn open(path: &Path) -> Result<Binary, Box<dyn Error>> {
        let loader = Loader::new(path)?;
        let has = |section: &[u8]| loader.get_section_range(section).is_some();
        let stripped = ![&b".symtab"[..], b".debug_info", b".zdebug_info"].into_iter().any(has);
        Ok(Binary { loader, stripped })
    }

    /// The functions at a stated address, innermost first.
    pub fn symbols(&self, address: u64) -> Result<Vec<Symbol>, Reason> {
        let debug = self.debug_information(address);
        match (debug, self.table_entry(address)) {
            (Ok(symbols), _) if !symbols.is_empty() => Ok(symbols),
            (_, Some(symbol)) => Ok(vec![symbol]),
            (Err(_), None) => Err(Reason::BadDebugInformation),
            (Ok(_), None) if self.stripped => Err(Reason::Stripped),
            (Ok(_), None) => Err(Reason::UnknownAddress),
        }
    }

    /// A compilation unit without descriptions of functions still knows lines; the function's
    /// name then comes from the symbol table.
    fn debug_information(&self, address: u64) -> Result<Vec<Symbol>, Box<dyn Error>> {
        let mut frames = self.loader.find_frames(address)?;
        let mut symbols: Vec<Symbol> = Vec::new();
        while let Some(frame) = frames.next()? {
            let named = frame.function.as_ref().and_then(|function| function.demangle().ok());
            let function = match named {
                Some(name) => name.into_owned(),
                None => match self.table_entry(address) {
                    Some(symbol) => symbol.function,
                    None => continue,
                },
            };
            let location = frame.location.and_then(location);
            symbols.push(Symbol { function, location, inlined: true });
        }
        if let Some(outermost) = symbols.last_mut() {
            outermost.inlined = false;
            self.qualify(outermost, address);
        }
        Ok(symbols)
    }

    /// Debug information that was reduced to line tables has functions without their paths
    /// (`get`). The symbol table knows the path of the one that was not merged into another.
    fn qualify(&self, outermost: &mut Symbol, address: u64) {
        if outermost.function.contains("::") {
            return;
        }
        if let Some(symbol) = self.table_entry(address) {
            outermost.function = symbol.function;
        }
    }

    fn table_entry(&self, address: u64) -> Option<Symbol> {
        let name = self.loader.find_symbol(address)?;
        Some(Symbol::function(demangle(without_version(name))))
    }
}

/// `clock_nanosleep@@GLIBC_2.17` without the version that a library's table adds.
fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// A name as its source gives it, without the hash that the compiler appends.
pub fn demangle(name: &str) -> String {
    addr2line::demangle_auto(Cow::Borrowed(name), None).into_owned()
}

fn location(at: addr2line::Location<'_>) -> Option<Location> {
    let known = |number: u32| (number != 0).then_some(number);
    Some(Location {
        file: at.file?.to_owned(),
        line: at.line.and_then(known),
        column: at.column.and_then(known),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_as_the_source_gives_them() {
        let named = |name| demangle(without_version(name));
        assert_eq!(named("_ZN5order4pool7acquire17h05af221e174051e9E"), "order::pool::acquire");
        assert_eq!(
            named("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back(int const&)"
        );
        assert_eq!(named("clock_nanosleep@@GLIBC_2.17"), "clock_nanosleep");
        assert_eq!(named("main"), "main");
    }
}
