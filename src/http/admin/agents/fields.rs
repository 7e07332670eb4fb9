//! What an agent is registered with, and what may be changed of it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    domain::{Agent, AgentRegistered, Binding, ClientId, OwnerId, Scope},
    http::{
        ApiError,
        admin::{clients::shown_name, owners::address},
        app::App,
        extract::{fitting, merged},
    },
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
pub(super) struct AgentBody {
    agent_name: String,
    pub(super) user_email: String,
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
pub(super) struct AgentFields {
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

pub(in crate::http::admin) fn name(field: &str, text: &str) -> Result<String, ApiError> {
    shown_name(field, text, MAX_NAME_CHARACTERS).map_err(invalid)
}

pub(super) struct Checked {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) user_name: String,
    pub(super) registered: AgentRegistered,
}

impl AgentBody {
    pub(super) async fn checked(self, app: &App, owner_id: OwnerId) -> Result<Checked, ApiError> {
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
    pub(super) fn changed(
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

pub(super) async fn all_known(app: &App, clients: Option<&[ClientId]>) -> Result<(), ApiError> {
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
