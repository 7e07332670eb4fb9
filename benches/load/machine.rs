//! What the machine itself allows, and what the store makes of it: both without HTTP.

use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use auth_agent::{
    domain::{
        Binding, ClientId, ClientRegistered, CodeChallenge, GrantType, Metadata, Scope,
        SubjectKind, TokenAlgorithm, auth_request::Created,
    },
    edge::{self, Clock},
    store::{
        CommitListener, Committed, NewClient, NewDetails, NewRequest, Opened, Store, StoreGuard,
    },
};
use tokio::task::JoinSet;

use super::{client::Result, servers::REDIRECT_URI};

/// How often a second 4 KiB can be made durable in a file, one after the other.
pub(crate) fn durable_writes(folder: &Path, place: Place, length: Duration) -> Result<f64> {
    const PAGE: [u8; 4096] = [0x5a; 4096];
    /// Pages of the file that is written over: what SQLite lets its log grow to.
    const PAGES: u64 = 1_000;
    let mut file = File::create(folder.join("durable-writes"))?;
    if place == Place::Over {
        for _ in 0..PAGES {
            file.write_all(&PAGE)?;
        }
        file.sync_all()?;
    }
    let (start, mut count) = (Instant::now(), 0);
    loop {
        if place == Place::Over && count % PAGES == 0 {
            file.rewind()?;
        }
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
        let elapsed = start.elapsed();
        if elapsed >= length {
            return Ok(count as f64 / elapsed.as_secs_f64());
        }
    }
}

/// Where a durable write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the end of a file, which then has another length to be made durable too.
    Append,
    /// Over what is there already, as in a write-ahead log that has been through a checkpoint.
    Over,
}

/// Counts transactions: a listener is told once for each.
#[derive(Default)]
struct Commits(AtomicU64);

impl CommitListener for Commits {
    fn committed(&self, _: &[Committed]) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store of the harness's own, on SQLite in a fresh folder.
pub(crate) struct Log {
    store: Arc<Store>,
    guard: StoreGuard,
    commits: Arc<Commits>,
    client: ClientId,
}

impl Log {
    /// Opens it and registers a website.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let url = format!("sqlite://{}", folder.join("appends.db").display());
        let mut opened = Opened::open(&url).await?;
        opened.migrate().await?;
        let commits = Arc::new(Commits::default());
        let listener: Arc<dyn CommitListener> = Arc::clone(&commits) as _;
        let (store, guard) = opened.start(listener).await?;
        let client = edge::new_client_id();
        let registered = ClientRegistered {
            client_name: "Profilio".to_owned(),
            redirect_uris: vec![REDIRECT_URI.to_owned()],
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            token_endpoint_auth_method: None,
            scope: Scope::parse("openid profile email")?,
            id_token_signed_response_alg: TokenAlgorithm::ES256,
            access_token_signed_response_alg: None,
            subject: SubjectKind::Agent,
            minimum_binding: Binding::Address,
            client_uri: None,
        };
        let new = NewClient {
            id: client,
            registered,
            credential: None,
        };
        store.register_client(new, &Metadata::system()).await?;
        Ok(Self {
            store: Arc::new(store),
            guard,
            commits,
            client,
        })
    }

    /// `callers` callers open requests for `length`, each the next when the last is durable: an
    /// event, its projection and the vault's row. Yields how many a second, and how many of them
    /// shared a transaction.
    pub(crate) async fn appends(&self, callers: usize, length: Duration) -> Result<(f64, f64)> {
        let commits = self.commits.0.load(Ordering::Relaxed);
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let (store, client) = (Arc::clone(&self.store), self.client);
            tasks.spawn(async move {
                let (start, mut count) = (Instant::now(), 0.0);
                while start.elapsed() < length {
                    store
                        .create_request(request(client)?, &Metadata::system())
                        .await?;
                    count += 1.0;
                }
                Ok::<_, super::client::Error>((count, count / start.elapsed().as_secs_f64()))
            });
        }
        let (mut count, mut per_second) = (0.0, 0.0);
        while let Some(done) = tasks.join_next().await {
            let (by_one, a_second) = done??;
            count += by_one;
            per_second += a_second;
        }
        let commits = self.commits.0.load(Ordering::Relaxed) - commits;
        Ok((per_second, count / commits as f64))
    }

    /// Closes it.
    pub(crate) async fn close(self) {
        drop(self.store);
        self.guard.finished().await;
    }
}

fn request(client_id: ClientId) -> Result<NewRequest> {
    let now = Clock.now();
    Ok(NewRequest {
        id: edge::new_request_id(now),
        event: edge::new_event_id(),
        created: Created {
            client_id,
            redirect_uri: REDIRECT_URI.to_owned(),
            scope: Scope::parse("openid profile email")?,
            code_challenge: CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")?,
            expires_at: now + Duration::from_secs(600),
        },
        details: NewDetails {
            state: Some("0123456789abcdef".to_owned()),
            nonce: Some("fedcba9876543210".to_owned()),
            address_hash: "0123456789abcdef0123456789abcdef".to_owned(),
            address_key: "day/2026-01-31".to_owned(),
            parameters_mac: "0123456789abcdef".repeat(4),
        },
        client_version: 1,
        claim: None,
    })
}
