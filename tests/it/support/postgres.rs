//! One temporary PostgreSQL for the whole run, and a fresh database in it for whoever asks.
//!
//! From Debian's package, with the defaults that matter for durability, on a free port of
//! 127.0.0.1; its folder and it are gone when the tests are, even after a panic.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use super::{
    ledger,
    process::{Output, PATIENCE, PAUSE, Process, arbitrary, arbitrary_text, free_port},
    watchdog::{self, Ending},
};

/// The running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    port: u16,
    password: String,
    // Held so that its output is kept; ended by the watchdog.
    _process: Process,
}

/// A database of one test's own; dropped with this.
#[derive(Debug)]
pub(crate) struct Database {
    server: &'static Postgres,
    name: String,
}

impl Database {
    /// `postgres://…`, with user and password.
    pub(crate) fn url(&self) -> String {
        let Postgres { password, port, .. } = self.server;
        format!(
            "postgres://postgres:{password}@127.0.0.1:{port}/{}",
            self.name
        )
    }

    /// Runs SQL in it, as an administrator beside the server would; what it selects comes back as
    /// text, a line for each row, columns parted by `|`.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database {} with (force)", self.name);
        // In a panic already: another one would abort the process and take all tests along.
        if std::thread::panicking() {
            let _ = self.server.psql("postgres", &drop).output();
        } else {
            self.server.sql("postgres", &drop);
        }
    }
}

impl Postgres {
    /// The run's own server, started when first asked for.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// One more, with that in its environment. It runs until the tests end.
    pub(crate) fn of_its_own(environment: &[(&str, String)]) -> &'static Self {
        Box::leak(Box::new(Self::start(environment)))
    }

    /// A fresh, empty database.
    pub(crate) fn database(&'static self) -> Database {
        let name = format!("test_{:016x}", arbitrary());
        self.sql("postgres", &format!("create database {name}"));
        Database { server: self, name }
    }

    fn start(environment: &[(&str, String)]) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new()
            .prefix("auth-agent-postgres-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        watchdog::remove_at_end(&folder);
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("it is ours");
        let user = User::for_server();
        if let Some(user) = user {
            chown(&folder, Some(user.uid), Some(user.gid)).expect("root may give a folder away");
        }

        let password = arbitrary_text();
        ledger::note("a database's password", &password);
        let password_file = folder.join("password");
        fs::write(&password_file, &password).expect("the folder can be written to");
        if let Some(user) = user {
            chown(&password_file, Some(user.uid), Some(user.gid)).expect("root may give it away");
        }
        let data = folder.join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            // The cluster's first files need not survive a power cut; what the tests write does.
            .arg("--no-sync")
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("--pgdata")
            .arg(&data);
        let made = as_user(&mut initdb, user, &folder)
            .output()
            .expect("initdb can be run");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );

        for _ in 0..10 {
            let port = free_port();
            let mut command = Command::new(programs.join("postgres"));
            command
                .arg("-D")
                .arg(&data)
                .args([
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    &format!("port={port}"),
                ])
                .args([
                    "-c",
                    "unix_socket_directories=",
                    "-c",
                    "max_connections=300",
                ]);
            let command = as_user(&mut command, user, &folder);
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            let mut process = Process::start_with(command, Output::default(), Ending::Database);
            if Self::answers(&programs, port, &mut process) {
                return Self {
                    programs,
                    port,
                    password,
                    _process: process,
                };
            }
            // Somebody else took the port meanwhile: another one.
            let output = process.output().text();
            assert!(
                output.contains("could not bind"),
                "PostgreSQL does not start:\n{output}"
            );
        }
        panic!("PostgreSQL finds no free port");
    }

    /// Whether it accepts connections, or has ended.
    fn answers(programs: &Path, port: u16, process: &mut Process) -> bool {
        let start = Instant::now();
        while process.ended().is_none() {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")])
                .status()
                .expect("pg_isready can be run");
            if ready.success() {
                return true;
            }
            let output = process.output();
            assert!(
                start.elapsed() < PATIENCE,
                "PostgreSQL does not start:\n{}",
                output.text()
            );
            pause();
        }
        false
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--host=127.0.0.1",
            ])
            .args([
                "--username=postgres",
                "--set=ON_ERROR_STOP=1",
                "--command",
                sql,
            ])
            .args([&format!("--port={}", self.port), database])
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null());
        command
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).output().expect("psql can be run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "starts outside of any runtime's tasks, once a run"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Where Debian keeps PostgreSQL's programs, the newest version; else wherever `PATH` finds them.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    found.sort();
    let newest_first = found.into_iter().rev().map(|(_, folder)| folder);
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest_first
        .chain(std::env::split_paths(&path))
        .find(|folder| {
            ["initdb", "postgres", "psql", "pg_isready"]
                .iter()
                .all(|program| folder.join(program).exists())
        })
        .expect("PostgreSQL's programs are there: `./test` installs them, or your system's package")
}

#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// PostgreSQL refuses to run as root: then it runs as the package's own user.
    fn for_server() -> Option<Self> {
        let id = |arguments: &[&str]| -> Option<u32> {
            let output = Command::new("id").args(arguments).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        (id(&["-u"]) == Some(0)).then(|| Self {
            uid: id(&["-u", "postgres"]).expect("the package made the user `postgres`"),
            gid: id(&["-g", "postgres"]).expect("the package made the group `postgres`"),
        })
    }
}

fn as_user<'a>(command: &'a mut Command, user: Option<User>, folder: &Path) -> &'a mut Command {
    command.current_dir(folder).stdin(Stdio::null());
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}
