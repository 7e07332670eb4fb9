//! GET and POST /authorize (RFC 6749 §3.1): a website sends its visitor's browser here.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{
    ApiError,
    app::App,
    extract::{Caller, RequestCookies, parameters_of},
    page::{html, see_other, waiting_page},
};
use crate::{
    domain::{
        Actor, AuthRequest, Client, ClientId, EventId, RequestId, Versioned,
        auth_request::{Created, Status},
    },
    edge,
    oauth::{self, AuthorizationRequest, ErrorCode, Fault, OAuthError, Parameters, RedirectTarget},
    store::{NewDetails, NewRequest, StoreError},
};

/// How often a creation is tried when the same browser sends the same parameters many times at once.
const MAX_TRIES: usize = 8;

/// Why no request came of it.
enum Stop {
    /// Told on a page: nobody may be redirected.
    Page(ApiError),
    /// Told to the website.
    Redirect(RedirectTarget, OAuthError),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Page(error.into())
    }
}

/// The request that the browser now waits for.
struct Opened {
    id: RequestId,
    created_by: EventId,
    state: AuthRequest,
    client: Client,
    now: jiff::Timestamp,
}

/// GET /authorize. HEAD and prefetches create nothing.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    method: Method,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::from_form(query.unwrap_or_default().as_bytes());
    if method == Method::HEAD || is_prefetch(&headers) {
        return match validated(&app, &parameters).await {
            Ok(_) if method == Method::HEAD => html(StatusCode::OK, &maud::html! {}, None),
            // Anything but a success makes the browser ask again when somebody really goes there.
            Ok(_) => prefetch_refused(&app),
            Err(stop) => told(&app, stop),
        };
    }
    let held = app.cookies(&headers);
    match open(&app, &parameters, &caller, &held).await {
        Ok(opened) => {
            let page = waiting_page(&app, &opened.id, &opened.state, &opened.client, opened.now);
            with_cookies(&app, page, &opened, &held)
        }
        Err(stop) => told(&app, stop),
    }
}

/// POST /authorize with a form: the same, answered by 303 to the page's own address.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let parameters = match parameters_of(request).await {
        Ok(parameters) => parameters,
        Err(error) => return told(&app, Stop::Page(error)),
    };
    let held = app.cookies(&headers);
    match open(&app, &parameters, &caller, &held).await {
        Ok(opened) => {
            let page = see_other(&app.path(&format!("/authorize/{}", opened.id)));
            with_cookies(&app, page, &opened, &held)
        }
        Err(stop) => told(&app, stop),
    }
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            headers
                .get(*name)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.contains("prefetch") || value.contains("prerender"))
        })
}

fn prefetch_refused(app: &App) -> Response {
    ApiError::new(
        ErrorCode::TemporarilyUnavailable,
        "a sign-in is not opened ahead of time",
    )
    .page(&app.base_path, "Not opened ahead of time")
}

fn with_cookies(app: &App, mut page: Response, opened: &Opened, held: &RequestCookies) -> Response {
    for cookie in app.set_cookies(&opened.id, &opened.created_by, held) {
        page.headers_mut().append(header::SET_COOKIE, cookie);
    }
    // What the page says depends on who asks.
    page.headers_mut()
        .append(header::VARY, HeaderValue::from_static("Cookie"));
    page
}

fn told(app: &App, stop: Stop) -> Response {
    match stop {
        Stop::Page(error) => error.page(&app.base_path, "This sign-in cannot be started"),
        Stop::Redirect(target, error) => {
            let mut parameters = vec![
                ("error", error.code.as_str()),
                ("error_description", &error.description),
            ];
            parameters.extend(target.state.as_deref().map(|state| ("state", state)));
            parameters.push(("iss", &app.issuer));
            see_other(&oauth::redirect_to(&target.redirect_uri, &parameters))
        }
    }
}

