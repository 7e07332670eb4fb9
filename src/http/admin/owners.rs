//! Owners: the people behind agents.

use serde_json::{Value, json};

use super::subject::{Subject, Suspendable, Switched};
use crate::{
    domain::{Decision, Metadata, Owner, OwnerFact, OwnerId, Versioned},
    store::{Listed, Page, Store, StoreError},
};

fn shown(id: &OwnerId, owner: &Owner, name: Option<&str>, email: Option<&str>) -> Value {
    json!({
        "owner_id": id,
        "user_name": name,
        "user_email": email,
        "email_verified": false,
        "status": owner.admission.status,
    })
}

impl Subject for Owner {
    const NOUN: &'static str = "owner";
    type Id = OwnerId;
    type Fact = OwnerFact;

    async fn read(store: &Store, id: &OwnerId) -> Result<Option<Versioned<Self>>, StoreError> {
        store.owner(id).await
    }

    async fn page(
        store: &Store,
        after: u64,
        limit: u32,
    ) -> Result<Page<Listed<OwnerId, Self>>, StoreError> {
        store.list_owners(after, limit).await
    }

    async fn decided<T: Send>(
        store: &Store,
        id: &OwnerId,
        metadata: &Metadata,
        decide: impl FnMut(&Self) -> Decision<T, OwnerFact> + Send,
    ) -> Result<Option<T>, StoreError> {
        store.on_owner(id, metadata, decide).await
    }

    fn shown(listed: &Listed<OwnerId, Self>) -> Value {
        let (name, email) = (listed.name.as_deref(), listed.email.as_deref());
        shown(&listed.id, &listed.state, name, email)
    }

    async fn whole(store: &Store, id: OwnerId, state: Self) -> Result<Value, StoreError> {
        let person = store.person(&id).await?;
        let (name, email) = person.map(|person| (person.name, person.email)).unzip();
        Ok(shown(&id, &state, name.as_deref(), email.as_deref()))
    }
}

impl Suspendable for Owner {
    fn suspended(&self) -> Switched<OwnerFact> {
        let Decision { facts, outcome } = self.suspend();
        Decision::with(facts, Ok(outcome))
    }

    fn reinstated(&self) -> Switched<OwnerFact> {
        let Decision { facts, outcome } = self.reinstate();
        Decision::with(facts, Ok(outcome))
    }
}
