//! The log itself: dense, checked, shared commits, fixed bytes. Below HTTP, on the store directly.

pub(crate) mod node;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use auth_agent::{
    domain::{AdmissionStatus, Decision, Metadata},
    store::{AuditFilter, CommitListener, Committed, Opened, Store, StoreError, hear_others, tail},
};
use futures_util::{StreamExt, future::join_all};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::node::Place;
use crate::support::{
    Api, Backend, Env, on_both_databases,
    process::{eventually, locked},
};

/// Every event that matches, page by page, in the order of the log.
pub(crate) async fn history(api: &Api, query: &str) -> Vec<Value> {
    history_after(api, 0, query).await
}

/// The same after a position.
pub(crate) async fn history_after(api: &Api, position: u64, query: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = position.to_string();
    loop {
        let path = format!("/api/admin/audit-log?limit=500&after={after}&{query}");
        let call = api.get(&path).bearer_auth(&api.admin_key);
        let page = api
            .send(call.header("accept", "application/json"))
            .await
            .expect(200)
            .json;
        events.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return events,
        }
    }
}

/// Every event that matches but the readings of the log, this one's own among them.
pub(crate) async fn acts(api: &Api, query: &str) -> Vec<Value> {
    let mut events = history(api, query).await;
    events.retain(|event| event["type"] != "AuditLogRead");
    events
}

async fn whole_log(store: &Store) -> Vec<Committed> {
    store
        .events_after(0, 100_000)
        .await
        .expect("the log can be read")
}

