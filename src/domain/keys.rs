//! The server's own keys: signing keys, and the keys that codes and refresh tokens are derived under.
//!
//! ```text
//! Generated ──(published ahead)──▶ Activated ──(its successor works, its last artefact ended)──▶ Retired
//!     └─────────────── Compromised ◀──────┘
//! ```
//!
//! Of each group (one signature algorithm, or derivation) the key that was activated last works; those
//! activated before it only verify. The clock alone changes nothing: activation and retirement are
//! events, appended by whichever node comes first.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fact, Recorded, TokenAlgorithm, event::facts};

/// A signing key was made: from here on it is in the key set that websites verify with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyGenerated {
    /// Its algorithm (RFC 7518 §3.1).
    pub alg: String,
    /// Its public half (RFC 7517).
    pub public_jwk: Value,
}

/// A derivation key was made; it has no public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGenerated {}

/// A key is used from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyActivated {}

/// The last that was made with a key has ended: the vault has forgotten it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRetired {}

/// Somebody else may have a key: whatever was made with it is dead, and the vault has forgotten it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCompromised {}

facts! {
    /// What can happen to a signing key.
    SigningKeyFact {
        Generated(SigningKeyGenerated),
        Activated(KeyActivated),
        Retired(KeyRetired),
        Compromised(KeyCompromised),
    }
}

facts! {
    /// What can happen to a key that codes and refresh tokens are derived under.
    DerivationKeyFact {
        Generated(KeyGenerated),
        Activated(KeyActivated),
        Retired(KeyRetired),
        Compromised(KeyCompromised),
    }
}

/// Keys that follow one another in one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "use", content = "alg", rename_all = "snake_case")]
pub enum KeyGroup {
    /// They sign with that algorithm.
    Signing(TokenAlgorithm),
    /// Codes and refresh tokens are derived under them.
    Derivation,
}

impl KeyGroup {
    /// The use, as it is named on the wire and in the database.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Signing(_) => "signing",
            Self::Derivation => "derivation",
        }
    }

    /// The signature algorithm, if it has one.
    #[must_use]
    pub const fn algorithm(self) -> Option<TokenAlgorithm> {
        match self {
            Self::Signing(algorithm) => Some(algorithm),
            Self::Derivation => None,
        }
    }
}

/// A moment with its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Place in the log.
    pub position: u64,
    /// When.
    pub at: Timestamp,
}

/// How a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "at", rename_all = "snake_case")]
pub enum KeyEnd {
    /// In good order.
    Retired(Timestamp),
    /// It is no secret any more.
    Compromised(Timestamp),
}

/// The fold of a key's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What it is for.
    pub group: KeyGroup,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// Since when it has been used.
    pub activated: Option<Mark>,
    /// How it ended, if it did.
    pub end: Option<KeyEnd>,
}

/// What happened, whatever kind of key it happened to.
enum Step {
    Generated(KeyGroup),
    Activated,
    Retired,
    Compromised,
}

impl Step {
    fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::SigningKey(SigningKeyFact::Generated(made)) => {
                Self::Generated(KeyGroup::Signing(made.alg.parse().ok()?))
            }
            Fact::DerivationKey(DerivationKeyFact::Generated(_)) => {
                Self::Generated(KeyGroup::Derivation)
            }
            Fact::SigningKey(SigningKeyFact::Activated(_))
            | Fact::DerivationKey(DerivationKeyFact::Activated(_)) => Self::Activated,
            Fact::SigningKey(SigningKeyFact::Retired(_))
            | Fact::DerivationKey(DerivationKeyFact::Retired(_)) => Self::Retired,
            Fact::SigningKey(SigningKeyFact::Compromised(_))
            | Fact::DerivationKey(DerivationKeyFact::Compromised(_)) => Self::Compromised,
            _ => return None,
        })
    }
}

impl Key {
    /// Adds one fact; `None` when the fact cannot follow, which the log never contains.
    #[must_use]
    pub fn apply(state: Option<Self>, event: &Recorded<Fact>) -> Option<Self> {
        let at = event.occurred_at;
        match (state, Step::of(&event.fact)?) {
            (None, Step::Generated(group)) => Some(Self {
                group,
                created_at: at,
                activated: None,
                end: None,
            }),
            (Some(key), Step::Activated) if key.lives() && key.activated.is_none() => Some(Self {
                activated: Some(Mark {
                    position: event.position,
                    at,
                }),
                ..key
            }),
            (Some(key), Step::Retired) if key.lives() => Some(Self {
                end: Some(KeyEnd::Retired(at)),
                ..key
            }),
            (Some(key), Step::Compromised) if key.lives() => Some(Self {
                end: Some(KeyEnd::Compromised(at)),
                ..key
            }),
            _ => None,
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub const fn lives(&self) -> bool {
        self.end.is_none()
    }

    fn activated_at(&self) -> u64 {
        self.activated.map_or(0, |mark| mark.position)
    }
}

/// How a key stands among the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// Published, not used yet.
    Next,
    /// In use.
    Active,
    /// Verifies what was made with it, until the last of that has ended.
    Retiring,
    /// Gone.
    Retired,
    /// Gone, and whatever was made with it.
    Compromised,
}

/// A key with its id and the version of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// `kid`, or the derivation key's id.
    pub id: String,
    /// Version of its stream.
    pub version: u64,
    /// Its fold.
    pub key: Key,
}

