//! Report -> text or JSON, and dumps as they are. Computes nothing: what is not in the report or
//! the dump is not in the output.

mod detectors;
mod fold;
mod frame;
mod json;
mod page;
mod plain;
mod show;
mod task;
mod text;

pub use detectors::detectors;
pub use json::json;
pub(crate) use plain::plain;
pub use show::show;
pub use text::{TextOptions, text};
