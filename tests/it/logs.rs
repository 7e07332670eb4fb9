//! The log lines of one sign-in, found by its request's id.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    Authorize, Backend, Reply, TestServer, Tokens, WaitingPage, api::authentication,
    process::eventually,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_can_be_followed_by_its_id_and_its_lines_bear_their_calls_ids() {
    let server = TestServer::start(Backend::Sqlite, |options| {
        options
            .flag("--log-format", "json")
            .env("AUTH_AGENT_LOG", "info");
    })
    .await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let agent = api.create_agent(json!({})).await;
    let other = api.sign_in(&client, &agent).await;
    let secret = client.secret.clone().unwrap_or_default();
    let send = async |call: RequestBuilder, id: &str| -> Reply {
        api.send(call.header("x-request-id", id)).await.expect(200)
    };
    let form = |path: &str, form: &[(&str, &str)]| {
        let call = api.post(path).basic_auth(&client.id, Some(&secret));
        call.form(form)
    };

    let asked = Authorize::new(&client);
    let call = api.get(&format!("/authorize?{}", asked.query()));
    let page = WaitingPage::of(send(call, "call-created").await);
    let body = authentication(&page.request_id, &agent);
    let call = api.post("/api/agent/authenticate").json(&body);
    send(call.header("cookie", &page.cookie), "call-authenticated").await;
    let code = api.callback(&page).await.get("code");
    let verifier = asked.pkce.verifier.as_str();
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", verifier),
    ];
    let first = Tokens::of(send(form("/token", &parameters), "call-redeemed").await);
    let parameters = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.refresh()),
    ];
    let next = Tokens::of(send(form("/token", &parameters), "call-refreshed").await);
    send(
        form("/revoke", &[("token", next.refresh())]),
        "call-revoked",
    )
    .await;

    let steps = eventually("all its lines", async || {
        let lines: Vec<Value> = server
            .logs()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["request"] == *page.request_id)
            .collect();
        let steps: Vec<(String, String)> = lines
            .iter()
            .map(|line| {
                assert_eq!(line["level"], "INFO", "{line}");
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (text(&line["message"]), text(&line["span"]["id"]))
            })
            .collect();
        (steps.len() >= 5).then_some(steps)
    })
    .await;
    let told: Vec<(&str, &str)> = steps.iter().map(|(m, id)| (&**m, &**id)).collect();
    let expected = [
        ("a sign-in was begun", "call-created"),
        ("an agent signed in", "call-authenticated"),
        ("a code was exchanged", "call-redeemed"),
        ("a grant was refreshed", "call-refreshed"),
        ("a token was revoked", "call-revoked"),
    ];
    assert_eq!(told, expected);
    let logs = server.logs();
    assert!(
        logs.contains(&other.page.request_id),
        "the others have lines too"
    );
    let cookie = page.cookie.split('=').nth(1).unwrap_or_default();
    for hidden in [
        &secret,
        &agent.secret,
        &code,
        &first.access_token,
        first.refresh(),
        next.refresh(),
        cookie,
        verifier,
        server.admin_key(),
    ] {
        assert!(
            !hidden.is_empty() && !logs.contains(hidden),
            "a secret in the log"
        );
    }
}
