//! What every handler shares.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    ApiError,
    address_keys::{AddressKeys, Listeners, OF_AGENTS},
    admin::entry::AdminKeys,
    extract::{Caller, RequestCookies},
    failures::Failures,
    keys::LiveKeys,
    limit::Limits,
    measures::Measures,
    openapi::Described,
    pending::Pending,
    reload::Replaceable,
};
use crate::{
    config::TrustedProxies,
    crypto::{Hasher, MacKey, MasterKey, RootKey, SecretKind, SecretTagger, TokenMinter},
    domain::{AgentId, AuthRequest, EventId, Lifetimes, RequestId},
    edge,
    push::Doorbells,
    store::Store,
};

/// How long the details of a request, and the browser's cookie, outlive the request: a page that is
/// looked at late still finds its way back.
pub(crate) const AFTERLIFE: Duration = Duration::from_secs(60 * 60);
/// Cookies taken away by one answer: headers have bounds on their way, and the next answer goes on.
const MOST_EVICTED: usize = 30;
/// Cookies of ours that a browser keeps.
pub(crate) const COOKIES_PER_BROWSER: usize = 20;

/// Keys for keyed hashes, each derived from the root key for one purpose.
pub(crate) struct HashKeys {
    pub(crate) cookies: MacKey,
    pub(crate) parameters: MacKey,
    pub(crate) emails: MacKey,
    pub(crate) admin_keys: MacKey,
}

impl HashKeys {
    pub(crate) fn of(root: &RootKey) -> Self {
        Self {
            cookies: root.derive("request cookies"),
            parameters: root.derive("request parameters"),
            emails: root.derive("owner addresses"),
            admin_keys: root.derive("admin keys"),
        }
    }
}

/// The server as its handlers see it.
pub(crate) struct App {
    pub(crate) issuer: String,
    /// The issuer's path, without a trailing slash; empty when it has none.
    pub(crate) base_path: String,
    /// Whether the issuer is https.
    pub(crate) secure: bool,
    pub(crate) trusted_proxies: Arc<Replaceable<TrustedProxies>>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) limits: Arc<Limits>,
    pub(crate) failures: Arc<Failures>,
    pub(crate) measures: Arc<Measures>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) store: Arc<Store>,
    pub(crate) doorbells: Arc<Doorbells>,
    pub(crate) keys: Arc<LiveKeys>,
    pub(crate) minter: Arc<TokenMinter>,
    pub(crate) tagger: SecretTagger,
    pub(crate) hasher: Hasher,
    pub(crate) hash_keys: HashKeys,
    pub(crate) master_key: MasterKey,
    pub(crate) address_keys: Arc<AddressKeys>,
    pub(crate) described: Described,
    pub(crate) admin_keys: AdminKeys,
    /// Cancelled when the server is to stop: streams end.
    pub(crate) stop: CancellationToken,
    pub(crate) started_at: Timestamp,
}

