//! Discovery (RFC 8414, OpenID Connect Discovery), the key set, and small public facts.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use serde_json::json;

use super::{ApiError, app::App, extract::PathId};
use crate::{
    oauth::{Endpoints, ErrorCode, metadata},
    view,
};

/// Clients and proxies may keep the document that long.
const FIVE_MINUTES: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=300"),
);

/// The metadata document, at both of its addresses.
pub(crate) async fn document(State(app): State<Arc<App>>) -> Response {
    let keys = app.minter.keys();
    let algorithms: Vec<&str> = keys
        .algorithms()
        .iter()
        .map(|algorithm| algorithm.as_str())
        .collect();
    let document = metadata(
        &Endpoints {
            issuer: &app.issuer,
        },
        &algorithms,
    );
    ([FIVE_MINUTES], Json(document)).into_response()
}

/// Every key that may still verify a live token, and those that are about to sign (RFC 7517 §5).
pub(crate) async fn jwks(State(app): State<Arc<App>>) -> Response {
    let kept = format!("public, max-age={}", app.keys.jwks_age());
    let kept = [(header::CACHE_CONTROL, kept)];
    (kept, Json(app.minter.keys().jwks().clone())).into_response()
}

/// GET /api/health: the process serves.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let body = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": super::page::rfc3339(app.started_at),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// GET /api/ready: whether the database can commit right now.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.store.ready().await?;
    let body = json!({ "status": "ready" });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// GET /api/stats.
pub(crate) async fn stats(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let counts = app.store.statistics().await?;
    let body = json!({
        "total_agents": counts.agents,
        "total_clients": counts.clients,
        "total_sign_ins": counts.sign_ins,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// GET /static/{name}: the name carries a hash of the content, so it may be kept for ever.
pub(crate) async fn asset(PathId(name): PathId) -> Result<Response, ApiError> {
    let asset = view::asset::find(&name)
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "no such file"))?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.content_type),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    Ok((headers, asset.bytes).into_response())
}
