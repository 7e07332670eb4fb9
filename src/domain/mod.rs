//! The pure heart: facts, states and decisions. No async, no SQL, no HTTP, no clock, no randomness.
//!
//! A *fact* ([`RequestFact`], [`AgentFact`] …) is what the log holds. A *state* ([`AuthRequest`],
//! [`Agent`] …) is the fold of a stream's facts. A *decision* looks at a [`Situation`] and a
//! command and yields a [`Decision`]: the facts to append, and the outcome to answer. Both at once,
//! because a refusal may have consequences: a replayed code is refused *and* ends the grant.

mod administration;
mod admission;
mod agent;
pub mod auth_request;
mod client;
mod event;
#[cfg(test)]
mod golden;
mod id;
mod keys;
mod limit;
mod maintenance;
mod owner;
mod pkce;
mod policy;
mod reading;
mod redirect_uri;
mod scope;
mod stream;
mod visible;

pub use administration::{
    AdminKeyCreated, AdminKeyRevoked, AdminRole, AdministrationFact, AuditLogRead,
    SettingsReloaded, UnknownRole,
};
pub use admission::{Admission, AdmissionStatus, RevokedForGood};
pub use agent::{
    Agent, AgentFact, AgentRegistered, AgentReinstated, AgentRevoked, AgentSuspended,
    CREDENTIAL_FAILURES_APART, CredentialFailures, NotSummedUp,
};
pub use auth_request::{AuthRequest, RequestFact};
pub use client::{
    AuthMethod, Client, ClientFact, ClientRegistered, ClientRevoked, GrantType, RotationRefusal,
    SubjectKind, TokenAlgorithm, UnknownAlgorithm, UpdateRefusal,
};
pub use event::{Actor, Envelope, Fact, Metadata, Recorded, SecretRotated, is_event_type};
pub use id::*;
pub use keys::{
    DerivationKeyFact, DueStep, Key, KeyActivated, KeyCompromised, KeyEnd, KeyGenerated, KeyGroup,
    KeyRetired, KeySchedule, KeyStatus, Keys, KnownKey, LivingKey, Mark, RotationPending,
    SigningKeyFact, SigningKeyGenerated,
};
pub use limit::{FullAt, InvalidLimit, Limit};
pub use maintenance::{Archived, Ended, MaintenanceFact, Restored};
pub use owner::{
    Owner, OwnerAddressChanged, OwnerErased, OwnerFact, OwnerRegistered, OwnerReinstated,
    OwnerRenamed, OwnerSuspended,
};
pub use pkce::{CodeChallenge, CodeVerifier, InvalidPkce};
pub use policy::{Binding, CutOff, Lifetimes, Standing};
pub use reading::{FactError, Upcaster, decode, newest_schema};
pub use redirect_uri::{InvalidRedirectUri, RedirectUri, display_origin, same_origin};
pub use scope::{InvalidScope, Scope};
pub use stream::{InvalidStream, StreamId};
pub use visible::is_invisible;

/// What a decision yields: the facts to append, in order, and what to answer once they are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<T, F> {
    /// Facts for the stream that the decision is about; none leaves the log untouched.
    pub facts: Vec<F>,
    /// What the caller is told, valid only when the facts were appended.
    pub outcome: T,
}

impl<T, F> Decision<T, F> {
    /// An answer that changes nothing.
    pub const fn unchanged(outcome: T) -> Self {
        Self {
            facts: Vec::new(),
            outcome,
        }
    }

    /// An answer that holds once `facts` are in the log.
    pub fn with(facts: impl Into<Vec<F>>, outcome: T) -> Self {
        Self {
            facts: facts.into(),
            outcome,
        }
    }
}

/// A state together with the version of its stream, against which an append is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<S> {
    /// Version of the last event folded into `state`.
    pub version: u64,
    /// The fold.
    pub state: S,
}
