//! Deciding about one client, agent or owner.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Row;

use super::{
    Append, MAX_RETRIES, Store, StoreError,
    append::VaultTable,
    on,
    projection::{Projected, row_id},
    situation::read,
    sql,
};
use crate::{
    domain::{
        Agent, AgentFact, AgentId, Client, ClientFact, ClientId, Decision, Fact, Metadata, Owner,
        OwnerFact, OwnerId, StreamId, Versioned,
    },
    edge,
};

impl Store {
    /// Reads one client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Versioned<Client>>, StoreError> {
        self.one(sql::CLIENT, &id.to_string()).await
    }

    /// Reads one agent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn agent(&self, id: &AgentId) -> Result<Option<Versioned<Agent>>, StoreError> {
        self.one(sql::AGENT, &id.to_string()).await
    }

    /// Reads one owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn owner(&self, id: &OwnerId) -> Result<Option<Versioned<Owner>>, StoreError> {
        self.one(sql::OWNER, &id.to_string()).await
    }

    pub(super) async fn one<S: DeserializeOwned>(
        &self,
        text: sql::Text,
        id: &str,
    ) -> Result<Option<Versioned<S>>, StoreError> {
        on!(Pool, &self.pool, text, |c, sql| {
            let row = sqlx::query(sql).bind(id).fetch_optional(c).await?;
            row.map(|row| {
                let body: String = row.try_get("body")?;
                read(row.try_get("version")?, &body)
            })
            .transpose()
        })
    }

    /// Takes a decision about a client; `None` when there is no such client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing could be committed; then nothing was.
    pub async fn on_client<T>(
        &self,
        id: &ClientId,
        metadata: &Metadata,
        decide: impl FnMut(&Client) -> Decision<T, ClientFact>,
    ) -> Result<Option<T>, StoreError> {
        self.on(Subject::client(*id), &Beside::default(), metadata, decide)
            .await
    }

    /// Takes a decision about an agent; `None` when there is no such agent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing could be committed; then nothing was.
    pub async fn on_agent<T>(
        &self,
        id: &AgentId,
        metadata: &Metadata,
        decide: impl FnMut(&Agent) -> Decision<T, AgentFact>,
    ) -> Result<Option<T>, StoreError> {
        self.on(Subject::agent(*id), &Beside::default(), metadata, decide)
            .await
    }

    /// Takes a decision about an owner; `None` when there is no such owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing could be committed; then nothing was.
    pub async fn on_owner<T>(
        &self,
        id: &OwnerId,
        metadata: &Metadata,
        decide: impl FnMut(&Owner) -> Decision<T, OwnerFact>,
    ) -> Result<Option<T>, StoreError> {
        self.on(Subject::owner(*id), &Beside::default(), metadata, decide)
            .await
    }

    /// Takes a decision about somebody, and writes `beside` with its facts, if it has any.
    pub(super) async fn on<S: DeserializeOwned, F, T>(
        &self,
        subject: Subject<S, F>,
        beside: &Beside,
        metadata: &Metadata,
        mut decide: impl FnMut(&S) -> Decision<T, F>,
    ) -> Result<Option<T>, StoreError> {
        let stream = subject.stream;
        let stream_text = stream.to_string();
        for _ in 0..MAX_RETRIES {
            let seen = self.one(subject.text, row_id(&stream_text)).await?;
            let Some(Versioned { version, state }) = seen else {
                return Ok(None);
            };
            let Decision { facts, outcome } = decide(&state);
            if facts.is_empty() {
                return Ok(Some(outcome));
            }
            let mut append = Append::by(metadata)?;
            let facts = facts
                .into_iter()
                .map(|fact| (edge::new_event_id(), (subject.fact)(fact)));
            append.vault.clone_from(&beside.vault);
            append.retire.clone_from(&beside.retire);
            let before = (subject.projected)(state);
            append.facts(stream.clone(), version, Some(before), facts)?;
            match self.writer.append(append).await {
                Ok(_) => return Ok(Some(outcome)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }
}

/// What the vault is to hold once a decision's facts are in the log.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) vault: Vec<(VaultTable, Value)>,
    pub(super) retire: Vec<Value>,
}

/// Somebody whom administrators decide about: the stream, where its fold is read, and what wraps its
/// fold and its facts.
pub(super) struct Subject<S, F> {
    stream: StreamId,
    text: sql::Text,
    projected: fn(S) -> Projected,
    fact: fn(F) -> Fact,
}

impl Subject<Client, ClientFact> {
    pub(super) const fn client(id: ClientId) -> Self {
        Self {
            stream: StreamId::Client(id),
            text: sql::CLIENT,
            projected: Projected::Client,
            fact: Fact::Client,
        }
    }
}

impl Subject<Agent, AgentFact> {
    pub(super) const fn agent(id: AgentId) -> Self {
        Self {
            stream: StreamId::Agent(id),
            text: sql::AGENT,
            projected: Projected::Agent,
            fact: Fact::Agent,
        }
    }
}

impl Subject<Owner, OwnerFact> {
    const fn owner(id: OwnerId) -> Self {
        Self {
            stream: StreamId::Owner(id),
            text: sql::OWNER,
            projected: Projected::Owner,
            fact: Fact::Owner,
        }
    }
}
