use std::{ffi::OsString, time::Duration};

use clap::Parser;

use super::*;
use crate::domain::{Lifetimes, Limit};

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    config: Config,
}

/// A folder of the test's own, gone when dropped.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Reads settings as a program would, from a file with that text and the given flags. The
/// environment is left out of it: it belongs to the whole process.
fn read(text: &str, flags: &[&str]) -> Result<Config, String> {
    let folder = folder();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    let mut args: Vec<OsString> = vec!["program".into(), "--config".into(), file.into()];
    args.extend(flags.iter().map(Into::into));
    let command = without_environment();
    let command = with_file(command, &args).map_err(|error| {
        let name = folder.path().join("settings.toml").display().to_string();
        error.to_string().replace(&name, "FILE")
    })?;
    let matches = command
        .try_get_matches_from(args)
        .map_err(|error| file::one_line(&error))?;
    Ok(Program::from_arg_matches(&matches).unwrap().config)
}

fn without_environment() -> Command {
    use clap::CommandFactory as _;
    Program::command().mut_args(|arg| arg.env(Resettable::Reset))
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(
        config.known_issuer().as_deref(),
        Some("http://127.0.0.1:3000")
    );
    assert_eq!(config.database_url(), "sqlite://./data/auth-agent.db");
    assert_eq!(config.lifetimes(), Lifetimes::default());
    let keys = config.key_schedule();
    assert_eq!(keys.signing_ahead.as_secs(), 900);
    assert_eq!(keys.signing_kept.as_secs(), 600 + 900);
    assert_eq!(config.warnings(), [""; 0]);
    assert_eq!(config.hash_queue, 64);
    assert!(config.hash_permits() >= 1);
    assert!(config.admin_key.is_none() && config.master_key.is_none());
    assert_eq!(config.trusted_proxies(), TrustedProxies::default());
    assert_eq!(config.admin_listen, None);
    let seconds = |number| Some(Duration::from_secs(number));
    let timeouts = Timeouts {
        header: seconds(10),
        body: seconds(10),
        idle: seconds(60),
    };
    assert_eq!(config.timeouts(), timeouts);
    let off = "header-timeout = 0\nbody-timeout = 0\nidle-timeout = 0\n";
    let timeouts = read(off, &[]).unwrap().timeouts();
    assert_eq!(
        (timeouts.header, timeouts.body, timeouts.idle),
        (None, None, None)
    );
}

#[test]
fn what_is_likely_to_be_a_mistake_is_told_with_what_to_do() {
    for (text, told) in [
        ("key-publish-ahead = 299", Some("set 300 or more")),
        ("key-publish-ahead = 300", None),
        ("limits = \"off\"", Some("all limits are off")),
        (
            "issuer = \"https://auth.example\"",
            Some("set --trusted-proxies"),
        ),
        (
            "issuer = \"https://auth.example\"\ntrusted-proxies = \"192.0.2.7\"",
            None,
        ),
        ("admin-listen = \"127.0.0.1:3001\"", None),
        (
            "admin-listen = \"0.0.0.0:3001\"",
            Some("--admin-listen 0.0.0.0:3001"),
        ),
    ] {
        let warnings = read(text, &[]).unwrap().warnings();
        assert_eq!(warnings.len(), usize::from(told.is_some()), "{warnings:?}");
        assert!(
            told.is_none_or(|told| warnings[0].contains(told)),
            "{warnings:?}"
        );
    }
}

#[test]
fn limits_are_those_of_the_contract_and_each_can_be_set_and_switched_off() {
    let limits = |text: &str, flags: &[&str]| read(text, flags).map(|config| config.limits());
    let limit = |text: &str| text.parse().unwrap();
    let defaults = Limits {
        requests_per_address: limit("20/s burst 200"),
        requests_per_client: limit("200/s burst 2000"),
        pending_per_client: 20_000,
        failures: limit("10/min burst 20"),
        calls_per_agent: limit("20/s burst 200"),
    };
    assert_eq!(limits("", &[]), Ok(defaults));
    let set = Limits {
        requests_per_client: limit("5/h burst 7"),
        pending_per_client: 0,
        failures: Limit::OFF,
        calls_per_agent: Limit::OFF,
        ..defaults
    };
    let text = "limit-failures = 0\nlimit-pending-per-client = 0\nlimit-requests-per-client = \"5/h burst 7\"\n";
    assert_eq!(limits(text, &["--limit-calls-per-agent", "0"]), Ok(set));
    assert_eq!(limits("limits = \"off\"", &[]), Ok(Limits::OFF));
    assert_eq!(
        limits("limits = \"off\"", &["--limits", "on"]),
        Ok(defaults)
    );

    let told = limits("limit-failures = \"often\"", &[]).unwrap_err();
    assert!(
        told.contains("--limit-failures") && told.contains("write it as `20/s burst 200`"),
        "{told}"
    );
    for text in ["limit-failures = 10", "limits = 0"] {
        let told = limits(text, &[]).unwrap_err();
        assert!(told.contains("must be a string"), "{told}");
    }
}

