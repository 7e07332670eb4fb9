//! People: changing what the vault knows of an owner, and erasing all of it.

use serde_json::json;
use sqlx::Row;

use super::{
    Append, MAX_RETRIES, Person, Store, StoreError,
    append::{Claim, Removal, VaultTable},
    on,
    projection::Projected,
    register::email_claim,
    sql,
};
use crate::{
    domain::{
        Agent, AgentId, Decision, Fact, Metadata, Owner, OwnerFact, OwnerId, StreamId, Versioned,
    },
    edge,
};

/// A person as an administrator wants them to be. No `Debug`.
pub struct ChangedPerson {
    /// Keyed hash of the normalised address.
    pub email_key: String,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
}

/// What the vault knows of a person, with the key that their address is claimed by.
struct Known {
    email_key: String,
    person: Person,
}

/// Agents ended in one transaction.
const PAGE: i64 = 500;

impl Store {
    /// Gives an owner the name and address that are decided on by those they have, which is nothing once
    /// they were erased; `None` when there is no such owner.
    ///
    /// # Errors
    ///
    /// [`StoreError::Claimed`] with the id of another owner who has the address;
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn change_person<E>(
        &self,
        id: &OwnerId,
        metadata: &Metadata,
        decide: impl Fn(Option<&Person>) -> Result<ChangedPerson, E>,
    ) -> Result<Option<Result<(Owner, ChangedPerson), E>>, StoreError> {
        for _ in 0..MAX_RETRIES {
            // The version first: what is newer than it says is a conflict.
            let Some(Versioned { version, state }) = self.owner(id).await? else {
                return Ok(None);
            };
            let known = self.known_person(id).await?;
            let known = known.filter(|_| !state.is_erased());
            let to = match decide(known.as_ref().map(|known| &known.person)) {
                Ok(to) => to,
                Err(refused) => return Ok(Some(Err(refused))),
            };
            let Some(known) = known else {
                return Err(StoreError::Corrupt(format!("{id} is changed for nobody")));
            };
            let Decision { facts, .. } =
                state.change(known.person.email != to.email, known.person.name != to.name);
            if facts.is_empty() {
                return Ok(Some(Ok((state, to))));
            }
            let mut append = Append::by(metadata)?;
            if known.email_key != to.email_key {
                append.claims.push(Claim {
                    key: email_claim(&to.email_key),
                    value: id.to_string(),
                    expires_at: None,
                });
                append.release.push(email_claim(&known.email_key));
            }
            append.vault.push((
                VaultTable::People,
                json!({
                    "owner_id": id, "email_key": to.email_key, "email": to.email, "name": to.name,
                }),
            ));
            let facts = facts
                .into_iter()
                .map(|fact| (edge::new_event_id(), Fact::Owner(fact)));
            let before = Some(Projected::Owner(state.clone()));
            append.facts(StreamId::Owner(*id), version, before, facts)?;
            match self.writer.append(append).await {
                // Neither name nor address is in the state.
                Ok(_) => return Ok(Some(Ok((state, to)))),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Erases a person: the vault forgets them and all of their agents, which end. `false` when there is no
    /// such owner; a second time changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing, or not all, was committed: then it is to be repeated.
    pub async fn erase_person(
        &self,
        id: &OwnerId,
        metadata: &Metadata,
    ) -> Result<bool, StoreError> {
        let mut erased = false;
        for _ in 0..MAX_RETRIES {
            let Some(Versioned { version, state }) = self.owner(id).await? else {
                return Ok(false);
            };
            let Decision { facts, .. } = state.erase();
            if facts.is_empty() {
                erased = true;
                break;
            }
            let mut append = Append::by(metadata)?;
            if let Some(known) = self.known_person(id).await? {
                append.release.push(email_claim(&known.email_key));
            }
            append.remove.push((Removal::Person, id.to_string()));
            let facts = facts
                .into_iter()
                .map(|fact: OwnerFact| (edge::new_event_id(), Fact::Owner(fact)));
            let before = Some(Projected::Owner(state));
            append.facts(StreamId::Owner(*id), version, before, facts)?;
            // With all whom one commit can take; what is left follows.
            let agents = self.agents_of(id, "").await?;
            self.end(&agents, &mut append).await?;
            match self.writer.append(append).await {
                Ok(_) => {
                    erased = true;
                    break;
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        if !erased {
            return Err(StoreError::Conflict);
        }
        // From here on nobody is registered for that owner: whoever is on the way names its version. So
        // those who are there now are all.
        self.end_agents_of(id, metadata).await?;
        Ok(true)
    }

    /// Ends all agents of an owner, and forgets their names, their secrets and their address keys.
    pub(super) async fn end_agents_of(
        &self,
        owner: &OwnerId,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let agents = self.agents_of(owner, &after).await?;
            let Some(last) = agents.last() else {
                return Ok(());
            };
            let mut append = Append::by(metadata)?;
            self.end(&agents, &mut append).await?;
            match self.writer.append(append).await {
                Ok(_) => after = last.to_string(),
                // Somebody was first with one of them: these once more.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds the end of these agents, and what the vault is to forget of them.
    async fn end(&self, agents: &[AgentId], append: &mut Append) -> Result<(), StoreError> {
        for id in agents {
            let Some(Versioned { version, state }) = self.agent(id).await? else {
                continue;
            };
            let Decision { facts, .. } = Agent::revoke(&state);
            if !facts.is_empty() {
                let facts = facts
                    .into_iter()
                    .map(|fact| (edge::new_event_id(), Fact::Agent(fact)));
                let before = Some(Projected::Agent(state));
                append.facts(StreamId::Agent(*id), version, before, facts)?;
            }
            for what in [Removal::AgentProfile, Removal::Credentials] {
                append.remove.push((what, id.to_string()));
            }
            let scope = format!("agent/{id}");
            append.remove.push((Removal::AddressKey, scope));
        }
        Ok(())
    }

    /// Agents of an owner, in pages by id.
    async fn agents_of(&self, owner: &OwnerId, after: &str) -> Result<Vec<AgentId>, StoreError> {
        self.ids(sql::AGENTS_OF_OWNER, &owner.to_string(), after, PAGE)
            .await
    }

    /// The person that an owner id stands for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn person(&self, owner: &OwnerId) -> Result<Option<Person>, StoreError> {
        let known = self.known_person(owner).await?;
        Ok(known.map(|known| known.person))
    }

    async fn known_person(&self, owner: &OwnerId) -> Result<Option<Known>, StoreError> {
        on!(Pool, &self.pool, sql::PERSON, |c, sql| {
            let row = sqlx::query(sql)
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?;
            row.map(|row| {
                Ok(Known {
                    email_key: row.try_get("email_key")?,
                    person: Person {
                        email: row.try_get("email")?,
                        name: row.try_get("name")?,
                    },
                })
            })
            .transpose()
        })
    }
}
