//! A dump -> bytes on disk, whole or not at all.
//!
//! ```text
//! /tmp/orders/                                   whoever else there is cannot enter
//!     orders-4711-20260102T030405.678Z/          one incident, one folder
//!         dump-1.sigquit                         written under another name, then renamed
//!         dump-2.sigquit
//! ```
//!
//! Nothing that exists is written to or replaced. What cannot be written goes to standard error
//! as text.

mod file;
mod folder;
mod incident_name;
mod retention;
mod stderr;
mod text;

pub(crate) use file::DumpFile;
pub(crate) use folder::Destination;
pub(crate) use incident_name::IncidentName;
pub(crate) use retention::remove_oldest;
pub(crate) use stderr::{Stderr, say};
pub(crate) use text::text;
