//! Ended requests leave the log for a file, byte for byte; what is left proves that they were there.

use std::{fs, path::PathBuf, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    log::history,
    sql::{sql, url_of},
    support::{
        Api, Authorize, Backend, Client, Env, TestServer, Tokens, on_both_databases,
        process::eventually,
    },
};
use auth_agent::{
    domain::Ended,
    store::{
        ArchiveError, CommitListener, Committed, Opened, StoreError,
        maintenance::{check, rebuild},
    },
};

/// Lifetimes and retentions of seconds. Whatever lives is kept all the same.
async fn short(env: Env) -> TestServer {
    env.start(|options| {
        options
            .flag("--request-lifetime", 1)
            .flag("--access-token-lifetime", 2)
            .flag("--refresh-token-lifetime", 3)
            .flag("--retain-abandoned", 1)
            .flag("--retain-finished", 1);
    })
    .await
}

/// The `Archived` events, once `count` streams are archived.
async fn archived(api: &Api, count: u64) -> Vec<Value> {
    eventually("requests to be archived", async || {
        let events = history(api, "type=Archived").await;
        let streams: u64 = events
            .iter()
            .map(|e| e["payload"]["streams"].as_u64().unwrap())
            .sum();
        (streams >= count).then_some(events)
    })
    .await
}

fn segment(server: &TestServer, event: &Value) -> PathBuf {
    let name = event["payload"]["segment"].as_str().unwrap();
    server.data_dir().join("archive").join(name)
}

/// Hears of no commit.
struct Nobody;

impl CommitListener for Nobody {
    fn committed(&self, _: &[Committed]) {}
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn stream_of(api: &Api, request: &str) -> Vec<Value> {
    history(api, &format!("stream=auth_request/{request}")).await
}

async fn abandoned(api: &Api, client: &Client) -> String {
    api.authorize(&Authorize::new(client)).await.request_id
}

on_both_databases! {
    async fn ended_requests_move_byte_for_byte_into_a_file_that_the_log_vouches_for(env: Env) {
        let mut server = short(env).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let left = abandoned(&api, &client).await;
        let done = api.sign_in(&client, &agent).await;
        let finished = done.page.request_id.clone();
        let bodies = sql(&server, "select body from events where stream like 'auth_request/%' order by position").await;
        assert_eq!(bodies.len(), 5);

        let events = archived(&api, 2).await;
        let mut moved = vec![];
        for event in &events {
            assert!(event["stream"].as_str().unwrap().starts_with("maintenance/"));
            assert_eq!(event["metadata"]["actor"]["type"], "system");
            let content = fs::read(segment(&server, event)).unwrap();
            assert_eq!(event["payload"]["sha256"], hex(digest(&SHA256, &content).as_ref()));
            let lines: Vec<String> = String::from_utf8(content).unwrap().lines().map(str::to_owned).collect();
            assert_eq!(event["payload"]["events"], lines.len());
            moved.extend(lines);
        }
        moved.sort();
        let mut expected = bodies;
        expected.sort();
        assert_eq!(moved, expected);

        // Stubs are left, which still name the texts by their hashes.
        for request in [&left, &finished] {
            for stub in stream_of(&api, request).await {
                assert_eq!(stub["archived"], true);
                assert!(stub.get("payload").is_none() && stub.get("id").is_none());
                let of_it = |line: &&String| {
                    serde_json::from_str::<Value>(line).unwrap()["position"] == stub["position"]
                };
                let line = moved.iter().find(of_it).unwrap();
                let leaf = [b"\0", line.as_bytes()].concat();
                assert_eq!(stub["leaf_hash"], hex(digest(&SHA256, &leaf).as_ref()));
            }
        }
        // Nobody finds them any more, and nothing else has changed.
        api.send(api.get(&format!("/api/requests/{left}"))).await.expect(404);
        assert!(!api.is_active(&client, &done.tokens.access_token).await);
        api.refresh(&client, done.tokens.refresh()).await.refused(400, "invalid_grant");
        let counted = api.send(api.get("/api/stats")).await.expect(200).json;
        assert_eq!(counted["total_sign_ins"], 1);
        api.admin(Method::GET, &format!("/clients/{}", client.id), None).await.expect(200);
        api.sign_in(&client, &agent).await;
        server.restart().await;
        api.sign_in(&client, &agent).await;
        server.stop().await;
        let report = check(&url_of(&server)).await.unwrap();
        assert_eq!(report.told, [""; 0]);
        let report = rebuild(&url_of(&server)).await.unwrap();
        assert_eq!(report.told, [""; 0]);
        assert_eq!(check(&url_of(&server)).await.unwrap().told, [""; 0]);
    }

    async fn readers_go_on_past_what_was_archived(env: Env) {
        let server = short(env).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        for _ in 0..3 {
            abandoned(&api, &client).await;
        }
        archived(&api, 3).await;
        let all = history(&api, "").await;
        let stubs = all.iter().filter(|event| event["archived"] == true);
        assert_eq!(stubs.count(), 3);
        // The last of a page and of what a tail has caught up with are stubs too.
        let mut tail = api.tail("after=0&limit=1", None).await;
        let mut after = "0".to_owned();
        for event in &all {
            let path = format!("/audit-log?limit=1&after={after}");
            let page = api.admin(Method::GET, &path, None).await.expect(200).json;
            assert_eq!(page["items"], json!([event]));
            page["next"].as_str().expect("there is more").clone_into(&mut after);
            assert_eq!(after, event["position"].to_string());
            let told = tail.next().await.unwrap();
            assert_eq!((&told.data, &told.id), (event, &after));
        }
    }

    async fn what_lives_stays_whatever_the_retention_says(env: Env) {
        let server = env.start(|options| {
            options
                .flag("--request-lifetime", 1)
                .flag("--retain-abandoned", 1)
                .flag("--retain-finished", 1);
        }).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        let done = api.sign_in(&client, &agent).await;
        abandoned(&api, &client).await;
        let events = archived(&api, 1).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["payload"]["requests"], "abandoned");
        let tokens = Tokens::of(api.refresh(&client, done.tokens.refresh()).await);
        assert!(api.is_active(&client, &tokens.access_token).await);
        assert_eq!(stream_of(&api, &done.page.request_id).await.len(), 5);
    }

