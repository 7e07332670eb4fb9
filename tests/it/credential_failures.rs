//! Failed guesses of an agent's secret, as an auditor finds them in the log. A server that ends writes
//! what it has counted, so that nobody has to wait for the end of a window.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    log::{acts, history},
    nodes::beside,
    support::{
        Agent, Api, Backend, TestServer, on_both_databases,
        process::{PATIENCE, arbitrary_text},
    },
};

/// Wrong secrets for that id: some that were never issued, and some that look like the right one.
async fn guess(api: &Api, id: &str, secret: &str, times: usize) {
    let guesses = (0..times).map(async |number| {
        let secret = if number % 2 == 0 {
            arbitrary_text()
        } else {
            format!("{secret}x")
        };
        let body = json!({
            "request_id": "req_00000000000000000000000000000000", "agent_id": id,
            "agent_secret": secret, "model": "a model",
        });
        api.authenticate_with(&body, "")
            .await
            .refused(401, "invalid_agent");
    });
    join_all(guesses).await;
}

async fn summed_up(api: &Api) -> Vec<Value> {
    history(api, "type=CredentialFailures").await
}

#[track_caller]
fn is_of(event: &Value, agent: &Agent, count: u64) {
    assert_eq!(event["stream"], format!("agent/{}", agent.id));
    assert_eq!(event["metadata"], json!({"actor": {"type": "system"}}));
    let payload = event["payload"].as_object().expect("an object");
    let names: Vec<_> = payload.keys().map(String::as_str).collect();
    assert_eq!(names, ["count", "since", "until"]);
    assert_eq!(payload["count"], count);
    let time = |name: &str| -> jiff::Timestamp {
        payload[name]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time")
    };
    assert!(time("since") <= time("until"));
}

on_both_databases! {
    async fn guesses_of_an_agents_secret_are_summed_up_in_one_event(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let (agent, suspended) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        let (revoked, left_alone) = (api.create_agent(json!({})).await, api.create_agent(json!({})).await);
        api.suspend(&suspended).await;
        let before = acts(&api, "").await.len();
        guess(&api, &agent.id, &agent.secret, 7).await;
        guess(&api, &suspended.id, &suspended.secret, 2).await;
        guess(&api, &revoked.id, &revoked.secret, 2).await;
        for unknown in ["agent_00000000000000000000000000000000", "agent_x", "' or 1=1--"] {
            guess(&api, unknown, &agent.secret, 3).await;
        }
        assert_eq!(acts(&api, "").await.len(), before, "a failed guess is no event");
        let path = format!("/agents/{}", revoked.id);
        api.admin(reqwest::Method::DELETE, &path, None).await;
        server.restart().await;
        let api = server.api();
        let events = summed_up(&api).await;
        assert_eq!(events.len(), 2, "{events:?}");
        for (agent, count) in [(&agent, 7), (&suspended, 2)] {
            let stream = format!("agent/{}", agent.id);
            let event = events.iter().find(|event| event["stream"] == stream);
            is_of(event.expect("an event of this agent"), agent, count);
        }
        assert_eq!(acts(&api, "").await.len(), before + 3, "two sums and an end");
        // It changes nothing else: who was suspended is so still, and who was not signs in.
        let client = api.create_client(json!({})).await;
        api.sign_in(&client, &agent).await;
        api.sign_in(&client, &left_alone).await;
        let path = format!("/agents/{}", suspended.id);
        let shown = api.admin(reqwest::Method::GET, &path, None).await.expect(200);
        assert_eq!(shown.str("status"), "suspended");
    }

    async fn a_flood_of_guesses_adds_one_event_in_five_minutes(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let agent = api.create_agent(json!({})).await;
        for _ in 0..3 {
            guess(&server.api(), &agent.id, &agent.secret, 100).await;
            server.restart().await;
        }
        let events = summed_up(&server.api()).await;
        assert_eq!(events.len(), 1, "{events:?}");
        is_of(&events[0], &agent, 100);
        let said = server.logs().matches("were counted and are not in the log").count();
        assert_eq!(said, 2, "{}", server.logs());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_together_add_one_event_for_an_agent() {
    let mut server = TestServer::start(Backend::Postgres, |_| {}).await;
    let (mut process, two) = beside(&server).await;
    let one = server.api();
    let agent = one.create_agent(json!({})).await;
    guess(&one, &agent.id, &agent.secret, 3).await;
    guess(&two, &agent.id, &agent.secret, 5).await;
    process.signal("TERM");
    server.stop().await;
    assert!(process.end(PATIENCE).await.success());
    server.restart().await;
    let events = summed_up(&server.api()).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let count = events[0]["payload"]["count"].as_u64().expect("a number");
    assert!([3, 5].contains(&count), "{count}");
    is_of(&events[0], &agent, count);
}
