//! Settings: one documented struct. Flag, then environment, then `auth-agent.toml`, then default;
//! every value is checked before anything is opened.

mod example;
mod file;
mod issuer;
mod limits;
mod proxies;
mod retention;
mod settings;
mod timeouts;

use std::{
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::{
    Args, Command, FromArgMatches, ValueEnum,
    builder::{NonEmptyStringValueParser, Resettable, TypedValueParser as _},
};

pub use example::example;
pub(crate) use file::one_line;
pub use file::with_file;
pub use issuer::{InvalidIssuer, issuer};
pub use limits::Limits;
pub use proxies::{InvalidProxies, TrustedProxies, trusted_proxies};
pub use settings::{Setting, Settings, Source, settings};
pub use timeouts::Timeouts;

use crate::{
    crypto::{MasterKey, Secret},
    domain::{KeySchedule, Lifetimes},
    store::{Retention, sqlite_file},
};

/// Longest lifetime that may be set, in seconds: ten years.
const MAX_LIFETIME: u64 = 10 * 365 * 24 * 60 * 60;
/// Longest time that a waiting page may wait, in seconds: a day.
const MAX_REQUEST_LIFETIME: u64 = 24 * 60 * 60;
/// Fewest characters of an admin key: 128 bits in hex.
const MIN_ADMIN_KEY: usize = 32;
/// Longest grace for a repeated refresh token, in seconds: it is meant for lost answers.
const MAX_GRACE: u64 = 300;

/// Longest time that a new signing key may wait to sign, in seconds: 30 days.
const MAX_PUBLISH_AHEAD: u64 = 30 * 24 * 60 * 60;
/// Every node has loaded a new derivation key by then.
const NODES_LOAD_WITHIN: Duration = Duration::from_secs(5);

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

    /// Secrets hashed at the same time; 0 means half the cores, at least one
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

    /// Takes in what may stand in the environment only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a key is set and cannot be used.
    pub fn read_environment(&mut self) -> Result<(), ConfigError> {
        self.admin_key = environment_secret("AUTH_AGENT_ADMIN_KEY")?;
        if let Some(key) = environment_secret("AUTH_AGENT_MASTER_KEY")? {
            let key = MasterKey::from_base64(key.expose())
                .map_err(|error| ConfigError(format!("AUTH_AGENT_MASTER_KEY {error}")))?;
            self.master_key = Some(key);
        }
        Ok(())
    }

    /// Checks what opening the database depends on: settings that must fit each other, and folders
    /// that must exist. Nothing is made or touched.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting at fault and says what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self
            .admin_key
            .as_ref()
            .is_some_and(|key| key.expose().len() < MIN_ADMIN_KEY)
        {
            return Err(ConfigError(format!(
                "AUTH_AGENT_ADMIN_KEY is shorter than {MIN_ADMIN_KEY} characters and could be \
                 guessed: make one with `openssl rand -hex 32`"
            )));
        }
        if self.issuer.is_none() && !self.listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "--listen {} is not loopback: say with --issuer under which https address the \
                 world reaches this server",
                self.listen
            )));
        }
        if self.listen.port() != 0 && self.admin_listen == Some(self.listen) {
            return Err(ConfigError(
                "--admin-listen must be another address or port than --listen".to_owned(),
            ));
        }
        if self
            .data_dir
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .any(|byte| b"?#".contains(byte))
        {
            // The path becomes part of a URL.
            return Err(ConfigError(
                "--data-dir must hold neither ? nor #".to_owned(),
            ));
        }
        let url = self.database_url();
        if let Some(file) = sqlite_file(&url) {
            if url.contains(['?', '#']) {
                return Err(ConfigError(
                    "--database-url sqlite://<path> takes no parameters: leave out ? and #"
                        .to_owned(),
                ));
            }
            has_parent("--data-dir", &self.data_dir)?;
            // The data folder itself is made on the first start.
            if file.parent() != Some(self.data_dir.as_path()) {
                has_parent("--database-url", &file)?;
            }
        } else if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(ConfigError(
                "--database-url must name a file (sqlite://<path>) or a server (postgres://…)"
                    .to_owned(),
            ));
        } else if self.master_key.is_none() {
            return Err(ConfigError(
                "AUTH_AGENT_MASTER_KEY is required with postgres://, the same on every node: 32 \
                 bytes as base64, for example from `openssl rand -base64 32`"
                    .to_owned(),
            ));
        } else {
            has_parent("--data-dir", &self.data_dir)?;
        }
        Ok(())
    }

    /// Where the database is, `sqlite://<data dir>/auth-agent.db` unless set. May hold a password.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database_url.as_ref().map_or_else(
            || format!("sqlite://{}", self.data_dir.join("auth-agent.db").display()),
            |url| url.0.clone(),
        )
    }

    /// The issuer, given or following from the address; `None` when only binding will tell the
    /// port, or when the address is not one to call.
    #[must_use]
    pub fn known_issuer(&self) -> Option<String> {
        self.issuer.clone().or_else(|| {
            let reachable = self.listen.ip().is_loopback() && self.listen.port() != 0;
            // Through the URL, so that port 80 is written as everyone writes it: not at all.
            reachable
                .then(|| url::Url::parse(&format!("http://{}", self.listen)).ok())
                .flatten()
                .map(|url| url.as_str().trim_end_matches('/').to_owned())
        })
    }

    /// The address that administration has of its own, if one is set whose port is known, and what is
    /// called there: the issuer's path is part of it.
    #[must_use]
    pub fn known_administration(&self) -> Option<(SocketAddr, String)> {
        let address = self.admin_listen.filter(|address| address.port() != 0)?;
        Some(administration(
            address,
            self.issuer.as_deref().unwrap_or_default(),
        ))
    }

    /// Whose forwarded addresses are believed: nobody's unless set.
    #[must_use]
    pub fn trusted_proxies(&self) -> TrustedProxies {
        self.trusted_proxies.clone().unwrap_or_default()
    }

    /// Where the first start keeps the admin key that it could show nobody.
    #[must_use]
    pub fn admin_key_file(&self) -> PathBuf {
        self.data_dir.join("admin.key")
    }

    /// For how long things live.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            request: Duration::from_secs(self.request_lifetime),
            code: Duration::from_secs(self.code_lifetime),
            access_token: Duration::from_secs(self.access_token_lifetime),
            refresh_token_idle: Duration::from_secs(self.refresh_token_idle_lifetime),
            refresh_token: Duration::from_secs(self.refresh_token_lifetime),
            refresh_grace: Duration::from_secs(self.refresh_grace),
        }
    }

    /// For how long ended requests stay in the log, and where they go: `<data dir>/archive` unless set.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let lifetimes = self.lifetimes();
        let set = &self.retention;
        Retention {
            abandoned: set.abandoned(&lifetimes),
            finished: set.finished(&lifetimes),
            folder: set
                .archive_dir
                .clone()
                .unwrap_or_else(|| self.data_dir.join("archive")),
        }
    }

    /// When the server's keys take their next step. Publishing ahead also allows for clocks that differ.
    #[must_use]
    pub fn key_schedule(&self) -> KeySchedule {
        let ahead = Duration::from_secs(self.key_publish_ahead);
        let token = self.lifetimes().access_token + ahead;
        let lifetimes = self.lifetimes();
        KeySchedule {
            signing_ahead: ahead,
            derivation_ahead: ahead.min(NODES_LOAD_WITHIN),
            signing_kept: token,
            derivation_kept: lifetimes.request + lifetimes.code + lifetimes.refresh_token + token,
        }
    }

    /// How often callers may come.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::from(&self.limits)
    }

    /// How long the other side of a connection may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        Timeouts::from(&self.timeouts)
    }

    /// How many secrets are hashed at the same time, at least one.
    #[must_use]
    pub fn hash_permits(&self) -> usize {
        match self.hash_permits {
            0 => (thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2).max(1),
            permits => permits,
        }
    }
}

