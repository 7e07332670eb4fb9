//! The door of administration: which key is presented, whether it lives, and what its role lets it do.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};
use dashmap::DashMap;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::{
    crypto::{Secret, SecretKind, SecretTagger},
    domain::{Actor, AdminKeyId, AdminRole, Metadata},
    edge,
    http::{ApiError, app::App, extract::Caller, tokens::bearer},
    oauth::ErrorCode,
};

/// The name under which the key from the environment acts.
const ENVIRONMENT: &str = "environment";
/// The name under which the local operator acts.
pub(crate) const LOCAL_OPERATOR: &str = "local operator";
/// Whom the tags of admin keys are made out to: a key does not say which one it is.
const HOLDER: &str = "administration";
/// How long a key that was seen to live is believed where that is enough, while the database is away.
const BELIEVED_FOR: Duration = Duration::from_secs(15 * 60);

/// The names that keys may not have: whoever acts under them has no row in the vault.
pub(super) const RESERVED_NAMES: [&str; 2] = [ENVIRONMENT, LOCAL_OPERATOR];

/// A fresh value for an admin key.
pub(crate) fn issue(tagger: &SecretTagger) -> Secret {
    tagger.issue(SecretKind::Admin, HOLDER, edge::random())
}

/// What this process knows of admin keys; all else is looked up for each call.
pub(crate) struct AdminKeys {
    /// Keyed hash of the environment's key.
    environment: Option<String>,
    /// Keyed hashes of keys that were seen to live, and when.
    seen: DashMap<String, Duration>,
}

impl AdminKeys {
    pub(crate) fn new(environment: Option<String>) -> Self {
        Self {
            environment,
            seen: DashMap::new(),
        }
    }

    /// Whether the environment's key opens administration here, whatever becomes of the others.
    pub(super) const fn has_environment(&self) -> bool {
        self.environment.is_some()
    }

    fn is_environment(&self, mac: &str) -> bool {
        use subtle::ConstantTimeEq;
        let known = self.environment.as_deref();
        known.is_some_and(|known| known.as_bytes().ct_eq(mac.as_bytes()).into())
    }

    /// Only what lives gets in, so there are never more than there are keys.
    fn saw(&self, mac: &str, lives: bool) {
        if lives {
            self.seen.insert(mac.to_owned(), edge::elapsed());
        } else {
            self.seen.remove(mac);
        }
    }

    fn believes(&self, mac: &str) -> bool {
        let seen = self.seen.get(mac).map(|at| *at);
        seen.is_some_and(|at| edge::elapsed().saturating_sub(at) < BELIEVED_FOR)
    }
}

/// Who administers: the name of the key that was presented, and what it may do.
#[derive(Debug, Clone)]
pub(crate) struct Administrator {
    name: String,
    role: AdminRole,
    /// None for whoever has no row in the vault.
    key: Option<AdminKeyId>,
}

impl Administrator {
    /// The local operator, who has opened the database under the server's lock.
    pub(crate) fn local() -> Self {
        Self::without_a_row(LOCAL_OPERATOR)
    }

    fn without_a_row(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: AdminRole::Admin,
            key: None,
        }
    }

    fn metadata(&self, caller: &Caller, address_hash: String) -> Metadata {
        caller.metadata(Actor::AdminKey(self.name.clone()), Some(address_hash))
    }

    /// What the log keeps of a call.
    pub(super) async fn acts(&self, app: &App, caller: &Caller) -> Result<Metadata, ApiError> {
        let scope = App::day_scope(app.store.now().await?);
        let address_hash = app.address_hash(&scope, caller).await?;
        Ok(self.metadata(caller, address_hash))
    }

    /// Whether the key has not been revoked meanwhile: for what stays open.
    pub(super) async fn lives(&self, app: &App) -> Result<bool, ApiError> {
        match &self.key {
            None => Ok(true),
            Some(id) => Ok(app.store.admin_key(id).await?.is_some()),
        }
    }

    /// Whether only the key of the environment, or the database itself, is how they came in.
    pub(super) const fn is_without_a_row(&self) -> bool {
        self.key.is_none()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(no_key)
    }
}

fn no_key() -> ApiError {
    ApiError::new(
        ErrorCode::Unauthorized,
        "send an admin key as Authorization: Bearer <key>",
    )
}

/// RFC 6750 §3.1, the same for every path.
fn role_is_not_enough(role: AdminRole) -> ApiError {
    let description = match role {
        AdminRole::Metrics => "a key of role metrics opens /metrics only",
        _ => "a key of this role reads and changes nothing: use one of role admin",
    };
    let challenge = format!(
        "Bearer realm=\"Auth Agent administration\", error=\"insufficient_scope\", error_description=\"{description}\""
    );
    let error = ApiError::new(ErrorCode::InsufficientScope, description);
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => error.header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => error,
    }
}

/// Around the router of administration.
pub(super) async fn with_key(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match admitted(&app, &parts).await {
        Ok(administrator) => {
            parts.extensions.insert(administrator);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    };
    // Names, addresses and secrets that are shown once: for nobody's cache.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn admitted(app: &App, parts: &Parts) -> Result<Administrator, ApiError> {
    // An extension cannot come from the wire: it is set where the router is called inside the process.
    let administrator = match parts.extensions.get::<Administrator>() {
        Some(administrator) => administrator.clone(),
        None => named(app, &parts.headers).await?,
    };
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if administrator.role.may(!reads) {
        Ok(administrator)
    } else {
        Err(role_is_not_enough(administrator.role))
    }
}

/// Whose key it is. A guess is refused before the database is asked.
async fn named(app: &App, headers: &HeaderMap) -> Result<Administrator, ApiError> {
    // Two keys are as good as none.
    let presented = bearer(headers).ok().flatten().ok_or_else(no_key)?;
    let mac = app.hash_keys.admin_keys.mac_hex(&[presented.as_bytes()]);
    if app.admin_keys.is_environment(&mac) {
        return Ok(Administrator::without_a_row(ENVIRONMENT));
    }
    if !app.tagger.is_ours(SecretKind::Admin, HOLDER, &presented) {
        return Err(no_key());
    }
    let key = app.store.admin_key_by_mac(&mac).await?;
    app.admin_keys.saw(&mac, key.is_some());
    let key = key.ok_or_else(no_key)?;
    Ok(Administrator {
        name: key.name,
        role: key.role,
        key: Some(key.id),
    })
}

/// Whether the call carries a living key of any role. Figures are wanted most of all while the database
/// is away: then a key that was seen to live a while ago is believed.
///
/// # Errors
///
/// 401 for whoever has none; 503 when a key that was not seen before cannot be looked up.
pub(crate) async fn any_key(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    match named(app, headers).await {
        Ok(_) => Ok(()),
        Err(error) if error.error.code == ErrorCode::Unauthorized => Err(error),
        Err(error) => {
            let presented = bearer(headers).ok().flatten().ok_or_else(no_key)?;
            let mac = app.hash_keys.admin_keys.mac_hex(&[presented.as_bytes()]);
            app.admin_keys.believes(&mac).then_some(()).ok_or(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_believed_once_it_was_seen_to_live_and_no_longer_once_it_was_not() {
        let keys = AdminKeys::new(Some("environment".into()));
        assert!(keys.is_environment("environment") && !keys.is_environment("environmen"));
        assert!(!keys.believes("mac"));
        keys.saw("mac", true);
        assert!(keys.believes("mac") && !keys.believes("other"));
        keys.saw("mac", false);
        assert!(!keys.believes("mac"));
    }
}
