//! Log lines, on standard error: standard output is for what a job has to say.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use super::Failure;
use crate::config::LogFormat;

/// Which lines are written: `info`, or `auth_agent=debug,warn`.
const VARIABLE: &str = "AUTH_AGENT_LOG";

/// Changes which lines are written; the text was checked where settings are read.
pub(crate) type SetFilter = Box<dyn Fn(&str) -> Result<(), Failure> + Send + Sync>;

/// Starts logging, human on a terminal and JSON otherwise unless `format` says which. Without a
/// `filter` the environment says which lines, and `level` where it does not.
pub(crate) fn start(
    format: Option<LogFormat>,
    filter: Option<&str>,
    level: LevelFilter,
) -> Result<SetFilter, Failure> {
    let builder = EnvFilter::builder().with_default_directive(level.into());
    let filter = match filter {
        Some(text) => builder.parse(text).map_err(|error| error.to_string()),
        None => builder
            .with_env_var(VARIABLE)
            .from_env()
            .map_err(|error| error.to_string()),
    };
    let filter = filter.map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))?;
    let on_terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if on_terminal {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    // A line that cannot be written, because the terminal is gone, is lost: telling of it there would
    // end the program.
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let cannot = |error: String| Failure::failed(format!("cannot log: {error}"));
    match format {
        LogFormat::Human => {
            let lines = lines.with_ansi(on_terminal).with_filter_reloading();
            let handle = lines.reload_handle();
            lines
                .try_init()
                .map_err(|error| cannot(error.to_string()))?;
            Ok(Box::new(move |text| {
                let filter = parsed(text, level)?;
                handle.reload(filter).map_err(Failure::failed)
            }))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true);
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines
                .try_init()
                .map_err(|error| cannot(error.to_string()))?;
            Ok(Box::new(move |text| {
                let filter = parsed(text, level)?;
                handle.reload(filter).map_err(Failure::failed)
            }))
        }
    }
}

fn parsed(text: &str, level: LevelFilter) -> Result<EnvFilter, Failure> {
    let filter = EnvFilter::builder().with_default_directive(level.into());
    filter.parse(text).map_err(Failure::usage)
}
