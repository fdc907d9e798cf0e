//! Report -> text or JSON. Computes nothing: what is not in the report is not in the output.

mod fold;
mod json;
mod page;
mod plain;
mod text;

pub use json::json;
pub(crate) use plain::plain;
pub use text::{TextOptions, text};
