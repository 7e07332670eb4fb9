//! Which job; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    auth_agent::cli::run(std::env::args_os())
}
