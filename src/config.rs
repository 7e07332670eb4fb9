//! Settings: one documented struct. Flag, then environment, then `auth-agent.toml`, then default;
//! every value is checked before anything is opened.

mod checks;
mod derived;
mod environment;
mod example;
mod file;
mod issuer;
mod limits;
mod proxies;
mod retention;
mod settings;
mod timeouts;
mod warnings;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{
    Args, Command, FromArgMatches, ValueEnum,
    builder::{NonEmptyStringValueParser, Resettable, TypedValueParser as _},
};

pub(crate) use derived::administration;
pub use environment::environment_secret;
pub use example::example;
pub(crate) use file::one_line;
pub use file::with_file;
pub use issuer::{InvalidIssuer, issuer};
pub use limits::Limits;
pub use proxies::{InvalidProxies, TrustedProxies, trusted_proxies};
pub use settings::{Setting, Settings, Source, settings};
pub use timeouts::Timeouts;

use crate::crypto::{MasterKey, Secret};

/// Longest lifetime that may be set, in seconds: ten years.
const MAX_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;
/// Longest time that a waiting page may wait, in seconds: a day.
const MAX_REQUEST_LIFETIME: u64 = 24 * 60 * 60;
/// Longest grace for a repeated refresh token, in seconds: it is meant for lost answers.
const MAX_GRACE: u64 = 300;
/// Longest time that a new signing key may wait to sign, in seconds: 30 days.
const MAX_PUBLISH_AHEAD: u64 = 30 * 24 * 60 * 60;

/// Under what the settings stand in the help of every job that takes them.
pub(crate) const HELP_HEADING: &str = "Settings (flag, environment, auth-agent.toml, default)";

/// A setting that cannot be used: one clear line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For reading on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where the database is. May hold a password, so it is masked in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.split(':').next().unwrap_or_default())?;
        f.write_str(":[masked]")
    }
}

