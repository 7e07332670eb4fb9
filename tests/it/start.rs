//! What cannot work is refused at the start, in one line, and touches nothing.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    sql::sql,
    support::{
        Backend, TestServer, on_both_databases,
        process::{Process, completed, free_port},
        server::program,
    },
};

/// Every file of a folder, with its size and the digest of what it holds.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, (usize, String)> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let bytes = fs::read(entry.path()).expect("a file");
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
            (name, (bytes.len(), format!("{digest:?}")))
        })
        .collect()
}

/// All that a stopped server has: its files, and its rows where they are elsewhere.
async fn everything(server: &TestServer) -> (BTreeMap<String, (usize, String)>, Vec<String>) {
    let mut rows = Vec::new();
    if server.backend() == Backend::Postgres {
        let tables = "select table_name from information_schema.tables \
                      where table_schema = 'public' order by 1";
        for table in sql(server, tables).await {
            rows.push(table.clone());
            let all = format!("select t::text from {table} t order by 1");
            rows.extend(sql(server, &all).await);
        }
        assert!(rows.iter().any(|row| row.contains("AdminKeyCreated")) || rows.len() > 20);
    } else {
        assert!(files(&server.data_dir()).contains_key("auth-agent.db"));
    }
    (files(&server.data_dir()), rows)
}

/// A stopped server that has something to lose.
async fn stopped(env: crate::support::Env) -> TestServer {
    let mut server = env.start(|_| {}).await;
    let api = server.api();
    let (client, agent) = (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    );
    api.sign_in(&client, &agent).await;
    server.stop().await;
    server
}

/// Jobs that would open the database of a stopped server.
fn jobs(server: &TestServer) -> Vec<Command> {
    let mut serve = server.command();
    serve.arg("serve");
    let mut jobs = vec![serve];
    // On PostgreSQL a job does not open the database itself.
    if server.backend() == Backend::Sqlite {
        let mut create = server.command();
        create.args(["client", "create", "--name", "x"]);
        create.args(["--redirect-uri", "https://a.example/cb"]);
        jobs.push(create);
    }
    jobs
}

