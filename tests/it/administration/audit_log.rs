//! The audit log: who did what, filtered, in pages, as JSON or a line for each event.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::{acts, history},
    support::{Agent, Api, Authorize, Client, on_both_databases},
};

/// Two agents, each signed in to a website of its own.
async fn lived(api: &Api) -> [(Client, Agent, String); 2] {
    let mut lives = Vec::new();
    for _ in 0..2 {
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        lives.push((client, agent, done.page.request_id));
    }
    lives.try_into().expect("two")
}

fn streams(events: &[Value]) -> BTreeSet<&str> {
    events
        .iter()
        .map(|event| event["stream"].as_str().unwrap())
        .collect()
}

fn moment(event: &Value) -> Timestamp {
    event["occurred_at"]
        .as_str()
        .unwrap()
        .parse()
        .expect("RFC 3339")
}

on_both_databases! {
    async fn what_a_key_did_is_recorded_under_its_name(env: Env) {
        let api = env.api().await;
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        api.suspend(&agent).await;
        let path = format!("/owners/{}/suspend", agent.owner_id);
        api.admin(Method::POST, &path, None).await.expect(200);
        for stream in [
            format!("client/{}", client.id),
            format!("agent/{}", agent.id),
            format!("owner/{}", agent.owner_id),
        ] {
            for event in history(&api, &format!("stream={stream}")).await {
                let metadata = &event["metadata"];
                assert_eq!(metadata["actor"], json!({"type": "admin_key", "id": "environment"}));
                assert!(metadata["address_hash"].is_string() && metadata["request_id"].is_string());
                // Never the key.
                assert!(!event.to_string().contains(&api.admin_key));
            }
        }
    }

    async fn an_event_names_the_call_that_caused_it(env: Env) {
        let api = env.api().await;
        let body = json!({
            "client_name": "x", "redirect_uris": ["https://a.example/cb"],
            "token_endpoint_auth_method": "none",
        });
        let call = api.post("/api/admin/clients").bearer_auth(&api.admin_key).json(&body);
        let reply = api.send(call).await.expect(201);
        let events = history(&api, &format!("stream=client/{}", reply.str("client_id"))).await;
        assert_eq!(events[0]["metadata"]["request_id"], reply.header("x-request-id"));
    }

    async fn the_newest_are_told_in_order_and_recorded_as_what_was_read(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(format!("client/{}", api.create_client(json!({})).await.id));
        }
        let read = async |query: &str| {
            let path = format!("/audit-log?{query}");
            api.admin(Method::GET, &path, None).await
        };
        let told = read("type=Registered&last=2").await.expect(200).json;
        let items = told["items"].as_array().unwrap();
        let streams: Vec<&Value> = items.iter().map(|event| &event["stream"]).collect();
        assert_eq!(streams, [&made[1], &made[2]]);
        assert!(told["next"].is_null());
        let reading = history(&api, "type=AuditLogRead").await;
        let payload = &reading.last().unwrap()["payload"];
        assert_eq!(payload["limit"], 2);
        assert_eq!(payload["after"], items[0]["position"].as_u64().unwrap() - 1);
        // More than there are, and none at all.
        let all = read("type=Registered&last=500").await.expect(200).json;
        assert_eq!(all["items"].as_array().unwrap().len(), 3);
        let none = read("type=Erased&last=5").await.expect(200).json;
        assert_eq!(none["items"], json!([]));
        for wrong in ["last=0", "last=501", "last=x", "last=2&after=1", "last=2&limit=2"] {
            read(wrong).await.refused(400, "invalid_request");
        }
    }

    async fn each_filter_narrows(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let [(client, agent, id), (other_client, other_agent, other_id)] = lived(&api).await;
        let all = acts(&api, "").await;
        let stream = format!("auth_request/{id}");

        let of_stream = history(&api, &format!("stream={stream}")).await;
        let expected: Vec<_> = all.iter().filter(|e| e["stream"] == *stream).cloned().collect();
        assert_eq!(of_stream, expected);
        assert_eq!(of_stream.len(), 4);

        let of_type = history(&api, "type=CodeRedeemed").await;
        assert_eq!(
            streams(&of_type),
            BTreeSet::from([&*stream, &*format!("auth_request/{other_id}")])
        );
        assert!(of_type.iter().all(|event| event["type"] == "CodeRedeemed"));

        let of_agent = history(&api, &format!("agent_id={}", agent.id)).await;
        assert_eq!(streams(&of_agent), BTreeSet::from([&*stream, &*format!("agent/{}", agent.id)]));
        let of_client = history(&api, &format!("client_id={}", other_client.id)).await;
        assert_eq!(
            streams(&of_client),
            BTreeSet::from([
                &*format!("auth_request/{other_id}"),
                &*format!("client/{}", other_client.id)
            ])
        );
        // Both at once.
        let both = format!("agent_id={}&client_id={}", agent.id, client.id);
        assert_eq!(streams(&history(&api, &both).await), BTreeSet::from([&*stream]));
        for nothing in [
            format!("agent_id={}&client_id={}", agent.id, other_client.id),
            format!("agent_id={}&stream=agent/{}", agent.id, other_agent.id),
        ] {
            assert_eq!(history(&api, &nothing).await, [Value::Null; 0], "{nothing}");
        }
    }

    async fn a_long_log_is_filtered_as_a_short_one_is(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let [(client, agent, id), (_, other_agent, other_id)] = lived(&api).await;
        // Too many events for reading all of them instead.
        let crowd = api.create_client(json!({})).await;
        for _ in 0..210 {
            api.authorize(&Authorize::new(&crowd)).await;
        }
        let all = acts(&api, "").await;
        let (stream, others) = (format!("auth_request/{id}"), format!("auth_request/{other_id}"));
        let (of_agent, of_client) = (format!("agent/{}", agent.id), format!("client/{}", client.id));
        let (of_other, of_crowd) = (format!("agent/{}", other_agent.id), format!("client/{}", crowd.id));
        for (query, streams, of_type) in [
            (format!("stream={stream}"), vec![&stream], None),
            (format!("stream={of_crowd}"), vec![&of_crowd], None),
            (format!("stream={stream}&type=CodeRedeemed"), vec![&stream], Some("CodeRedeemed")),
            (format!("stream={others}&agent_id={}", agent.id), vec![], None),
            (format!("agent_id={}", agent.id), vec![&stream, &of_agent], None),
            (format!("client_id={}", client.id), vec![&stream, &of_client], None),
            (format!("agent_id={}&client_id={}", agent.id, client.id), vec![&stream], None),
            (format!("agent_id={}&client_id={}", agent.id, crowd.id), vec![], None),
            (format!("agent_id={}&type=CodeIssued", other_agent.id), vec![&others], Some("CodeIssued")),
            (format!("agent_id={}&until=2120-01-01T00:00:00Z", other_agent.id), vec![&others, &of_other], None),
        ] {
            let fits = |event: &&Value| {
                streams.iter().any(|stream| event["stream"] == **stream)
                    && of_type.is_none_or(|of_type| event["type"] == of_type)
            };
            let expected: Vec<Value> = all.iter().filter(fits).cloned().collect();
            assert_eq!(history(&api, &query).await, expected, "{query}");
            let mut paged = Vec::new();
            let mut after = "0".to_owned();
            loop {
                let path = format!("/audit-log?limit=2&after={after}&{query}");
                let page = api.admin(Method::GET, &path, None).await.expect(200).json;
                paged.extend(page["items"].as_array().unwrap().iter().cloned());
                let Some(next) = page["next"].as_str() else { break };
                next.clone_into(&mut after);
            }
            assert_eq!(paged, expected, "{query}");
            let last = api.admin(Method::GET, &format!("/audit-log?last=2&{query}"), None).await;
            let newest = &expected[expected.len().saturating_sub(2)..];
            assert_eq!(last.expect(200).json["items"], json!(newest), "{query}");
        }
    }

    async fn since_includes_its_moment_and_until_does_not(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        lived(&api).await;
        let all = acts(&api, "").await;
        for middle in [&all[0], &all[all.len() / 2], &all[all.len() - 1]] {
            let at = moment(middle);
            let after: Vec<_> = all.iter().filter(|e| moment(e) >= at).cloned().collect();
            let before: Vec<_> = all.iter().filter(|e| moment(e) < at).cloned().collect();
            assert_eq!(acts(&api, &format!("since={at}")).await, after);
            assert_eq!(acts(&api, &format!("until={at}")).await, before);
            let none = history(&api, &format!("since={at}&until={at}")).await;
            assert_eq!(none, [Value::Null; 0]);
        }
        // The ends of time are moments like any other.
        let ends = "since=-009999-01-02T01:59:59Z&until=9999-12-30T22:00:00Z";
        assert_eq!(acts(&api, ends).await, all);
        for name in ["since", "until"] {
            for value in ["yesterday", "2026-13-01T00:00:00Z", "1", "2026-01-31"] {
                let path = format!("/audit-log?{name}={value}");
                let reply = api.admin(Method::GET, &path, None).await;
                reply.refused(400, "invalid_request");
                assert!(reply.str("error_description").contains(name), "{}", reply.text);
            }
        }
    }

    async fn a_misspelt_parameter_of_a_list_is_named_rather_than_ignored(env: Env) {
        let api = env.api().await;
        for list in ["audit-log", "tokens", "clients", "agents", "owners", "admin-keys"] {
            for (wrong, named) in [("agent=x", true), ("limits=1", true), ("Ada%40x.example=1", false)] {
                let path = format!("/{list}?{wrong}&limit=1");
                let reply = api.admin(Method::GET, &path, None).await;
                reply.refused(400, "invalid_request");
                let told = reply.str("error_description");
                let name = wrong.split('=').next().unwrap();
                assert_eq!(told.contains(&format!("`{name}`")), named, "{told}");
                assert!(told.contains("expected limit, after") && !told.contains("Ada"), "{told}");
            }
        }
    }

    async fn pages_put_together_are_the_whole_log(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        lived(&api).await;
        let all = acts(&api, "").await;
        for (index, event) in all.iter().enumerate() {
            assert_eq!(event["position"], index + 1);
        }
        for query in ["", "type=Registered&"] {
            let whole = acts(&api, query).await;
            for limit in [1, 3, whole.len()] {
                let (mut events, mut after) = (Vec::new(), "0".to_owned());
                loop {
                    let path = format!("/audit-log?{query}limit={limit}&after={after}");
                    let page = api.admin(Method::GET, &path, None).await.expect(200).json;
                    let items = page["items"].as_array().unwrap();
                    assert!(items.len() <= limit);
                    let acts = items.iter().filter(|event| event["type"] != "AuditLogRead");
                    events.extend(acts.cloned());
                    let Some(next) = page["next"].as_str() else { break };
                    assert_eq!(items.len(), limit);
                    next.clone_into(&mut after);
                }
                assert_eq!(events, whole, "{query} by {limit}");
            }
        }
    }

    async fn a_line_for_each_event_tells_the_same(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        lived(&api).await;
        let call = |accept: &str| {
            let call = api.get("/api/admin/audit-log?after=3&limit=5").bearer_auth(&api.admin_key);
            call.header("accept", accept)
        };
        let page = api.send(call("application/json")).await.expect(200);
        assert_eq!(page.header("content-type"), "application/json");
        let lines = api.send(call("application/x-ndjson")).await.expect(200);
        assert_eq!(lines.header("content-type"), "application/x-ndjson");
        for reply in [&page, &lines] {
            assert_eq!(reply.header("cache-control"), "no-store");
        }
        let read: Vec<Value> =
            lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(json!(read), page.json["items"]);
        assert_eq!(read.len(), 5);
        assert!(lines.text.ends_with('\n'));
        assert_eq!(api.audit_log("after=3&limit=5").await, read);
    }
}
