//! Agents: create with their owner, change, a new secret, and what is theirs of the rest.

mod create;

pub(super) use create::create;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Administrator, Paging,
    clients::shown_name,
    owners::{WHOSE, Whose, address, email_key, whose},
    revoked_for_good,
    rotation::{Rotating, tell_former_secret},
    subject::{Revocable, Subject, Suspendable, Switched, found, id_of},
    unknown,
};
use crate::{
    crypto::SecretKind,
    domain::{
        Agent, AgentFact, AgentId, AgentRegistered, Binding, ClientId, Decision, Metadata, OwnerId,
        Scope, Versioned,
    },
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, PathId, fitting, json_within, merged},
    },
    oauth::Parameters,
    store::{Listed, Page, Store, StoreError},
};

/// Longest name, in characters.
pub(in crate::http) const MAX_NAME_CHARACTERS: usize = 128;
/// Capabilities of one agent.
pub(in crate::http) const MAX_CAPABILITIES: usize = 32;
/// Websites in the list of one agent.
pub(in crate::http) const MAX_ALLOWED_CLIENTS: usize = 200;

/// What is known of an agent. A field that is not known is refused by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentBody {
    agent_name: String,
    user_email: String,
    user_name: String,
    model: Option<String>,
    #[serde(default)]
    capabilities: Vec<String>,
    allowed_scopes: Option<AllowedScopes>,
    allowed_clients: Option<Vec<ClientId>>,
    minimum_binding: Option<Binding>,
}

/// What an administrator may change of an agent; the rest is its owner's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFields {
    agent_name: String,
    model: Option<String>,
    #[serde(default)]
    capabilities: Vec<String>,
    allowed_scopes: Option<AllowedScopes>,
    allowed_clients: Option<Vec<ClientId>>,
    minimum_binding: Option<Binding>,
}

/// A list, or the space-separated text that OAuth uses.
#[derive(Deserialize)]
#[serde(untagged)]
enum AllowedScopes {
    List(Vec<String>),
    Text(String),
}

fn invalid(description: impl AsRef<str>) -> ApiError {
    ApiError::invalid_request(description)
}

pub(super) fn name(field: &str, text: &str) -> Result<String, ApiError> {
    shown_name(field, text, MAX_NAME_CHARACTERS).map_err(invalid)
}

struct Checked {
    name: String,
    email: String,
    user_name: String,
    registered: AgentRegistered,
}

impl AgentBody {
    async fn checked(self, app: &App, owner_id: OwnerId) -> Result<Checked, ApiError> {
        let user_name = name("user_name", &self.user_name)?;
        let email = address(&self.user_email)?;
        let fields = AgentFields {
            agent_name: self.agent_name,
            model: self.model,
            capabilities: self.capabilities,
            allowed_scopes: self.allowed_scopes,
            allowed_clients: self.allowed_clients,
            minimum_binding: self.minimum_binding,
        };
        let (name, registered) = fields.checked(owner_id)?;
        all_known(app, registered.allowed_clients.as_deref()).await?;
        Ok(Checked {
            name,
            email,
            user_name,
            registered,
        })
    }
}

impl AgentFields {
    /// The name, for the vault, and the rest, for the log.
    fn checked(self, owner_id: OwnerId) -> Result<(String, AgentRegistered), ApiError> {
        let agent_name = name("agent_name", &self.agent_name)?;
        let model = self.model.map(|model| name("model", &model)).transpose()?;
        if self.capabilities.len() > MAX_CAPABILITIES {
            return Err(invalid(format!(
                "capabilities may have {MAX_CAPABILITIES} entries"
            )));
        }
        let mut capabilities = Vec::with_capacity(self.capabilities.len());
        for capability in &self.capabilities {
            capabilities.push(name("capabilities", capability)?);
        }
        let allowed_scopes = match self.allowed_scopes {
            None => None,
            Some(AllowedScopes::List(list)) => Some(list.join(" ")),
            Some(AllowedScopes::Text(text)) => Some(text),
        };
        let allowed_scopes = allowed_scopes
            .map(|text| Scope::parse(&text))
            .transpose()
            .map_err(|error| invalid(format!("allowed_scopes: {error}")))?;
        if let Some(clients) = &self.allowed_clients
            && clients.len() > MAX_ALLOWED_CLIENTS
        {
            return Err(invalid(format!(
                "allowed_clients may have {MAX_ALLOWED_CLIENTS} entries"
            )));
        }
        let registered = AgentRegistered {
            owner_id,
            model,
            capabilities,
            allowed_scopes,
            allowed_clients: self.allowed_clients,
            minimum_binding: self.minimum_binding.unwrap_or_default(),
        };
        Ok((agent_name, registered))
    }

    /// An agent with those changes, held to what a new one is held to.
    fn changed(
        agent: &Agent,
        name: &str,
        changes: &Map<String, Value>,
    ) -> Result<(String, AgentRegistered), ApiError> {
        let mut state = serde_json::to_value(&agent.registered).unwrap_or_default();
        if let Some(members) = state.as_object_mut() {
            members.remove("owner_id");
        }
        state["agent_name"] = json!(name);
        fitting::<Self>(merged(state, changes))?.checked(agent.registered.owner_id)
    }
}

async fn all_known(app: &App, clients: Option<&[ClientId]>) -> Result<(), ApiError> {
    for client in clients.unwrap_or_default() {
        let known = app.store.client(client).await?;
        if known.is_none_or(|known| known.state.is_revoked()) {
            return Err(invalid(format!(
                "allowed_clients: there is no client {client}"
            )));
        }
    }
    Ok(())
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
