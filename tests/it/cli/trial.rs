//! `client try`: a sign-in in the place of a website.

use std::process::Command;

use serde_json::{Value, json};

use super::job;
use crate::support::{
    Api, TestServer, WaitingPage, on_both_databases,
    process::{PATIENCE, Process, completed, free_port},
};

/// The job with `--json`, and what it says first.
async fn begun(command: &mut Command) -> (Process, Value) {
    let mut website = Process::start(command.arg("--json"));
    let told = website
        .line("an address", |line| {
            let told: Value = serde_json::from_str(line).ok()?;
            told.get("authorize_url").is_some().then_some(told)
        })
        .await;
    (website, told)
}

/// Opens the address as a browser.
async fn opened(api: &Api, told: &Value) -> WaitingPage {
    let address = told["authorize_url"].as_str().unwrap();
    WaitingPage::of(api.send(api.get(address)).await)
}

/// What the job says last, and how it ended.
async fn ended(mut website: Process) -> (bool, Value) {
    let well = website.end(PATIENCE).await.success();
    let said = website.output().text();
    let last = said.lines().rfind(|line| line.starts_with('{'));
    (well, serde_json::from_str(last.unwrap()).unwrap())
}

fn trial(server: &TestServer, id: &str) -> Command {
    job(server, &["client", "try", id])
}

on_both_databases! {
    async fn a_sign_in_is_tried_without_a_website(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        let to = format!("http://localhost:{}/callback?kept=1", free_port());
        let client = api.create_client(json!({"redirect_uris": [to]})).await;
        let secret = client.secret.as_deref().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let back = async |page: &WaitingPage| {
            let path = format!("/api/check-status?request_id={}", page.request_id);
            let call = api.get(&path).header("cookie", &page.cookie);
            let status = api.send(call).await.json;
            http.get(status["redirect_to"].as_str().unwrap()).send().await.unwrap().status()
        };

        // With the secret: redeemed and verified.
        let mut command = trial(server, &client.id);
        let (website, told) = begun(command.env("AUTH_AGENT_CLIENT_SECRET", secret)).await;
        assert_eq!((&told["redirect_uri"], &told["waits"]), (&json!(to), &json!(true)));
        let address = told["authorize_url"].as_str().unwrap();
        for part in ["code_challenge_method=S256", "state=", "nonce="] {
            assert!(address.contains(part), "{address}");
        }
        let page = opened(&api, &told).await;
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(back(&page).await, 200);
        let (well, said) = ended(website).await;
        assert!(well, "{said}");
        assert_eq!((&said["signed_in"], &said["agent_id"]), (&json!(true), &json!(agent.id)));
        assert_eq!(said["id_token_alg"], "RS256");

        // Without it: the code is left alone.
        let (website, told) = begun(&mut trial(server, &client.id)).await;
        let page = opened(&api, &told).await;
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(back(&page).await, 200);
        let (well, said) = ended(website).await;
        assert_eq!((well, &said["redeemed"]), (true, &json!(false)), "{said}");

        // With a wrong one: told, by the browser's page too.
        let mut command = trial(server, &client.id);
        let (website, told) = begun(command.env("AUTH_AGENT_CLIENT_SECRET", "wrong")).await;
        let page = opened(&api, &told).await;
        api.authenticate(&page, &agent).await.expect(200);
        assert_eq!(back(&page).await, 502);
        let (well, said) = ended(website).await;
        assert!(!well && said["error_description"].as_str().unwrap().contains("redeemed"), "{said}");
    }

    async fn a_website_elsewhere_is_only_linked_to_and_what_cannot_be_tried_is_told(env: Env) {
        let server = env.server().await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let told = completed(trial(server, &client.id).arg("--json")).await.told();
        assert_eq!(told["waits"], false);
        let page = opened(&api, &told).await;
        let agent = api.create_agent(json!({})).await;
        api.authenticate(&page, &agent).await.expect(200);

        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("http://127.0.0.1:{}/cb", taken.local_addr().unwrap().port());
        let here = api.create_client(json!({"redirect_uris": [to]})).await;
        let refused = completed(&mut trial(server, &here.id)).await;
        assert!(refused.complaint(2).contains("cannot listen"), "{refused:?}");
        let mut named = trial(server, &here.id);
        let refused = completed(named.args(["--redirect-uri", "http://127.0.0.1:1/cb"])).await;
        assert!(refused.complaint(2).contains(&to), "{refused:?}");
        let silent = api.create_client(json!({"scope": "profile"})).await;
        let refused = completed(&mut trial(server, &silent.id)).await;
        assert!(refused.complaint(2).contains("openid"), "{refused:?}");
    }
}
