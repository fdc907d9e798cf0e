//! Names of places in code, or why there is none.

use serde::{Deserialize, Serialize};

/// A function, and where in its source the thread is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Symbol {
    /// The function's demangled name as the source gives it, without the hash that the compiler
    /// appends.
    pub function: String,
    /// File and line, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The compiler merged this function into the next outer one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

impl Symbol {
    /// A function of which nothing but the name is known.
    pub fn function(name: impl Into<String>) -> Symbol {
        Symbol { function: name.into(), ..Symbol::default() }
    }
}

/// A place in a source file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The file as the source names it.
    pub file: String,
    /// The line, from 1, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// Why a frame has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The address lies in no mapped binary.
    Unmapped,
    /// The binary was stripped: look the build id and the offset up elsewhere (`--symbols`).
    Stripped,
    /// The binary has symbols and none covers the address.
    UnknownAddress,
    /// The binary's file is gone, unreadable, or another build than the one mapped.
    NoFile,
    /// The binary's debug information could not be read.
    BadDebugInformation,
}
