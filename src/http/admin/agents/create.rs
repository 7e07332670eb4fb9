//! Registering an agent, with the person behind it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use super::{super::Administrator, AgentBody, Checked, email_key, shown};
use crate::{
    crypto::SecretKind,
    domain::{Admission, Agent, AgentId, Metadata},
    edge,
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, json_within},
    },
    store::{AgentOwner, MAX_RETRIES, NewAgent, NewCredential, NewOwner, StoreError},
};

/// POST /api/admin/agents: 201 with the secret, shown this once. An owner with that address is
/// found or made.
pub(in crate::http::admin) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let body: AgentBody = json_within(request, MAX_BODY_BYTES).await?;
    // Who that is may change until the agent is registered.
    let mut checked = body.checked(&app, edge::new_owner_id()).await?;

    let id = edge::new_agent_id();
    let secret = app
        .tagger
        .issue(SecretKind::Agent, &id.to_string(), edge::random());
    let secret_hash = app.hasher.hash(&secret).await?;
    let credential = NewCredential {
        id: edge::new_event_id().to_string(),
        secret_hash,
        created_at: app.store.now().await?,
    };
    let metadata = administrator.acts(&app, &caller).await?;
    register(&app, id, &mut checked, &credential, &metadata).await?;
    let agent = Agent {
        registered: checked.registered,
        admission: Admission::default(),
        failures_summed_up_at: None,
    };
    let mut answer = shown(&id, &agent, Some(&checked.name));
    answer["agent_secret"] = json!(secret.expose());
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The agent with its owner, who may be registered, changed or erased by somebody else meanwhile.
async fn register(
    app: &App,
    id: AgentId,
    checked: &mut Checked,
    credential: &NewCredential,
    metadata: &Metadata,
) -> Result<(), ApiError> {
    let email_key = email_key(app, &checked.email);
    for _ in 0..MAX_RETRIES {
        let owner = match app.store.owner_by_email(&email_key).await? {
            Some(owner) => {
                let seen = app.store.owner(&owner).await?;
                // Erased a moment ago: then nobody has the address any more.
                let Some(seen) = seen.filter(|seen| !seen.state.is_erased()) else {
                    continue;
                };
                checked.registered.owner_id = owner;
                AgentOwner::Known(seen.version)
            }
            None => {
                checked.registered.owner_id = edge::new_owner_id();
                AgentOwner::New(NewOwner {
                    id: checked.registered.owner_id,
                    email_key: email_key.clone(),
                    email: checked.email.clone(),
                    name: checked.user_name.clone(),
                })
            }
        };
        let new = NewAgent {
            id,
            registered: checked.registered.clone(),
            name: checked.name.clone(),
            credential: credential.clone(),
            sealed_address_key: app.seal_address_key(&format!("agent/{id}")),
            owner,
        };
        match app.store.register_agent(new, metadata).await {
            Err(StoreError::Claimed { .. } | StoreError::Conflict) => {}
            done => return Ok(done?),
        }
    }
    Err(StoreError::Conflict.into())
}