#[test]
fn trusted_proxies_come_from_flag_and_file_and_a_fault_is_told_in_one_line() {
    let proxies = trusted_proxies("10.0.0.0/8,fd00::/8").unwrap();
    let from_flag = read("", &["--trusted-proxies", "10.0.0.0/8,fd00::/8"]).unwrap();
    assert_eq!(from_flag.trusted_proxies(), proxies);
    let from_file = read("trusted-proxies = \"10.0.0.0/8, fd00::/8\"", &[]).unwrap();
    assert_eq!(from_file.trusted_proxies(), proxies);
    for fault in ["", "10.0.0.0/8,nonsense", "::/0"] {
        let told = read("", &["--trusted-proxies", fault]).unwrap_err();
        assert!(told.contains("--trusted-proxies"), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
    let text = "listen = \"127.0.0.1:4000\"\nrequest-lifetime = 60\nhash-permits = 3\n";
    let config = read(text, &["--listen", "127.0.0.1:5000"]).unwrap();
    assert_eq!(config.listen.port(), 5000);
    assert_eq!(config.lifetimes().request, Duration::from_secs(60));
    assert_eq!(config.lifetimes().code, Lifetimes::default().code);
    assert_eq!(config.hash_permits(), 3);
}

#[test]
fn the_environment_comes_before_the_file() {
    use clap::CommandFactory as _;
    // PATH stands for a setting's variable: setting one of ours would reach every other test.
    let command = Program::command().mut_args(|arg| {
        if arg.get_id() == "data_dir" {
            arg.env("PATH")
        } else {
            arg
        }
    });
    let folder = folder();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "data-dir = \"from-the-file\"").unwrap();
    let args = ["program".into(), "--config".into(), OsString::from(file)];
    let matches = with_file(command, &args)
        .unwrap()
        .try_get_matches_from(args)
        .unwrap();
    let config = Program::from_arg_matches(&matches).unwrap().config;
    assert_ne!(config.data_dir, Path::new("from-the-file"));
    assert_ne!(config.data_dir, Path::new("./data"));
}

#[test]
fn the_file_reaches_a_job_within_a_job() {
    let program = Command::new("program").subcommand(Command::new("outer").subcommand(
        Config::augment_args(Command::new("inner")).mut_args(|arg| arg.env(Resettable::Reset)),
    ));
    let folder = folder();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "hash-queue = 7").unwrap();
    let args = [
        "program",
        "outer",
        "inner",
        "--config",
        file.to_str().unwrap(),
    ]
    .map(OsString::from);
    let matches = with_file(program, &args)
        .unwrap()
        .try_get_matches_from(args)
        .unwrap();
    let (_, outer) = matches.subcommand().unwrap();
    let (_, inner) = outer.subcommand().unwrap();
    assert_eq!(inner.get_one::<usize>("hash_queue"), Some(&7));
}