on_both_databases! {
    async fn positions_and_versions_are_dense_whoever_writes(env: Env) {
        let place = Place::new(env).await;
        let first = place.node().await;
        let mut nodes = vec![first];
        if env.backend == Backend::Postgres {
            nodes.push(place.node().await);
            nodes.push(place.node().await);
        } else {
            // A file has one writer in all.
            assert!(matches!(Opened::open(&place.url()).await, Err(StoreError::Locked(_))));
        }
        let client = nodes[0].client(None).await.unwrap();
        let agent = nodes[0].agent().await;
        let mut work: Vec<futures_util::future::BoxFuture<'_, ()>> = Vec::new();
        for node in &nodes {
            for _ in 0..100 {
                work.push(Box::pin(async { node.request(client, 1).await.map(drop).unwrap() }));
            }
            // And all of them at one stream.
            for number in 0..20 {
                work.push(Box::pin(async move {
                    let system = Metadata::system();
                    let done = node.store.on_agent(&agent, &system, |agent| {
                        if number % 2 == 0 { agent.suspend() } else { agent.reinstate() }
                    });
                    done.await.unwrap();
                }));
            }
        }
        join_all(work).await;
        let events = whole_log(&nodes[0].store).await;
        assert!(events.len() >= 100 * nodes.len());
        let mut versions: HashMap<String, u64> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.recorded.position, index as u64 + 1);
            let version = versions.entry(event.stream.to_string()).or_default();
            *version += 1;
            assert_eq!(event.recorded.version, *version);
        }
        assert!(versions[&format!("agent/{agent}")] > 1);
        for node in nodes {
            node.stop().await;
        }
    }

    async fn every_version_that_a_decision_read_is_checked(env: Env) {
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        let agent = node.agent().await;
        // A client that has changed since, or was never there.
        for version in [0, 2] {
            let refused = node.request(client, version).await;
            assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
        }
        let request = node.request(client, 1).await.unwrap();
        // The agent is suspended between the decision and its append: the decision is taken again.
        let store = Arc::clone(&node.store);
        let decisions = AtomicUsize::new(0);
        let system = Metadata::system();
        let decided = node.store.on_request(&request, Some(&agent), &system, |seen| {
            let suspended = seen.standing.agent.as_ref().unwrap().state.admission.status == AdmissionStatus::Suspended;
            if decisions.fetch_add(1, Ordering::Relaxed) == 0 {
                assert!(!suspended);
                let suspend = store.on_agent(&agent, &system, |agent| agent.suspend());
                let runtime = tokio::runtime::Handle::current();
                tokio::task::block_in_place(|| runtime.block_on(suspend)).unwrap();
            }
            let fact = auth_agent::domain::auth_request::AgentRejected {
                agent_id: agent,
                reason: auth_agent::domain::auth_request::Rejection::OriginMismatch,
            };
            Decision::with([auth_agent::domain::RequestFact::AgentRejected(fact)], suspended)
        });
        let (suspended, _) = decided.await.unwrap();
        assert!(suspended, "a decision stood on an agent that had changed");
        assert_eq!(decisions.load(Ordering::Relaxed), 2);
        let events = whole_log(&node.store).await;
        let rejected = events.iter().filter(|event| {
            format!("{:?}", event.recorded.fact).contains("AgentRejected")
        });
        assert_eq!(rejected.count(), 1);
        drop(store);
        node.stop().await;
    }

    async fn one_poisoned_command_fails_alone(env: Env) {
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(Some("taken")).await.unwrap();
        let large = format!("https://profilio.example/{}", "x".repeat(40_000));
        let work = (0..200).map(|number| {
            let (node, large) = (&node, &large);
            async move {
                match number % 20 {
                    // The database refuses it: a credential of that id is there.
                    7 => (false, node.client(Some("taken")).await.is_ok()),
                    // It is too large for an event.
                    11 => (false, node.create(client, 1, large, None).await.is_ok()),
                    // It stands on a version that is not.
                    13 => (false, node.request(client, 9).await.is_ok()),
                    _ => (true, node.request(client, 1).await.is_ok()),
                }
            }
        });
        for (number, (expected, succeeded)) in join_all(work).await.into_iter().enumerate() {
            assert_eq!(expected, succeeded, "command {number}");
        }
        let events = whole_log(&node.store).await;
        assert_eq!(events.len(), 1 + 170);
        assert_eq!(events.last().unwrap().recorded.position, events.len() as u64);
        node.stop().await;
    }

    async fn those_who_wait_together_are_committed_together(env: Env) {
        const APPENDS: usize = 500;
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        for done in join_all((0..APPENDS).map(|_| node.request(client, 1))).await {
            done.unwrap();
        }
        let batches = locked(&node.batches.0).split_off(1);
        let events: usize = batches.iter().map(Vec::len).sum();
        assert_eq!(events, APPENDS);
        assert!(batches.len() * 10 <= APPENDS, "{} commits for {APPENDS}", batches.len());
        let mut position = 1;
        for event in batches.iter().flatten() {
            position += 1;
            assert_eq!(event.recorded.position, position, "subscribers hear in order");
        }
        // They share one moment with their commit.
        for batch in &batches {
            let moment = batch[0].recorded.occurred_at;
            assert!(batch.iter().all(|event| event.recorded.occurred_at == moment));
        }
        node.stop().await;
    }

    async fn a_tail_keeps_up_with_many_who_append_and_misses_nothing(env: Env) {
        const MANY: usize = 2_000;
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        let after = node.store.last_position().await.unwrap();
        let filter = AuditFilter { after, limit: 10, ..AuditFilter::default() };
        let pages = tail(Arc::clone(&node.store), filter, CancellationToken::new());
        let told = tokio::spawn(async move {
            let mut pages = std::pin::pin!(pages);
            let mut told = Vec::new();
            while told.len() < MANY {
                let page = pages.next().await.expect("the tail goes on");
                told.extend(page.into_iter().map(|entry| entry.position));
            }
            told
        });
        let appends = futures_util::stream::iter(0..MANY).for_each_concurrent(16, async |_| {
            node.request(client, 1).await.expect("it is appended");
        });
        appends.await;
        let expected: Vec<u64> = (after + 1..=after + MANY as u64).collect();
        assert_eq!(told.await.expect("the tail goes on"), expected);
        node.stop().await;
    }

    async fn the_leaf_hash_is_that_of_the_very_bytes_of_the_body(env: Env) {
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        for _ in 0..10 {
            node.request(client, 1).await.unwrap();
        }
        node.agent().await;
        node.stop().await;
        let bodies = place.sql("select body from events order by position").await;
        let hashes = place.sql("select leaf_hash from events order by position").await;
        assert_eq!((bodies.len(), hashes.len()), (13, 13));
        for (body, hash) in bodies.iter().zip(&hashes) {
            let leaf = [&[0], body.as_bytes()].concat();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
            let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, *hash);
        }
    }
}

/// Counts how often the log was put back.
#[derive(Default)]
struct PutBack(AtomicUsize);

impl CommitListener for PutBack {
    fn committed(&self, _: &[Committed]) {}

    fn put_back(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_put_back_under_a_node_is_noticed_and_no_tail_goes_on() {
    let env = Env {
        backend: Backend::Postgres,
    };
    let place = Place::new(env).await;
    let node = place.node().await;
    let client = node.client(None).await.unwrap();
    for _ in 0..5 {
        node.request(client, 1).await.unwrap();
    }
    let (listener, stop) = (Arc::new(PutBack::default()), CancellationToken::new());
    let heard = hear_others(
        Arc::clone(&node.store),
        Arc::clone(&listener) as _,
        stop.clone(),
    );
    let hearing = tokio::spawn(heard);
    let filter = AuditFilter {
        after: node.store.last_position().await.unwrap(),
        limit: 10,
        ..AuditFilter::default()
    };
    let mut pages = std::pin::pin!(tail(Arc::clone(&node.store), filter, stop.clone()));
    place.sql("delete from events where position > 3").await;
    assert!(pages.next().await.is_none());
    eventually("it to be noticed", async || {
        (listener.0.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    stop.cancel();
    hearing.await.unwrap();
    node.stop().await;
}
