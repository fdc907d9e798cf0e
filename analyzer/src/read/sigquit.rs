//! The format that the agent writes; see [`sigquit_dump::format`].

use sigquit_dump::{Dump, Warning};

use super::{Format, Read, Recognition, Text};

pub(super) const FORMAT: Format = Format {
    name: "sigquit",
    looks_like: "a line {\"sigquit\":{\"version\":1,...}} that begins a dump",
    recognize,
    read: Read::Whole(read),
};

fn recognize(text: &Text) -> Recognition {
    match text.lines().any(|line| line.text.starts_with("{\"sigquit\":{")) {
        true => Recognition::Yes,
        false => Recognition::No,
    }
}

fn read(text: &Text) -> (Vec<Dump>, Vec<Warning>) {
    match sigquit_dump::read(text.as_str().as_bytes()) {
        Ok(read) => read,
        Err(error) => (Vec::new(), vec![Warning { line: 1, message: error.to_string() }]),
    }
}
