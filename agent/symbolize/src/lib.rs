//! Addresses of a dump -> functions, files and lines, from the binaries themselves.
//!
//! A dump names each native frame by its module and the stated address in that module's file.
//! This crate finds the file, makes sure that it is the very build that was mapped, and reads
//! names from its debug information or, where there is none, from its symbol tables. What has no
//! name gets a [`Reason`](sigquit_dump::Reason).
//!
//! The agent names frames from the files that the process itself has mapped ([`Symbolizer`]);
//! the analyzer does it later, on another machine, from a folder of binaries and debug files
//! ([`resolve`]).
//!
//! Files may be damaged: a panic of the libraries that read them is caught and costs names only
//! (in a program built to abort on panic, it cannot be caught). Files are mapped, not copied: a
//! file that another program truncates while it is read can end the process, as it can for
//! anyone who maps it.

#![forbid(unsafe_code)]

mod binary;
mod folder;
mod image;
mod symbolizer;

pub use binary::demangle;
pub use folder::resolve;
pub use symbolizer::Symbolizer;
