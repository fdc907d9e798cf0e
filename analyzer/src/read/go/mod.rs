//! To come.

use sigquit_dump::{Dump, Warning};

use super::{Format, Recognition, Text};

pub(super) const FORMAT: Format = Format { name: "go", recognize, read };

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| line.text.starts_with("goroutine ")) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

fn read(_text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    (Vec::new(), Vec::new())
}
