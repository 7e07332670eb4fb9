//! `completions`: what shells need to complete the jobs and their flags.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::{Output, command};

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Does the job.
pub(crate) fn run(args: &Completions, output: Output) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "auth-agent", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.json(&json!({ "shell": args.shell.to_string(), "script": script }));
    output.line(script.trim_end());
}
