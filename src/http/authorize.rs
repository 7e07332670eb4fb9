//! GET and POST /authorize (RFC 6749 §3.1): a website sends its visitor's browser here.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{
    ApiError,
    app::{App, COOKIES_PER_BROWSER},
    extract::{Caller, RequestCookies, media_type, not_a_form, parameters_of},
    measures::came_of,
    page::{html, is_prefetch, prefetch_refused, see_other, waiting_page},
    pending,
};
use crate::{
    domain::{
        Actor, AuthRequest, Client, ClientId, EventId, RequestId, Versioned, auth_request::Created,
    },
    edge,
    oauth::{self, AuthorizationRequest, ErrorCode, Fault, OAuthError, Parameters, RedirectTarget},
    store::{HeldRequest, NewDetails, NewRequest, Situation, StoreError},
    trace,
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

/// The request that the browser waits for, or that an agent has just signed in to.
struct Opened {
    id: RequestId,
    created_by: EventId,
    state: AuthRequest,
    client: Client,
    now: jiff::Timestamp,
    is_new: bool,
}

impl Opened {
    /// One that was opened before, unless it is over.
    fn again(id: RequestId, seen: Situation, client: &Client) -> Option<Self> {
        let state = seen.request?.state;
        let status = state.status(&seen.standing, seen.now);
        (!status.is_final()).then(|| Self {
            id,
            created_by: state.asked().created_by,
            state,
            client: client.clone(),
            now: seen.now,
            is_new: false,
        })
    }

    const fn waits(&self) -> bool {
        matches!(self.state, AuthRequest::Pending { .. })
    }
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
            Ok(_) => prefetch_refused(&app),
            Err(stop) => told(&app, stop),
        };
    }
    let held = app.cookies(&headers);
    match counted(&app, open(&app, &parameters, &caller, &held).await) {
        Ok(opened) => {
            let page = if opened.waits() {
                waiting_page(&app, &opened.id, &opened.state, &opened.client, opened.now)
            } else {
                // An agent has signed in meanwhile: the page's own address takes the browser home.
                to_its_own_address(&app, &opened)
            };
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
    // A browser comes with a form (OpenID Connect Core §3.1.2.1), and nothing else does.
    let parameters = match media_type(&headers).as_deref() {
        Some("application/json") => Err(not_a_form()),
        _ => parameters_of(request).await,
    };
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(error) => return told(&app, Stop::Page(error)),
    };
    let held = app.cookies(&headers);
    match counted(&app, open(&app, &parameters, &caller, &held).await) {
        Ok(opened) => {
            let page = to_its_own_address(&app, &opened);
            with_cookies(&app, page, &opened, &held)
        }
        Err(stop) => told(&app, stop),
    }
}

fn counted(app: &App, opened: Result<Opened, Stop>) -> Result<Opened, Stop> {
    let outcome = match &opened {
        Ok(opened) if opened.is_new => "created",
        Ok(_) => "reloaded",
        Err(Stop::Page(error)) => error.error.code.as_str(),
        Err(Stop::Redirect(_, error)) => error.code.as_str(),
    };
    came_of(&app.measures.steps.authorize, outcome);
    opened
}

fn to_its_own_address(app: &App, opened: &Opened) -> Response {
    see_other(&app.path(&format!("/authorize/{}", opened.id)))
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
        Ok(None) => return refuse("client_id is missing: send the one that was registered here"),
        Ok(Some(id)) => id,
    };
    let Ok(id) = client_id.parse::<ClientId>() else {
        return refuse(
            "client_id is not one that is registered here: it has the form client_... and is taken \
             over letter by letter",
        );
    };
    let client = app.store.client(&id).await?;
    let Some(client) = client.filter(|client| !client.state.is_revoked()) else {
        return refuse(&format!(
            "client_id is not one that is registered here: {id} is unknown to this server, or was \
             revoked"
        ));
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
    let (client_id, mut client, mut asked) = validated(app, parameters).await?;
    let parameters_mac = mac_of(app, parameters);

    // The newest request that this browser can prove to hold; it stands for the browser. A browser
    // of ours holds no more than that many: who sends more need not be looked after.
    let sent: Vec<RequestId> = held.requests().take(COOKIES_PER_BROWSER).copied().collect();
    let mut known = app.store.held_requests(&sent).await?;
    known.retain(|known| app.holds_cookie(held, &known.id, &known.state));
    known.sort_by_key(|known| sent.iter().position(|id| *id == known.id));
    let mut newest = known.first().map(|known| known.id);
    let same = |known: &&HeldRequest| known.parameters_mac.as_ref() == Some(&parameters_mac);
    for HeldRequest { id, .. } in known.iter().filter(same) {
        let seen = app.store.situation(id, None).await?;
        if let Some(opened) = Opened::again(*id, seen, &client.state) {
            return Ok(opened);
        }
    }

    // A reload has come home by now: what is opened from here on counts.
    app.limits
        .admit_request(caller, &client_id)
        .map_err(|over| ApiError::from(over).for_a_browser())?;
    let now = app.store.now().await?;
    pending::admit(app, client_id, now)
        .await
        .map_err(ApiError::for_a_browser)?;
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
                trace::is_about(&id);
                tracing::info!(request = %id, client = %client_id, "a sign-in was begun");
                let client = client.state;
                return Ok(Opened {
                    id,
                    created_by,
                    state,
                    client,
                    now,
                    is_new: true,
                });
            }
            Err(StoreError::Claimed { holder }) => {
                let Ok(first) = holder.parse::<RequestId>() else {
                    continue;
                };
                let seen = app.store.situation(&first, None).await?;
                match Opened::again(first, seen, &client.state) {
                    Some(opened) => return Ok(opened),
                    // That one has ended: what is opened now follows it.
                    None => newest = Some(first),
                }
            }
            // The client changed meanwhile, or is no more: what it is now decides.
            Err(StoreError::Conflict) => (_, client, asked) = validated(app, parameters).await?,
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
