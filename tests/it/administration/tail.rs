//! The audit log's live tail: nothing is lost or told twice, across reconnects.

use serde_json::json;

use crate::{
    log::acts,
    support::{
        Api, Client, on_both_databases,
        sse::{Sse, SseEvent},
    },
};

/// The next event that is no reading of the log: a tail tells its own beginning too.
async fn next_act(tail: &mut Sse) -> Option<SseEvent> {
    loop {
        let event = tail.next().await?;
        if event.data["type"] != "AuditLogRead" {
            return Some(event);
        }
    }
}

async fn public(api: &Api) -> Client {
    api.create_client(json!({"token_endpoint_auth_method": "none"}))
        .await
}

on_both_databases! {
    async fn events_come_as_they_are_appended(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        public(&api).await;
        let mut tail = api.tail("", None).await;
        assert_eq!(tail.status, 200);
        assert_eq!(tail.headers["content-type"], "text/event-stream");
        assert_eq!(tail.headers["cache-control"], "no-store");
        // From now on: what was before is asked for by position.
        for _ in 0..5 {
            let client = public(&api).await;
            let event = next_act(&mut tail).await.unwrap();
            assert_eq!(event.event, "event");
            assert_eq!(event.data["stream"], format!("client/{}", client.id));
            assert_eq!(event.id, event.data["position"].to_string());
            assert_eq!(acts(&api, "").await.last(), Some(&event.data));
        }
    }

    async fn a_reconnect_resumes_where_it_was_cut(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        for _ in 0..3 {
            public(&api).await;
        }
        let all = acts(&api, "").await;
        for seen in [0, 1, all.len() - 1] {
            let mut tail = api.tail("", Some(&seen.to_string())).await;
            for expected in &all[seen..] {
                assert_eq!(next_act(&mut tail).await.unwrap().data, *expected);
            }
            // A browser's EventSource sends its first address again: what it has seen counts more.
            let mut tail = api.tail("after=0", Some(&seen.to_string())).await;
            assert_eq!(next_act(&mut tail).await.unwrap().data, all[seen]);
        }
        let mut tail = api.tail("after=1&limit=1", None).await;
        for expected in &all[1..] {
            assert_eq!(next_act(&mut tail).await.unwrap().data, *expected, "a limit cuts no tail");
        }
        let client = public(&api).await;
        let event = next_act(&mut tail).await.unwrap();
        assert_eq!(event.data["stream"], format!("client/{}", client.id));
    }

    async fn who_has_come_further_than_the_log_is_told_so(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        public(&api).await;
        // As after a restore: what takes the places behind the end would be passed over.
        let refused = async |query: &str, accept: &str, seen: &str| {
            let call = api
                .get(&format!("/api/admin/audit-log?{query}"))
                .bearer_auth(&api.admin_key)
                .header("accept", accept)
                .header("last-event-id", seen);
            let reply = api.send(call).await;
            reply.refused(400, "invalid_request");
            reply.str("error_description").to_owned()
        };
        for (query, accept, seen) in [
            ("after=4711", "application/json", "0"),
            ("after=4711", "application/x-ndjson", "0"),
            ("", "text/event-stream", "4711"),
        ] {
            let told = refused(query, accept, seen).await;
            assert!(told.contains("before 4711") && told.contains("Restored"), "{told}");
        }
        for seen in ["abc", "", "-1", "18446744073709551616"] {
            let told = refused("", "text/event-stream", seen).await;
            assert!(told.contains("Last-Event-ID"), "{told}");
        }
        // The very end is no further than that.
        let end = acts(&api, "").await.last().unwrap()["position"].to_string();
        let mut tail = api.tail("", Some(&end)).await;
        public(&api).await;
        assert!(next_act(&mut tail).await.is_some());
    }

    async fn a_tail_is_filtered_as_the_list_is(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let (client, agent) = (api.create_client(json!({})).await, api.create_agent(json!({})).await);
        let query = format!("type=CodeRedeemed&agent_id={}&client_id={}", agent.id, client.id);
        let mut tail = api.tail(&query, None).await;
        for _ in 0..3 {
            let done = api.sign_in(&client, &agent).await;
            let event = next_act(&mut tail).await.unwrap();
            assert_eq!(event.data["type"], "CodeRedeemed");
            assert_eq!(event.data["stream"], format!("auth_request/{}", done.page.request_id));
        }
    }

    async fn it_ends_with_the_server(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let mut tail = api.tail("", None).await;
        public(&api).await;
        assert!(next_act(&mut tail).await.is_some());
        server.stop().await;
        assert_eq!(tail.rest().await, []);
    }
}
