//! Report -> text, JSON, HTML, Markdown, SARIF; and dumps as they are. Computes nothing: what is not in
//! the report or the dump is not in the output.

mod chain;
mod detectors;
mod fold;
mod frame;
mod html;
mod json;
mod markdown;
mod page;
mod phrase;
mod plain;
mod sarif;
mod show;
mod task;
mod text;
mod waits;

pub use detectors::detectors;
pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub(crate) use plain::plain;
pub use sarif::sarif;
pub use show::show;
pub use text::{TextOptions, text};
