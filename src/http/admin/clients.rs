//! Clients: create, change, a new secret, and what is theirs of the rest.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Administrator, Paging, revoked_for_good,
    rotation::{Rotating, tell_former_secret},
    subject::{Revocable, Subject, found, id_of},
    unknown,
};
use crate::{
    crypto::SecretKind,
    domain::{
        Admission, AuthMethod, Binding, Client, ClientFact, ClientId, ClientRegistered, Decision,
        GrantType, Metadata, RedirectUri, RotationRefusal, Scope, SubjectKind, TokenAlgorithm,
        UpdateRefusal, Versioned, is_invisible,
    },
    edge,
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, PathId, fitting, json_within, merged},
    },
    oauth::{ErrorCode, Parameters, SCOPES_SUPPORTED},
    store::{Listed, NewClient, NewCredential, Page, Store, StoreError},
};

/// Longest `client_name`, in characters.
pub(in crate::http) const MAX_NAME_CHARACTERS: usize = 64;
/// Redirect URIs of one client.
pub(in crate::http) const MAX_REDIRECT_URIS: usize = 10;

/// Client metadata (RFC 7591 §2). A field that is not known is refused by name: one that is
/// misspelt would otherwise be lost in silence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientBody {
    client_name: String,
    redirect_uris: Vec<String>,
    grant_types: Option<Vec<GrantType>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<AuthMethod>,
    scope: Option<String>,
    id_token_signed_response_alg: Option<TokenAlgorithm>,
    access_token_signed_response_alg: Option<TokenAlgorithm>,
    subject: Option<SubjectKind>,
    minimum_binding: Option<Binding>,
    client_uri: Option<String>,
}

fn invalid(description: impl AsRef<str>) -> ApiError {
    ApiError::new(ErrorCode::InvalidClientMetadata, description)
}

/// A name that can be shown: printable, within a bound; else what is wrong with it.
pub(super) fn shown_name(field: &str, name: &str, most: usize) -> Result<String, String> {
    let name = name.trim();
    let fits = (1..=most).contains(&name.chars().count());
    if fits && name.chars().all(|c| !c.is_control() && !is_invisible(c)) {
        Ok(name.to_owned())
    } else {
        Err(format!("{field} must be 1 to {most} printable characters"))
    }
}

impl ClientBody {
    fn checked(self) -> Result<ClientRegistered, ApiError> {
        let client_name =
            shown_name("client_name", &self.client_name, MAX_NAME_CHARACTERS).map_err(invalid)?;
        let public = self.token_endpoint_auth_method == Some(AuthMethod::None);
        if !(1..=MAX_REDIRECT_URIS).contains(&self.redirect_uris.len()) {
            return Err(ApiError::new(
                ErrorCode::InvalidRedirectUri,
                format!("redirect_uris must have 1 to {MAX_REDIRECT_URIS} entries"),
            ));
        }
        for uri in &self.redirect_uris {
            RedirectUri::register(uri, public).map_err(|fault| {
                let shown: String = uri.chars().take(200).collect();
                ApiError::new(ErrorCode::InvalidRedirectUri, format!("{shown} {fault}"))
            })?;
        }
        let grant_types = self
            .grant_types
            .unwrap_or_else(|| vec![GrantType::AuthorizationCode, GrantType::RefreshToken]);
        if !grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(invalid("grant_types must contain authorization_code"));
        }
        if self.response_types.is_some_and(|types| types != ["code"]) {
            return Err(invalid("response_types must be [code]"));
        }
        let scope = self.scope.unwrap_or_else(|| SCOPES_SUPPORTED.join(" "));
        let scope = Scope::parse(&scope).map_err(|error| invalid(format!("scope: {error}")))?;
        if let Some(uri) = &self.client_uri {
            let url = url::Url::parse(uri).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.has_host() && uri.len() <= 2_048
            });
            if url.is_none() {
                return Err(invalid("client_uri must be an http or https address"));
            }
        }
        Ok(ClientRegistered {
            client_name,
            redirect_uris: self.redirect_uris,
            grant_types,
            token_endpoint_auth_method: self.token_endpoint_auth_method,
            scope,
            id_token_signed_response_alg: self.id_token_signed_response_alg.unwrap_or_default(),
            access_token_signed_response_alg: self.access_token_signed_response_alg,
            subject: self.subject.unwrap_or_default(),
            minimum_binding: self.minimum_binding.unwrap_or_default(),
            client_uri: self.client_uri,
        })
    }
}

