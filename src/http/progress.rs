//! How a request is getting on, as its browser, its agent or anybody may know it: the page, the
//! stream and the polling endpoint all read this.

use serde_json::{Map, Value, json};

use super::{
    ApiError,
    app::App,
    extract::{Caller, RequestCookies},
    page::rfc3339,
};
use crate::{
    crypto::ArtefactKind,
    domain::{
        Actor, AuthRequest, Client, Decision, RequestId,
        auth_request::{Status, reissue_code},
        display_origin,
    },
    oauth::{ErrorCode, redirect_to},
    store::Situation,
};

/// A request, read at one moment.
pub(crate) struct Progress {
    pub(crate) id: RequestId,
    pub(crate) situation: Situation,
    pub(crate) version: u64,
    request: AuthRequest,
    pub(crate) status: Status,
    /// Whether the call carries the request's own cookie.
    pub(crate) by_browser: bool,
}

impl Progress {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// 404 `unknown_request`; 503 when the database does not answer.
    pub(crate) async fn read(
        app: &App,
        id: &str,
        cookies: &RequestCookies,
    ) -> Result<Self, ApiError> {
        let id: RequestId = id.parse().map_err(|_| unknown())?;
        let situation = app.store.situation(&id, None).await?;
        let mut progress = Self::of(id, situation).ok_or_else(unknown)?;
        progress.by_browser = app.holds_cookie(cookies, &id, &progress.request);
        progress.load_key(app).await?;
        Ok(progress)
    }

    fn of(id: RequestId, situation: Situation) -> Option<Self> {
        let found = situation.request.as_ref()?;
        let (request, version) = (found.state.clone(), found.version);
        let status = request.status(&situation.standing, situation.now);
        Some(Self {
            id,
            situation,
            version,
            request,
            status,
            by_browser: false,
        })
    }

    /// Makes sure that the code can be derived.
    async fn load_key(&self, app: &App) -> Result<(), ApiError> {
        let living = self
            .request
            .live_code(&self.situation.standing, self.situation.now);
        if let Some(code) = living {
            app.keys.ensure(&code.derivation_key).await?;
        }
        Ok(())
    }

    /// The state.
    pub(crate) const fn request(&self) -> &AuthRequest {
        &self.request
    }

    /// The website.
    pub(crate) fn client(&self) -> Option<&Client> {
        self.situation
            .standing
            .client
            .as_ref()
            .map(|client| &client.state)
    }

    /// Gives the browser a new code when the former ran out unfetched. Nobody else can cause it.
    pub(crate) async fn with_a_living_code(
        self,
        app: &App,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let living = self
            .request
            .live_code(&self.situation.standing, self.situation.now);
        if !self.by_browser || self.status != Status::Authenticated || living.is_some() {
            return Ok(self);
        }
        let scope = App::day_scope(self.situation.now);
        let address_hash = app.address_hash(&scope, caller).await?;
        let metadata = caller.metadata(Actor::Browser, Some(address_hash));
        let ((), situation) = app
            .store
            .on_request(&self.id, None, &metadata, |seen| match &seen.request {
                Some(request) => {
                    reissue_code(&request.state, &seen.standing, seen.now, &app.lifetimes)
                }
                None => Decision::unchanged(()),
            })
            .await?;
        let by_browser = self.by_browser;
        let progress = Self::of(self.id, situation).ok_or_else(unknown)?;
        progress.load_key(app).await?;
        Ok(Self {
            by_browser,
            ..progress
        })
    }

    /// Where the browser goes now: home with a code, or home with an error. `None` while it waits,
    /// once it is done, and when what the website needs is no longer kept.
    pub(crate) fn redirect_to(&self, app: &App) -> Option<String> {
        // To us that website is none any more, and a browser is not sent to an address that nobody
        // vouches for (RFC 6749 §4.1.2.1).
        if self.situation.standing.is_client_revoked() {
            return None;
        }
        let details = self.situation.details.as_ref()?;
        let code = self.code(app);
        let mut parameters: Vec<(&str, &str)> = match self.status {
            Status::Authenticated => vec![("code", code.as_deref()?)],
            Status::Expired => vec![
                ("error", ErrorCode::AccessDenied.as_str()),
                (
                    "error_description",
                    "the request expired before the sign-in was completed",
                ),
            ],
            Status::Denied => vec![
                ("error", ErrorCode::AccessDenied.as_str()),
                (
                    "error_description",
                    "the agent that signed in was suspended or revoked",
                ),
            ],
            Status::Pending | Status::Completed => return None,
        };
        parameters.extend(details.state.as_deref().map(|state| ("state", state)));
        parameters.push(("iss", &app.issuer));
        Some(redirect_to(&self.request.asked().redirect_uri, &parameters))
    }

