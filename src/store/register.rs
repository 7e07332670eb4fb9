//! Bringing things into being: requests, clients, agents with their owners.

use jiff::Timestamp;
use serde_json::json;

use super::{
    Append, NewDetails, Store, StoreError,
    append::{Claim, VaultTable},
    projection::Projected,
    subject::{Beside, Subject},
};
use crate::{
    domain::{
        Agent, AgentFact, AgentId, AgentRegistered, AuthRequest, Client, ClientFact, ClientId,
        ClientRegistered, Decision, EventId, Fact, Metadata, OwnerFact, OwnerId, OwnerRegistered,
        RequestFact, RequestId, RevokedForGood, RotationRefusal, StreamId, auth_request::Created,
    },
    edge,
};

/// A secret's hash on its way into the vault. No `Debug`.
#[derive(Clone)]
pub struct NewCredential {
    /// The credential's own id: a new one with each rotation.
    pub id: String,
    /// argon2id, as a PHC string.
    pub secret_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new secret in the place of the former one.
pub struct Rotation {
    /// The new secret's hash.
    pub credential: NewCredential,
    /// Until when the former secret stays valid; `None`: it ends with the rotation.
    pub previous_expires_at: Option<Timestamp>,
}

impl Rotation {
    fn beside(&self, holder: &str) -> Beside {
        let until = self.previous_expires_at.map(Timestamp::as_microsecond);
        Beside {
            vault: vec![(VaultTable::Credentials, self.credential.row(holder))],
            retire: vec![json!({ "holder": holder, "until": until })],
        }
    }
}

impl NewCredential {
    fn row(&self, holder: &str) -> serde_json::Value {
        json!({
            "id": self.id, "holder": holder, "secret_hash": self.secret_hash,
            "created_at": self.created_at.as_microsecond(),
        })
    }
}

/// A request to be created. No `Debug`: its details hold `state` and `nonce`.
pub struct NewRequest {
    /// Its id.
    pub id: RequestId,
    /// The id of its first event, which the browser's cookie is derived from.
    pub event: EventId,
    /// What the website asks for.
    pub created: Created,
    /// What the vault keeps of it.
    pub details: NewDetails,
    /// The version of the client that was looked at.
    pub client_version: u64,
    /// Held by one request only: a second creation under the same claim is refused.
    pub claim: Option<String>,
}

/// A client to be registered.
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// What is known of it.
    pub registered: ClientRegistered,
    /// Its secret's hash; none for a public client.
    pub credential: Option<NewCredential>,
}

/// A person to be registered with an agent.
pub struct NewOwner {
    /// The owner's id.
    pub id: OwnerId,
    /// Keyed hash of the normalised address: it is claimed, so that nobody is registered twice.
    pub email_key: String,
    /// The address.
    pub email: String,
    /// The person's name.
    pub name: String,
}

/// The person behind an agent to be registered.
pub enum AgentOwner {
    /// Not known yet.
    New(NewOwner),
    /// Known, at the version of the stream that was looked at.
    Known(u64),
}

/// An agent to be registered.
pub struct NewAgent {
    /// Its id.
    pub id: AgentId,
    /// What is known of it.
    pub registered: AgentRegistered,
    /// Its name.
    pub name: String,
    /// Its secret's hash.
    pub credential: NewCredential,
    /// The key that addresses it calls from are hashed under, sealed.
    pub sealed_address_key: String,
    /// Its owner.
    pub owner: AgentOwner,
}

/// What an owner's address is claimed by.
pub(super) fn email_claim(email_key: &str) -> String {
    format!("owner_email/{email_key}")
}

impl Store {
    /// Creates a request and yields its state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Claimed`] with the id of the request that holds the claim;
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn create_request(
        &self,
        new: NewRequest,
        metadata: &Metadata,
    ) -> Result<AuthRequest, StoreError> {
        let mut append = Append::by(metadata)?;
        let client = StreamId::Client(new.created.client_id);
        append
            .expected
            .push((client.to_string(), new.client_version));
        let details = new.details.row(&new.id, new.created.expires_at);
        append.vault.push((VaultTable::RequestDetails, details));
        append.claims.extend(new.claim.map(|key| Claim {
            key,
            value: new.id.to_string(),
            expires_at: Some(new.created.expires_at),
        }));
        let fact = Fact::Request(RequestFact::Created(new.created));
        append.facts(StreamId::AuthRequest(new.id), 0, None, [(new.event, fact)])?;
        let committed = self.writer.append(append).await?;
        match Projected::after(None, &committed)? {
            Some(Projected::Request(state)) => Ok(*state),
            _ => Err(StoreError::Corrupt("a request was not created".to_owned())),
        }
    }