/// POST /api/admin/clients: 201 with the secret, shown this once.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let body: ClientBody = json_within(request, MAX_BODY_BYTES).await?;
    let registered = body.checked()?;
    let id = edge::new_client_id();
    let now = app.store.now().await?;
    let public = registered.token_endpoint_auth_method == Some(AuthMethod::None);
    let secret = (!public).then(|| {
        app.tagger
            .issue(SecretKind::Client, &id.to_string(), edge::random())
    });
    let credential = match &secret {
        Some(secret) => Some(NewCredential {
            id: edge::new_event_id().to_string(),
            secret_hash: app.hasher.hash(secret).await?,
            created_at: now,
        }),
        None => None,
    };
    let metadata = administrator.acts(&app, &caller).await?;
    let client = Client {
        registered: registered.clone(),
        admission: Admission::default(),
    };
    let mut answer = shown(&id, &client);
    app.store
        .register_client(
            NewClient {
                id,
                registered,
                credential,
            },
            &metadata,
        )
        .await?;
    if let Some(secret) = &secret {
        answer["client_secret"] = json!(secret.expose());
        // RFC 7591 §3.2.1: required beside a secret; 0 means that it does not expire.
        answer["client_secret_expires_at"] = json!(0);
    }
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn shown(id: &ClientId, client: &Client) -> Value {
    let registered = &client.registered;
    let mut value = serde_json::to_value(registered).unwrap_or_default();
    value["client_id"] = json!(id);
    value["access_token_signed_response_alg"] = json!(registered.access_token_algorithm());
    value["response_types"] = json!(["code"]);
    value["status"] = json!(client.admission.status);
    value
}

impl Subject for Client {
    const NOUN: &'static str = "client";
    type Id = ClientId;
    type Fact = ClientFact;

    async fn read(store: &Store, id: &ClientId) -> Result<Option<Versioned<Self>>, StoreError> {
        store.client(id).await
    }

    async fn page(
        app: &App,
        paging: Paging<u64>,
        _: &Parameters,
    ) -> Result<Page<Listed<ClientId, Self>>, ApiError> {
        let after = paging.after.unwrap_or_default();
        Ok(app.store.list_clients(after, paging.limit).await?)
    }

    async fn decided<T: Send>(
        store: &Store,
        id: &ClientId,
        metadata: &Metadata,
        decide: impl FnMut(&Self) -> Decision<T, ClientFact> + Send,
    ) -> Result<Option<T>, StoreError> {
        store.on_client(id, metadata, decide).await
    }

    fn shown(listed: &Listed<ClientId, Self>) -> Value {
        shown(&listed.id, &listed.state)
    }

    async fn whole(store: &Store, id: ClientId, state: Self) -> Result<Value, StoreError> {
        let mut answer = shown(&id, &state);
        tell_former_secret(store, &id.to_string(), &state.admission, &mut answer).await?;
        Ok(answer)
    }
}

impl Revocable for Client {
    fn revoked(&self) -> Decision<(), ClientFact> {
        self.revoke()
    }
}

/// PUT /api/admin/clients/{id}: changes the fields given; null takes one back to its default. 200 with
/// the client as it is from here on.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<Client>(&id)?;
    let changes: Map<String, Value> = json_within(request, MAX_BODY_BYTES).await?;
    let metadata = administrator.acts(&app, &caller).await?;
    let decide = |client: &Client| match changed(client, &changes) {
        Ok(to) => {
            let after = Client {
                registered: to.clone(),
                ..client.clone()
            };
            let Decision { facts, outcome } = client.update(to);
            let outcome = outcome.map_err(|refusal| match refusal {
                UpdateRefusal::Revoked(gone) => revoked_for_good("client", gone),
                UpdateRefusal::SecretOrNone => invalid(
                    "token_endpoint_auth_method cannot change to none or from it: register a new client",
                ),
            });
            Decision::with(facts, outcome.map(|()| after))
        }
        Err(refused) => Decision::unchanged(Err(refused)),
    };
    let client = app
        .store
        .on_client(&id, &metadata, decide)
        .await?
        .ok_or_else(|| unknown("client"))??;
    Ok(Json(shown(&id, &client)))
}

/// The registration with those changes, held to what a new one is held to.
fn changed(client: &Client, changes: &Map<String, Value>) -> Result<ClientRegistered, ApiError> {
    let state = serde_json::to_value(&client.registered).unwrap_or_default();
    fitting::<ClientBody>(merged(state, changes))?.checked()
}

/// POST /api/admin/clients/{id}/rotate-secret: 200 with the new secret, shown this once.
pub(super) async fn rotate_secret(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<Client>(&id)?;
    let client = found::<Client>(&app, &id).await?;
    let refused = |refusal| match refusal {
        RotationRefusal::Revoked(gone) => revoked_for_good("client", gone),
        RotationRefusal::Public => {
            ApiError::invalid_request("this is a public client, which has no secret")
        }
    };
    // Nothing is hashed for a client that has no use for it.
    client.rotate_secret(None).outcome.map_err(refused)?;
    let rotating = Rotating::of(&app, SecretKind::Client, &id.to_string(), request).await?;
    let metadata = administrator.acts(&app, &caller).await?;
    app.store
        .rotate_client_secret(&id, &rotating.rotation, &metadata)
        .await?
        .ok_or_else(|| unknown("client"))?
        .map_err(refused)?;
    Ok(Json(rotating.told(json!({
        "client_id": id,
        "client_secret": rotating.secret.expose(),
        "client_secret_expires_at": 0,
    }))))
}
