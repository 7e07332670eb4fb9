//! `auth-agent.toml`: the layer between the environment and the defaults.

use std::{
    any::TypeId,
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Args, Command, builder::Resettable};
use toml::{Table, Value};

use super::{Config, ConfigError};
use crate::domain::Limit;

/// Read when it exists and no other file is named.
const DEFAULT_FILE: &str = "auth-agent.toml";
/// The setting that names the file cannot stand in it.
pub(super) const FILE_SETTING: &str = "config";

/// Puts what the file says in place of the defaults, wherever `command` takes settings: so flags
/// and environment still come first. Which file is read off `args`.
///
/// # Errors
///
/// [`ConfigError`] in one line, when the file cannot be read, holds an unknown key, or a value that
/// its setting does not take.
pub fn with_file(command: Command, args: &[OsString]) -> Result<Command, ConfigError> {
    Ok(match FileLayer::read(&command, args)? {
        Some(layer) => with_values(command, &layer.values),
        None => command,
    })
}

/// What a file says.
pub(super) struct FileLayer {
    pub(super) file: PathBuf,
    /// By the id of the flag.
    pub(super) values: BTreeMap<String, String>,
}

impl FileLayer {
    /// The file that the arguments name, or the one that is read without being named.
    pub(super) fn read(command: &Command, args: &[OsString]) -> Result<Option<Self>, ConfigError> {
        // What is wrong with the arguments themselves is told when they are read for good.
        let Ok(matches) = command.clone().try_get_matches_from(args) else {
            return Ok(None);
        };
        let Some(file) = file(&matches) else {
            return Ok(None);
        };
        let text = fs::read_to_string(&file)
            .map_err(|error| ConfigError(format!("{}: {error}", file.display())))?;
        let values = values(&file, &text)?;
        Ok(Some(Self { file, values }))
    }
}

/// The arguments of the job at hand, at the end of the jobs that lead to it.
pub(super) fn deepest(matches: &ArgMatches) -> &ArgMatches {
    let mut deepest = matches;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    deepest
}

/// The file to read, if the job at hand takes settings and there is one.
fn file(matches: &ArgMatches) -> Option<PathBuf> {
    match deepest(matches).try_get_one::<PathBuf>(FILE_SETTING) {
        Err(_) => None,
        Ok(Some(named)) => Some(named.clone()),
        Ok(None) => {
            let present = |path: &Path| match path.metadata() {
                Ok(_) => true,
                // One that is there and cannot be looked at must not be passed over in silence.
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            };
            Some(PathBuf::from(DEFAULT_FILE)).filter(|path| present(path))
        }
    }
}

/// The settings in the file, by the id of their flag, each one checked.
fn values(file: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let name = file.display();
    let fault = |what: String| ConfigError(format!("{name}: {what}"));
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        fault(format!("line {line}: {}", error.message()))
    })?;

    let settings = Config::augment_args(Command::new("settings"))
        .no_binary_name(true)
        .mut_args(|arg| arg.env(Resettable::Reset));
    let mut values = BTreeMap::new();
    let mut flags = Vec::new();
    for (key, value) in &table {
        let named = |arg: &&Arg| arg.get_long() == Some(key) && arg.get_id() != FILE_SETTING;
        let Some(arg) = settings.get_arguments().find(named) else {
            return Err(fault(unknown(&settings, key)));
        };
        let value = text_of(arg, value).map_err(|what| fault(format!("`{key}` {what}")))?;
        flags.push(format!("--{key}={value}"));
        values.insert(arg.get_id().to_string(), value);
    }
    settings
        .try_get_matches_from(flags)
        .map_err(|error| fault(one_line(&error)))?;
    Ok(values)
}

fn unknown(settings: &Command, key: &str) -> String {
    let meant = key.replace('_', "-");
    let known = |arg: &Arg| arg.get_long() == Some(&meant) && arg.get_id() != FILE_SETTING;
    if meant != key && settings.get_arguments().any(known) {
        return format!("unknown key `{key}`: write it as `{meant}`");
    }
    if ["admin-key", "master-key"].contains(&meant.as_str()) {
        let variable = format!("AUTH_AGENT_{}", meant.replace('-', "_").to_uppercase());
        return format!("unknown key `{key}`: keys do not belong in this file, set {variable}");
    }
    format!("unknown key `{key}`")
}

/// Whether the file writes a setting without quotes.
pub(super) fn is_number(arg: &Arg) -> bool {
    let parser = arg.get_value_parser().type_id();
    parser == TypeId::of::<u64>() || parser == TypeId::of::<usize>()
}

/// The value as a flag would give it. Numbers are numbers and text is text.
fn text_of(arg: &Arg, value: &Value) -> Result<String, String> {
    let parser = arg.get_value_parser().type_id();
    let number = is_number(arg);
    match value {
        Value::Integer(integer) if number => Ok(integer.to_string()),
        Value::String(text) if !number => Ok(text.clone()),
        // What a limit is switched off with looks like a number.
        Value::Integer(0) if parser == TypeId::of::<Limit>() => Ok("0".to_owned()),
        other => {
            let wanted = if number { "a whole number" } else { "a string" };
            Err(format!("must be {wanted}, not {}", other.type_str()))
        }
    }
}

pub(super) fn with_values(command: Command, values: &BTreeMap<String, String>) -> Command {
    let takes_settings = command
        .get_arguments()
        .any(|arg| arg.get_id() == FILE_SETTING);
    let command = command.mut_args(|arg| match values.get(arg.get_id().as_str()) {
        Some(value) if takes_settings => arg.default_value(value.clone()),
        _ => arg,
    });
    command.mut_subcommands(|inner| with_values(inner, values))
}

/// What clap has to say, without the lines that only help when one reads the usage.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty());
    let line = told.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