async fn validated(
    app: &App,
    parameters: &Parameters,
) -> Result<(ClientId, Versioned<Client>, AuthorizationRequest), Stop> {
    let refuse = |description: &str| Err(Stop::Page(ApiError::invalid_request(description)));
    let client_id = match parameters.one("client_id") {
        Err(error) => return refuse(&error.to_string()),
        Ok(None) => return refuse("client_id is missing"),
        Ok(Some(id)) => id,
    };
    let Ok(id) = client_id.parse::<ClientId>() else {
        return refuse("client_id is not one that is registered here");
    };
    let Some(client) = app.store.client(&id).await? else {
        return refuse("client_id is not one that is registered here");
    };
    let target = oauth::redirect_target(parameters, &client.state).map_err(ApiError::from)?;
    let request = oauth::check(parameters, &client.state, target.clone())
        .map_err(|Fault(error)| Stop::Redirect(target, error))?;
    Ok((id, client, request))
}

/// Finds the request that this browser has already opened with the same parameters, or opens one.
async fn open(
    app: &App,
    parameters: &Parameters,
    caller: &Caller,
    held: &RequestCookies,
) -> Result<Opened, Stop> {
    let (client_id, client, asked) = validated(app, parameters).await?;
    let parameters_mac = mac_of(app, parameters);

    // The newest request that this browser can prove to hold; it stands for the browser.
    let mut newest: Option<RequestId> = None;
    for id in held.requests() {
        let seen = app.store.situation(id, None).await?;
        let Some(request) = seen.request else {
            continue;
        };
        if !app.holds_cookie(held, id, &request.state) {
            continue;
        }
        let same = seen
            .details
            .is_some_and(|details| details.parameters_mac == parameters_mac);
        if same && request.state.status(&seen.standing, seen.now) == Status::Pending {
            let created_by = request.state.asked().created_by;
            let (state, now) = (request.state, seen.now);
            return Ok(Opened {
                id: *id,
                created_by,
                state,
                client: client.state,
                now,
            });
        }
        newest = newest.or(Some(*id));
    }

    let now = app.store.now().await?;
    let scope = App::day_scope(now);
    let address_hash = app.address_hash(&scope, caller).await?;
    for _ in 0..MAX_TRIES {
        let id = edge::new_request_id(now);
        let created_by = edge::new_event_id();
        let created = Created {
            client_id,
            redirect_uri: asked.redirect_uri.clone(),
            scope: asked.scope.clone(),
            code_challenge: asked.code_challenge.clone(),
            expires_at: now + app.lifetimes.request,
        };
        let new = NewRequest {
            id,
            event: created_by,
            created,
            details: NewDetails {
                state: asked.state.clone(),
                nonce: asked.nonce.clone(),
                address_hash: address_hash.clone(),
                address_key: scope.clone(),
                parameters_mac: parameters_mac.clone(),
            },
            client_version: client.version,
            // Two loads of the same link at once, by one browser, open one request: both name the
            // same predecessor, and only one can follow it.
            claim: newest.map(|newest| format!("reload/{newest}/{parameters_mac}")),
        };
        let metadata = caller.metadata(Actor::Browser, Some(address_hash.clone()));
        match app.store.create_request(new, &metadata).await {
            Ok(state) => {
                let client = client.state;
                return Ok(Opened {
                    id,
                    created_by,
                    state,
                    client,
                    now,
                });
            }
            Err(StoreError::Claimed { holder }) => {
                let Ok(first) = holder.parse::<RequestId>() else {
                    continue;
                };
                let seen = app.store.situation(&first, None).await?;
                match seen.request {
                    Some(request)
                        if request.state.status(&seen.standing, seen.now) == Status::Pending =>
                    {
                        let created_by = request.state.asked().created_by;
                        return Ok(Opened {
                            id: first,
                            created_by,
                            state: request.state,
                            client: client.state,
                            now: seen.now,
                        });
                    }
                    // That one has ended: what is opened now follows it.
                    _ => newest = Some(first),
                }
            }
            // The client changed meanwhile: the browser may simply ask again.
            Err(error) => return Err(error.into()),
        }
    }
    Err(Stop::Page(ApiError::new(
        ErrorCode::TemporarilyUnavailable,
        "this page was opened too many times at once: load it again",
    )))
}

/// Keyed hash of all parameters: the same ones, in any order, have the same.
fn mac_of(app: &App, parameters: &Parameters) -> String {
    let sorted = parameters.sorted();
    let parts: Vec<&[u8]> = sorted
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .collect();
    app.hash_keys.parameters.mac_hex(&parts)
}
