//! Shell completions and manual pages, from the definition of the arguments itself.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::Arguments;

#[derive(Args)]
pub(super) struct Completions {
    /// The shell that is to complete
    pub shell: Shell,
}

#[derive(Args)]
pub(super) struct Manual {
    /// The command whose page is wanted; with none, the page that lists them
    pub command: Option<String>,
}

/// Writes what makes a shell complete the command's arguments.
pub(super) fn write_completions(wanted: &Completions, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut Arguments::command(), "sigquit", &mut script);
    out.write_all(&script)
}

/// Writes a manual page, in troff; none, and false, for a command that there is not.
pub(super) fn write_manual(wanted: &Manual, out: &mut dyn Write) -> io::Result<bool> {
    let mut all = Arguments::command();
    all.build();
    let page = match &wanted.command {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    };
    page.map_or(Ok(false), |page| Man::new(page).render(out).map(|()| true))
}
