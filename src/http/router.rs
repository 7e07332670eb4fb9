//! The whole URL map on one screen.

use std::sync::Arc;

use super::{
    ApiError, admin, app::App, authenticate, authorize, discovery, layer, metrics, openapi, page,
    token, tokens, waiting, widget,
};
use crate::oauth::ErrorCode;
use axum::{
    Router,
    extract::OriginalUri,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

/// What an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// All there is.
    Everything,
    /// All but administration and metrics, which have an address of their own.
    WithoutAdministration,
    /// Administration and metrics alone.
    Administration,
}

/// An address's paths, below the issuer's own.
pub(crate) fn router(app: Arc<App>, served: Served) -> Router {
    let paths = match served {
        Served::Everything => public()
            .merge(operators())
            .merge(administration(&app))
            .route("/metrics", get(metrics::with_key)),
        Served::WithoutAdministration => public().merge(operators()),
        Served::Administration => operators()
            .merge(administration(&app))
            .route("/metrics", get(metrics::open)),
    };
    let paths = paths
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found);
    let mounted = if app.base_path.is_empty() {
        paths
    } else {
        let below = Router::new().nest(&app.base_path, paths);
        let below = if served == Served::Administration {
            below
        } else {
            // RFC 8414 §3.1 puts the well-known part before the issuer's path; OpenID Connect
            // Discovery §4 after it. Both work.
            let well_known = format!("/.well-known/oauth-authorization-server{}", app.base_path);
            let document = Router::new()
                .route(&well_known, get(discovery::document))
                .layer(middleware::from_fn(layer::open_to_all_origins));
            below.merge(document)
        };
        below.fallback(not_found)
    };
    let (measures, proxies) = (&app.measures, &app.trusted_proxies);
    layer::around(mounted, Arc::clone(measures), Arc::clone(proxies)).with_state(app)
}

/// What browsers, agents and websites call.
fn public() -> Router<Arc<App>> {
    let open = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(discovery::document),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(discovery::document),
        )
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route("/widget/signin-button.js", get(widget::signin_button))
        .route("/token", post(token::post))
        .route("/revoke", post(tokens::revoke))
        .route("/userinfo", get(tokens::userinfo).post(tokens::userinfo))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(layer::open_to_all_origins));

    let closed = Router::new()
        // Browsers
        .route("/", get(page::front))
        .route("/authorize", get(authorize::get).post(authorize::post))
        .route("/authorize/{request_id}", get(page::show))
        .route("/api/requests/{request_id}", get(waiting::look))
        .route("/api/requests/{request_id}/events", get(waiting::events))
        .route("/api/check-status", get(waiting::check_status))
        .route("/static/{name}", get(discovery::asset))
        .route("/openapi.json", get(openapi::document))
        .route("/openapi", get(openapi::page))
        // Agents
        .route("/api/agent/authenticate", post(authenticate::post))
        // Websites
        .route("/introspect", post(tokens::introspect))
        .route("/api/stats", get(discovery::stats))
        .method_not_allowed_fallback(method_not_allowed);
    open.merge(closed)
}

/// What tells how the server is, at each of its addresses.
fn operators() -> Router<Arc<App>> {
    Router::new()
        .route("/api/health", get(discovery::health))
        .route("/api/ready", get(discovery::ready))
        .method_not_allowed_fallback(method_not_allowed)
}

/// What needs an admin key.
fn administration(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new().nest_service("/api/admin", admin::service(Arc::clone(app)))
}

/// Names the whole path, also where the router has taken the issuer's off.
pub(crate) async fn not_found(OriginalUri(uri): OriginalUri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(ErrorCode::NotFound, format!("there is nothing at {path}")).into_response()
}

/// The router adds `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "this path does not take that method: see Allow",
    )
    .into_response()
}
