//! Report -> text, JSON, HTML, Markdown, SARIF and others; and dumps as they are. Computes nothing: what is not in
//! the report or the dump is not in the output.

mod chain;
mod clusters;
mod detectors;
mod firefox;
mod flamegraph;
mod fold;
mod frame;
mod graph;
mod html;
mod json;
mod junit;
mod lane;
mod markdown;
mod openmetrics;
mod page;
mod phrase;
mod plain;
mod pprof;
mod sarif;
mod show;
mod speedscope;
mod task;
mod text;
mod together;
mod tui;
mod waits;

pub use clusters::{clusters, clusters_json};
pub use detectors::detectors;
pub use firefox::firefox;
pub use flamegraph::{FlamegraphOptions, difference, flamegraph};
pub use graph::{dot, mermaid};
pub use html::html;
pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use openmetrics::openmetrics;
pub(crate) use plain::plain;
pub use pprof::pprof;
pub use sarif::sarif;
pub use show::show;
pub use speedscope::speedscope;
pub use text::{TextOptions, text};
pub use tui::{Message, Tui, View, message, view};
