//! Owners, the people behind agents: change, erase, and what is theirs of the rest.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use email_address::{EmailAddress, Options};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization;

use super::{
    Administrator, Paging,
    agents::name,
    filter, revoked_for_good,
    subject::{Subject, Suspendable, Switched, id_of},
    unknown,
};
use crate::{
    domain::{
        Decision, Metadata, Owner, OwnerFact, OwnerId, RevokedForGood, Versioned, is_invisible,
    },
    http::{
        ApiError,
        app::App,
        extract::{Caller, MAX_BODY_BYTES, PathId, fitting, json_within, merged},
    },
    oauth::{ErrorCode, Parameters},
    store::{ChangedPerson, Listed, Page, Person, Store, StoreError},
};

fn shown(id: &OwnerId, owner: &Owner, name: Option<&str>, email: Option<&str>) -> Value {
    let status = if owner.is_erased() {
        "erased"
    } else {
        owner.admission.status.as_str()
    };
    json!({
        "owner_id": id,
        "user_name": name,
        "user_email": email,
        "email_verified": false,
        "status": status,
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
        app: &App,
        paging: Paging<u64>,
        _: &Parameters,
    ) -> Result<Page<Listed<OwnerId, Self>>, ApiError> {
        let after = paging.after.unwrap_or_default();
        Ok(app.store.list_owners(after, paging.limit).await?)
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
        self.suspend()
    }

    fn reinstated(&self) -> Switched<OwnerFact> {
        self.reinstate()
    }
}

/// An e-mail address that could be one (RFC 5321 §4.1.2, RFC 6531), without a name beside it. Whether mail
/// arrives is found out by sending some.
pub(super) fn address(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    // Which letters there are outside of ASCII, and which marks go with them, is not for us to say.
    let letters: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { 'a' })
        .collect();
    let plausible = text.len() <= 254
        && text
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && !is_invisible(c) && c != '"')
        && EmailAddress::parse_with_options(&letters, options).is_ok();
    if plausible {
        Ok(text.to_owned())
    } else {
        Err(ApiError::invalid_request(
            "user_email is not an address as in ada@people.example",
        ))
    }
}

/// What an address is found by. Mail providers fold case; two people whose addresses differ by case alone,
/// or by how an accent is written, do not exist.
pub(super) fn email_key(app: &App, address: &str) -> String {
    let composed: String = address.trim().nfc().collect();
    // A small letter may be composed where the capital is not.
    let folded: String = composed.to_lowercase().nfc().collect();
    app.hash_keys.emails.mac_hex(&[folded.as_bytes()])
}

/// What a list of agents may be narrowed by: the person behind them.
pub(super) const WHOSE: [&str; 2] = ["owner_id", "user_email"];

/// Whose agents are asked for.
pub(super) enum Whose {
    Anybody,
    Owner(OwnerId),
    /// Nobody has that address, or another owner than the one named.
    Nobody,
}

/// Reads [`WHOSE`].
pub(super) async fn whose(app: &App, parameters: &Parameters) -> Result<Whose, ApiError> {
    let [id, email] = WHOSE;
    let named: Option<OwnerId> = filter(parameters, id)?;
    let Some(email) = parameters.one(email)? else {
        return Ok(named.map_or(Whose::Anybody, Whose::Owner));
    };
    let key = email_key(app, &address(email)?);
    let addressed = app.store.owner_by_email(&key).await?;
    let both = addressed.filter(|owner| named.is_none_or(|named| named == *owner));
    Ok(both.map_or(Whose::Nobody, Whose::Owner))
}

/// What an administrator may change of a person.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFields {
    user_email: String,
    user_name: String,
}

/// PUT /api/admin/owners/{id}: changes the fields given. 200 with the owner as it is from here on.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let id = id_of::<Owner>(&id)?;
    let changes: Map<String, Value> = json_within(request, MAX_BODY_BYTES).await?;
    let metadata = administrator.acts(&app, &caller).await?;
    let decide = |known: Option<&Person>| {
        let known = known.ok_or_else(|| revoked_for_good(Owner::NOUN, RevokedForGood))?;
        let state = json!({ "user_email": known.email, "user_name": known.name });
        let fields: PersonFields = fitting(merged(state, &changes))?;
        let email = address(&fields.user_email)?;
        Ok::<_, ApiError>(ChangedPerson {
            email_key: email_key(&app, &email),
            email,
            name: name("user_name", &fields.user_name)?,
        })
    };
    let (owner, to) = match app.store.change_person(&id, &metadata, decide).await {
        Err(StoreError::Claimed { holder }) => {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                format!("{holder} has this address: change or delete that owner first"),
            ));
        }
        changed => changed?.ok_or_else(|| unknown(Owner::NOUN))??,
    };
    Ok(Json(shown(&id, &owner, Some(&to.name), Some(&to.email))))
}

/// DELETE /api/admin/owners/{id}: erases the person. From the answer on nothing of them is known here, nor
/// at other nodes once they hear of it; their agents have ended with all that they signed in to. A second
/// time changes nothing.
pub(super) async fn erase(
    State(app): State<Arc<App>>,
    administrator: Administrator,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = id_of::<Owner>(&id)?;
    let metadata = administrator.acts(&app, &caller).await?;
    if !app.store.erase_person(&id, &metadata).await? {
        return Err(unknown(Owner::NOUN));
    }
    Ok(StatusCode::NO_CONTENT)
}
