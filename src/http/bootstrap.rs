//! From settings to a server that can answer: the data folder, the database, the master key, and on
//! the first start the keys.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    address_keys::Listeners,
    admin::entry::{self, AdminKeys},
    app::{App, HashKeys},
    first_start::{self, FirstStart},
    keys::{self, KeysError, LiveKeys},
    limit::Limits,
    master_key::{fits, master_key},
    measures::Measures,
    openapi::Described,
    pending::Pending,
    reload::Replaceable,
    room,
};
use crate::{
    config::Config,
    crypto::{Hasher, MasterKey, RootKey, Secret, SecretTagger},
    domain::{AdminRole, KeyGroup},
    edge::{self, Clock},
    push::Doorbells,
    store::{AdminKey, NewAdminKey, NewKeys, Opened, Store, StoreError, StoreGuard, sqlite_file},
};

/// Descriptors left for everything that is not a waiting page's stream.
const SPARE_DESCRIPTORS: u64 = 512;
/// The name of the first admin key.
const FIRST_ADMIN_KEY: &str = "first";

/// What the tags of secrets are made with.
const SECRET_TAGS: &str = "secret tags";

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
    /// The data folder is of a database that is not there.
    #[error(
        "there is no database at {at}, and {} says that there was one: put it back, or make one of a backup with \
         `auth-agent restore`; to begin with an empty one: `auth-agent serve --new-database`", .sign.display()
    )]
    MissingDatabase {
        /// Where it was looked for.
        at: String,
        /// What says that there was one.
        sign: PathBuf,
    },
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
    /// A master key from outside is replaced by one from outside.
    #[error(
        "which new master key? Set AUTH_AGENT_NEW_MASTER_KEY, or name a file with --new-key-file (32 bytes as base64, for example from `openssl rand -base64 32`)"
    )]
    NewMasterKeyRequired,
    /// The new master key is the one in use.
    #[error("the new master key is the one that the database is sealed under already")]
    SameMasterKey,
    /// A stored key cannot be opened or read.
    #[error("the stored key {0} cannot be read")]
    StoredKey(String),
    /// A key could not be made.
    #[error("cannot make keys: {0}")]
    Keys(String),
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => Self::Store(error),
            KeysError::Stored(id) => Self::StoredKey(id),
            KeysError::Unusable(why) => Self::Keys(why),
            KeysError::NotLoaded(error) => Self::Keys(error.to_string()),
        }
    }
}

/// Everything that is running once the database is open.
pub(super) struct Started {
    pub(super) app: App,
    pub(super) guard: StoreGuard,
    pub(super) notices: Vec<String>,
    pub(super) first_admin_key: Option<Secret>,
}

