//! The one error of this crate.

use std::fmt;
use std::path::PathBuf;

/// Why the agent could not be installed, or could not take a dump.
///
/// Its text is a whole sentence; what lies below it is its [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Debug)]
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code, reason = "what cannot run cannot fail in so many ways")
)]
pub(crate) enum Kind {
    #[cfg_attr(
        all(target_os = "linux", target_arch = "x86_64"),
        expect(dead_code, reason = "this is where it runs")
    )]
    Unsupported,
    AlreadyInstalled,
    NotInstalled,
    /// An option of the builder that makes no sense; says which and why.
    BadOption(String),
    /// The panic hook cannot be set by a thread that panics.
    WhilePanicking,
    NoThread,
    NoCapture,
    NoSignal(i32),
    /// Everything was taken and could not be written there.
    NotWritten(PathBuf),
    /// The agent's thread gave no answer.
    NoAnswer,
    NoProfile,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Error {
        Error { kind, source: None }
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn because(
        kind: Kind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { kind, source: Some(source.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unsupported => f.write_str("sigquit runs on Linux on x86_64 only"),
            Kind::AlreadyInstalled => f.write_str("sigquit is installed in this process already"),
            Kind::NotInstalled => f.write_str("sigquit is not installed in this process"),
            Kind::BadOption(what) => f.write_str(what),
            Kind::WhilePanicking => {
                f.write_str("sigquit cannot be installed by a thread that is panicking")
            }
            Kind::NoThread => f.write_str("the agent's thread could not be started"),
            Kind::NoCapture => f.write_str("the threads' stacks could not be made reachable"),
            Kind::NoSignal(signal) => write!(f, "signal {signal} cannot be received"),
            Kind::NotWritten(path) => write!(
                f,
                "the dump could not be written to {}, and went to standard error",
                path.display()
            ),
            Kind::NoProfile => f.write_str("no profile could be taken"),
            Kind::NoAnswer => f.write_str("the agent's thread gave no answer"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