#[test]
fn a_file_that_says_something_else_is_refused_by_name() {
    for (text, told) in [
        ("listn = \"127.0.0.1:1\"", "FILE: unknown key `listn`"),
        (
            "data_dir = \"x\"",
            "FILE: unknown key `data_dir`: write it as `data-dir`",
        ),
        ("config = \"other.toml\"", "FILE: unknown key `config`"),
        (
            "[server]\nlisten = \"127.0.0.1:1\"",
            "FILE: unknown key `server`",
        ),
        (
            "admin-key = \"x\"",
            "FILE: unknown key `admin-key`: keys do not belong in this file, set \
             AUTH_AGENT_ADMIN_KEY",
        ),
        (
            "hash-queue = \"64\"",
            "FILE: `hash-queue` must be a whole number, not string",
        ),
        (
            "listen = 3000",
            "FILE: `listen` must be a string, not integer",
        ),
        (
            "data-dir = [\"a\"]",
            "FILE: `data-dir` must be a string, not array",
        ),
    ] {
        assert_eq!(read(text, &[]).map(|_| ()), Err(told.to_owned()), "{text}");
    }
    for (text, part) in [
        ("\nlisten = ", "FILE: line 2: "),
        (
            "listen = \"localhost\"",
            "FILE: invalid value 'localhost' for '--listen",
        ),
        (
            "hash-queue = 0",
            "FILE: invalid value '0' for '--hash-queue",
        ),
        (
            "hash-queue = -1",
            "FILE: invalid value '-1' for '--hash-queue",
        ),
        (
            "issuer = \"https://auth.example/\"",
            "write it as https://auth.example",
        ),
        (
            "log-format = \"xml\"",
            "FILE: invalid value 'xml' for '--log-format",
        ),
    ] {
        let told = read(text, &[]).unwrap_err();
        assert!(told.contains(part), "{text}: {told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn a_named_file_must_be_there() {
    let args = ["program", "--config", "/nowhere/at/all.toml"].map(OsString::from);
    let told = with_file(without_environment(), &args)
        .unwrap_err()
        .to_string();
    assert!(told.starts_with("/nowhere/at/all.toml: "), "{told}");
}

#[test]
fn folders_must_have_a_parent_before_anything_is_made() {
    let folder = folder();
    let data = folder.path().join("data");
    let fits = |flags: &[&str]| {
        read("", flags)
            .unwrap()
            .validate()
            .map_err(|e| e.to_string())
    };
    let data_dir = data.to_str().unwrap();
    assert_eq!(fits(&["--data-dir", data_dir]), Ok(()));
    assert_eq!(fits(&["--data-dir", "data"]), Ok(()));
    assert!(!data.exists());

    let told = fits(&["--data-dir", "/nowhere/at/all"]).unwrap_err();
    assert!(
        told.starts_with("--data-dir /nowhere/at/all: the folder /nowhere/at "),
        "{told}"
    );
    let told = fits(&[
        "--data-dir",
        data_dir,
        "--database-url",
        "sqlite:///nowhere/at/all.db",
    ])
    .unwrap_err();
    assert!(
        told.starts_with("--database-url /nowhere/at/all.db: "),
        "{told}"
    );
}

#[test]
fn settings_must_fit_each_other() {
    let told = |flags: &[&str]| read("", flags).unwrap().validate().unwrap_err().to_string();
    assert!(told(&["--listen", "0.0.0.0:3000"]).contains("--issuer"));
    for url in ["mysql://x", "sqlite::memory:", "sqlite://:memory:"] {
        assert!(
            told(&["--database-url", url]).contains("must name a file"),
            "{url}"
        );
    }
    let with_parameters = ["--database-url", "sqlite://a.db?mode=ro"];
    assert!(told(&with_parameters).contains("takes no parameters"));
    let mut config = read("", &[]).unwrap();
    for (key, refused) in [("a", true), ("0123456789abcdef0123456789abcdef", false)] {
        config.admin_key = Some(crate::crypto::Secret::from(key.to_owned()));
        assert_eq!(config.validate().is_err(), refused, "{key}");
    }
    let postgres = [
        "--data-dir",
        "data",
        "--database-url",
        "postgres://app:hush@db.example/app",
    ];
    assert!(told(&postgres).starts_with("AUTH_AGENT_MASTER_KEY is required"));
    let mut config = read("", &postgres).unwrap();
    config.master_key = Some(MasterKey::from_bytes([7; 32]));
    assert_eq!(config.validate(), Ok(()));
    assert!(config.admin_key.is_none());
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn an_issuer_follows_from_the_address_only_when_that_can_be_called() {
    let issuer = |flags: &[&str]| read("", flags).unwrap().known_issuer();
    assert_eq!(
        issuer(&["--listen", "[::1]:80"]).as_deref(),
        Some("http://[::1]")
    );
    // So the server says, once it listens there.
    let listens = |flags: &[&str], address: &str| {
        let config = read("", flags).unwrap();
        config.issuer_at(address.parse().unwrap())
    };
    assert_eq!(listens(&[], "127.0.0.1:80"), "http://127.0.0.1");
    assert_eq!(listens(&[], "[::1]:3000"), "http://[::1]:3000");
    let given = ["--issuer", "https://auth.example"];
    assert_eq!(listens(&given, "127.0.0.1:80"), "https://auth.example");
    assert_eq!(issuer(&["--listen", "127.0.0.1:0"]), None);
    assert_eq!(issuer(&["--listen", "0.0.0.0:80"]), None);
    let given = ["--listen", "0.0.0.0:80", "--issuer", "https://auth.example"];
    assert_eq!(issuer(&given).as_deref(), Some("https://auth.example"));
}

#[test]
fn the_demo_s_settings_come_from_nowhere_else() {
    let folder = folder();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config::with_defaults(listen, folder.path()).unwrap();
    assert_eq!(config.listen, listen);
    assert_eq!(config.data_dir, folder.path());
    assert_eq!(config.lifetimes(), Lifetimes::default());
    assert_eq!(config.validate(), Ok(()));
}
