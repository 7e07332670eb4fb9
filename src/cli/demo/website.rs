//! The sample website: a home page that signs in by the button or by its backend, and a page that
//! shows who signed in.

mod button;
mod pages;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, header::InvalidHeaderValue};
use maud::Markup;
use url::Url;

pub(super) use button::CALLBACK as BUTTON_CALLBACK;
use sessions::{Sessions, session_cookie, session_in};

use crate::cli::{
    Failure,
    doors::{Doors, Serving},
    oidc::{Answer, RelyingParty, SignedIn},
};

/// The website, running.
pub(super) struct Website {
    address: String,
    site: Arc<Site>,
    serving: Serving,
}

struct Site {
    relying_party: RelyingParty,
    /// Where the browser comes back to from a sign-in that the button began.
    button_redirect_uri: Url,
    sessions: Sessions,
    content_security_policy: HeaderValue,
}

impl Website {
    /// Lets visitors in.
    ///
    /// # Errors
    ///
    /// An issuer that cannot stand in a header, which no server of ours has.
    pub(super) fn start(
        doors: Doors,
        relying_party: RelyingParty,
        button_redirect_uri: Url,
    ) -> Result<Self, Failure> {
        let address = doors.origin();
        let content_security_policy = content_security_policy(&relying_party.button_script());
        let site = Arc::new(Site {
            content_security_policy: content_security_policy.map_err(Failure::failed)?,
            relying_party,
            button_redirect_uri,
            sessions: Sessions::default(),
        });
        let serving = doors.serve(&router(Arc::clone(&site)));
        Ok(Self {
            address,
            site,
            serving,
        })
    }

    /// Its address, as a browser opens it; also its origin.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What it knows of an agent that is signed in, from a verified ID token.
    pub(super) fn signed_in(&self, agent_id: &str) -> Option<SignedIn> {
        self.site
            .sessions
            .find(|signed_in| signed_in.agent_id == agent_id)
    }

    /// Closes.
    pub(super) async fn stop(self) {
        self.serving.stop().await;
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/callback", get(callback))
        .route(BUTTON_CALLBACK, get(button::callback))
        .route("/callback.js", get(button::script))
        .route("/session", post(button::sign_in))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .route("/style.css", get(style))
        .with_state(site)
}

async fn home(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    match session_in(&headers).and_then(|session| site.sessions.signed_in(session)) {
        Some(_) => Redirect::to("/me").into_response(),
        None => {
            let (live, snippet) = (button::live(&site), button::snippet(&site));
            site.page(StatusCode::OK, &pages::home(&live, &snippet))
        }
    }
}

/// Remembers who asked, and sends the browser to the server.
async fn login(State(site): State<Arc<Site>>) -> Response {
    let (url, state, pending) = site.relying_party.begin(&["profile"]);
    let session = site.sessions.begin(state, pending);
    (
        [(header::SET_COOKIE, session_cookie(&session))],
        Redirect::to(url.as_str()),
    )
        .into_response()
}

async fn callback(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let refused = |told: &str| site.page(StatusCode::BAD_REQUEST, &pages::failed(told));
    let pending = match (session_in(&headers), &answer.state) {
        (Some(session), Some(state)) => site.sessions.take(session, state),
        _ => None,
    };
    let Some(pending) = pending else {
        return refused("This browser did not begin that sign-in here, or it is used up.");
    };
    if !site.relying_party.is_from_issuer(answer.iss.as_deref()) {
        return refused("The answer came from another server than the one that was asked.");
    }
    if let Some(error) = answer.error {
        return refused(&words(&error, answer.error_description.as_deref()));
    }
    let Some(code) = answer.code else {
        return refused("The server's answer holds neither a code nor an error.");
    };
    match site.relying_party.finish(code, pending).await {
        Ok(signed_in) => {
            // A new name for the session: whoever may have known the old one knows nothing.
            let session = site.sessions.sign_in(signed_in);
            (
                [(header::SET_COOKIE, session_cookie(&session))],
                Redirect::to("/me"),
            )
                .into_response()
        }
        Err(told) => {
            tracing::warn!(%told, "the sample website refused a sign-in");
            site.page(StatusCode::BAD_GATEWAY, &pages::failed(&told))
        }
    }
}

/// An error as a person can use it.
fn words(error: &str, description: Option<&str>) -> String {
    let meaning = match error {
        "access_denied" => "The sign-in was refused, or nobody signed in before it expired.",
        "login_required" => "No agent is signed in yet.",
        "temporarily_unavailable" => "The server is busy. Try again in a moment.",
        "server_error" => "The server could not go on. Try again in a moment.",
        _ => "The server did not accept the sign-in.",
    };
    match description {
        Some(description) => format!("{meaning} It says: {description} ({error})"),
        None => format!("{meaning} ({error})"),
    }
}

async fn me(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    match session_in(&headers).and_then(|session| site.sessions.signed_in(session)) {
        Some(signed_in) => site.page(StatusCode::OK, &pages::signed_in(&signed_in)),
        None => Redirect::to("/").into_response(),
    }
}

async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(session) = session_in(&headers) {
        site.sessions.end(session);
    }
    Redirect::to("/").into_response()
}

async fn style() -> Response {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        pages::STYLE,
    )
        .into_response()
}

/// What pages may load: their own style and script, and the button's script from the server.
fn content_security_policy(button_script: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!(
        "default-src 'none'; script-src 'self' {button_script}; connect-src 'self'; style-src 'self'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ))
}

impl Site {
    fn page(&self, status: StatusCode, markup: &Markup) -> Response {
        let headers: [(HeaderName, HeaderValue); 4] = [
            (
                header::CONTENT_SECURITY_POLICY,
                self.content_security_policy.clone(),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ];
        (status, headers, markup.clone()).into_response()
    }
}
