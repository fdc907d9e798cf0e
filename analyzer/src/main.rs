//! The command `sigquit`: arguments in, exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sigquit_analyzer::cli::main(std::env::args_os()))
}
