//! The agent's stream: registration, the kill switch and back, and the end.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Admission, Binding, ClientId, Decision, OwnerId, Recorded, RevokedForGood, Scope,
    SecretRotated, event::facts,
};

/// An administrator registered the agent. Its name and secret live in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistered {
    /// The person behind the agent.
    pub owner_id: OwnerId,
    /// The model it was registered with, for the record; each sign-in names its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is said to be able to do, for the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Scopes that it may be granted; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<Scope>,
    /// Websites that it may sign in to; absent: all that an administrator registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_clients: Option<Vec<ClientId>>,
    /// The least binding with which it may sign in.
    pub minimum_binding: Binding,
}

/// The kill switch: all that the agent signed in to before this position is dead for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSuspended {}

/// The agent may sign in again; nothing that was dead comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentReinstated {}

/// The end: all that the agent signed in to before this position is dead, and it never signs in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRevoked {}

/// How far apart an agent's [`CredentialFailures`] are at least: strangers can bring them about, and
/// must not be able to grow the log at will.
pub const CREDENTIAL_FAILURES_APART: Duration = Duration::from_secs(5 * 60);

/// Somebody presented secrets that are not the agent's. Each of them is counted, and none is an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialFailures {
    /// How many, from the first to the last, at one node.
    pub count: u64,
    /// The first, by that node's clock.
    pub since: Timestamp,
    /// The last.
    pub until: Timestamp,
}

/// Why failures are not summed up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSummedUp {
    /// It was done less than [`CREDENTIAL_FAILURES_APART`] ago: they are for the next.
    TooSoon,
    /// Nothing follows the agent's end: there is no secret any more that could be guessed.
    Revoked,
}

facts! {
    /// What can happen to an agent.
    AgentFact {
        Registered(AgentRegistered),
        Suspended(AgentSuspended),
        Reinstated(AgentReinstated),
        Updated(AgentRegistered),
        SecretRotated(SecretRotated),
        CredentialFailures(CredentialFailures),
        Revoked(AgentRevoked),
    }
}

/// The fold of an agent's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// As registered.
    #[serde(flatten)]
    pub registered: AgentRegistered,
    /// Whether it may sign in.
    pub admission: Admission,
    /// When failures were last summed up, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_summed_up_at: Option<Timestamp>,
}

impl Agent {
    /// Adds one fact; `None` when the fact cannot follow, which the log never contains.
    #[must_use]
    pub fn apply(state: Option<Self>, event: &Recorded<AgentFact>) -> Option<Self> {
        let Some(agent) = state else {
            let AgentFact::Registered(registered) = &event.fact else {
                return None;
            };
            return Some(Self {
                registered: registered.clone(),
                admission: Admission::default(),
                failures_summed_up_at: None,
            });
        };
        if agent.admission.is_revoked() {
            return None;
        }
        let admission = match &event.fact {
            AgentFact::Registered(_) => return None,
            AgentFact::Suspended(_) => Admission::suspended_at(event.position),
            AgentFact::Reinstated(_) => agent.admission.reinstated(),
            AgentFact::SecretRotated(_) => agent.admission,
            AgentFact::Updated(registered) => {
                return Some(Self {
                    registered: registered.clone(),
                    ..agent
                });
            }
            AgentFact::CredentialFailures(_) => {
                return Some(Self {
                    failures_summed_up_at: Some(event.occurred_at),
                    ..agent
                });
            }
            AgentFact::Revoked(_) => Admission::revoked_at(event.position),
        };
        Some(Self { admission, ..agent })
    }

    /// Suspends; a suspended agent stays as it is.
    #[must_use]
    pub fn suspend(&self) -> Decision<Result<(), RevokedForGood>, AgentFact> {
        self.admission
            .suspend(AgentFact::Suspended(AgentSuspended {}))
    }

    /// Reinstates; an active agent stays as it is.
    #[must_use]
    pub fn reinstate(&self) -> Decision<Result<(), RevokedForGood>, AgentFact> {
        self.admission
            .reinstate(AgentFact::Reinstated(AgentReinstated {}))
    }

