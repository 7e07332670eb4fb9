//! The owner's stream: the person behind one or more agents. Name and address live in the vault.

use serde::{Deserialize, Serialize};

use super::{Admission, Decision, Recorded, event::facts};

/// An owner came into being with the first agent registered for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRegistered {}

/// The kill switch for all of the owner's agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerSuspended {}

/// The owner's agents may sign in again; nothing that was dead comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerReinstated {}

facts! {
    /// What can happen to an owner.
    OwnerFact {
        Registered(OwnerRegistered),
        Suspended(OwnerSuspended),
        Reinstated(OwnerReinstated),
    }
}

/// The fold of an owner's stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// Whether the owner's agents may sign in.
    pub admission: Admission,
}

impl Owner {
    /// Adds one fact; `None` when the fact cannot follow, which the log never contains.
    #[must_use]
    pub fn apply(state: Option<Self>, event: &Recorded<OwnerFact>) -> Option<Self> {
        match (state, &event.fact) {
            (None, OwnerFact::Registered(_)) => Some(Self::default()),
            (Some(_), OwnerFact::Suspended(_)) => Some(Self {
                admission: Admission::suspended_at(event.position),
            }),
            (Some(owner), OwnerFact::Reinstated(_)) => Some(Self {
                admission: owner.admission.reinstated(),
            }),
            _ => None,
        }
    }

    /// Suspends; a suspended owner stays as it is.
    #[must_use]
    pub fn suspend(&self) -> Decision<(), OwnerFact> {
        if self.admission.is_active() {
            Decision::with([OwnerFact::Suspended(OwnerSuspended {})], ())
        } else {
            Decision::unchanged(())
        }
    }

    /// Reinstates; an active owner stays as it is.
    #[must_use]
    pub fn reinstate(&self) -> Decision<(), OwnerFact> {
        if self.admission.is_active() {
            Decision::unchanged(())
        } else {
            Decision::with([OwnerFact::Reinstated(OwnerReinstated {})], ())
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::EventId;

    fn then(owner: Option<Owner>, position: u64, fact: OwnerFact) -> Option<Owner> {
        let (id, occurred_at) = (EventId::from_bytes([0; 16]), Timestamp::UNIX_EPOCH);
        Owner::apply(
            owner,
            &Recorded {
                position,
                version: 1,
                id,
                occurred_at,
                fact,
            },
        )
    }

    fn registered() -> Option<Owner> {
        then(None, 7, OwnerFact::Registered(OwnerRegistered {}))
    }

    #[test]
    fn suspending_cuts_off_and_reinstating_leaves_the_mark() {
        let suspended = then(registered(), 9, OwnerFact::Suspended(OwnerSuspended {}));
        assert_eq!(
            suspended,
            Some(Owner {
                admission: Admission::suspended_at(9)
            })
        );
        let back = then(suspended, 11, OwnerFact::Reinstated(OwnerReinstated {}));
        assert_eq!(
            back,
            Some(Owner {
                admission: Admission::suspended_at(9).reinstated()
            })
        );
        let again = then(back, 13, OwnerFact::Suspended(OwnerSuspended {}));
        assert_eq!(
            again,
            Some(Owner {
                admission: Admission::suspended_at(13)
            })
        );
    }

    #[test]
    fn either_is_decided_once() {
        let active = Owner::default();
        let suspended = Owner {
            admission: Admission::suspended_at(9),
        };
        assert_eq!(active.reinstate(), Decision::unchanged(()));
        assert_eq!(
            active.suspend().facts,
            [OwnerFact::Suspended(OwnerSuspended {})]
        );
        assert_eq!(suspended.suspend(), Decision::unchanged(()));
        assert_eq!(
            suspended.reinstate().facts,
            [OwnerFact::Reinstated(OwnerReinstated {})]
        );
    }

    #[test]
    fn a_registration_comes_first_and_once() {
        assert!(then(registered(), 9, OwnerFact::Registered(OwnerRegistered {})).is_none());
        assert!(then(None, 7, OwnerFact::Suspended(OwnerSuspended {})).is_none());
        assert!(then(None, 7, OwnerFact::Reinstated(OwnerReinstated {})).is_none());
    }
}
