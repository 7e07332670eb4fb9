//! The files of a SQLite database lose their names under a running server: nothing is answered that would be
//! lost with them, the log says so once, and work goes on by itself once the very files are back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use auth_agent::store::maintenance::check;
use reqwest::Method;
use serde_json::json;

use crate::{
    bad_days::{all_is_well, is_ready_again, nothing_can_be_written, parties},
    log::acts,
    sql::url_of,
    support::{
        Api, Authorize, Backend, TestServer,
        process::{Process, completed, eventually, free_port},
    },
};

/// A server that logs what operators see.
async fn server() -> TestServer {
    TestServer::start(Backend::Sqlite, |options| {
        options.own_log();
    })
    .await
}

fn database(server: &TestServer) -> PathBuf {
    server.data_dir().join("auth-agent.db")
}

/// The names in the data folder that begin with the database's.
fn of_database(server: &TestServer) -> Vec<PathBuf> {
    let entries = fs::read_dir(server.data_dir()).expect("the data folder is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let begins = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("auth-agent.db")
    };
    paths.filter(begins).collect()
}

/// What the log says at level `ERROR`.
fn errors(server: &TestServer) -> Vec<String> {
    let logs = server.logs();
    let lines = logs.lines().filter(|line| line.contains("\"ERROR\""));
    lines.map(str::to_owned).collect()
}

async fn is_not_ready(api: &Api) {
    api.send(api.get("/api/ready"))
        .await
        .refused(503, "temporarily_unavailable");
}

async fn cannot_create(api: &Api) {
    let body = json!({"client_name": "x", "redirect_uris": ["https://x.example/"]});
    api.admin(Method::POST, "/clients", Some(body))
        .await
        .refused(503, "temporarily_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_deleted_is_not_written_to_and_not_made_anew() {
    let mut server = server().await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    for file in of_database(&server) {
        fs::remove_file(file).unwrap();
    }
    nothing_can_be_written(&api, &client, &agent, &done).await;
    // Nor can what appends by reading.
    let reading = api.admin(Method::GET, "/audit-log", None).await;
    reading.refused(503, "temporarily_unavailable");
    for _ in 0..5 {
        is_not_ready(&api).await;
    }
    // What was answered is still known to those who only read.
    assert!(api.is_active(&client, &done.tokens.access_token).await);
    let errors = errors(&server);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for words in [
        "auth-agent.db is gone",
        "put that very file back",
        "restore a backup",
    ] {
        assert!(errors[0].contains(words), "{words}: {errors:?}");
    }
    assert!(of_database(&server).is_empty(), "one was made");
    server.stop().await;
    assert!(of_database(&server).is_empty(), "one was made");
    let again = completed(server.command().arg("serve")).await;
    let told = again.complaint(2);
    assert!(
        told.contains("auth-agent.db") && told.contains("--new-database"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_moved_away_and_back_goes_on_by_itself() {
    let mut server = server().await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let pending = api.authorize(&Authorize::new(&client)).await;
    let before = acts(&api, "").await;
    let aside = server.folder().join("elsewhere");
    // The folder with all that is in it, and the file alone.
    for moved in [server.data_dir(), database(&server)] {
        fs::rename(&moved, &aside).unwrap();
        nothing_can_be_written(&api, &client, &agent, &done).await;
        let refused = api.authenticate(&pending, &agent).await;
        refused.refused(503, "temporarily_unavailable");
        assert!(!moved.exists(), "{} was made anew", moved.display());
        fs::rename(&aside, &moved).unwrap();
        is_ready_again(&api).await;
        assert_eq!(acts(&api, "").await, before);
    }
    let logs = server.logs();
    assert_eq!(
        logs.matches("nothing can be committed").count(),
        2,
        "{logs}"
    );
    assert_eq!(logs.matches("commits again").count(), 2, "{logs}");
    api.authenticate(&pending, &agent).await.expect(200);
    all_is_well(&mut server, &client, &agent, &done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_file_in_the_place_of_the_database_is_neither_read_nor_written() {
    let mut server = server().await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let (file, aside) = (database(&server), server.folder().join("aside.db"));
    fs::rename(&file, &aside).unwrap();
    fs::copy(&aside, &file).unwrap();
    let copy = fs::read(&file).unwrap();
    for _ in 0..3 {
        nothing_can_be_written(&api, &client, &agent, &done).await;
    }
    assert!(api.is_active(&client, &done.tokens.access_token).await);
    let errors = errors(&server);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let named = format!("another file is in the place of {}", file.display());
    assert!(errors[0].contains(&named), "{errors:?}");
    assert!(
        fs::read(&file).unwrap() == copy,
        "the other file was touched"
    );
    fs::rename(&aside, &file).unwrap();
    all_is_well(&mut server, &client, &agent, &done).await;
}

/// Another process of the program on the same database.
async fn second(server: &TestServer) -> (Process, Api) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut serve = server.command();
    serve
        .arg("serve")
        .env("AUTH_AGENT_LISTEN", &address)
        .env("AUTH_AGENT_ISSUER", server.issuer());
    let process = Process::start(&mut serve);
    let base = format!("http://{address}");
    let api = Api::new(base, server.issuer(), server.admin_key().to_owned());
    is_ready_again(&api).await;
    (process, api)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_lock_a_server_leaves_the_database_to_whoever_takes_it() {
    let mut server = server().await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    fs::remove_file(server.data_dir().join("auth-agent.db.lock")).unwrap();
    nothing_can_be_written(&api, &client, &agent, &done).await;
    let (mut process, other) = second(&server).await;
    let theirs = other.create_client(json!({})).await;
    for _ in 0..3 {
        cannot_create(&api).await;
        other.sign_in(&theirs, &agent).await;
    }
    let errors = errors(&server);
    assert!(
        errors[0].contains("auth-agent.db.lock is gone"),
        "{errors:?}"
    );
    // Gone first, then another's.
    assert_eq!(errors.len(), 2, "{errors:?}");
    server.stop().await;
    other.sign_in(&theirs, &agent).await;
    process.stop().await;
    assert_eq!(check(&url_of(&server)).await.unwrap().told, [""; 0]);
    server.restart().await;
    all_is_well(&mut server, &client, &agent, &done).await;
}

/// What SQLite keeps beside the database until it brings it in.
fn wal(database: &Path) -> PathBuf {
    database.with_file_name("auth-agent.db-wal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_ahead_log_that_was_deleted_is_saved_by_stopping_in_good_order() {
    let mut server = server().await;
    let api = server.api();
    let (client, agent, done) = parties(&api).await;
    let before = acts(&api, "").await;
    fs::remove_file(wal(&database(&server))).unwrap();
    nothing_can_be_written(&api, &client, &agent, &done).await;
    let errors = errors(&server);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("auth-agent.db-wal is gone"),
        "{errors:?}"
    );
    server.restart().await;
    let api = server.api();
    eventually("the log to be read", async || {
        (acts(&api, "").await == before).then_some(())
    })
    .await;
    all_is_well(&mut server, &client, &agent, &done).await;
}
