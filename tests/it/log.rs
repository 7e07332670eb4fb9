//! The log itself: dense, checked, shared commits, fixed bytes. Below HTTP, on the store directly.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use auth_agent::{
    domain::{
        AdmissionStatus, AgentId, AgentRegistered, Binding, ClientId, ClientRegistered,
        CodeChallenge, Decision, GrantType, KeyGroup, Metadata, RequestId, Scope, SubjectKind,
        TokenAlgorithm, auth_request::Created,
    },
    edge::{self, Clock},
    store::{
        AgentOwner, CommitListener, Committed, KeyMaterial, NewAgent, NewClient, NewCredential,
        NewDetails, NewKey, NewKeys, NewOwner, NewRequest, Opened, Store, StoreError, StoreGuard,
    },
};
use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    sql::on_file,
    support::{
        Api, Backend, Env, on_both_databases,
        postgres::{Database, Postgres},
        process::{arbitrary, locked},
    },
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

/// Where the websites of these tests want their browsers back.
const REDIRECT_URI: &str = "https://profilio.example/callback";

/// A database of the test's own.
pub(crate) struct Place {
    folder: TempDir,
    database: Option<Database>,
}

impl Place {
    pub(crate) async fn new(env: Env) -> Self {
        let database = match env.backend {
            Backend::Sqlite => None,
            Backend::Postgres => {
                let made = tokio::task::spawn_blocking(|| Postgres::shared().database()).await;
                Some(made.expect("PostgreSQL is there"))
            }
        };
        Self {
            folder: tempfile::tempdir().expect("a folder can be made"),
            database,
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.database {
            Some(database) => database.url(),
            None => format!("sqlite://{}", self.folder.path().join("log.db").display()),
        }
    }

    pub(crate) async fn sql(&self, text: &str) -> Vec<String> {
        match &self.database {
            Some(database) => database.sql(text).lines().map(str::to_owned).collect(),
            None => on_file(&self.folder.path().join("log.db"), text).await,
        }
    }

    /// A node with this database.
    pub(crate) async fn node(&self) -> Node {
        self.node_by(&self.url()).await
    }

    /// The same by another way to it.
    pub(crate) async fn node_by(&self, url: &str) -> Node {
        let batches = Arc::new(Batches::default());
        let mut opened = Opened::open(url).await.expect("it opens");
        opened.migrate().await.expect("it has tables");
        let (store, guard) = opened
            .start(Arc::clone(&batches) as _)
            .await
            .expect("it starts");
        Node {
            store: Arc::new(store),
            guard,
            batches,
        }
    }
}

/// What was committed together, a list for each commit.
#[derive(Default)]
pub(crate) struct Batches(Mutex<Vec<Vec<Committed>>>);

impl CommitListener for Batches {
    fn committed(&self, events: &[Committed]) {
        locked(&self.0).push(events.to_vec());
    }
}

/// One store with a writer of its own.
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    guard: StoreGuard,
    batches: Arc<Batches>,
}

impl Node {
    pub(crate) async fn stop(self) {
        drop(self.store);
        self.guard.finished().await;
    }

    /// Puts a derivation key in place, without which nothing is issued.
    pub(crate) async fn install_keys(&self) {
        let key = NewKey {
            group: KeyGroup::Derivation,
            material: KeyMaterial {
                id: "1".into(),
                alg: String::new(),
                sealed: "sealed".into(),
            },
            public_jwk: Value::Null,
        };
        let new = NewKeys {
            master_key_fingerprint: "fingerprint".into(),
            sealed_root_key: "sealed".into(),
            keys: vec![key],
            admin: None,
            now: Clock.now(),
        };
        self.store.install_keys(new).await.expect("the first keys");
    }

    /// Everything that was committed so far, as a subscriber heard it.
    pub(crate) fn heard(&self) -> Vec<Committed> {
        locked(&self.batches.0).concat()
    }

    pub(crate) async fn client(&self, credential: Option<&str>) -> Result<ClientId, StoreError> {
        self.client_that(&[GrantType::AuthorizationCode], credential)
            .await
    }

    /// A client that may use these grants.
    pub(crate) async fn client_that(
        &self,
        grant_types: &[GrantType],
        credential: Option<&str>,
    ) -> Result<ClientId, StoreError> {
        let id = edge::new_client_id();
        let registered = ClientRegistered {
            client_name: "Profilio".into(),
            redirect_uris: vec![REDIRECT_URI.into()],
            grant_types: grant_types.to_vec(),
            token_endpoint_auth_method: None,
            scope: Scope::parse("openid").expect("a scope"),
            id_token_signed_response_alg: TokenAlgorithm::default(),
            access_token_signed_response_alg: None,
            subject: SubjectKind::default(),
            minimum_binding: Binding::None,
            client_uri: None,
        };
        let credential = credential.map(|id| NewCredential {
            id: id.to_owned(),
            secret_hash: "hash".into(),
            created_at: Clock.now(),
        });
        let new = NewClient {
            id,
            registered,
            credential,
        };
        self.store
            .register_client(new, &Metadata::system())
            .await
            .map(|()| id)
    }

    pub(crate) async fn agent(&self) -> AgentId {
        let (id, owner) = (edge::new_agent_id(), edge::new_owner_id());
        let registered = AgentRegistered {
            owner_id: owner,
            model: None,
            capabilities: Vec::new(),
            allowed_scopes: None,
            allowed_clients: None,
            minimum_binding: Binding::None,
        };
        let new = NewAgent {
            id,
            registered,
            name: "Errand Runner".into(),
            credential: NewCredential {
                id: edge::new_event_id().to_string(),
                secret_hash: "hash".into(),
                created_at: Clock.now(),
            },
            sealed_address_key: "sealed".into(),
            owner: AgentOwner::New(NewOwner {
                id: owner,
                email_key: format!("{:x}", arbitrary()),
                email: "ada@people.example".into(),
                name: "Ada".into(),
            }),
        };
        self.store
            .register_agent(new, &Metadata::system())
            .await
            .expect("it is registered");
        id
    }

    pub(crate) async fn request(
        &self,
        client_id: ClientId,
        client_version: u64,
    ) -> Result<RequestId, StoreError> {
        self.create(client_id, client_version, REDIRECT_URI, None)
            .await
    }

    /// A request that holds a claim.
    pub(crate) async fn claiming_request(
        &self,
        client_id: ClientId,
        claim: &str,
    ) -> Result<RequestId, StoreError> {
        self.create(client_id, 1, REDIRECT_URI, Some(claim)).await
    }

    async fn create(
        &self,
        client_id: ClientId,
        client_version: u64,
        redirect_uri: &str,
        claim: Option<&str>,
    ) -> Result<RequestId, StoreError> {
        let id = edge::new_request_id(Clock.now());
        let created = Created {
            client_id,
            redirect_uri: redirect_uri.to_owned(),
            scope: Scope::parse("openid").expect("a scope"),
            code_challenge: CodeChallenge::parse(&"c".repeat(43)).expect("a challenge"),
            expires_at: Clock.now() + std::time::Duration::from_secs(600),
        };
        let details = NewDetails {
            state: None,
            nonce: None,
            address_hash: "hash".into(),
            address_key: "day".into(),
            parameters_mac: "mac".into(),
        };
        let event = edge::new_event_id();
        let new = NewRequest {
            id,
            event,
            created,
            details,
            client_version,
            claim: claim.map(ToOwned::to_owned),
        };
        self.store
            .create_request(new, &Metadata::system())
            .await
            .map(|_| id)
    }
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
