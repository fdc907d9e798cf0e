//! Report -> text or JSON, and dumps as they are. Computes nothing: what is not in the report or
//! the dump is not in the output.

mod detectors;
mod firefox;
mod flamegraph;
mod fold;
mod frame;
mod json;
mod lane;
mod page;
mod plain;
mod pprof;
mod show;
mod speedscope;
mod task;
mod text;

pub use detectors::detectors;
pub use firefox::firefox;
pub use flamegraph::{FlamegraphOptions, difference, flamegraph};
pub use json::json;
pub(crate) use plain::plain;
pub use pprof::pprof;
pub use show::show;
pub use speedscope::speedscope;
pub use text::{TextOptions, text};
