//! Calls: the functions on stacks, named so that they can be compared.

use sigquit_dump::Location;

use super::rule::Ruled;

/// The number of a call within its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u32);

/// One function on a stack at one place in its source, the same for all threads and dumps of an
/// incident in which it is seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The function, normalized: without compiler hashes, generic arguments, the numbers of
    /// generated classes, addresses. What detectors and clusters compare. For a frame without a
    /// name: the module's file name and the offset.
    pub function: String,
    /// The function as the source printed it.
    pub printed: String,
    /// Where in the source, when known.
    pub location: Option<Location>,
    /// The compiler merged this function into the next outer one.
    pub inlined: bool,
    /// Whose code it is.
    pub origin: Origin,
    /// What else the rules say of it.
    pub ruled: Ruled,
}

impl Call {
    /// The line in its source file, when known.
    pub fn line(&self) -> Option<u32> {
        self.location.as_ref().and_then(|location| location.line)
    }

    /// Whether it has no name but its binary's and an offset: `libfoo.so+0x1a2b`.
    pub fn is_nameless(&self) -> bool {
        self.location.is_none() && self.function.contains("+0x")
    }

    /// Whether it is code of another language than its callers, where a runtime no longer knows
    /// what a thread does: HotSpot's `(Native Method)`.
    pub fn is_foreign(&self) -> bool {
        self.location.as_ref().is_some_and(|location| location.file == "Native Method")
    }
}

/// Whose code a function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The language's runtime, its standard library, the operating system's, the agent.
    Runtime,
    /// A library that many programs use.
    Library,
    /// The program's own.
    #[default]
    Application,
}
