//! Administration: closed to everyone without an admin key, whatever the path.

pub(super) mod admin_keys;
pub(super) mod agents;
mod audit;
pub(super) mod clients;
pub(super) mod entry;
mod keys;
mod owners;
pub(super) mod rotation;
mod subject;
mod tokens;

use std::{convert::Infallible, fmt::Display, str::FromStr, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, Request},
    middleware,
    response::Response,
    routing::{delete, get, post},
};
use subject::{Subject, list, reinstate, revoke, show, suspend};
use tower::{Layer, Service};

pub(crate) use entry::{Administrator, any_key};

use super::{
    ApiError,
    app::App,
    extract::shown_field,
    layer::tell_route,
    router::{method_not_allowed, not_found},
};
use crate::{
    domain::{Agent, Client, Owner, RevokedForGood},
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
        .route("/clients", get(list::<Client>).post(clients::create))
        .route(
            "/clients/{id}",
            get(show::<Client>)
                .put(clients::update)
                .delete(revoke::<Client>),
        )
        .route("/clients/{id}/rotate-secret", post(clients::rotate_secret))
        .route("/agents", get(list::<Agent>).post(agents::create))
        .route(
            "/agents/{id}",
            get(show::<Agent>)
                .put(agents::update)
                .delete(revoke::<Agent>),
        )
        .route("/agents/{id}/suspend", post(suspend::<Agent>))
        .route("/agents/{id}/reinstate", post(reinstate::<Agent>))
        .route("/agents/{id}/rotate-secret", post(agents::rotate_secret))
        .route("/owners", get(list::<Owner>))
        .route(
            "/owners/{id}",
            get(show::<Owner>).put(owners::update).delete(owners::erase),
        )
        .route("/owners/{id}/suspend", post(suspend::<Owner>))
        .route("/owners/{id}/reinstate", post(reinstate::<Owner>))
        .route(
            "/admin-keys",
            get(admin_keys::list).post(admin_keys::create),
        )
        .route(
            "/admin-keys/{id}",
            get(admin_keys::show).delete(admin_keys::revoke),
        )
        .route("/tokens", get(tokens::list))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/keys", get(keys::list))
        .route("/keys/rotate", post(keys::rotate))
        .route("/audit-log", get(audit::list))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn(tell_route))
        .with_state(Arc::clone(&app));
    middleware::from_fn_with_state(app, entry::with_key).layer(paths)
}

/// `?limit=` and `?after=` of a list whose cursor is a `C`.
pub(crate) struct Paging<C> {
    pub(crate) after: Option<C>,
    pub(crate) limit: u32,
}

const PAGING: [&str; 2] = ["limit", "after"];
pub(super) const DEFAULT_LIMIT: u32 = 50;
pub(super) const MAX_LIMIT: u32 = 500;

impl<C: FromStr> Paging<C> {
    /// Reads them, and the list's own parameters by their names. Any other is refused: a misspelt
    /// filter would show everything.
    pub(crate) fn read(query: &RawQuery, filters: &[&str]) -> Result<(Self, Parameters), ApiError> {
        let query = query.0.as_deref().unwrap_or_default();
        let parameters = Parameters::from_form(query.as_bytes());
        if parameters.contains_nul() {
            return Err(crate::oauth::Malformed::Nul.into());
        }
        let known = || PAGING.iter().chain(filters);
        if let Some(unknown) = parameters.names().find(|name| !known().any(|k| k == name)) {
            let expected: Vec<&str> = known().copied().collect();
            return Err(ApiError::invalid_request(format!(
                "unknown parameter{}, expected {}",
                shown_field(unknown),
                expected.join(", ")
            )));
        }
        let limit = match parameters.one("limit")? {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| ApiError::invalid_request("limit must be 1 to 500"))?,
        };
        let after = parameters.one("after")?.map(str::parse).transpose();
        let after = after.map_err(|_| {
            ApiError::invalid_request("after must be the value of next in an earlier answer")
        })?;
        Ok((Self { after, limit }, parameters))
    }
}

/// A filter, if there is one. What it cannot be is refused: it would match nothing, and the text might
/// be anything, which has no place in the event that tells of the reading.
fn filter<T: FromStr<Err: Display>>(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<T>, ApiError> {
    let text = parameters.one(name)?;
    text.map(str::parse)
        .transpose()
        .map_err(|error| ApiError::invalid_request(format!("{name} is {error}")))
}

/// A page of a list as JSON.
pub(crate) fn listed(
    items: Vec<serde_json::Value>,
    next: Option<impl ToString>,
) -> serde_json::Value {
    // An opaque cursor travels as text.
    serde_json::json!({ "items": items, "next": next.map(|next| next.to_string()) })
}

fn revoked_for_good(what: &str, RevokedForGood: RevokedForGood) -> ApiError {
    let ended = if what == Owner::NOUN {
        "erased"
    } else {
        "revoked"
    };
    ApiError::invalid_request(format!(
        "this {what} was {ended}, which cannot be undone: register a new one"
    ))
}

fn unknown(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no such {what}"))
}
