//! Signing in by the button: the page that the browser comes back to, and what its script calls.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{Site, pages, sessions::session_cookie};
use crate::cli::oidc::RelyingParty;

/// Where the browser comes back to.
pub(in crate::cli::demo) const CALLBACK: &str = "/callback/button";

const SCRIPT: &str = include_str!("callback.js");

/// The button itself, as it works on this page. Its link is for visitors without scripts.
pub(super) fn live(site: &Site) -> Markup {
    html! {
        script type="module" src=(site.relying_party.button_script()) {}
        auth-agent-signin client-id=(site.relying_party.client_id())
            redirect-uri=(site.button_redirect_uri.as_str()) scope="openid profile" {
            a .button href="/login" { "Sign in with Auth Agent" }
        }
    }
}

/// What to paste for it.
pub(super) fn snippet(site: &Site) -> String {
    format!(
        "<script type=\"module\" src=\"{}\"></script>\n<auth-agent-signin client-id=\"{}\"\n    \
         redirect-uri=\"{}\"\n    scope=\"openid profile\"></auth-agent-signin>",
        site.relying_party.button_script(),
        site.relying_party.client_id(),
        site.button_redirect_uri,
    )
}

/// The page of the button's redirect URI.
pub(super) async fn callback(State(site): State<Arc<Site>>) -> Response {
    let page = pages::returning(&site.relying_party.button_script());
    site.page(StatusCode::OK, &page)
}

pub(super) async fn script() -> Response {
    let javascript = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (javascript, SCRIPT).into_response()
}

/// What `AuthAgent.handleCallback()` yields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandedOver {
    code: String,
    code_verifier: String,
    nonce: String,
}

/// Exchanges the code, and signs the browser in. JSON alone is taken: a form of another website
/// cannot send it, and so cannot sign anybody in as somebody else.
pub(super) async fn sign_in(
    State(site): State<Arc<Site>>,
    handed_over: Result<Json<HandedOver>, JsonRejection>,
) -> Response {
    let refused =
        |status: StatusCode, told: &str| (status, Json(json!({ "message": told }))).into_response();
    let Json(handed_over) = match handed_over {
        Ok(handed_over) => handed_over,
        Err(rejection) => return refused(rejection.status(), &rejection.body_text()),
    };
    let HandedOver {
        code,
        code_verifier,
        nonce,
    } = handed_over;
    let pending = RelyingParty::begun_by_button(code_verifier, nonce, &site.button_redirect_uri);
    match site.relying_party.finish(code, pending).await {
        Ok(signed_in) => {
            let session = session_cookie(&site.sessions.sign_in(signed_in));
            (StatusCode::NO_CONTENT, [(header::SET_COOKIE, session)]).into_response()
        }
        Err(told) => {
            tracing::warn!(%told, "the sample website refused a sign-in");
            refused(StatusCode::BAD_GATEWAY, &told)
        }
    }
}
