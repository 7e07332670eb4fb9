//! Log lines, on standard error: standard output is for what a job has to say.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use super::Failure;
use crate::config::LogFormat;

/// Which lines are written: `info`, or `auth_agent=debug,warn`.
const VARIABLE: &str = "AUTH_AGENT_LOG";

/// Starts logging, human on a terminal and JSON otherwise unless `format` says which. `level` is
/// what `AUTH_AGENT_LOG` is taken to be when it is not set.
pub(crate) fn start(format: Option<LogFormat>, level: LevelFilter) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var(VARIABLE)
        .from_env()
        .map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))?;
    let on_terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if on_terminal {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Human => lines.with_ansi(on_terminal).try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot log: {error}")))
}
