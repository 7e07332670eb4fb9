//! Agents: create with their owner, change, a new secret, and what is theirs of the rest.

mod fields;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::{Map, Value, json};

pub(super) use fields::name;
pub(in crate::http) use fields::{MAX_ALLOWED_CLIENTS, MAX_CAPABILITIES, MAX_NAME_CHARACTERS};

use fields::{AgentBody, AgentFields, all_known};

use super::{
    Administrator, Paging,
    owners::{WHOSE, Whose, email_key, whose},
    revoked_for_good,
    rotation::{Rotating, tell_former_secret},
    subject::{Revocable, Subject, Suspendable, Switched, found, id_of},
    unknown,
};
use crate::{
    crypto::SecretKind,
    domain::{Admission, Agent, AgentFact, AgentId, Decision, Metadata, Versioned},
    edge,
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, PathId, json_within},
    },
    oauth::Parameters,
    store::{
        AgentOwner, Listed, MAX_RETRIES, NewAgent, NewCredential, NewOwner, Page, Store, StoreError,
    },
};

/// POST /api/admin/agents: 201 with the secret, shown this once. An owner with that address is
/// found or made.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let body: AgentBody = json_within(request, MAX_BODY_BYTES).await?;
    let email_key = email_key(&app, &body.user_email);
    // Who that is may change until the agent is registered.
    let mut checked = body.checked(&app, edge::new_owner_id()).await?;

    let id = edge::new_agent_id();
    let secret = app
        .tagger
        .issue(SecretKind::Agent, &id.to_string(), edge::random());
    let secret_hash = app.hasher.hash(&secret).await?;
    let now = app.store.now().await?;
    let metadata = administrator.acts(&app, &caller).await?;
    for _ in 0..MAX_RETRIES {
        let known = app.store.owner_by_email(&email_key).await?;
        let owner = match known {
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
            credential: NewCredential {
                id: edge::new_event_id().to_string(),
                secret_hash: secret_hash.clone(),
                created_at: now,
            },
            sealed_address_key: app.seal_address_key(&format!("agent/{id}")),
            owner,
        };
        match app.store.register_agent(new, &metadata).await {
            Ok(()) => {
                let agent = Agent {
                    registered: checked.registered,
                    admission: Admission::default(),
                    failures_summed_up_at: None,
                };
                let mut answer = shown(&id, &agent, Some(&checked.name));
                answer["agent_secret"] = json!(secret.expose());
                return Ok((StatusCode::CREATED, Json(answer)).into_response());
            }
            // Somebody registered the same person a moment ago; or the owner changed meanwhile.
            Err(StoreError::Claimed { .. } | StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

fn shown(id: &AgentId, agent: &Agent, name: Option<&str>) -> Value {
    let mut value = serde_json::to_value(&agent.registered).unwrap_or_default();
    value["agent_id"] = json!(id);
    value["agent_name"] = json!(name);
    value["status"] = json!(agent.admission.status);
    value
}

impl Subject for Agent {
    const NOUN: &'static str = "agent";
    type Id = AgentId;
    type Fact = AgentFact;

    async fn read(store: &Store, id: &AgentId) -> Result<Option<Versioned<Self>>, StoreError> {
        store.agent(id).await
    }

    const FILTERS: &'static [&'static str] = &WHOSE;

    async fn page(
        app: &App,
        paging: Paging<u64>,
        parameters: &Parameters,
    ) -> Result<Page<Listed<AgentId, Self>>, ApiError> {
        let owner = match whose(app, parameters).await? {
            Whose::Anybody => None,
            Whose::Owner(owner) => Some(owner),
            Whose::Nobody => return Ok(Page::empty()),
        };
        let (after, limit) = (paging.after.unwrap_or_default(), paging.limit);
        Ok(app.store.list_agents(after, limit, owner.as_ref()).await?)
    }

    async fn decided<T: Send>(
        store: &Store,
        id: &AgentId,
        metadata: &Metadata,
        decide: impl FnMut(&Self) -> Decision<T, AgentFact> + Send,
    ) -> Result<Option<T>, StoreError> {
        store.on_agent(id, metadata, decide).await
    }

    fn shown(listed: &Listed<AgentId, Self>) -> Value {
        shown(&listed.id, &listed.state, listed.name.as_deref())
    }

    async fn whole(store: &Store, id: AgentId, state: Self) -> Result<Value, StoreError> {
        let name = store.agent_name(&id).await?;
        let mut answer = shown(&id, &state, name.as_deref());
        tell_former_secret(store, &id.to_string(), &state.admission, &mut answer).await?;
        if let Some(person) = store.person(&state.registered.owner_id).await? {
            answer["user_email"] = json!(person.email);
            answer["user_name"] = json!(person.name);
        }
        Ok(answer)
    }
}

impl Suspendable for Agent {
    fn suspended(&self) -> Switched<AgentFact> {
        self.suspend()
    }

    fn reinstated(&self) -> Switched<AgentFact> {
        self.reinstate()
    }
}

impl Revocable for Agent {
    fn revoked(&self) -> Decision<(), AgentFact> {
        self.revoke()
    }
}

/// PUT /api/admin/agents/{id}: changes the fields given; null takes one back to its default. 200 with
/// the agent as it is from here on.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<Agent>(&id)?;
    let changes: Map<String, Value> = json_within(request, MAX_BODY_BYTES).await?;
    let agent = found::<Agent>(&app, &id).await?;
    let name_before = app.store.agent_name(&id).await?.unwrap_or_default();
    let (name, to) = AgentFields::changed(&agent, &name_before, &changes)?;
    if changes.contains_key("allowed_clients") {
        all_known(&app, to.allowed_clients.as_deref()).await?;
    }
    let metadata = administrator.acts(&app, &caller).await?;
    // A name that nobody gave here stays as it is by then: somebody else may be renaming the agent.
    let given = changes.contains_key("agent_name").then_some(&*name);
    let renamed = given.is_some_and(|name| name != name_before);
    let decide = |agent: &Agent| match AgentFields::changed(agent, &name, &changes) {
        Ok((_, to)) => {
            let after = Agent {
                registered: to.clone(),
                ..agent.clone()
            };
            let Decision { facts, outcome } = agent.update(to, renamed);
            let outcome = outcome.map_err(|gone| revoked_for_good("agent", gone));
            Decision::with(facts, outcome.map(|()| after))
        }
        Err(refused) => Decision::unchanged(Err(refused)),
    };
    let agent = app
        .store
        .on_agent_named(&id, given, &metadata, decide)
        .await?
        .ok_or_else(|| unknown("agent"))??;
    let name = match given {
        Some(name) => Some(name.to_owned()),
        None => app.store.agent_name(&id).await?,
    };
    Ok(Json(shown(&id, &agent, name.as_deref())))
}

/// POST /api/admin/agents/{id}/rotate-secret: 200 with the new secret, shown this once.
pub(super) async fn rotate_secret(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<Agent>(&id)?;
    let agent = found::<Agent>(&app, &id).await?;
    let refused = |gone| revoked_for_good("agent", gone);
    // Nothing is hashed for an agent that has no use for it.
    agent.rotate_secret(None).outcome.map_err(refused)?;
    let rotating = Rotating::of(&app, SecretKind::Agent, &id.to_string(), request).await?;
    let metadata = administrator.acts(&app, &caller).await?;
    app.store
        .rotate_agent_secret(&id, &rotating.rotation, &metadata)
        .await?
        .ok_or_else(|| unknown("agent"))?
        .map_err(refused)?;
    Ok(Json(rotating.told(json!({
        "agent_id": id,
        "agent_secret": rotating.secret.expose(),
    }))))
}
