//! Client libraries that websites really use, unmodified, against the real program.
//!
//! The scripts are in `tests/clients`; `./test` installs the libraries below `target/test-tools`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Backend, TestServer, process::Process};

/// How a client may prove who it is.
const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

/// The algorithms that an ID token may be signed with.
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

enum Library {
    OpenidClient,
    Authlib,
}

impl Library {
    fn command(&self) -> std::process::Command {
        let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-tools");
        let (program, script) = match self {
            Self::OpenidClient => (tools.join("node"), tools.join("openid-client/sign-in.mjs")),
            Self::Authlib => (
                tools.join("python/bin/python"),
                PathBuf::from(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/tests/clients/authlib/sign_in.py"
                )),
            ),
        };
        assert!(
            program.exists() && script.exists(),
            "the libraries are missing: run `./test` once"
        );
        let mut command = std::process::Command::new(program);
        if matches!(self, Self::OpenidClient) {
            // The script is a link beside the library, and is to find it there.
            command.arg("--preserve-symlinks-main");
        }
        command.arg(script);
        command
    }
}

/// Signs in by every method, and with every algorithm.
async fn signs_in(library: Library) {
    let server = TestServer::shared(Backend::Sqlite).await;
    let api = server.api();
    for (index, method) in METHODS.into_iter().enumerate() {
        // Each method meets an algorithm of its own, and one of them meets all.
        let algorithms = if index == 0 {
            &ALGORITHMS[..]
        } else {
            &ALGORITHMS[index..=index]
        };
        for algorithm in algorithms {
            let client = api
                .create_client(json!({
                    "redirect_uris": ["http://localhost:9/callback"],
                    "token_endpoint_auth_method": method,
                    "id_token_signed_response_alg": algorithm,
                }))
                .await;
            let agent = api.create_agent(json!({})).await;
            let task = json!({
                "issuer": server.issuer(),
                "client_id": client.id,
                "client_secret": client.secret,
                "token_endpoint_auth_method": method,
                "id_token_signed_response_alg": algorithm,
                "redirect_uri": client.redirect_uri,
                "agent_id": agent.id,
                "agent_secret": agent.secret,
                "model": "claude-opus-4",
            });
            let learnt = run(&library, &task).await;
            assert_eq!(learnt["claims"]["agent_id"], json!(agent.id));
            assert_eq!(learnt["claims"]["model"], "claude-opus-4");
            assert_eq!(learnt["person"]["name"], "Ada Lovelace");
        }
    }
}

async fn run(library: &Library, task: &Value) -> Value {
    let mut process = Process::start(library.command().env("SIGN_IN", task.to_string()));
    let learnt = process
        .line("what it learnt", |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            value.is_object().then_some(value)
        })
        .await;
    let status = process.end(crate::support::process::PATIENCE).await;
    assert!(status.success(), "{status}:\n{}", process.output().text());
    learnt
}

#[tokio::test]
async fn openid_client_signs_in() {
    signs_in(Library::OpenidClient).await;
}

#[tokio::test]
async fn authlib_signs_in() {
    signs_in(Library::Authlib).await;
}