pub(super) fn make_data_dir(config: &Config, notices: &mut Vec<String>) -> Result<(), StartError> {
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

/// Makes what is missing and starts everything. `issuer` is final.
pub(super) async fn start(
    config: &Config,
    issuer: String,
    stop: CancellationToken,
    first: FirstStart,
) -> Result<Started, StartError> {
    let mut notices = Vec::new();
    let url = config.database_url();
    // Looked for before the database is: another node may be making it.
    let sign = first_start::sign(config).filter(|_| !first.new_database);
    if let Some(sign) = &sign
        && sqlite_file(&url).is_some_and(|file| !file.exists())
    {
        return Err(first_start::missing(&url, sign));
    }
    // A database elsewhere is looked at first: with a wrong key not even a folder is made.
    let inside = sqlite_file(&url).is_some_and(|file| file.starts_with(&config.data_dir));
    if inside {
        make_data_dir(config, &mut notices)?;
    }
    let mut opened = Opened::open(&url).await?;
    let fingerprint = opened.master_key_fingerprint().map(ToOwned::to_owned);
    let ready = match sign.filter(|_| fingerprint.is_none()) {
        Some(sign) => Err(first_start::missing(&url, &sign)),
        None => prepared(config, &url, &mut opened, &mut notices).await,
    };
    let master_key = match ready {
        Ok(master_key) => master_key,
        Err(error) => {
            // In good order: a database that is refused is left without a file beside it.
            opened.close().await;
            return Err(error);
        }
    };
    let doorbells = Arc::new(Doorbells::new(streams()));
    let listeners = Arc::new(Listeners {
        doorbells,
        address_keys: Arc::default(),
    });
    let (store, guard) = opened.start(Arc::clone(&listeners) as _).await?;
    if fingerprint.is_none() && url.starts_with("sqlite") {
        notices.push(format!("made the database {url}"));
    }
    let mut first_admin_key = None;
    if fingerprint.is_none() {
        let root = RootKey::from_bytes(edge::random());
        let tagger = SecretTagger::new(root.derive(SECRET_TAGS));
        let hash_keys = HashKeys::of(&root);
        let admin_key = config.admin_key.is_none().then(|| entry::issue(&tagger));
        let kept = admin_key.as_ref().filter(|_| first.keeps_admin_key);
        if let Some(key) = kept {
            first_start::keep(config, key)?;
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
        let keys = new_keys(&master_key, &root, admin, now).await?;
        match store.install_keys(keys).await {
            Ok(()) => {
                match kept {
                    Some(key) => first_start::counts(config, key.expose(), &mut notices)?,
                    None => first_start::make_way(config, &mut notices)?,
                }
                notices.push("made signing keys (RS256, ES256, EdDSA) and a derivation key".into());
                first_admin_key = admin_key;
            }
            // Another node was first: its keys are the ones, if they are under the same master key.
            Err(StoreError::Claimed { .. }) => {
                if let Some(key) = kept {
                    first_start::does_not_count(config, key.expose())?;
                }
                let theirs = store.master_key_fingerprint().await?;
                fits(theirs.as_deref(), &master_key)?;
            }
            Err(error) => return Err(error.into()),
        }
    }

    let root = root_key(&store, &master_key).await?;
    let hash_keys = HashKeys::of(&root);
    if let Some(key) = first_start::kept(config)? {
        // A first start was cut short: before the key counted, or after.
        let mac = hash_keys.admin_keys.mac_hex(&[key.as_bytes()]);
        match store.admin_key_by_mac(&mac).await? {
            Some(_) => first_start::counts(config, &key, &mut notices)?,
            None => first_start::does_not_count(config, &key)?,
        }
    }
    if url.starts_with("sqlite") {
        first_start::mark(config);
    }
    if first.new_database && fingerprint.is_some() {
        tracing::warn!(
            "there is a database already, which is used: leave out --new-database, for with it an empty one \
             is made should this one ever be missing"
        );
    }
    let environment = config
        .admin_key
        .as_ref()
        .map(|key| hash_keys.admin_keys.mac_hex(&[key.expose().as_bytes()]));
    let store = Arc::new(store);
    let keys = LiveKeys::open(
        Arc::clone(&store),
        master_key.clone(),
        issuer.clone(),
        config.key_schedule(),
    )
    .await?;
    let app = App {
        base_path: base_path(&issuer),
        secure: issuer.starts_with("https:"),
        trusted_proxies: Arc::new(Replaceable::new(config.trusted_proxies())),
        lifetimes: config.lifetimes(),
        measures: Arc::new(Measures::new(&base_path(&issuer))),
        limits: Arc::new(Limits::new(&config.limits())),
        failures: Arc::default(),
        pending: Arc::new(Pending::new(config.limits().pending_per_client)),
        minter: Arc::clone(&keys.minter),
        keys: Arc::new(keys),
        issuer,
        store,
        doorbells: Arc::clone(&listeners.doorbells),
        tagger: SecretTagger::new(root.derive(SECRET_TAGS)),
        hasher: Hasher::new(
            config.hash_permits(),
            config.hash_queue,
            crate::crypto::MacKey::from_bytes(edge::random()),
        ),
        hash_keys,
        master_key,
        address_keys: Arc::clone(&listeners.address_keys),
        described: Described::default(),
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
    let master_key = master_key(config, url, fingerprint, notices)?;
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

/// As many streams as there are descriptors, less what everything else needs; where there are few, half.
fn streams() -> usize {
    room::less(descriptors(), SPARE_DESCRIPTORS)
}

/// The descriptors that the process may have.
pub(super) fn descriptors() -> u64 {
    // As far as the operator's hard limit allows; where it cannot be raised it stays.
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024)
}

async fn new_keys(
    master_key: &MasterKey,
    root: &RootKey,
    admin: Option<NewAdminKey>,
    now: Timestamp,
) -> Result<NewKeys, StartError> {
    let mut keys = Vec::new();
    let signing = keys::ALGORITHMS.map(KeyGroup::Signing);
    for group in signing.into_iter().chain([KeyGroup::Derivation]) {
        keys.push(keys::new_key(master_key, group).await?);
    }
    Ok(NewKeys {
        master_key_fingerprint: master_key.fingerprint(),
        sealed_root_key: root.seal(master_key, edge::random()),
        keys,
        admin,
        now,
    })
}

/// The root key, which whoever made the database has put there.
async fn root_key(store: &Store, master_key: &MasterKey) -> Result<RootKey, StartError> {
    let unreadable = || StartError::StoredKey("root".to_owned());
    let sealed = store.root_key().await?.ok_or_else(unreadable)?;
    RootKey::open(master_key, &sealed).map_err(|_| unreadable())
}
