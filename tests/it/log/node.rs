//! A database of a test, and stores of it without a server.

use std::sync::{Arc, Mutex};

use auth_agent::{
    domain::{
        AgentId, AgentRegistered, Binding, ClientId, ClientRegistered, CodeChallenge, GrantType,
        KeyGroup, Metadata, RequestId, Scope, SubjectKind, TokenAlgorithm, auth_request::Created,
    },
    edge::{self, Clock},
    store::{
        AgentOwner, CommitListener, Committed, KeyMaterial, NewAgent, NewClient, NewCredential,
        NewDetails, NewKey, NewKeys, NewOwner, NewRequest, Opened, Store, StoreError, StoreGuard,
    },
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    sql::on_file,
    support::{
        Backend, Env,
        postgres::{Database, Postgres},
        process::{arbitrary, locked},
    },
};

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
pub(crate) struct Batches(pub(crate) Mutex<Vec<Vec<Committed>>>);

impl CommitListener for Batches {
    fn committed(&self, events: &[Committed]) {
        locked(&self.0).push(events.to_vec());
    }
}

/// One store with a writer of its own.
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    guard: StoreGuard,
    pub(crate) batches: Arc<Batches>,
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

    pub(crate) async fn create(
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
