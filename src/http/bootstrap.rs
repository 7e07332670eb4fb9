//! From settings to a server that can answer: the data folder, the database, the master key, and on
//! the first start the keys.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use dashmap::DashMap;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    admin::entry::{self, AdminKeys},
    app::{App, HashKeys},
    limit::Limits,
    measures::Measures,
    pending::Pending,
    reload::Replaceable,
};
use crate::{
    config::Config,
    crypto::{
        DerivationKeys, Hasher, KeyRing, MasterKey, Secret, SecretTagger, SigningKey, TokenMinter,
    },
    domain::{AdminRole, TokenAlgorithm},
    edge::{self, Clock},
    push::Doorbells,
    store::{
        AdminKey, KeyMaterial, NewAdminKey, NewKeys, Opened, Store, StoreError, StoreGuard,
        sqlite_file,
    },
};

/// Descriptors left for everything that is not a waiting page's stream.
const SPARE_DESCRIPTORS: u64 = 512;
/// The name of the first admin key.
const FIRST_ADMIN_KEY: &str = "first";

/// Why the server does not start: one clear line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    /// The address for administration cannot be listened on.
    #[error("cannot listen on {0} for administration: {1}")]
    AdminListen(std::net::SocketAddr, io::Error),
    /// A file or folder cannot be made or read.
    #[error("cannot use {}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// The file does not hold a master key.
    #[error("{}: {}", .0.display(), .1)]
    MasterKeyFile(PathBuf, crate::crypto::master_key::MasterKeyError),
    /// The database was made with a master key that is not there.
    #[error(
        "the database needs its master key: put it back at {} or set AUTH_AGENT_MASTER_KEY", .0.display()
    )]
    MasterKeyMissing(PathBuf),
    /// PostgreSQL needs the master key from outside: the nodes share it.
    #[error(
        "AUTH_AGENT_MASTER_KEY is required with postgres:// (32 bytes as base64, for example from `openssl rand -base64 32`), the same on every node"
    )]
    MasterKeyRequired,
    /// Another master key than the one that the database was made with.
    #[error(
        "the master key does not fit this database: it was made with the key of fingerprint {database}, and this one has {given}; nothing was touched"
    )]
    WrongMasterKey {
        /// Fingerprint that the database holds.
        database: String,
        /// Fingerprint of the key given.
        given: String,
    },
    /// A stored key cannot be opened or read.
    #[error("the stored key {0} cannot be read")]
    StoredKey(String),
    /// A key could not be made.
    #[error("cannot make keys: {0}")]
    Keys(String),
}

/// Everything that is running once the database is open.
pub(super) struct Started {
    pub(super) app: App,
    pub(super) guard: StoreGuard,
    pub(super) notices: Vec<String>,
    pub(super) first_admin_key: Option<Secret>,
}

fn make_data_dir(config: &Config, notices: &mut Vec<String>) -> Result<(), StartError> {
    let data_dir = &config.data_dir;
    if !data_dir.exists() {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(data_dir)
            .map_err(|error| StartError::File(data_dir.clone(), error))?;
        notices.push(format!("made the data folder {}", data_dir.display()));
    }
    Ok(())
}

