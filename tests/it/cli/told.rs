//! What a program is told when a job fails, whatever the reason.

use std::{fs, process::Command};

use serde_json::json;

use super::{CREATE, job};
use crate::support::{
    Backend, TestServer,
    process::{Process, completed, free_port},
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

/// The command in a shell that does this with it.
fn in_a_shell(command: &Command, line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.args(["-c", line]).arg(command.get_program());
    shell.args(command.get_args());
    shell.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    shell
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_told_is_no_success() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let full = "\"$0\" \"$@\" >/dev/full";
    for json in [&[][..], &["--json"]] {
        let mut command = job(&server, &["audit", "--all"]);
        let ended = completed(&mut in_a_shell(command.args(json), full)).await;
        assert!(
            ended.complaint(1).contains("not all could be told"),
            "{ended:?}"
        );
        let mut command = job(&server, &CREATE);
        let ended = completed(&mut in_a_shell(command.args(json), full)).await;
        assert!(
            ended.complaint(1).contains("the new secret is lost"),
            "{ended:?}"
        );
        // Where the secret is somewhere else, only the words are lost.
        let mut command = job(&server, &CREATE);
        let file = format!("{}.secret", json.len());
        command.args(json).args(["--secret-file", &file]);
        let ended = completed(&mut in_a_shell(&command, full)).await;
        assert!(
            ended.complaint(1).contains("not all could be told"),
            "{ended:?}"
        );
        assert!(
            !fs::read_to_string(server.folder().join(file))
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_ends_when_nobody_reads_on() {
    let server = TestServer::start(Backend::Sqlite, |_| {}).await;
    let api = server.api();
    for _ in 0..3 {
        api.create_client(json!({})).await;
    }
    // The shell ends when both do, and tells how the job did.
    let head = "{ \"$0\" \"$@\"; echo \"ended by $?\" >&2; } | head -n 1";
    let mut all = in_a_shell(&job(&server, &["audit", "--all", "--json"]), head);
    let ended = completed(&mut all).await;
    assert_eq!(
        (ended.status, ended.stdout.lines().count()),
        (0, 1),
        "{ended:?}"
    );
    let follow = job(&server, &["audit", "--follow", "--after", "0", "--json"]);
    let mut tail = Process::start(&mut in_a_shell(&follow, head));
    tail.line("an event", |line| line.starts_with('{').then_some(()))
        .await;
    // It learns of it by the next event.
    let mut ended = None;
    while ended.is_none() {
        api.create_client(json!({})).await;
        ended = tail.ended();
    }
    let told = tail.output().text();
    assert!(told.contains("ended by 1"), "{told}");
    assert!(!told.contains("auth-agent:"), "quietly: {told}");
}