    /// The code that lives.
    fn code(&self, app: &App) -> Option<String> {
        let code = self
            .request
            .live_code(&self.situation.standing, self.situation.now)?;
        app.keys.issue(
            ArtefactKind::AuthorizationCode,
            &code.derivation_key,
            &self.id,
            &code.issued_by,
        )
    }

    /// What an event of the stream says.
    pub(crate) fn event(&self, app: &App) -> Value {
        let mut event = json!({ "status": self.status });
        if let Some(to) = self.redirect_to(app) {
            event["redirect_to"] = json!(to);
        }
        event
    }

    /// What polling is told: to the browser everything, to anybody else the status alone.
    pub(crate) fn polled(&self, app: &App) -> Value {
        if !self.by_browser {
            return json!({ "status": self.status });
        }
        let mut answer = self.event(app);
        if self.status == Status::Authenticated {
            answer["code"] = json!(self.code(app));
            answer["state"] = json!(
                self.situation
                    .details
                    .as_ref()
                    .and_then(|d| d.state.clone())
            );
            answer["redirect_uri"] = json!(self.request.asked().redirect_uri);
        }
        answer
    }

    /// What anybody may know: what the page's own object says, and the status.
    pub(crate) fn public(&self, app: &App) -> Value {
        let asked = self.request.asked();
        let name = self
            .client()
            .map(|client| client.registered.client_name.as_str());
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("request_id", json!(self.id));
        put("client_id", json!(asked.client_id));
        put("client_name", json!(name));
        put(
            "redirect_origin",
            json!(display_origin(&asked.redirect_uri)),
        );
        put("scope", json!(asked.scope));
        put("expires_at", json!(rfc3339(asked.expires_at)));
        put("issuer", json!(app.issuer));
        put(
            "authenticate_endpoint",
            json!(format!("{}/api/agent/authenticate", app.issuer)),
        );
        put("status", json!(self.status));
        Value::Object(members)
    }

    /// The id of an event that tells this: the stream's version, marked when something beside the
    /// stream made it so: `x` when the clock ended it, `s` when a suspension or revocation did that the
    /// stream does not hold yet.
    pub(crate) fn event_id(&self) -> String {
        let mark = match (self.status, &self.request) {
            (Status::Expired, _) => "x",
            (Status::Denied, AuthRequest::Pending { .. } | AuthRequest::Authenticated { .. }) => {
                "s"
            }
            _ => "",
        };
        format!("{}{mark}", self.version)
    }

    /// Whether a browser that has seen the event `id` knows how it ended.
    ///
    /// A mark is enough: only an end bears one. A bare version is, when the end stands in the stream
    /// at or before it; later events of the grant (refreshed tokens) tell a page nothing new.
    ///
    /// # Errors
    ///
    /// 503 when the database does not answer.
    pub(crate) async fn is_known_to_have_ended(
        &self,
        app: &App,
        id: &str,
    ) -> Result<bool, ApiError> {
        let marked = id.strip_suffix(['x', 's']);
        let Ok(seen) = marked.unwrap_or(id).parse::<u64>() else {
            return Ok(false);
        };
        if !self.status.is_final() || seen > self.version {
            return Ok(false);
        }
        if marked.is_some() {
            return Ok(true);
        }
        Ok(match (self.status, &self.request) {
            // From the log: the state does not keep it.
            (Status::Completed, _) => app
                .store
                .redeemed_at(&self.id)
                .await?
                .is_some_and(|version| seen >= version),
            // Nothing follows it.
            (Status::Denied, AuthRequest::Denied { .. } | AuthRequest::Revoked { .. }) => {
                seen == self.version
            }
            _ => false,
        })
    }
}

/// 404 for an id that leads to no request.
fn unknown() -> ApiError {
    ApiError::new(
        ErrorCode::UnknownRequest,
        "no such request: it ended long ago, or its id is not whole",
    )
}
