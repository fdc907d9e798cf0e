//! Where the command runs: what its output goes to, how wide that is, whether it shows colours.

use std::io::{self, IsTerminal};

use clap::ValueEnum;

/// The width where no terminal says another.
const WIDTH: usize = 100;

/// What the command writes to.
pub(super) struct Surroundings {
    /// Columns.
    pub width: usize,
    /// Colours are wanted when nobody says otherwise.
    pub wants_color: bool,
    /// Someone watches standard output.
    pub stdout_is_terminal: bool,
    /// Someone watches standard error.
    pub stderr_is_terminal: bool,
}

impl Default for Surroundings {
    fn default() -> Surroundings {
        Surroundings {
            width: WIDTH,
            wants_color: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn of_process() -> Surroundings {
        let stdout = io::stdout();
        let terminal = terminal_size::terminal_size_of(&stdout);
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = terminal.map(|(width, _)| usize::from(width.0)).filter(|&width| width > 0);
        Surroundings {
            width: width.or(columns.filter(|_| stdout.is_terminal())).unwrap_or(WIDTH),
            stdout_is_terminal: stdout.is_terminal(),
            wants_color: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            stderr_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Whether to use colours.
    pub(super) fn color(&self, choice: ColorChoice) -> bool {
        match choice {
            ColorChoice::Auto => self.wants_color,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal that shows them, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
