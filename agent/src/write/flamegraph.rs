//! A profile as a flamegraph.

use std::io::{self, Write};

use inferno::flamegraph::{Options, from_lines};
use sigquit_dump::Profile;

/// Draws a profile; its title says what was asked and what was delivered.
pub(crate) fn flamegraph(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let folded = profile.folded();
    let mut options = Options::default();
    options.title = "CPU time".to_owned();
    options.subtitle = Some(profile.summary());
    options.count_name = "samples".to_owned();
    from_lines(&mut options, folded.iter().map(String::as_str), out).map_err(io::Error::other)
}
