//! A dump -> bytes on disk, whole or not at all.
//!
//! ```text
//! /tmp/orders/                                   whoever else there is cannot enter
//!     orders-4711-20260102T030405.678Z/          one incident, one folder
//!         dump-1.sigquit                         written under another name, then renamed
//!         dump-2.sigquit
//!         profile.sigquit                        where the CPU time of these seconds went
//!         flamegraph.svg                         the same as a picture
//!         before.sigquit                         the minute before, when there is a flight recorder
//! ```
//!
//! Nothing that exists is written to or replaced. What cannot be written goes to standard error
//! as text.

mod file;
#[cfg(feature = "flamegraph")]
mod flamegraph;
mod folder;
mod incident_name;
mod retention;
mod stderr;
mod text;

pub(crate) use file::{DumpFile, write_new};
#[cfg(feature = "flamegraph")]
pub(crate) use flamegraph::flamegraph;
pub(crate) use folder::Destination;
pub(crate) use incident_name::IncidentName;
pub(crate) use retention::remove_oldest;
pub(crate) use stderr::{Stderr, say};
pub(crate) use text::text;

/// The file of an incident's profile, that of the minute before it, and that of its picture.
pub(crate) const PROFILE: &str = "profile.sigquit";
pub(crate) const BEFORE: &str = "before.sigquit";
pub(crate) const FLAMEGRAPH: &str = "flamegraph.svg";
