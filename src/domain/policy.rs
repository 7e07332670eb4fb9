//! Policy: how sure we are that the agent drives the waiting browser, for how long things live, and
//! what a suspension or revocation cuts off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Admission, Agent, Client, LivingKey, Owner, auth_request::SignIn};

/// How we know that the agent drives the browser that waits (security.md, threat 1).
/// Ordered: a later variant is stricter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// We do not know.
    None,
    /// The call came from the browser's network address (IPv6: the same /64).
    #[default]
    Address,
    /// The call carried the request's own cookie.
    Browser,
}

impl Binding {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Address => "address",
            Self::Browser => "browser",
        }
    }
}

/// Lifetimes of what is issued; settings, with the contract's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// From `Created` to expiry of the waiting page.
    pub request: Duration,
    /// Of one authorization code (RFC 6749 §4.1.2 recommends at most ten minutes).
    pub code: Duration,
    /// Of an access token and an ID token.
    pub access_token: Duration,
    /// Of a refresh token since its issue, that is since last use.
    pub refresh_token_idle: Duration,
    /// Of a grant's refresh tokens since the sign-in.
    pub refresh_token: Duration,
    /// How long a used refresh token is answered again with its successor.
    pub refresh_grace: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            request: Duration::from_secs(10 * 60),
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(10 * 60),
            refresh_token_idle: Duration::from_secs(30 * DAY),
            refresh_token: Duration::from_secs(180 * DAY),
            refresh_grace: Duration::from_secs(10),
        }
    }
}

/// Why a sign-in is dead although nothing in its own stream says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOff {
    /// Its agent was suspended after it.
    AgentSuspended,
    /// Its agent was revoked.
    AgentRevoked,
    /// Its agent's owner was suspended after it.
    OwnerSuspended,
    /// Its agent's owner was erased.
    OwnerErased,
    /// The website was revoked.
    ClientRevoked,
    /// A key that a code or refresh token of it was derived under has ended: it was compromised.
    DerivationKeyEnded,
}

/// Those on whom a sign-in depends, as they stand now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// The website.
    pub client: Option<super::Versioned<Client>>,
    /// The agent that signed in, or the one that asks to.
    pub agent: Option<super::Versioned<Agent>>,
    /// That agent's owner.
    pub owner: Option<super::Versioned<Owner>>,
    /// The derivation keys that have not ended. No grant under another one lives.
    pub derivation_keys: Vec<LivingKey>,
}

impl Standing {
    /// Whether a sign-in has been cut off since. One event is enough and reinstating revives nothing:
    /// only its position is compared, and which keys it is under.
    #[must_use]
    pub fn cut_off(&self, sign_in: &SignIn) -> Option<CutOff> {
        let position = sign_in.position;
        let agent = self.agent.as_ref().map(|agent| agent.state.admission);
        let owner = self.owner.as_ref().map(|owner| owner.state.admission);
        let client = self.client.as_ref().map(|client| client.state.admission);
        let cuts_off = |admission: &Admission| admission.cuts_off(position);
        if let Some(agent) = agent.filter(cuts_off) {
            Some(if agent.is_revoked() {
                CutOff::AgentRevoked
            } else {
                CutOff::AgentSuspended
            })
        } else if let Some(owner) = owner.filter(cuts_off) {
            Some(if owner.is_revoked() {
                CutOff::OwnerErased
            } else {
                CutOff::OwnerSuspended
            })
        } else if client.is_some_and(|client| cuts_off(&client)) {
            Some(CutOff::ClientRevoked)
        } else if sign_in
            .derivation_keys
            .iter()
            .any(|key| !self.derives_under(key))
        {
            Some(CutOff::DerivationKeyEnded)
        } else {
            None
        }
    }

    /// Whether a derivation key has not ended.
    #[must_use]
    pub fn derives_under(&self, key: &str) -> bool {
        self.derivation_keys.iter().any(|living| living.id == key)
    }

    /// The derivation key that new codes and refresh tokens are derived under: the one that was
    /// activated last. Empty when there is none, with which the store takes no decision.
    #[must_use]
    pub fn derivation_key(&self) -> &str {
        self.derivation_keys
            .iter()
            .filter(|key| key.activated > 0)
            .max_by_key(|key| key.activated)
            .map_or("", |key| &key.id)
    }

    /// Whether the website has been revoked: nobody waits there any more.
    #[must_use]
    pub fn is_client_revoked(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|client| client.state.is_revoked())
    }
}
