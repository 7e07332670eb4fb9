//! Log lines, on standard error: standard output is for what a job has to say.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, dynamic_filter_fn},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use super::Failure;
use crate::{config::LogFormat, trace};

/// Which lines are written: `info`, or `auth_agent=debug,warn`.
const VARIABLE: &str = "AUTH_AGENT_LOG";

/// Changes which lines are written; the text was checked where settings are read.
pub(crate) type SetFilter = Box<dyn Fn(&str) -> Result<(), Failure> + Send + Sync>;

/// What takes the spans that are made for a collector.
pub(crate) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging, human on a terminal and JSON otherwise unless `format` says which. Without a
/// `filter` the environment says which lines, and `level` where it does not. `spans` takes no lines.
pub(crate) fn start(
    format: Option<LogFormat>,
    filter: Option<&str>,
    level: LevelFilter,
    spans: Option<SpanLayer>,
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
    let (filter, handle) = reload::Layer::new(filter);
    // Spans for a collector are no part of the lines. Asked each time and not once for a place in the code:
    // a library that only asks whether it would be heard leaves that answer behind, and a line whose place
    // is not asked about again would be taken by it.
    let told = dynamic_filter_fn(|metadata, _| metadata.target() != trace::TARGET);
    let filter = filter.and(told.with_max_level_hint(LevelFilter::TRACE));
    // A line that cannot be written, because the terminal is gone, is lost: telling of it there would
    // end the program.
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Human => lines.with_ansi(on_terminal).with_filter(filter).boxed(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true);
            lines.with_filter(filter).boxed()
        }
    };
    let layers: Vec<_> = spans.into_iter().chain([lines]).collect();
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(|error| Failure::failed(format!("cannot log: {error}")))?;
    Ok(Box::new(move |text| {
        let filter = parsed(text, level)?;
        handle.reload(filter).map_err(Failure::failed)
    }))
}

fn parsed(text: &str, level: LevelFilter) -> Result<EnvFilter, Failure> {
    let filter = EnvFilter::builder().with_default_directive(level.into());
    filter.parse(text).map_err(Failure::usage)
}