/// When keys take their next step; follows from settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchedule {
    /// From being published to signing: longer than anybody may keep the key set.
    pub signing_ahead: Duration,
    /// From being made to being used: until every node has loaded it.
    pub derivation_ahead: Duration,
    /// From the successor's activation until the last token under a signing key has ended.
    pub signing_kept: Duration,
    /// From the successor's activation until the last grant under a derivation key has ended.
    pub derivation_kept: Duration,
}

impl KeySchedule {
    /// How long a step of a key of the group is awaited, from what it follows on.
    #[must_use]
    pub const fn awaited(&self, step: DueStep, group: KeyGroup) -> Duration {
        match step {
            DueStep::Activate => self.ahead(group),
            DueStep::Retire => self.kept(group),
        }
    }

    const fn ahead(&self, group: KeyGroup) -> Duration {
        match group {
            KeyGroup::Signing(_) => self.signing_ahead,
            KeyGroup::Derivation => self.derivation_ahead,
        }
    }

    const fn kept(&self, group: KeyGroup) -> Duration {
        match group {
            KeyGroup::Signing(_) => self.signing_kept,
            KeyGroup::Derivation => self.derivation_kept,
        }
    }
}

/// A step that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DueStep {
    /// It has been published for long enough.
    Activate,
    /// The last that was made with it has ended.
    Retire,
}

/// A key that waits to be used: another one is not made beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another key is about to be used")]
pub struct RotationPending {
    /// What it is for.
    pub group: KeyGroup,
    /// When it was made.
    pub created_at: Timestamp,
}

impl RotationPending {
    /// When it will be used.
    #[must_use]
    pub fn activates_at(&self, schedule: &KeySchedule) -> Timestamp {
        self.created_at + schedule.ahead(self.group)
    }
}

/// Every key there has ever been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(pub Vec<KnownKey>);

impl Keys {
    /// Those of a group that have not ended.
    pub fn living(&self, group: KeyGroup) -> impl Iterator<Item = &KnownKey> {
        let of_group = move |known: &&KnownKey| known.key.group == group && known.key.lives();
        self.0.iter().filter(of_group)
    }

    /// The one of a group that works: activated last, and not ended.
    #[must_use]
    pub fn active(&self, group: KeyGroup) -> Option<&KnownKey> {
        self.living(group)
            .filter(|known| known.key.activated.is_some())
            .max_by_key(|known| known.key.activated_at())
    }

    /// The derivation keys that have not ended, as decisions about sign-ins see them.
    #[must_use]
    pub fn deriving(&self) -> Vec<LivingKey> {
        self.living(KeyGroup::Derivation)
            .map(|known| LivingKey {
                id: known.id.clone(),
                version: known.version,
                activated: known.key.activated_at(),
            })
            .collect()
    }

    /// How a key stands.
    #[must_use]
    pub fn status(&self, known: &KnownKey) -> KeyStatus {
        match (known.key.end, known.key.activated) {
            (Some(KeyEnd::Retired(_)), _) => KeyStatus::Retired,
            (Some(KeyEnd::Compromised(_)), _) => KeyStatus::Compromised,
            (None, None) => KeyStatus::Next,
            (None, Some(_)) if self.active(known.key.group) == Some(known) => KeyStatus::Active,
            (None, Some(_)) => KeyStatus::Retiring,
        }
    }

    /// When the next step of a key is due, and which; `None` when none is to come by itself.
    #[must_use]
    pub fn due(&self, known: &KnownKey, schedule: &KeySchedule) -> Option<(DueStep, Timestamp)> {
        let group = known.key.group;
        match self.status(known) {
            KeyStatus::Next => {
                let at = known.key.created_at + schedule.ahead(group);
                Some((DueStep::Activate, at))
            }
            KeyStatus::Retiring => {
                // Its successor may itself have ended by now.
                let after = known.key.activated_at();
                let successor = self
                    .0
                    .iter()
                    .filter(|other| other.key.group == group && other.key.activated_at() > after)
                    .filter_map(|other| other.key.activated)
                    .min_by_key(|mark| mark.position)?;
                Some((DueStep::Retire, successor.at + schedule.kept(group)))
            }
            KeyStatus::Active | KeyStatus::Retired | KeyStatus::Compromised => None,
        }
    }

    /// The key that a new one of the group is to follow, if it has one.
    ///
    /// # Errors
    ///
    /// [`RotationPending`] while one that was made earlier is not used yet.
    pub fn rotate(&self, group: KeyGroup) -> Result<Option<&KnownKey>, RotationPending> {
        let pending = self
            .living(group)
            .find(|known| known.key.activated.is_none());
        match pending {
            Some(known) => Err(RotationPending {
                group,
                created_at: known.key.created_at,
            }),
            None => Ok(self.active(group)),
        }
    }
}

/// A derivation key as a decision about a sign-in sees it: one that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivingKey {
    /// Its id.
    pub id: String,
    /// Version of its stream.
    pub version: u64,
    /// Position of its activation; 0: not used yet.
    pub activated: u64,
}

#[cfg(test)]
mod tests;
