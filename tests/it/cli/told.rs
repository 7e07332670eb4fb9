//! What a program is told when a job fails, whatever the reason.

use std::fs;

use serde_json::json;

use crate::support::{
    Backend, TestServer,
    process::{completed, free_port},
    server::program,
};

const UNKNOWN: &str = "client_00000000000000000000000000000001";

/// What is wrong, the job, its exit status and the `error`.
const FAILURES: &[(&str, &str, i32, &str)] = &[
    ("no job", "", 2, "invalid_usage"),
    ("half a job", "client", 2, "invalid_usage"),
    ("no such job", "clients", 2, "invalid_usage"),
    ("no such flag", "serve --nonsense", 2, "invalid_usage"),
    (
        "a flag is missing",
        "client create --name x",
        2,
        "invalid_usage",
    ),
    ("a bad value", "serve --listen nowhere", 2, "invalid_usage"),
    (
        "a bad file",
        "client list --config bad.toml",
        2,
        "invalid_usage",
    ),
    (
        "no such file",
        "config check --config no.toml",
        2,
        "invalid_usage",
    ),
    (
        "a bad setting",
        "config check --issuer http://a.example",
        2,
        "invalid_usage",
    ),
    (
        "the database is in use",
        "serve --listen 127.0.0.1:0",
        2,
        "invalid_usage",
    ),
    (
        "no consent",
        "keys rotate --compromised",
        2,
        "invalid_usage",
    ),
    (
        "no consent either",
        "client delete client_1",
        2,
        "invalid_usage",
    ),
    (
        "an id of another kind",
        "client show agent_1",
        2,
        "invalid_usage",
    ),
    (
        "nothing to change",
        "client update client_1",
        2,
        "invalid_usage",
    ),
    (
        "no secret",
        "sign-in req_1 --agent-id x --model m",
        2,
        "invalid_usage",
    ),
    (
        "no database",
        "projections check --data-dir none",
        2,
        "invalid_usage",
    ),
    (
        "no backup",
        "restore no.db --data-dir none",
        2,
        "invalid_usage",
    ),
    ("no file to put it", "backup none/x.db", 1, "failed"),
    (
        "no server",
        "client list --server http://127.0.0.1:{free}",
        1,
        "failed",
    ),
    ("no key", "client list --server {server}", 1, "unauthorized"),
    (
        "nothing of that id",
        "client show {unknown}",
        1,
        "not_found",
    ),
    (
        "refused",
        "client create --name x --redirect-uri http://a.example",
        1,
        "invalid_redirect_uri",
    ),
    (
        "a bad filter",
        "audit --since yesterday",
        1,
        "invalid_request",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_is_one_object_with_error_and_description_on_standard_output() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    fs::write(server.folder().join("bad.toml"), "no-such-key = 1").unwrap();
    for (what, line, status, error) in FAILURES {
        let line = line
            .replace("{free}", &free_port().to_string())
            .replace("{server}", &server.base_url())
            .replace("{unknown}", UNKNOWN);
        let mut job = server.command();
        if *what == "no key" {
            job.env("AUTH_AGENT_ADMIN_KEY", "wrong");
        }
        // Before the job as well as behind it.
        let words = line.split_whitespace();
        if status % 2 == 0 {
            job.arg("--json").args(words);
        } else {
            job.args(words).arg("--json");
        }
        let ended = completed(&mut job).await;
        assert_eq!(ended.status, *status, "{what}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{what}: {ended:?}");
        let told = ended.json();
        assert_eq!(told["error"], *error, "{what}: {told}");
        let words = told["error_description"].as_str();
        assert!(
            words.is_some_and(|words| !words.is_empty()),
            "{what}: {told}"
        );
        // People are told in words alone.
        let mut job = server.command();
        if *what == "no key" {
            job.env("AUTH_AGENT_ADMIN_KEY", "wrong");
        }
        let ended = completed(job.args(line.split_whitespace())).await;
        assert_eq!((ended.status, &*ended.stdout), (*status, ""), "{what}");
        assert!(!ended.stderr.contains("error_description"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_start_tells_programs_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = program();
    serve.current_dir(folder.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let ended = completed(serve.args(["serve", "--json", "--listen", &listen])).await;
    let told = ended.json();
    assert_eq!((ended.status, &told["error"]), (2, &json!("invalid_usage")));
    let words = told["error_description"].as_str().unwrap();
    assert!(
        words.contains(&listen) && words.contains("--listen"),
        "{words}"
    );
}