    /// Registers a client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn register_client(
        &self,
        new: NewClient,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        let mut append = Append::by(metadata)?;
        if let Some(credential) = &new.credential {
            append
                .vault
                .push((VaultTable::Credentials, credential.row(&new.id.to_string())));
        }
        let fact = Fact::Client(ClientFact::Registered(new.registered));
        append.facts(
            StreamId::Client(new.id),
            0,
            None,
            [(edge::new_event_id(), fact)],
        )?;
        self.writer.append(append).await.map(drop)
    }

    /// Takes a decision about an agent, and gives it that name in the vault, if any, when it yields a
    /// fact; `None` when there is no such agent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn on_agent_named<T>(
        &self,
        id: &AgentId,
        name: Option<&str>,
        metadata: &Metadata,
        decide: impl FnMut(&Agent) -> Decision<T, AgentFact>,
    ) -> Result<Option<T>, StoreError> {
        let row = |name| json!({ "agent_id": id, "agent_name": name });
        let beside = Beside {
            vault: name
                .map(|name| (VaultTable::AgentProfiles, row(name)))
                .into_iter()
                .collect(),
            ..Beside::default()
        };
        self.on(Subject::agent(*id), &beside, metadata, decide)
            .await
    }

    /// Gives a client a new secret; `None` when there is no such client.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn rotate_client_secret(
        &self,
        id: &ClientId,
        rotation: &Rotation,
        metadata: &Metadata,
    ) -> Result<Option<Result<(), RotationRefusal>>, StoreError> {
        let beside = rotation.beside(&id.to_string());
        let decide = |client: &Client| client.rotate_secret(rotation.previous_expires_at);
        self.on(Subject::client(*id), &beside, metadata, decide)
            .await
    }

    /// Gives an agent a new secret; `None` when there is no such agent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn rotate_agent_secret(
        &self,
        id: &AgentId,
        rotation: &Rotation,
        metadata: &Metadata,
    ) -> Result<Option<Result<(), RevokedForGood>>, StoreError> {
        let beside = rotation.beside(&id.to_string());
        let decide = |agent: &Agent| agent.rotate_secret(rotation.previous_expires_at);
        self.on(Subject::agent(*id), &beside, metadata, decide)
            .await
    }

    /// Registers an agent, and its owner with it when the owner is new.
    ///
    /// # Errors
    ///
    /// [`StoreError::Claimed`] with the owner's id when the address belongs to somebody already,
    /// [`StoreError::Conflict`] when a known owner has changed since it was looked at;
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn register_agent(
        &self,
        new: NewAgent,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        let mut append = Append::by(metadata)?;
        let id = new.id.to_string();
        let owner_id = new.registered.owner_id;
        if let AgentOwner::Known(version) = new.owner {
            let owner = StreamId::Owner(owner_id);
            append.expected.push((owner.to_string(), version));
        }
        if let AgentOwner::New(owner) = &new.owner {
            append.claims.push(Claim {
                key: email_claim(&owner.email_key),
                value: owner.id.to_string(),
                expires_at: None,
            });
            append.vault.push((
                VaultTable::People,
                json!({
                    "owner_id": owner.id, "email_key": owner.email_key,
                    "email": owner.email, "name": owner.name,
                }),
            ));
            let fact = Fact::Owner(OwnerFact::Registered(OwnerRegistered {}));
            append.facts(
                StreamId::Owner(owner.id),
                0,
                None,
                [(edge::new_event_id(), fact)],
            )?;
        }
        append
            .vault
            .push((VaultTable::Credentials, new.credential.row(&id)));
        append.vault.push((
            VaultTable::AgentProfiles,
            json!({ "agent_id": id, "agent_name": new.name }),
        ));
        append.vault.push((
            VaultTable::AddressKeys,
            json!({
                "scope": format!("agent/{id}"), "sealed": new.sealed_address_key,
                "created_at": new.credential.created_at.as_microsecond(),
            }),
        ));
        let fact = Fact::Agent(AgentFact::Registered(new.registered));
        append.facts(
            StreamId::Agent(new.id),
            0,
            None,
            [(edge::new_event_id(), fact)],
        )?;
        self.writer.append(append).await.map(drop)
    }
}
