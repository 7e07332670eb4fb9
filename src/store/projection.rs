//! Inline projections: the read models of the request path, one row for each stream, holding the
//! fold at that version and the columns that are looked up by.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{StoreError, append::Committed, sql};
use crate::domain::{Agent, AuthRequest, Client, Fact, Key, Owner, Recorded, StreamId};

/// The fold of a stream that is projected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Projected {
    Request(Box<AuthRequest>),
    Agent(Agent),
    Client(Client),
    Owner(Owner),
    Key(Key),
}

/// Which table a stream is projected into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Table {
    Requests,
    Agents,
    Clients,
    Owners,
    Keys,
}

impl Table {
    pub(crate) const fn of(stream: &StreamId) -> Option<Self> {
        match stream {
            StreamId::AuthRequest(_) => Some(Self::Requests),
            StreamId::Agent(_) => Some(Self::Agents),
            StreamId::Client(_) => Some(Self::Clients),
            StreamId::Owner(_) => Some(Self::Owners),
            StreamId::SigningKey(_) | StreamId::DerivationKey(_) => Some(Self::Keys),
            StreamId::Administration(_) | StreamId::Maintenance(_) => None,
        }
    }

    pub(crate) const fn upsert(self) -> sql::Text {
        match self {
            Self::Requests => sql::UPSERT_REQUESTS,
            Self::Agents => sql::UPSERT_AGENTS,
            Self::Clients => sql::UPSERT_CLIENTS,
            Self::Owners => sql::UPSERT_OWNERS,
            Self::Keys => sql::UPSERT_KEYS,
        }
    }

    pub(crate) const fn rows(self) -> sql::Text {
        match self {
            Self::Requests => sql::REQUEST_ROWS,
            Self::Agents => sql::AGENT_ROWS,
            Self::Clients => sql::CLIENT_ROWS,
            Self::Owners => sql::OWNER_ROWS,
            Self::Keys => sql::KEY_ROWS,
        }
    }

    pub(crate) fn read(self, state: &str) -> Result<Projected, StoreError> {
        Ok(match self {
            Self::Requests => Projected::Request(Box::new(serde_json::from_str(state)?)),
            Self::Agents => Projected::Agent(serde_json::from_str(state)?),
            Self::Clients => Projected::Client(serde_json::from_str(state)?),
            Self::Owners => Projected::Owner(serde_json::from_str(state)?),
            Self::Keys => Projected::Key(serde_json::from_str(state)?),
        })
    }
}

/// The id that a stream's row is stored under.
pub(crate) fn row_id(stream_text: &str) -> &str {
    stream_text
        .split_once('/')
        .map_or(stream_text, |(_, id)| id)
}

fn of<F: Clone>(event: &Recorded<Fact>, fact: &F) -> Recorded<F> {
    Recorded {
        position: event.position,
        version: event.version,
        id: event.id,
        occurred_at: event.occurred_at,
        fact: fact.clone(),
    }
}

impl Projected {
    /// Adds one fact.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when it cannot follow: the log holds what no decision yields.
    pub(crate) fn apply(before: Option<Self>, event: &Recorded<Fact>) -> Result<Self, StoreError> {
        let after = match (before, &event.fact) {
            (None, Fact::Request(fact)) => AuthRequest::apply(None, &of(event, fact))
                .map(Box::new)
                .map(Self::Request),
            (Some(Self::Request(state)), Fact::Request(fact)) => {
                AuthRequest::apply(Some(*state), &of(event, fact))
                    .map(Box::new)
                    .map(Self::Request)
            }
            (None, Fact::Agent(fact)) => Agent::apply(None, &of(event, fact)).map(Self::Agent),
            (Some(Self::Agent(state)), Fact::Agent(fact)) => {
                Agent::apply(Some(state), &of(event, fact)).map(Self::Agent)
            }
            (None, Fact::Client(fact)) => Client::apply(None, &of(event, fact)).map(Self::Client),
            (Some(Self::Client(state)), Fact::Client(fact)) => {
                Client::apply(Some(state), &of(event, fact)).map(Self::Client)
            }
            (None, Fact::Owner(fact)) => Owner::apply(None, &of(event, fact)).map(Self::Owner),
            (Some(Self::Owner(state)), Fact::Owner(fact)) => {
                Owner::apply(Some(state), &of(event, fact)).map(Self::Owner)
            }
            (None, Fact::SigningKey(_) | Fact::DerivationKey(_)) => {
                Key::apply(None, event).map(Self::Key)
            }
            (Some(Self::Key(state)), Fact::SigningKey(_) | Fact::DerivationKey(_)) => {
                Key::apply(Some(state), event).map(Self::Key)
            }
            _ => None,
        };
        after.ok_or_else(|| {
            StoreError::Corrupt(format!(
                "event {} ({}) cannot follow in its stream",
                event.position,
                event.fact.type_name()
            ))
        })
    }

    /// Adds the facts of a commit, all of one stream.
    pub(crate) fn after(
        before: Option<Self>,
        committed: &[Committed],
    ) -> Result<Option<Self>, StoreError> {
        committed.iter().try_fold(before, |state, event| {
            Self::apply(state, &event.recorded).map(Some)
        })
    }

    /// The row that this state is stored as; `first` is the position of the stream's first event.
    pub(crate) fn row(&self, id: &str, version: u64, first: u64) -> Result<Value, StoreError> {
        let (client, agent, owner, state) = match self {
            Self::Request(request) => (
                Some(request.asked().client_id.to_string()),
                request.sign_in().map(|by| by.agent_id.to_string()),
                request.sign_in().map(|by| by.owner_id.to_string()),
                serde_json::to_string(request)?,
            ),
            Self::Agent(agent) => {
                let owner = agent.registered.owner_id.to_string();
                (None, None, Some(owner), serde_json::to_string(agent)?)
            }
            Self::Client(client) => (None, None, None, serde_json::to_string(client)?),
            Self::Owner(owner) => (None, None, None, serde_json::to_string(owner)?),
            Self::Key(key) => {
                return Ok(json!({
                    "id": id, "version": version, "position": first,
                    "purpose": key.group.purpose(),
                    "activated": key.activated.map(|mark| mark.position),
                    "ended": u8::from(!key.lives()),
                    "state": serde_json::to_string(key)?,
                }));
            }
        };
        Ok(json!({
            "id": id, "version": version, "position": first,
            "client_id": client, "agent_id": agent, "owner_id": owner, "state": state,
        }))
    }
}

/// Rows to be written, by table.
#[derive(Debug, Default)]
pub(crate) struct Rows(HashMap<Table, Vec<Value>>);

impl Rows {
    pub(crate) fn push(&mut self, table: Table, row: Value) {
        self.0.entry(table).or_default().push(row);
    }

    /// One statement for each table that has rows.
    pub(crate) fn statements(self) -> impl Iterator<Item = (sql::Text, String)> {
        self.0
            .into_iter()
            .map(|(table, rows)| (table.upsert(), Value::Array(rows).to_string()))
    }
}
