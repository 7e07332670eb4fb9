//! `config`: the settings, whether they would do, and a file to begin with.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, Output, command, table};
use crate::config::{self, Config, Source};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigJob {
    /// Show every setting, what holds, and where it comes from; secrets are masked
    #[command(after_help = "Example:\n  auth-agent config show --config /etc/auth-agent.toml")]
    Show(Box<At>),
    /// Say whether `serve` would take the settings, and what it would warn of. Opens neither database nor port,
    /// and makes nothing
    #[command(after_help = "Example:\n  auth-agent config check --config /etc/auth-agent.toml")]
    Check(Box<At>),
    /// Print a settings file with every setting explained and commented out
    #[command(after_help = "Example:\n  auth-agent config example > auth-agent.toml")]
    Example,
}

/// The settings, as `serve` takes them.
#[derive(Debug, Args)]
pub(crate) struct At {
    #[command(flatten)]
    config: Config,
}

/// Does the job.
pub(crate) fn run(job: ConfigJob, args: &[OsString], output: Output) -> Result<(), Failure> {
    match job {
        ConfigJob::Show(at) => show(at.config, args, output),
        ConfigJob::Check(at) => {
            let mut config = at.config;
            config.read_environment()?;
            config.validate()?;
            let warnings = config.warnings();
            output.json(&json!({ "valid": true, "warnings": warnings }));
            output.line("The settings will do.");
            for warning in warnings {
                output.line(format!("Warning: {warning}"));
            }
            Ok(())
        }
        ConfigJob::Example => {
            let example = config::example();
            output.json(&json!({ "example": example }));
            output.line(example.trim_end());
            Ok(())
        }
    }
}

fn show(mut config: Config, args: &[OsString], output: Output) -> Result<(), Failure> {
    let settings = config::settings(command(), args)?;
    config.read_environment()?;
    let keys = [
        ("AUTH_AGENT_ADMIN_KEY", config.admin_key.is_some()),
        ("AUTH_AGENT_MASTER_KEY", config.master_key.is_some()),
    ];
    let from = |set| {
        if set {
            Source::Environment
        } else {
            Source::Default
        }
    };
    output.json(&json!({
        "file": settings.file,
        "settings": settings.all,
        "keys": keys.map(|(variable, set)| json!({
            "variable": variable, "set": set, "from": from(set),
        })),
    }));
    let told = |from: Source| json!(from).as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<Vec<String>> = settings
        .all
        .iter()
        .map(|setting| {
            let value = table::text(&json!(setting.value));
            vec![setting.name.clone(), value, told(setting.from)]
        })
        .collect();
    rows.extend(keys.map(|(variable, set)| {
        let value = if set { "set" } else { "not set" };
        vec![variable.to_owned(), value.to_owned(), told(from(set))]
    }));
    for line in table::lines(&["setting", "value", "from"], &rows) {
        output.line(line);
    }
    if let Some(file) = &settings.file {
        output.line(format!("The file is {}.", file.display()));
    }
    Ok(())
}