impl App {
    /// An absolute path on this server.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base_path)
    }

    // ---- cookies ---------------------------------------------------------------------------

    /// What the name of every request's cookie begins with.
    pub(crate) const fn cookie_prefix(&self) -> &'static str {
        if self.secure { "__Host-aa_" } else { "aa_" }
    }

    pub(crate) fn cookies(&self, headers: &HeaderMap) -> RequestCookies {
        RequestCookies::read(headers, self.cookie_prefix())
    }

    /// The secret that binds a request to its browser: 256 bits derived from the random id of the
    /// event that created it, and so held in no table.
    pub(crate) fn cookie_secret(
        &self,
        request: &RequestId,
        created_by: &EventId,
    ) -> Zeroizing<String> {
        let parts = [
            request.to_string().into_bytes(),
            created_by.as_bytes().to_vec(),
        ];
        Zeroizing::new(self.hash_keys.cookies.mac_hex(&[&parts[0], &parts[1]]))
    }

    /// Whether the call carries the request's own cookie; whatever else is sent under its name does
    /// not matter.
    pub(crate) fn holds_cookie(
        &self,
        cookies: &RequestCookies,
        request: &RequestId,
        state: &AuthRequest,
    ) -> bool {
        use subtle::ConstantTimeEq;
        let secret = self.cookie_secret(request, &state.asked().created_by);
        cookies
            .of(request)
            .any(|presented| presented.as_bytes().ct_eq(secret.as_bytes()).into())
    }

    /// `Set-Cookie` for a request, and the removal of the oldest ones beyond what a browser keeps.
    pub(crate) fn set_cookies(
        &self,
        request: &RequestId,
        created_by: &EventId,
        held: &RequestCookies,
    ) -> Vec<HeaderValue> {
        let attributes = self.cookie_attributes();
        let secret = self.cookie_secret(request, created_by);
        let age = (self.lifetimes.request + AFTERLIFE).as_secs();
        let own = format!(
            "{}{request}={}{attributes}; Max-Age={age}",
            self.cookie_prefix(),
            *secret
        );
        let own = HeaderValue::try_from(own).ok();
        self.evictions(request, held).chain(own).collect()
    }

    /// `Set-Cookie` that removes the oldest ones beyond what a browser keeps besides that request's.
    pub(crate) fn evictions(
        &self,
        request: &RequestId,
        held: &RequestCookies,
    ) -> impl Iterator<Item = HeaderValue> {
        let (prefix, attributes) = (self.cookie_prefix(), self.cookie_attributes());
        held.requests()
            .filter(move |held| *held != request)
            .skip(COOKIES_PER_BROWSER - 1)
            .take(MOST_EVICTED)
            .map(move |old| format!("{prefix}{old}={attributes}; Max-Age=0"))
            .filter_map(|cookie| HeaderValue::try_from(cookie).ok())
    }

    fn cookie_attributes(&self) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("; Path=/; HttpOnly; SameSite=Lax{secure}")
    }

    /// Those who are to hear of what is committed, by this node or another.
    pub(crate) fn listeners(&self) -> Listeners {
        Listeners {
            doorbells: Arc::clone(&self.doorbells),
            address_keys: Arc::clone(&self.address_keys),
        }
    }

    // ---- addresses -------------------------------------------------------------------------

    /// The key that addresses are hashed under before an agent is known: one for each day.
    pub(crate) fn day_scope(at: Timestamp) -> String {
        format!("day/{}", at.strftime("%Y-%m-%d"))
    }

    /// Keyed hash of the caller's network address under a scope's key.
    pub(crate) async fn address_hash(
        &self,
        scope: &str,
        caller: &Caller,
    ) -> Result<String, ApiError> {
        let key = self.address_key(scope).await?;
        let network = caller.network();
        let parts: &[&[u8]] = if caller.address_is_its_own {
            &[&network]
        } else {
            // Told apart: the address of a proxy is never that of a caller.
            &[&network, b"a proxy"]
        };
        Ok(key.mac_hex(parts)[..32].to_owned())
    }

    /// The same under the agent's own key, which is erased with its owner.
    pub(crate) async fn agent_address_hash(
        &self,
        agent: &AgentId,
        caller: &Caller,
    ) -> Result<String, ApiError> {
        self.address_hash(&format!("{OF_AGENTS}{agent}"), caller)
            .await
    }

    async fn address_key(&self, scope: &str) -> Result<Arc<MacKey>, ApiError> {
        if let Some(key) = self.address_keys.get(scope) {
            return Ok(key);
        }
        let before = self.address_keys.now();
        let sealed = match self.store.address_key(scope).await? {
            Some(sealed) => sealed,
            // Erased with the agent's owner: what is made now is matched by nothing, and kept nowhere.
            None if scope.starts_with(OF_AGENTS) => {
                return Ok(Arc::new(MacKey::from_bytes(edge::random())));
            }
            None => {
                let sealed = self.seal_address_key(scope);
                let now = self.store.now().await?;
                self.store.offer_address_key(scope, &sealed, now).await?;
                // Another node may have been first: its key is the one that stays.
                self.store.address_key(scope).await?.unwrap_or(sealed)
            }
        };
        let opened = self
            .master_key
            .open(&address_key_context(scope), &sealed)
            .ok();
        let Some(bytes) = opened.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
        else {
            tracing::error!(
                scope,
                "an address key cannot be opened with this master key"
            );
            return Err(ApiError::new(
                crate::oauth::ErrorCode::TemporarilyUnavailable,
                "the server's keys cannot be read",
            ));
        };
        let key = Arc::new(MacKey::from_bytes(bytes));
        self.address_keys.keep(scope, Arc::clone(&key), &before);
        Ok(key)
    }

    /// A fresh address key, sealed for storing.
    pub(crate) fn seal_address_key(&self, scope: &str) -> String {
        let key: [u8; 32] = edge::random();
        self.master_key
            .seal(&address_key_context(scope), &key, edge::random())
    }

    // ---- secrets ---------------------------------------------------------------------------

    /// Whether a secret is a live one of that agent or client. A text that we did not issue is
    /// refused by its tag, alike for known and unknown holders, before anything is looked up.
    pub(crate) async fn proves(
        &self,
        kind: SecretKind,
        holder: &str,
        presented: &str,
    ) -> Result<bool, ApiError> {
        if !self.tagger.is_ours(kind, holder, presented) {
            return Ok(false);
        }
        for credential in self.store.credentials(holder).await? {
            if self
                .hasher
                .verify(&credential.id, presented, &credential.secret_hash)
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn address_key_context(scope: &str) -> String {
    format!("address_key/{scope}")
}
