//! The real program, `auth-agent serve`, as a child process on a free port with data of its own.

mod leaks;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{
    api::Api,
    ledger,
    postgres::{Database, Postgres},
    process::{Output, PATIENCE, PAUSE, Process, arbitrary_text, free_port, locked},
    watchdog::{self, Ending},
};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_auth-agent");

/// A tool that `./test` installs.
pub(crate) fn tool(name: &str) -> PathBuf {
    let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-tools");
    let tool = tools.join(name);
    assert!(tool.exists(), "{name} is missing: run `./test` once");
    tool
}

/// Which lines it logs.
const LOG: &str = "AUTH_AGENT_LOG";

/// What the contract promises for SIGTERM.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Where the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// A file in the data folder.
    Sqlite,
    /// The run's own PostgreSQL.
    Postgres,
}

/// A call of the program that no `AUTH_AGENT_…` of the caller's environment reaches.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AUTH_AGENT_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// The same call, made by another program that is told it.
pub(crate) fn started_by(starter: &str, words: &[String], call: &Command) -> Command {
    let mut command = Command::new(starter);
    command
        .args(words)
        .arg(call.get_program())
        .args(call.get_args());
    if let Some(folder) = call.get_current_dir() {
        command.current_dir(folder);
    }
    for (name, value) in call.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Settings of a server that differ from the defaults.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    admin_key: String,
    issuer: Option<String>,
    through: Vec<String>,
    own_log: bool,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Options {
    fn new() -> Self {
        Self {
            admin_key: arbitrary_text(),
            issuer: None,
            through: vec![],
            own_log: false,
            args: vec![],
            env: vec![],
        }
    }

    /// A further argument of `serve`.
    pub(crate) fn arg(&mut self, arg: impl Into<String>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// It logs what its settings say, and not all that the tests look through.
    pub(crate) fn own_log(&mut self) -> &mut Self {
        self.own_log = true;
        self
    }

    /// What starts the program, given its name and arguments: it must become the program.
    pub(crate) fn through(&mut self, words: &[&str]) -> &mut Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// A flag with its value, such as `("--request-lifetime", 2)`.
    pub(crate) fn flag(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.arg(name).arg(value.to_string())
    }

    /// An environment variable.
    pub(crate) fn env(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// `--issuer`, when browsers reach the server by another address than it listens on.
    pub(crate) fn issuer(&mut self, issuer: impl Into<String>) -> &mut Self {
        self.issuer = Some(issuer.into());
        self
    }
}

/// A server, running or stopped, and its data.
#[derive(Debug)]
pub(crate) struct TestServer {
    process: Option<Process>,
    output: Output,
    options: Options,
    port: u16,
    master_key: Option<String>,
    database: Option<Database>,
    backend: Backend,
    /// How much of its output has been looked through, at the last time but one and at the last.
    looked: Mutex<(usize, usize)>,
    // After the process: a folder in use cannot be removed for good.
    folder: TempDir,
}

impl TestServer {
    /// Starts a server on fresh data and waits until it is ready.
    pub(crate) async fn start(backend: Backend, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new();
        set(&mut options);
        let folder = tempfile::Builder::new()
            .prefix("auth-agent-test-")
            .tempdir()
            .expect("a temporary folder can be made");
        watchdog::remove_at_end(folder.path());
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => {
                let run = || Postgres::shared().database();
                Some(
                    tokio::task::spawn_blocking(run)
                        .await
                        .expect("PostgreSQL is there"),
                )
            }
        };
        // Several nodes share one key, so it has to be given; a file is made for SQLite alone.
        let master_key = database.as_ref().map(|_| {
            let bytes: Vec<u8> = arbitrary_text().bytes().take(32).collect();
            let key = BASE64_STANDARD.encode(bytes);
            ledger::note("a master key", &key);
            key
        });
        ledger::note("an admin key", &options.admin_key);
        let output = Output::default();
        let (process, port) = (None, 0);
        let mut server = Self {
            process,
            output,
            options,
            port,
            master_key,
            database,
            backend,
            looked: Mutex::default(),
            folder,
        };
        for _ in 0..10 {
            server.port = free_port();
            server.launch();
            if server.is_ready().await {
                return server;
            }
        }
        panic!("the server finds no free port:\n{}", server.logs());
    }

    /// A server that many tests share: nothing that a test does to it may disturb the others.
    pub(crate) async fn shared(backend: Backend) -> &'static Self {
        let cell = Self::shared_cell(backend);
        cell.get_or_init(|| Self::start(backend, |_| {})).await
    }

    /// The same, if a test has asked for it.
    pub(crate) fn shared_if_started(backend: Backend) -> Option<&'static Self> {
        Self::shared_cell(backend).get()
    }

    fn shared_cell(backend: Backend) -> &'static OnceCell<Self> {
        static SQLITE: OnceCell<TestServer> = OnceCell::const_new();
        static POSTGRES: OnceCell<TestServer> = OnceCell::const_new();
        match backend {
            Backend::Sqlite => &SQLITE,
            Backend::Postgres => &POSTGRES,
        }
    }

    /// A client of its endpoints. Each test makes its own: connections die with a test's runtime.
    pub(crate) fn api(&self) -> Api {
        let base = format!("{}{}", self.base_url(), self.path());
        Api::new(base, self.issuer(), self.options.admin_key.clone())
    }

    /// Where an issuer with a path mounts everything, or nothing.
    fn path(&self) -> String {
        let issuer = self.issuer();
        let rest = issuer.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/')
            .map(|at| rest[at..].to_owned())
            .unwrap_or_default()
    }

    /// Where the log is kept.
    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it calls itself.
    pub(crate) fn issuer(&self) -> String {
        self.options
            .issuer
            .clone()
            .unwrap_or_else(|| self.base_url())
    }

    /// The administrator's key.
    pub(crate) fn admin_key(&self) -> &str {
        &self.options.admin_key
    }

    /// The data folder; the server makes it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's own files, gone with the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its database, if that is PostgreSQL.
    pub(crate) fn postgres(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Everything that it has printed since it was first started.
    pub(crate) fn logs(&self) -> String {
        self.output.text()
    }

    /// Its process.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the server runs")
    }

    /// A call of the program with this server's data, keys and database in its environment: for
    /// subcommands such as `projections check`, or a second `serve`.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command
            .current_dir(self.folder.path())
            .env("AUTH_AGENT_DATA_DIR", self.data_dir())
            .env("AUTH_AGENT_ADMIN_KEY", &self.options.admin_key)
            .env("AUTH_AGENT_LISTEN", self.address().to_string())
            // Tests call more often than anybody should; those about limits set their own.
            .env("AUTH_AGENT_LIMITS", "off");
        if let Some(issuer) = &self.options.issuer {
            command.env("AUTH_AGENT_ISSUER", issuer);
        }
        if let Some(database) = &self.database {
            command.env("AUTH_AGENT_DATABASE_URL", database.url());
        }
        if let Some(key) = &self.master_key {
            command.env("AUTH_AGENT_MASTER_KEY", key);
        }
        for (name, value) in &self.options.env {
            command.env(name, value);
        }
        command
    }

    /// SIGTERM.
    ///
    /// # Panics
    ///
    /// Unless it ends within ten seconds, with status 0.
    pub(crate) async fn stop(&mut self) {
        self.assert_metrics_tell_nothing();
        let mut process = self.process.take().expect("the server runs");
        process.signal("TERM");
        let status = process.end(SHUTDOWN).await;
        assert!(
            status.success(),
            "the server ended with {status}:\n{}",
            self.logs()
        );
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) fn kill9(&mut self) {
        self.process.take().expect("the server runs").kill();
    }

    /// Starts it again on the same data and address, after stopping it when it runs.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same with other settings.
    pub(crate) async fn restart_with(&mut self, set: impl FnOnce(&mut Options)) {
        if self.process.is_some() {
            self.stop().await;
        }
        set(&mut self.options);
        self.launch();
        assert!(self.is_ready().await, "its port is taken:\n{}", self.logs());
    }

    /// Starts it again after it has ended by itself.
    pub(crate) async fn restart_ended(&mut self) {
        assert!(self.process().ended().is_some(), "it has not ended");
        self.process = None;
        self.restart().await;
    }

    fn launch(&mut self) {
        let mut command = self.command();
        command.arg("serve").args(&self.options.args);
        if !self.options.own_log && !self.options.env.iter().any(|(name, _)| name == LOG) {
            // As much as it has to say, so that it is seen to be harmless.
            command.env(LOG, "info,auth_agent=debug");
        }
        if let Some((starter, words)) = self.options.through.split_first() {
            command = started_by(starter, words, &command);
        }
        let process = Process::start_with(&mut command, self.output.clone(), Ending::Kill);
        self.process = Some(process);
    }

    /// Waits for /api/ready; `false` when it ended because its port is taken.
    async fn is_ready(&mut self) -> bool {
        let start = Instant::now();
        let api = self.api();
        loop {
            if let Some(status) = self.process().ended() {
                let logs = self.logs();
                let taken = logs.contains("in use") || logs.contains("AddrInUse");
                assert!(taken, "the server ended with {status}:\n{logs}");
                self.process = None;
                return false;
            }
            if api.is_ready().await {
                return true;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the server is not ready:\n{}",
                self.logs()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
