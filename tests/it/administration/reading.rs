//! Reads of the log are events themselves, and reading on comes to an end all the same.

use serde_json::{Value, json};

use crate::{
    sql::sql,
    support::{Api, Reply, TestServer, on_both_databases, sse::Sse},
};

async fn page(api: &Api, query: &str) -> Reply {
    let call = api.get(&format!("/api/admin/audit-log?{query}"));
    api.send(call.bearer_auth(&api.admin_key)).await
}

/// The events that tell of a reading, after a position. Asking for them is not told.
async fn readings(api: &Api, after: u64) -> Vec<Value> {
    let query = format!("type=AuditLogRead&limit=500&after={after}");
    let page = page(api, &query).await.expect(200).json;
    page["items"].as_array().unwrap().clone()
}

/// The last position of the log, which nobody need read it for.
async fn head(server: &TestServer) -> u64 {
    let rows = sql(server, "select max(position) from events").await;
    rows[0].parse().unwrap()
}

on_both_databases! {
    async fn a_page_that_was_read_is_an_event_with_its_filters(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        let before = head(&server).await;
        let stream = format!("auth_request/{}", done.page.request_id);
        let (since, until) = ("2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z");
        let filters = format!(
            "limit=7&after=3&stream={stream}&type=AgentAuthenticated&agent_id={}&client_id={}\
             &since={since}&until={until}", agent.id, client.id
        );
        let read = page(&api, &filters).await.expect(200);
        assert_eq!(read.json["items"].as_array().unwrap().len(), 1);
        let told = readings(&api, before).await;
        let [event] = &told[told.len() - 1..] else { panic!("{told:?}") };
        assert_eq!(event["payload"], json!({
            "after": 3, "limit": 7, "stream": stream, "type": "AgentAuthenticated",
            "agent_id": agent.id, "client_id": client.id, "since": since, "until": until,
        }));
        assert!(event["stream"].as_str().unwrap().starts_with("administration/"));
        let metadata = &event["metadata"];
        assert_eq!(metadata["actor"], json!({"type": "admin_key", "id": "environment"}));
        assert_eq!(metadata["request_id"], read.header("x-request-id"));
        assert!(metadata["address_hash"].is_string());
    }

    async fn reading_page_by_page_comes_to_an_end_and_polling_writes_nothing(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        api.create_agent(json!({})).await;
        let (mut after, mut pages) = ("0".to_owned(), 0);
        loop {
            let page = page(&api, &format!("limit=1&after={after}")).await.expect(200).json;
            pages += 1;
            assert!(pages < 200, "the log grows as it is read");
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        let before = head(&server).await;
        for _ in 0..5 {
            page(&api, &format!("after={before}")).await.expect(200);
            page(&api, "type=AuditLogRead").await.expect(200);
        }
        assert_eq!(head(&server).await, before);
    }

    async fn readings_at_the_same_time_are_all_recorded(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let calls = (0..24).map(|_| page(&api, "limit=1"));
        for reply in futures_util::future::join_all(calls).await {
            reply.expect(200);
        }
        let told = readings(&api, 0).await;
        assert_eq!(told.len(), 24);
        for (index, event) in told.iter().enumerate() {
            // The first admin key has no event of its own here: it came by the environment.
            assert_eq!(event["version"], json!(index + 1));
        }
    }

    async fn a_live_tail_is_told_once_and_does_not_feed_itself(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let before = head(&server).await;
        let call = api.get("/api/admin/audit-log").bearer_auth(&api.admin_key);
        let call = call.header("accept", "text/event-stream").send();
        let mut tail = Sse::new(call.await.unwrap());
        let own = tail.next().await.unwrap().data;
        assert_eq!(own["type"], "AuditLogRead");
        assert_eq!(own["payload"], json!({"after": before}));
        // The next that it tells is what somebody does next.
        let agent = api.create_agent(json!({})).await;
        let next = tail.next().await.unwrap().data;
        assert_eq!(next["stream"], format!("owner/{}", agent.owner_id));
        assert_eq!(readings(&api, before).await.len(), 1);
    }

    async fn a_filter_that_is_no_name_of_ours_is_refused_and_kept_nowhere(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let secret = "ada@people.example";
        for name in ["stream", "type", "agent_id", "client_id", "since", "until", "limit", "after"] {
            let reply = page(&api, &format!("{name}={secret}")).await;
            reply.refused(400, "invalid_request");
            assert!(reply.str("error_description").contains(name), "{}", reply.text);
        }
        for stream in ["signing_key", "derivation_key", "administration"] {
            let reply = page(&api, &format!("stream={stream}/{secret}")).await;
            reply.refused(400, "invalid_request");
        }
        assert!(!page(&api, "").await.expect(200).text.contains(secret));
        assert!(!server.logs().contains(secret));
    }
}