/// The settings of a server, and of the commands that look for one.
///
/// The keys of `auth-agent.toml` are the names of the flags (`data-dir = "/var/lib/auth-agent"`).
#[derive(Debug, Args)]
#[command(next_help_heading = HELP_HEADING)]
pub struct Config {
    /// File with settings [default: auth-agent.toml, if it exists]
    #[arg(long, env = "AUTH_AGENT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes any free one
    #[arg(
        long,
        env = "AUTH_AGENT_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:3000"
    )]
    pub listen: SocketAddr,

    /// Address and port for administration and metrics, which are then no longer on the main one
    #[arg(
        long,
        env = "AUTH_AGENT_ADMIN_LISTEN",
        value_name = "ADDRESS:PORT",
        hide_short_help = true
    )]
    pub admin_listen: Option<SocketAddr>,

    /// What this server is called in tokens and discovery (RFC 8414 §2) [default: http://<listen>]
    ///
    /// https, or http on loopback; may have a path; no query, fragment, user name or trailing
    /// slash. Websites compare it byte for byte, so it is taken in its one canonical spelling.
    #[arg(long, env = "AUTH_AGENT_ISSUER", value_name = "URL", value_parser = issuer)]
    pub issuer: Option<String>,

    /// sqlite://… or postgres://… [default: sqlite://<data dir>/auth-agent.db]
    #[arg(
        long,
        env = "AUTH_AGENT_DATABASE_URL",
        value_name = "URL",
        value_parser = NonEmptyStringValueParser::new().map(DatabaseUrl::from),
        hide_env_values = true
    )]
    database_url: Option<DatabaseUrl>,

    /// Folder for the embedded database and the keys; made if missing, inside an existing folder
    #[arg(
        long,
        env = "AUTH_AGENT_DATA_DIR",
        value_name = "FOLDER",
        default_value = "./data"
    )]
    pub data_dir: PathBuf,

    /// Networks of the proxies whose X-Forwarded-For is believed, as in 10.0.0.0/8,fd00::/8 [default: none]
    ///
    /// Without it nobody's address is known behind an https issuer: agents must send the cookie.
    #[arg(long, env = "AUTH_AGENT_TRUSTED_PROXIES", value_name = "NETWORKS", value_parser = trusted_proxies)]
    trusted_proxies: Option<TrustedProxies>,

    /// Log lines for people or for machines [default: human on a terminal, json otherwise]
    #[arg(long, env = "AUTH_AGENT_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Which log lines are written, as in info or auth_agent=debug,warn
    #[arg(
        long, env = "AUTH_AGENT_LOG", value_name = "FILTER", default_value = "info",
        value_parser = log_filter
    )]
    pub log: String,

    /// Seconds that a waiting page waits
    #[arg(
        long, env = "AUTH_AGENT_REQUEST_LIFETIME", value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=MAX_REQUEST_LIFETIME),
        hide_short_help = true
    )]
    request_lifetime: u64,

    /// Seconds that an authorization code lives (RFC 6749 §4.1.2); a waiting browser that has not
    /// fetched its code is issued another so often
    #[arg(
        long, env = "AUTH_AGENT_CODE_LIFETIME", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=600), hide_short_help = true
    )]
    code_lifetime: u64,

    /// Seconds that an access token and an ID token live
    #[arg(
        long, env = "AUTH_AGENT_ACCESS_TOKEN_LIFETIME", value_name = "SECONDS",
        default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=MAX_LIFETIME), hide_short_help = true
    )]
    access_token_lifetime: u64,

    /// Seconds after its last use that a refresh token ends
    #[arg(
        long, env = "AUTH_AGENT_REFRESH_TOKEN_IDLE_LIFETIME", value_name = "SECONDS",
        default_value_t = 2_592_000,
        value_parser = clap::value_parser!(u64).range(1..=MAX_LIFETIME), hide_short_help = true
    )]
    refresh_token_idle_lifetime: u64,

    /// Seconds after the sign-in that all of its refresh tokens end
    #[arg(
        long, env = "AUTH_AGENT_REFRESH_TOKEN_LIFETIME", value_name = "SECONDS",
        default_value_t = 15_552_000,
        value_parser = clap::value_parser!(u64).range(1..=MAX_LIFETIME), hide_short_help = true
    )]
    refresh_token_lifetime: u64,

    /// Seconds in which a used refresh token is answered again with the same successor
    #[arg(
        long, env = "AUTH_AGENT_REFRESH_GRACE", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=MAX_GRACE), hide_short_help = true
    )]
    refresh_grace: u64,

    /// Seconds that a new signing key is published before it signs; the key set may be kept for a third
    /// of it, and for 300 at most
    #[arg(
        long, env = "AUTH_AGENT_KEY_PUBLISH_AHEAD", value_name = "SECONDS", default_value_t = 900,
        value_parser = clap::value_parser!(u64).range(1..=MAX_PUBLISH_AHEAD), hide_short_help = true
    )]
    key_publish_ahead: u64,

    /// Secrets hashed at the same time, each in 19 MiB of memory that is kept; 0 means half the cores, at
    /// least one
    #[arg(
        long, env = "AUTH_AGENT_HASH_PERMITS", value_name = "NUMBER", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=1024).map(to_usize),
        hide_short_help = true
    )]
    hash_permits: usize,

    /// Secrets that may wait to be hashed; beyond that callers are told to slow down
    #[arg(
        long, env = "AUTH_AGENT_HASH_QUEUE", value_name = "NUMBER", default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=65_536).map(to_usize),
        hide_short_help = true
    )]
    pub hash_queue: usize,

    #[command(flatten)]
    limits: limits::LimitSettings,

    #[command(flatten)]
    retention: retention::RetentionSettings,

    #[command(flatten)]
    timeouts: timeouts::TimeoutSettings,

    /// `AUTH_AGENT_ADMIN_KEY`; in the environment only, so that it is in no process list.
    #[arg(skip)]
    pub admin_key: Option<Secret>,

    /// `AUTH_AGENT_MASTER_KEY`, base64 of 32 bytes; in the environment only.
    #[arg(skip)]
    pub master_key: Option<MasterKey>,
}

/// Set to nothing counts as not set, as it does in other programs that log by a variable.
fn log_filter(text: &str) -> Result<String, String> {
    let text = if text.trim().is_empty() { "info" } else { text };
    let filter = tracing_subscriber::EnvFilter::builder().parse(text);
    filter
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Config {
    /// The defaults, whatever the environment and the working folder hold, with an address and a
    /// data folder of their own: for the demo, and for tests.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the path of the data folder is not UTF-8.
    pub fn with_defaults(listen: SocketAddr, data_dir: &Path) -> Result<Self, ConfigError> {
        let command = Self::augment_args(Command::new("auth-agent"))
            .mut_args(|arg| arg.env(Resettable::Reset));
        let data_dir = data_dir
            .to_str()
            .ok_or_else(|| ConfigError(format!("{} is not UTF-8", data_dir.display())))?;
        let flags = [
            "auth-agent",
            "--listen",
            &listen.to_string(),
            "--data-dir",
            data_dir,
        ]
        .map(ToOwned::to_owned);
        command
            .try_get_matches_from(flags)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| ConfigError(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