/// Makes what is missing and starts everything. `issuer` is final; `keep_admin_key` writes a first
/// admin key to a file, for those who cannot be shown it.
pub(super) async fn start(
    config: &Config,
    issuer: String,
    stop: CancellationToken,
    keep_admin_key: bool,
) -> Result<Started, StartError> {
    let mut notices = Vec::new();
    let url = config.database_url();
    // A database elsewhere is looked at first: with a wrong key not even a folder is made.
    let inside = sqlite_file(&url).is_some_and(|file| file.starts_with(&config.data_dir));
    if inside {
        make_data_dir(config, &mut notices)?;
    }
    let mut opened = Opened::open(&url).await?;
    let fingerprint = opened.master_key_fingerprint().map(ToOwned::to_owned);
    let master_key = match prepared(config, &url, &mut opened, &mut notices).await {
        Ok(master_key) => master_key,
        Err(error) => {
            // In good order: a database that is refused is left without a file beside it.
            opened.close().await;
            return Err(error);
        }
    };
    let doorbells = Arc::new(Doorbells::new(streams()));
    let (store, guard) = opened.start(Arc::clone(&doorbells) as _).await?;
    if fingerprint.is_none() && url.starts_with("sqlite") {
        notices.push(format!("made the database {url}"));
    }
    let tagger = SecretTagger::new(master_key.derive("secret tags"));
    let hash_keys = HashKeys {
        cookies: master_key.derive("request cookies"),
        parameters: master_key.derive("request parameters"),
        emails: master_key.derive("owner addresses"),
        admin_keys: master_key.derive("admin keys"),
    };

    let mut first_admin_key = None;
    if fingerprint.is_none() {
        let admin_key = config.admin_key.is_none().then(|| entry::issue(&tagger));
        if let (Some(key), true) = (&admin_key, keep_admin_key) {
            // Written before it counts: a key that nobody has is worse than a file of no use.
            let path = config.admin_key_file();
            write_secret(&path, key.expose()).map_err(|e| StartError::File(path.clone(), e))?;
            notices.push(format!(
                "made the first admin key, kept in {}",
                path.display()
            ));
        }
        let now = store.now().await?;
        let admin = admin_key.as_ref().map(|key| NewAdminKey {
            key: AdminKey {
                id: edge::new_admin_key_id(now),
                name: FIRST_ADMIN_KEY.to_owned(),
                role: AdminRole::Admin,
                created_at: now,
            },
            secret_mac: hash_keys.admin_keys.mac_hex(&[key.expose().as_bytes()]),
        });
        let keys = new_keys(&master_key, admin, now).await?;
        match store.install_keys(keys).await {
            Ok(()) => {
                notices.push("made signing keys (RS256, ES256, EdDSA) and a derivation key".into());
                first_admin_key = admin_key;
            }
            // Another node was first: its keys are the ones, if they are under the same master key.
            Err(StoreError::Claimed { .. }) => {
                if let (Some(key), true) = (&admin_key, keep_admin_key) {
                    // That key opens nothing; another one that stands there by now may.
                    let path = config.admin_key_file();
                    let kept = fs::read_to_string(&path).map(Zeroizing::new);
                    if kept.is_ok_and(|kept| kept.trim() == key.expose()) {
                        fs::remove_file(&path).map_err(|e| StartError::File(path.clone(), e))?;
                    }
                    notices.pop();
                }
                let theirs = store.master_key_fingerprint().await?;
                fits(theirs.as_deref(), &master_key)?;
            }
            Err(error) => return Err(error.into()),
        }
    }

    let environment = config
        .admin_key
        .as_ref()
        .map(|key| hash_keys.admin_keys.mac_hex(&[key.expose().as_bytes()]));
    let signing = signing_keys(&store, &master_key).await?;
    let ring = KeyRing::new(signing).map_err(|error| StartError::Keys(error.to_string()))?;
    let app = App {
        base_path: base_path(&issuer),
        secure: issuer.starts_with("https:"),
        trusted_proxies: Arc::new(Replaceable::new(config.trusted_proxies())),
        lifetimes: config.lifetimes(),
        measures: Arc::new(Measures::new(&base_path(&issuer))),
        limits: Arc::new(Limits::new(&config.limits())),
        pending: Arc::new(Pending::new(config.limits().pending_per_client)),
        derivation: derivation_keys(&store, &master_key, &issuer).await?,
        minter: TokenMinter::new(Arc::new(ring), issuer.clone()),
        issuer,
        store: Arc::new(store),
        doorbells,
        tagger,
        hasher: Hasher::new(
            config.hash_permits(),
            config.hash_queue,
            crate::crypto::MacKey::from_bytes(edge::random()),
        ),
        hash_keys,
        master_key,
        address_keys: DashMap::new(),
        admin_keys: AdminKeys::new(environment),
        stop,
        started_at: Clock.now(),
    };
    Ok(Started {
        app,
        guard,
        notices,
        first_admin_key,
    })
}

/// The master key that fits the database, which has its tables then.
async fn prepared(
    config: &Config,
    url: &str,
    opened: &mut Opened,
    notices: &mut Vec<String>,
) -> Result<MasterKey, StartError> {
    let fingerprint = opened.master_key_fingerprint();
    if fingerprint.is_none() {
        make_data_dir(config, notices)?;
    }
    let master_key = master_key(config, url, fingerprint.is_none(), notices)?;
    fits(fingerprint, &master_key)?;
    opened.migrate().await?;
    Ok(master_key)
}

/// The issuer's path, without a trailing slash.
fn base_path(issuer: &str) -> String {
    let path = url::Url::parse(issuer)
        .map(|url| url.path().to_owned())
        .unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}