on_both_databases! {
    async fn a_wrong_master_key_touches_nothing(env: Env) {
        let mut server = stopped(env).await;
        let before = everything(&server).await;
        for mut job in jobs(&server) {
            job.env("AUTH_AGENT_MASTER_KEY", BASE64_STANDARD.encode([7; 32]));
            let ended = completed(&mut job).await;
            let told = ended.complaint(2);
            assert!(told.contains("the master key does not fit this database"), "{told}");
            assert_eq!(everything(&server).await, before);
        }
        for no_key in ["", "x", "AAAA", &BASE64_STANDARD.encode([7; 33])] {
            for mut job in jobs(&server) {
                let ended = completed(job.env("AUTH_AGENT_MASTER_KEY", no_key)).await;
                assert!(ended.complaint(2).contains("AUTH_AGENT_MASTER_KEY"), "{ended:?}");
                assert_eq!(everything(&server).await, before);
            }
        }
        // And the right one still opens it.
        server.restart().await;
    }

    async fn a_missing_master_key_is_not_made_anew(env: Env) {
        let mut server = stopped(env).await;
        let (file, aside) = (server.data_dir().join("master.key"), server.folder().join("aside"));
        if env.backend == Backend::Sqlite {
            fs::rename(&file, &aside).unwrap();
        }
        let before = everything(&server).await;
        for mut job in jobs(&server) {
            let ended = completed(job.env_remove("AUTH_AGENT_MASTER_KEY")).await;
            assert!(ended.complaint(2).contains("AUTH_AGENT_MASTER_KEY"), "{ended:?}");
            assert_eq!(everything(&server).await, before);
        }
        if env.backend == Backend::Sqlite {
            // Nor is one that was cut short taken for one.
            fs::write(&file, "AAAA\n").unwrap();
            let before = everything(&server).await;
            for mut job in jobs(&server) {
                let ended = completed(&mut job).await;
                assert!(ended.complaint(2).contains("master.key"), "{ended:?}");
                assert_eq!(everything(&server).await, before);
            }
            fs::rename(&aside, &file).unwrap();
        }
        server.restart().await;
    }

    async fn a_database_of_a_newer_version_is_left_alone(env: Env) {
        let mut server = stopped(env).await;
        let checksum = match env.backend {
            Backend::Sqlite => "x'00'",
            Backend::Postgres => "'\\x00'::bytea",
        };
        let newer = format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'from the future', true, {checksum}, 0)"
        );
        sql(&server, &newer).await;
        let before = everything(&server).await;
        for mut job in jobs(&server) {
            let ended = completed(&mut job).await;
            assert!(ended.complaint(2).contains("newer version"), "{ended:?}");
            assert_eq!(everything(&server).await, before);
        }
        sql(&server, "delete from _sqlx_migrations where version = 9999").await;
        server.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_on_one_file_the_second_says_so_and_exits() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    let elsewhere = format!("127.0.0.1:{}", free_port());
    // Also with the very same settings, where the port is taken as well.
    for listen in [elsewhere, server.address().to_string()] {
        let mut second = server.command();
        second.arg("serve").env("AUTH_AGENT_LISTEN", &listen);
        let ended = completed(&mut second).await;
        let told = ended.complaint(2);
        assert!(
            told.contains("is in use by another auth-agent process"),
            "{told}"
        );
        assert!(told.contains("auth-agent.db"), "{told}");
        assert!(api.is_ready().await);
    }
    api.create_client(json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_something_else_has_is_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = program();
    serve.current_dir(folder.path()).arg("serve");
    let ended = completed(serve.env("AUTH_AGENT_LISTEN", &address)).await;
    assert!(ended.complaint(2).contains(&address), "{ended:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs `serve` in an empty folder, in which it must not make anything.
async fn refused(flags: &[&str], named: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program();
    serve
        .current_dir(folder.path())
        .env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{}", free_port()))
        .arg("serve")
        .args(flags);
    let ended = completed(&mut serve).await;
    let told = ended.complaint(2);
    assert!(told.contains(named), "{flags:?}: {told}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "{flags:?} made something"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_would_half_work_is_refused() {
    for (issuer, named) in [
        ("https://auth.example?tenant=1", "query"),
        ("https://auth.example#top", "fragment"),
        ("https://auth.example/", "write it as https://auth.example"),
        (
            "https://auth.example/auth/",
            "write it as https://auth.example/auth",
        ),
        ("https://AUTH.example", "write it as https://auth.example"),
        ("https://auth.example/a//b", "path"),
        ("https://auth.example/%61", "path"),
        ("https://user@auth.example", "user name"),
        ("http://auth.example", "https"),
        ("http://192.168.1.7:3000", "https"),
        ("ftp://auth.example", "https"),
        ("auth.example", "URL"),
        ("", "URL"),
    ] {
        refused(&["--issuer", issuer], named).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_cannot_be_used_are_named() {
    for (flags, named) in [
        (&["--data-dir", "no/such/data"][..], "no/such"),
        (&["--database-url", "sqlite://no/such/log.db"], "no/such"),
        (&["--database-url", "mysql://localhost/x"], "sqlite://"),
        (&["--database-url", ""], "--database-url"),
        (
            &["--database-url", "postgres://localhost/x"],
            "AUTH_AGENT_MASTER_KEY",
        ),
        (&["--listen", "0.0.0.0:3000"], "--issuer"),
        (&["--listen", "nowhere"], "--listen"),
        (&["--code-lifetime", "0"], "--code-lifetime"),
        (&["--refresh-grace", "301"], "--refresh-grace"),
        (&["--data-dir", "a?b"], "--data-dir"),
        (&["--config", "missing.toml"], "missing.toml"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--admin-key", "x"], "--admin-key"),
        (&["--master-key", "x"], "--master-key"),
    ] {
        refused(flags, named).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_file_is_held_to_the_same() {
    for (text, named) in [
        ("lisetn = '127.0.0.1:0'", "lisetn"),
        ("admin-key = 'x'", "admin-key"),
        ("master-key = 'x'", "master-key"),
        ("config = 'other.toml'", "config"),
        ("issuer = 'http://auth.example'", "https"),
        ("issuer = 7", "issuer"),
        ("code-lifetime = -1", "code-lifetime"),
        ("code-lifetime = 'long'", "code-lifetime"),
        ("[server]\nlisten = '127.0.0.1:0'", "server"),
        ("data-dir = 'no/such/data'", "no/such"),
        ("this is no toml", "line 1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auth-agent.toml");
        fs::write(&file, text).unwrap();
        let mut serve = program();
        serve
            .current_dir(folder.path())
            .env("AUTH_AGENT_LISTEN", format!("127.0.0.1:{}", free_port()))
            .arg("serve");
        let ended = completed(&mut serve).await;
        let told = ended.complaint(2);
        assert!(told.contains(named), "{text}: {told}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_come_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let [flag, environment, file] = [free_port(), free_port(), free_port()];
    fs::write(
        folder.path().join("auth-agent.toml"),
        format!("listen = '127.0.0.1:{file}'\ndata-dir = 'from-file'\n"),
    )
    .unwrap();
    let serve = |name: &str| {
        let mut serve = program();
        serve
            .current_dir(folder.path())
            .args(["--json", "serve"])
            .env("AUTH_AGENT_DATA_DIR", name);
        serve
    };
    let listens = async |serve: &mut Command| {
        let mut process = Process::start(serve);
        let said = process
            .line("where it listens", |line| {
                let said: serde_json::Value = serde_json::from_str(line).ok()?;
                said["listen"].as_str().map(str::to_owned)
            })
            .await;
        process.stop().await;
        said
    };
    let from_file = listens(serve("one").env_remove("AUTH_AGENT_DATA_DIR")).await;
    assert_eq!(from_file, format!("127.0.0.1:{file}"));
    let environment_says = format!("127.0.0.1:{environment}");
    let from_environment = listens(serve("two").env("AUTH_AGENT_LISTEN", &environment_says)).await;
    assert_eq!(from_environment, environment_says);
    let flag_says = format!("127.0.0.1:{flag}");
    let mut with_flag = serve("three");
    with_flag
        .env("AUTH_AGENT_LISTEN", &environment_says)
        .args(["--listen", &flag_says]);
    assert_eq!(listens(&mut with_flag).await, flag_says);
    for (made, name) in [(true, "from-file"), (false, "one"), (true, "two")] {
        assert_eq!(folder.path().join(name).exists(), made, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_makes_is_for_its_owner_s_eyes_only() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut serve = program();
    serve
        .current_dir(folder.path())
        .arg("serve")
        .env("AUTH_AGENT_LISTEN", &listen);
    let mut process = Process::start(&mut serve);
    process
        .line("that it serves", |line| {
            line.contains("is serving").then_some(())
        })
        .await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = folder.path().join("data");
    assert_eq!(mode(&data), 0o700);
    let names: Vec<String> = files(&data).into_keys().collect();
    for made in ["master.key", "admin.key", "auth-agent.db"] {
        assert!(names.iter().any(|name| name == made), "{names:?}");
    }
    for name in &names {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    // Nothing beside the data folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_needs_two_ports() {
    let port = free_port().to_string();
    let mut demo = program();
    demo.args(["demo", "--auto", "--port", &port, "--website-port", &port]);
    let refused = completed(&mut demo).await;
    assert!(
        refused.complaint(2).contains("--website-port"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_that_would_surprise_websites_are_warned_of_in_one_line() {
    for (ahead, times) in [(299, 1), (300, 0)] {
        let mut server = TestServer::start(Backend::Sqlite, |options| {
            options.flag("--key-publish-ahead", ahead);
        })
        .await;
        server.stop().await;
        let logs = server.logs();
        let told = logs
            .matches("is less than 300 seconds, for which many websites")
            .count();
        assert_eq!(told, times, "{ahead}: {logs}");
    }
}
