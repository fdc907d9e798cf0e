//! The report as something to walk through in a terminal: a state, what a key makes of it, and how
//! it looks. None of the three knows a terminal.

mod detail;
mod state;
mod update;
mod view;

pub use state::{Tui, View};
pub use update::{Message, message};
pub use view::view;
