//! The binaries that were mapped.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a module within its dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModuleId(pub u32);

/// A mapped executable or shared object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its path as the process saw it, or a name in brackets (`[vdso]`).
    pub path: String,
    /// Where its first byte lies in the process.
    pub start: u64,
    /// Just past its last mapped byte.
    pub end: u64,
    /// What to subtract from an address in the process (AVMA) to get the address that the
    /// file's symbol table speaks of (SVMA).
    pub bias: u64,
    /// The GNU build id, when the binary has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
}

/// The GNU note that names a binary's exact build: lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuildId(pub String);

impl BuildId {
    /// From the note's bytes.
    pub fn from_bytes(bytes: &[u8]) -> BuildId {
        BuildId(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