    async fn where_the_file_cannot_be_written_nothing_leaves_the_log(env: Env) {
        let mut server = short(env).await;
        let api = server.api();
        // A file where the folder should be.
        fs::write(server.data_dir().join("archive"), "").unwrap();
        let client = api.create_client(json!({})).await;
        let left = abandoned(&api, &client).await;
        server.process().line("that it cannot", |line| {
            line.contains("could not be archived").then_some(())
        }).await;
        assert!(stream_of(&api, &left).await[0].get("archived").is_none());
        fs::remove_file(server.data_dir().join("archive")).unwrap();
        archived(&api, 1).await;
    }

    async fn a_stub_where_none_may_be_is_found_out(env: Env) {
        let mut server = short(env).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        api.sign_in(&client, &agent).await;
        server.stop().await;
        for (damage, found) in [
            ("update events set body = '' where stream like 'client/%'", "the body is gone"),
            ("update events set body = '' where type = 'CodeIssued'", "the body is gone"),
        ] {
            sql(&server, damage).await;
            let told = check(&url_of(&server)).await.unwrap().told;
            assert!(told.iter().any(|line| line.contains(found)), "{damage}: {told:?}");
            assert!(rebuild(&url_of(&server)).await.unwrap().differences > 0);
        }
    }
}

#[tokio::test]
async fn what_leaves_the_log_makes_room_for_what_comes() {
    let env = Env {
        backend: Backend::Sqlite,
    };
    let server = short(env).await;
    let api = server.api();
    let client = api.create_client(json!({})).await;
    let mut pages = vec![];
    for round in 1..=3 {
        for _ in 0..100 {
            abandoned(&api, &client).await;
        }
        // Not through the audit log: each reading of it is an event more.
        eventually("requests to be archived", async || {
            let stubs = sql(&server, "select count(*) from events where body = ''").await;
            (stubs == [(round * 100).to_string()]).then_some(())
        })
        .await;
        let count = sql(&server, "select count(*) from dbstat where name = 'events'").await;
        pages.push(count[0].parse::<u64>().unwrap());
    }
    // Pages of 4 KiB: a stub needs some 170 bytes of one, and the whole event needed some 700.
    assert!(pages[2] - pages[1] <= 8, "{pages:?}");
}

on_both_databases! {
    async fn those_who_archive_at_once_pass_over_nothing_and_leave_no_file_behind(env: Env) {
        let mut server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let agent = api.create_agent(json!({})).await;
        for _ in 0..5 {
            abandoned(&api, &client).await;
            api.sign_in(&client, &agent).await;
        }
        server.stop().await;
        let opened = Opened::open(&url_of(&server)).await.unwrap();
        let (store, guard) = opened.start(Arc::new(Nobody)).await.unwrap();
        let folder = server.folder().join("archived");
        let before = store.now().await.unwrap();
        let archive = async |ended| {
            let mut met = 0;
            loop {
                match store.archive(ended, before, &folder).await {
                    Ok(true) => {}
                    Ok(false) => return met,
                    Err(ArchiveError::Store(StoreError::Conflict)) => met += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let met = tokio::join!(archive(Ended::Abandoned), archive(Ended::Finished));
        assert_ne!(met, (0, 0), "they did not meet");
        drop(store);
        guard.finished().await;
        let whole = "select id from requests union all
            select stream from events where stream like 'auth_request/%' and body <> ''";
        assert_eq!(sql(&server, whole).await, [""; 0]);
        let files = fs::read_dir(&folder).unwrap().count();
        let named = sql(&server, "select body from events where type = 'Archived'").await;
        assert_eq!(files, named.len(), "{named:?}");
    }
}
