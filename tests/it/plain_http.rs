//! What docs/agents.md shows for a shell: an agent without a browser, with a cookie jar and two requests, and the
//! call alone.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Authorize, Backend, TestServer, process::completed};

/// The script with that variable in it, as it stands in the documentation.
fn documented(variable: &str) -> &'static str {
    let page = include_str!("../../docs/agents.md");
    let mut blocks = page.split("```sh\n").skip(1);
    let block = blocks.find(|block| block.contains(variable));
    block.and_then(|block| block.split("```").next()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_makes_the_call_for_the_browser_whose_cookie_it_has() {
    let server = TestServer::shared(Backend::Sqlite).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let page = api.authorize(&Authorize::new(&client)).await;
    let mut command = Command::new("bash");
    command
        .args(["-c", documented("$WAITING_COOKIE")])
        .env("WAITING_COOKIE", &page.cookie)
        .env("REQUEST_ID", &page.request_id)
        .env("AUTH_AGENT_ISSUER", &api.issuer)
        .env("AUTH_AGENT_ID", &agent.id)
        .env("AUTH_AGENT_SECRET", &agent.secret);
    let told: Value = serde_json::from_str(completed(&mut command).await.said()).unwrap();
    assert_eq!(told["success"], true);
    assert_eq!(told["binding"], "browser");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_signs_in_with_a_cookie_jar_and_two_requests() {
    let server = TestServer::shared(Backend::Sqlite).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let run = async |link: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-c", documented("$SIGN_IN_LINK")])
            .env("SIGN_IN_LINK", link)
            .env("AUTH_AGENT_ISSUER", &api.issuer)
            .env("AUTH_AGENT_ID", &agent.id)
            .env("AUTH_AGENT_SECRET", &agent.secret)
            .env("AUTH_AGENT_MODEL", "claude-opus-4");
        completed(&mut command).await
    };
    let link = format!(
        "{}/authorize?{}",
        api.issuer,
        Authorize::new(&client).query()
    );
    let told: Value = serde_json::from_str(run(&link).await.said()).unwrap();
    assert_eq!(told["success"], true);
    assert_eq!(told["binding"], "browser");

    // A link that leads to another server gets nothing of the agent's.
    let other = TestServer::start(Backend::Sqlite, |_| {}).await;
    let client = other.api().create_client(json!({})).await;
    let elsewhere = format!(
        "{}/authorize?{}",
        other.api().issuer,
        Authorize::new(&client).query()
    );
    let refused = run(&elsewhere).await;
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("not the issuer's page"),
        "{refused:?}"
    );
}