/// As many streams as there are descriptors, less what everything else needs.
fn streams() -> usize {
    // As far as the operator's hard limit allows; where it cannot be raised it stays.
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    usize::try_from(descriptors.saturating_sub(SPARE_DESCRIPTORS)).unwrap_or(usize::MAX)
}

fn fits(fingerprint: Option<&str>, master_key: &MasterKey) -> Result<(), StartError> {
    match fingerprint {
        Some(database) if database != master_key.fingerprint() => Err(StartError::WrongMasterKey {
            database: database.to_owned(),
            given: master_key.fingerprint(),
        }),
        _ => Ok(()),
    }
}

/// The master key from the environment, or from its file, which a fresh SQLite database gets.
fn master_key(
    config: &Config,
    url: &str,
    fresh: bool,
    notices: &mut Vec<String>,
) -> Result<MasterKey, StartError> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    if !url.starts_with("sqlite") {
        return Err(StartError::MasterKeyRequired);
    }
    let path = config.data_dir.join("master.key");
    match fs::read_to_string(&path) {
        Ok(text) => MasterKey::from_base64(Zeroizing::new(text).trim())
            .map_err(|error| StartError::MasterKeyFile(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fresh => {
            let key = MasterKey::from_bytes(edge::random());
            write_secret(&path, &key.to_base64())
                .map_err(|error| StartError::File(path.clone(), error))?;
            notices.push(format!(
                "made the master key {}: keep a copy in a safe place, nothing can be read without it",
                path.display()
            ));
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(StartError::MasterKeyMissing(path))
        }
        Err(error) => Err(StartError::File(path, error)),
    }
}

/// Writes a secret for its owner's eyes only, whole or not at all, and durably: a database whose
/// keys it seals may be committed the next moment.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

fn context(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

async fn new_keys(
    master_key: &MasterKey,
    admin: Option<NewAdminKey>,
    now: Timestamp,
) -> Result<NewKeys, StartError> {
    let failed = |error: String| StartError::Keys(error);
    let mut signing = Vec::new();
    for algorithm in [
        TokenAlgorithm::EdDSA,
        TokenAlgorithm::ES256,
        TokenAlgorithm::RS256,
    ] {
        // Finding the primes of an RSA key takes a while.
        let key = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        let id = key.kid().to_owned();
        let context = context("signing_key", &id);
        let sealed = master_key.seal(&context, &key.to_pkcs8(), edge::random());
        let material = KeyMaterial {
            id,
            alg: algorithm.as_str().to_owned(),
            sealed,
        };
        signing.push((material, key.public_jwk()));
    }
    let key = Zeroizing::new(edge::random::<32>());
    let id = "1".to_owned();
    let sealed = master_key.seal(
        &context("derivation_key", &id),
        key.as_slice(),
        edge::random(),
    );
    Ok(NewKeys {
        master_key_fingerprint: master_key.fingerprint(),
        signing,
        derivation: KeyMaterial {
            id,
            alg: String::new(),
            sealed,
        },
        admin,
        now,
    })
}

async fn signing_keys(
    store: &Store,
    master_key: &MasterKey,
) -> Result<Vec<SigningKey>, StartError> {
    let mut keys = Vec::new();
    for stored in store.signing_keys().await? {
        let unreadable = || StartError::StoredKey(stored.id.clone());
        let algorithm = stored
            .alg
            .parse::<TokenAlgorithm>()
            .map_err(|_| unreadable())?;
        let pkcs8 = master_key
            .open(&context("signing_key", &stored.id), &stored.sealed)
            .map_err(|_| unreadable())?;
        keys.push(SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(|_| unreadable())?);
    }
    Ok(keys)
}

async fn derivation_keys(
    store: &Store,
    master_key: &MasterKey,
    issuer: &str,
) -> Result<DerivationKeys, StartError> {
    let mut keys = Vec::new();
    for stored in store.derivation_keys().await? {
        let unreadable = || StartError::StoredKey(stored.id.clone());
        let opened = master_key
            .open(&context("derivation_key", &stored.id), &stored.sealed)
            .map_err(|_| unreadable())?;
        let key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| unreadable())?;
        keys.push((stored.id, key));
    }
    let active = keys.first().map(|(id, _)| id.clone()).unwrap_or_default();
    DerivationKeys::new(issuer, &active, keys).map_err(|error| StartError::Keys(error.to_string()))
}
