//! Every setting: what holds, and where it comes from.

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches as _, parser::ValueSource};
use url::Url;

use super::{
    Config, ConfigError,
    file::{FileLayer, deepest, one_line, with_values},
};

/// Where a setting comes from; the first of these that has it is what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The command line.
    Flag,
    /// An environment variable.
    Environment,
    /// `auth-agent.toml`, or the file that was named.
    File,
    /// Nobody said anything.
    Default,
}

/// One setting. What it shows may be shown to anybody.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Its key in the file, and with two dashes its flag.
    pub name: String,
    /// Its environment variable.
    pub variable: String,
    /// What holds, secrets masked; `None` when that is nothing.
    pub value: Option<String>,
    /// Where it comes from.
    pub from: Source,
    /// Unmasked, to tell whether it changed.
    #[serde(skip)]
    raw: Option<OsString>,
}

/// The settings of one job.
pub struct Settings {
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Each of them, in the order of the help.
    pub all: Vec<Setting>,
    /// What they come to.
    pub config: Config,
}

impl Settings {
    /// The names of those whose value is another than there.
    #[must_use]
    pub fn changed_from(&self, before: &Self) -> Vec<&str> {
        let pairs = self.all.iter().zip(&before.all);
        pairs
            .filter(|(now, before)| now.raw != before.raw)
            .map(|(now, _)| now.name.as_str())
            .collect()
    }
}

impl Setting {
    /// Whether a server that runs can take up another value of the setting of that name.
    #[must_use]
    pub fn is_reloadable(name: &str) -> bool {
        name == "limits" || name.starts_with("limit-") || ["trusted-proxies", "log"].contains(&name)
    }
}

/// Reads the settings of the job that `args` ask for, which must be one that takes settings. Keys,
/// which stand in the environment only, are not among them.
///
/// # Errors
///
/// [`ConfigError`] in one line, whatever is wrong with the file or the arguments.
pub fn settings(command: Command, args: &[OsString]) -> Result<Settings, ConfigError> {
    let layer = FileLayer::read(&command, args)?;
    let command = match &layer {
        Some(layer) => with_values(command, &layer.values),
        None => command,
    };
    let matches = command
        .try_get_matches_from(args)
        .map_err(|error| ConfigError(one_line(&error)))?;
    let matches = deepest(&matches);
    let config =
        Config::from_arg_matches(matches).map_err(|error| ConfigError(one_line(&error)))?;
    let known = Config::augment_args(Command::new("settings"));
    let all = known
        .get_arguments()
        .filter_map(|arg| setting(arg, matches, layer.as_ref(), &config))
        .collect();
    let file = layer.map(|layer| layer.file);
    Ok(Settings { file, all, config })
}

fn setting(
    arg: &Arg,
    matches: &ArgMatches,
    layer: Option<&FileLayer>,
    config: &Config,
) -> Option<Setting> {
    let (name, id) = (arg.get_long()?, arg.get_id().as_str());
    let in_file = layer.is_some_and(|layer| layer.values.contains_key(id));
    let from = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Source::Flag,
        Some(ValueSource::EnvVariable) => Source::Environment,
        Some(ValueSource::DefaultValue) if in_file => Source::File,
        _ => Source::Default,
    };
    let raw = matches
        .get_raw(id)
        .and_then(|mut values| values.next().map(ToOwned::to_owned));
    let given = raw.as_ref().map(|raw| raw.to_string_lossy().into_owned());
    let value = match (name, given) {
        ("database-url", _) => Some(without_password(&config.database_url())),
        ("issuer", None) => config.known_issuer(),
        ("archive-dir", None) => Some(config.retention().folder.display().to_string()),
        (_, given) => given,
    };
    let variable = arg
        .get_env()
        .map(|name| name.to_string_lossy().into_owned());
    Some(Setting {
        name: name.to_owned(),
        variable: variable.unwrap_or_default(),
        value,
        from,
        raw,
    })
}

/// An address with nothing secret in it. What is not understood might be anything.
fn without_password(url: &str) -> String {
    const MASK: &str = "***";
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let Ok(mut parsed) = Url::parse(url) else {
        let scheme = url.split(':').next().unwrap_or_default();
        return format!("{scheme}:{MASK}");
    };
    if parsed.password().is_some() && parsed.set_password(Some(MASK)).is_err() {
        return format!("{}:{MASK}", parsed.scheme());
    }
    if parsed.query().is_some() {
        let pairs: Vec<(String, String)> = parsed
            .query_pairs()
            .map(|(name, value)| {
                let secret = name.to_ascii_lowercase().contains("password");
                let value = if secret { MASK.into() } else { value };
                (name.into_owned(), value.into_owned())
            })
            .collect();
        parsed.query_pairs_mut().clear().extend_pairs(pairs);
    }
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use clap::builder::Resettable;

    use super::*;

    fn read(text: &str, flags: &[&str]) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, text).unwrap();
        let command = Config::augment_args(Command::new("program"))
            .mut_args(|arg| arg.env(Resettable::Reset));
        let mut args: Vec<OsString> = vec!["program".into(), "--config".into(), file.into()];
        args.extend(flags.iter().map(Into::into));
        settings(command, &args).unwrap()
    }

    fn one(settings: &Settings, name: &str) -> (Option<String>, Source) {
        let found = settings.all.iter().find(|setting| setting.name == name);
        let found = found.unwrap();
        (found.value.clone(), found.from)
    }

    #[test]
    fn a_setting_tells_where_it_comes_from() {
        let settings = read(
            "listen = \"127.0.0.1:4000\"\nhash-queue = 7",
            &["--hash-queue", "8"],
        );
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            one(&settings, "listen"),
            (some("127.0.0.1:4000"), Source::File)
        );
        assert_eq!(one(&settings, "hash-queue"), (some("8"), Source::Flag));
        assert_eq!(
            one(&settings, "code-lifetime"),
            (some("60"), Source::Default)
        );
        assert_eq!(
            one(&settings, "issuer"),
            (some("http://127.0.0.1:4000"), Source::Default)
        );
        assert_eq!(one(&settings, "trusted-proxies"), (None, Source::Default));
        assert_eq!(settings.config.hash_queue, 8);
        assert!(settings.file.is_some());
    }

    #[test]
    fn what_changed_is_told_by_name_and_a_password_counts() {
        let before = read("database-url = \"postgres://u:one@h/d\"", &[]);
        let after = read(
            "database-url = \"postgres://u:two@h/d\"\nlimit-failures = \"1/h burst 1\"",
            &[],
        );
        let changed = ["config", "database-url", "limit-failures"];
        assert_eq!(after.changed_from(&before), changed);
        assert!(Setting::is_reloadable("limit-failures") && Setting::is_reloadable("limits"));
        assert!(!Setting::is_reloadable("listen"));
    }

    #[test]
    fn a_database_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgres://app:hush@db.example/app",
                "postgres://app:***@db.example/app",
            ),
            (
                "postgres://db/app?password=hush&x=1",
                "postgres://db/app?password=***&x=1",
            ),
            (
                "postgres://app@db.example/app",
                "postgres://app@db.example/app",
            ),
            ("postgres://app:hu/sh@[", "postgres:***"),
            (
                "sqlite:///var/lib/auth-agent.db",
                "sqlite:///var/lib/auth-agent.db",
            ),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