    /// Changes its registration to this, all of it; the same again changes nothing, unless it is
    /// `renamed`: names are not in the log, but that somebody changed one is.
    #[must_use]
    pub fn update(
        &self,
        to: AgentRegistered,
        renamed: bool,
    ) -> Decision<Result<(), RevokedForGood>, AgentFact> {
        if self.admission.is_revoked() {
            Decision::unchanged(Err(RevokedForGood))
        } else if to == self.registered && !renamed {
            Decision::unchanged(Ok(()))
        } else {
            Decision::with([AgentFact::Updated(to)], Ok(()))
        }
    }

    /// Gives it a new secret, the former one valid until then, if at all.
    #[must_use]
    pub fn rotate_secret(
        &self,
        previous_expires_at: Option<Timestamp>,
    ) -> Decision<Result<(), RevokedForGood>, AgentFact> {
        if self.admission.is_revoked() {
            return Decision::unchanged(Err(RevokedForGood));
        }
        let rotated = SecretRotated {
            previous_expires_at,
        };
        Decision::with([AgentFact::SecretRotated(rotated)], Ok(()))
    }

    /// Sums up failed guesses of its secret, whether it is suspended or not; but not so soon after the
    /// last time, whichever node that was.
    #[must_use]
    pub fn sum_up_failures(
        &self,
        failures: CredentialFailures,
        now: Timestamp,
    ) -> Decision<Result<(), NotSummedUp>, AgentFact> {
        if self.admission.is_revoked() {
            return Decision::unchanged(Err(NotSummedUp::Revoked));
        }
        let too_soon = self
            .failures_summed_up_at
            .is_some_and(|last| now < last + CREDENTIAL_FAILURES_APART);
        if too_soon {
            return Decision::unchanged(Err(NotSummedUp::TooSoon));
        }
        Decision::with([AgentFact::CredentialFailures(failures)], Ok(()))
    }