/// An address that administration listens on, as it is called on this machine, and its URL.
fn administration(listens: SocketAddr, issuer: &str) -> (SocketAddr, String) {
    let mut address = listens;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let path = url::Url::parse(issuer).map_or_else(|_| String::new(), |url| url.path().to_owned());
    let url = format!("http://{address}{}", path.trim_end_matches('/'));
    (address, url)
}

fn has_parent(flag: &str, path: &Path) -> Result<(), ConfigError> {
    let parent = match path.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    if parent.is_dir() {
        return Ok(());
    }
    let (path, parent) = (path.display(), parent.display());
    Err(ConfigError(format!(
        "{flag} {path}: the folder {parent} does not exist: make it first"
    )))
}

/// A secret from the environment. White space around it is forgiven; what is left must be printable
/// ASCII, as every key is, and set to nothing is taken for a mistake.
///
/// # Errors
///
/// [`ConfigError`] names the variable, never its value.
#[expect(clippy::disallowed_methods, reason = "this is where settings come in")]
pub fn environment_secret(name: &str) -> Result<Option<Secret>, ConfigError> {
    let text = match env::var(name) {
        Ok(text) => Secret::from(text),
        Err(env::VarError::NotPresent) => return Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            return Err(ConfigError(format!("{name} is not text")));
        }
    };
    let trimmed = text.expose().trim();
    if trimmed.is_empty() {
        return Err(ConfigError(format!(
            "{name} is set but empty: give it a value or unset it"
        )));
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError(format!(
            "{name} holds white space or an unprintable character"
        )));
    }
    Ok(Some(Secret::from(trimmed.to_owned())))
}

#[cfg(test)]
mod tests;
