//! Administration: closed to everyone without an admin key, whatever the path.

mod agents;
mod audit;
mod clients;
mod owners;
mod rotation;

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, RawQuery, Request, State},
    http::request::Parts,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, header};
use tower::{Layer, Service};

use super::{
    ApiError,
    app::App,
    extract::Caller,
    router::{method_not_allowed, not_found},
    tokens::bearer,
};
use crate::{
    domain::{Actor, Metadata, RevokedForGood},
    oauth::{ErrorCode, Parameters},
};

/// What stands at `/api/admin` and below. The key is asked for before a path is even looked up: around
/// the router and not within it, which would tell by `Allow` which paths exist.
pub(crate) fn service(
    app: Arc<App>,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let paths = Router::new()
        .route("/clients", get(clients::list).post(clients::create))
        .route(
            "/clients/{id}",
            get(clients::show)
                .put(clients::update)
                .delete(clients::revoke),
        )
        .route("/clients/{id}/rotate-secret", post(clients::rotate_secret))
        .route("/agents", get(agents::list).post(agents::create))
        .route(
            "/agents/{id}",
            get(agents::show).put(agents::update).delete(agents::revoke),
        )
        .route("/agents/{id}/suspend", post(agents::suspend))
        .route("/agents/{id}/reinstate", post(agents::reinstate))
        .route("/agents/{id}/rotate-secret", post(agents::rotate_secret))
        .route("/owners", get(owners::list))
        .route("/owners/{id}", get(owners::show))
        .route("/owners/{id}/suspend", post(owners::suspend))
        .route("/owners/{id}/reinstate", post(owners::reinstate))
        .route("/audit-log", get(audit::list))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(Arc::clone(&app));
    middleware::from_fn_with_state(app, with_key).layer(paths)
}

/// Who administers: the name of the key that was presented.
#[derive(Debug, Clone)]
pub(crate) struct Administrator(pub(crate) String);

impl Administrator {
    /// The local operator, who has opened the database under the server's lock.
    pub(crate) fn local() -> Self {
        Self("local operator".to_owned())
    }

    fn metadata(&self, caller: &Caller, address_hash: String) -> Metadata {
        caller.metadata(Actor::AdminKey(self.0.clone()), Some(address_hash))
    }

    async fn acts(&self, app: &App, caller: &Caller) -> Result<Metadata, ApiError> {
        let scope = App::day_scope(app.store.now().await?);
        let address_hash = app.address_hash(&scope, caller).await?;
        Ok(self.metadata(caller, address_hash))
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

async fn with_key(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    // An extension cannot come from the wire: it is set where the router is called inside the process.
    if request.extensions().get::<Administrator>().is_none() {
        match named(&app, &request) {
            Ok(administrator) => {
                request.extensions_mut().insert(administrator);
            }
            Err(error) => return error.into_response(),
        }
    }
    let mut response = next.run(request).await;
    // Names, addresses and secrets that are shown once: for nobody's cache.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Every key is compared, in constant time, so that the time says nothing about which came close.
fn named(app: &App, request: &Request) -> Result<Administrator, ApiError> {
    use subtle::ConstantTimeEq;
    // Two keys are as good as none.
    let presented = bearer(request.headers())
        .ok()
        .flatten()
        .ok_or_else(no_key)?;
    let mac = app.hash_keys.admin_keys.mac_hex(&[presented.as_bytes()]);
    let mut found = None;
    for (name, known) in &app.admin_keys {
        if bool::from(mac.as_bytes().ct_eq(known.as_bytes())) {
            found = Some(name);
        }
    }
    found
        .map(|name| Administrator(name.clone()))
        .ok_or_else(no_key)
}

/// `?limit=` and `?after=` of a list.
pub(crate) struct Paging {
    pub(crate) after: u64,
    pub(crate) limit: u32,
}

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

impl Paging {
    pub(crate) fn read(query: &RawQuery) -> Result<(Self, Parameters), ApiError> {
        let query = query.0.as_deref().unwrap_or_default();
        let parameters = Parameters::from_form(query.as_bytes());
        if parameters.contains_nul() {
            return Err(crate::oauth::Malformed::Nul.into());
        }
        let limit = match parameters.one("limit")? {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| ApiError::invalid_request("limit must be 1 to 500"))?,
        };
        let after = match parameters.one("after")? {
            None => 0,
            Some(text) => text.parse().map_err(|_| {
                ApiError::invalid_request("after must be the value of next in an earlier answer")
            })?,
        };
        Ok((Self { after, limit }, parameters))
    }
}

/// A page of a list as JSON.
pub(crate) fn listed(items: Vec<serde_json::Value>, next: Option<u64>) -> serde_json::Value {
    // An opaque cursor travels as text.
    serde_json::json!({ "items": items, "next": next.map(|next| next.to_string()) })
}

fn revoked_for_good(what: &str, RevokedForGood: RevokedForGood) -> ApiError {
    ApiError::invalid_request(format!(
        "this {what} was revoked, which cannot be undone: register a new one"
    ))
}

fn unknown(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no such {what}"))
}