    /// Ends it for good; a revoked agent stays as it is.
    #[must_use]
    pub fn revoke(&self) -> Decision<(), AgentFact> {
        if self.admission.is_revoked() {
            Decision::unchanged(())
        } else {
            Decision::with([AgentFact::Revoked(AgentRevoked {})], ())
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::EventId;

    fn registered() -> AgentRegistered {
        AgentRegistered {
            owner_id: OwnerId::from_uuid(Uuid::from_u128(1)),
            model: Some("claude-opus-4".to_owned()),
            capabilities: vec!["browse".to_owned()],
            allowed_scopes: Some(Scope::parse("openid").unwrap()),
            allowed_clients: Some(vec![]),
            minimum_binding: Binding::Browser,
        }
    }

    fn then(agent: Option<Agent>, position: u64, fact: AgentFact) -> Option<Agent> {
        let (id, occurred_at) = (EventId::from_bytes([0; 16]), Timestamp::UNIX_EPOCH);
        Agent::apply(
            agent,
            &Recorded {
                position,
                version: 1,
                id,
                occurred_at,
                fact,
            },
        )
    }

    #[test]
    fn suspending_cuts_off_and_reinstating_leaves_the_mark() {
        let agent = then(None, 7, AgentFact::Registered(registered())).unwrap();
        assert_eq!(agent.admission, Admission::default());
        let agent = then(Some(agent), 9, AgentFact::Suspended(AgentSuspended {})).unwrap();
        assert_eq!(agent.admission, Admission::suspended_at(9));
        let agent = then(Some(agent), 11, AgentFact::Reinstated(AgentReinstated {})).unwrap();
        assert!(agent.admission.is_active());
        assert!(agent.admission.cuts_off(8) && !agent.admission.cuts_off(10));
        let agent = then(Some(agent), 13, AgentFact::Suspended(AgentSuspended {})).unwrap();
        assert_eq!(agent.admission, Admission::suspended_at(13));
        assert_eq!(agent.registered, registered());
    }

    #[test]
    fn either_is_decided_once() {
        let active = then(None, 7, AgentFact::Registered(registered())).unwrap();
        assert_eq!(active.reinstate(), Decision::unchanged(Ok(())));
        let suspend = active.suspend();
        assert_eq!(suspend.facts, [AgentFact::Suspended(AgentSuspended {})]);
        let suspended = then(Some(active), 9, suspend.facts[0].clone()).unwrap();
        assert_eq!(suspended.suspend(), Decision::unchanged(Ok(())));
        assert_eq!(
            suspended.reinstate().facts,
            [AgentFact::Reinstated(AgentReinstated {})]
        );
    }

    #[test]
    fn nothing_follows_the_end() {
        let active = then(None, 7, AgentFact::Registered(registered())).unwrap();
        let suspended = then(
            Some(active.clone()),
            9,
            AgentFact::Suspended(AgentSuspended {}),
        );
        for agent in [active, suspended.unwrap()] {
            let revoke = agent.revoke();
            assert_eq!(revoke.facts, [AgentFact::Revoked(AgentRevoked {})]);
            let revoked = then(Some(agent), 11, revoke.facts[0].clone()).unwrap();
            assert_eq!(revoked.admission, Admission::revoked_at(11));
            assert_eq!(revoked.revoke(), Decision::unchanged(()));
            for refused in [
                revoked.suspend(),
                revoked.reinstate(),
                revoked.rotate_secret(None),
                revoked.update(registered(), true),
            ] {
                assert_eq!(refused, Decision::unchanged(Err(RevokedForGood)));
            }
            for fact in [
                AgentFact::Suspended(AgentSuspended {}),
                AgentFact::Reinstated(AgentReinstated {}),
                AgentFact::Revoked(AgentRevoked {}),
            ] {
                assert_eq!(then(Some(revoked.clone()), 13, fact), None);
            }
        }
    }

    fn failures() -> CredentialFailures {
        CredentialFailures {
            count: 3,
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH + Duration::from_secs(7),
        }
    }

    #[test]
    fn failures_are_summed_up_at_most_once_in_five_minutes_and_change_nothing_else() {
        let active = then(None, 7, AgentFact::Registered(registered())).unwrap();
        let suspended = then(
            Some(active.clone()),
            9,
            AgentFact::Suspended(AgentSuspended {}),
        );
        for agent in [active, suspended.unwrap()] {
            let now = Timestamp::UNIX_EPOCH;
            let summed_up = agent.sum_up_failures(failures(), now);
            let fact = AgentFact::CredentialFailures(failures());
            assert_eq!(summed_up, Decision::with([fact.clone()], Ok(())));
            let after = then(Some(agent.clone()), 11, fact).unwrap();
            assert_eq!(after.failures_summed_up_at, Some(now));
            let but_for_that = Agent {
                failures_summed_up_at: None,
                ..after.clone()
            };
            assert_eq!(but_for_that, agent);
            // Nor where another node's clock is behind.
            for seconds in [-1, 0, 1, 299] {
                let now = now + jiff::SignedDuration::from_secs(seconds);
                let too_soon = Decision::unchanged(Err(NotSummedUp::TooSoon));
                assert_eq!(after.sum_up_failures(failures(), now), too_soon);
            }
            let now = now + CREDENTIAL_FAILURES_APART;
            assert_eq!(after.sum_up_failures(failures(), now), summed_up);
        }
    }

    #[test]
    fn a_revoked_agent_has_no_secret_to_guess() {
        let active = then(None, 7, AgentFact::Registered(registered()));
        let revoked = then(active, 9, AgentFact::Revoked(AgentRevoked {})).unwrap();
        assert_eq!(
            revoked.sum_up_failures(failures(), Timestamp::UNIX_EPOCH),
            Decision::unchanged(Err(NotSummedUp::Revoked))
        );
        let fact = AgentFact::CredentialFailures(failures());
        assert_eq!(then(Some(revoked), 11, fact), None);
    }

    #[test]
    fn a_registration_comes_first_and_once() {
        let agent = then(None, 7, AgentFact::Registered(registered()));
        assert!(then(agent, 9, AgentFact::Registered(registered())).is_none());
        assert!(then(None, 7, AgentFact::Suspended(AgentSuspended {})).is_none());
        assert!(then(None, 7, AgentFact::Reinstated(AgentReinstated {})).is_none());
    }

    #[test]
    fn an_empty_allow_list_is_kept_apart_from_none() {
        for allowed_clients in [None, Some(vec![])] {
            let registered = AgentRegistered {
                allowed_clients,
                ..registered()
            };
            let agent = then(None, 7, AgentFact::Registered(registered)).unwrap();
            let stored = serde_json::to_string(&agent).unwrap();
            assert_eq!(
                serde_json::from_str::<Agent>(&stored).unwrap(),
                agent,
                "{stored}"
            );
        }
    }
}
