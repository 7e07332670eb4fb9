//! The owner's stream: the person behind one or more agents. Name and address live in the vault.

use serde::{Deserialize, Serialize};

use super::{Admission, Decision, Recorded, RevokedForGood, event::facts};

/// An owner came into being with the first agent registered for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRegistered {}

/// The kill switch for all of the owner's agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerSuspended {}

/// The owner's agents may sign in again; nothing that was dead comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerReinstated {}

/// An administrator gave the owner another address, which nobody has verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerAddressChanged {}

/// An administrator gave the person another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRenamed {}

/// The person was erased: the vault holds nothing of them any more, all that their agents signed in to
/// before this position is dead, and none of them signs in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerErased {}

facts! {
    /// What can happen to an owner.
    OwnerFact {
        Registered(OwnerRegistered),
        Suspended(OwnerSuspended),
        Reinstated(OwnerReinstated),
        AddressChanged(OwnerAddressChanged),
        Renamed(OwnerRenamed),
        Erased(OwnerErased),
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
        let Some(owner) = state else {
            let first = matches!(event.fact, OwnerFact::Registered(_));
            return first.then(Self::default);
        };
        if owner.is_erased() {
            return None;
        }
        let admission = match &event.fact {
            OwnerFact::Registered(_) => return None,
            OwnerFact::Suspended(_) => Admission::suspended_at(event.position),
            OwnerFact::Reinstated(_) => owner.admission.reinstated(),
            // Name and address are the vault's.
            OwnerFact::AddressChanged(_) | OwnerFact::Renamed(_) => owner.admission,
            OwnerFact::Erased(_) => Admission::revoked_at(event.position),
        };
        Some(Self { admission })
    }

    /// Whether the person has been erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.admission.is_revoked()
    }

    /// Suspends; a suspended owner stays as it is.
    #[must_use]
    pub fn suspend(&self) -> Decision<Result<(), RevokedForGood>, OwnerFact> {
        self.admission
            .suspend(OwnerFact::Suspended(OwnerSuspended {}))
    }

    /// Reinstates; an active owner stays as it is.
    #[must_use]
    pub fn reinstate(&self) -> Decision<Result<(), RevokedForGood>, OwnerFact> {
        self.admission
            .reinstate(OwnerFact::Reinstated(OwnerReinstated {}))
    }

    /// Gives the person another address, another name, both or neither: what they are is not in the log.
    #[must_use]
    pub fn change(
        &self,
        address: bool,
        name: bool,
    ) -> Decision<Result<(), RevokedForGood>, OwnerFact> {
        if self.is_erased() {
            return Decision::unchanged(Err(RevokedForGood));
        }
        let address = address.then_some(OwnerFact::AddressChanged(OwnerAddressChanged {}));
        let name = name.then_some(OwnerFact::Renamed(OwnerRenamed {}));
        let facts: Vec<_> = address.into_iter().chain(name).collect();
        Decision::with(facts, Ok(()))
    }

    /// Erases the person; an erased owner stays as it is.
    #[must_use]
    pub fn erase(&self) -> Decision<(), OwnerFact> {
        if self.is_erased() {
            Decision::unchanged(())
        } else {
            Decision::with([OwnerFact::Erased(OwnerErased {})], ())
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
        assert_eq!(active.reinstate(), Decision::unchanged(Ok(())));
        assert_eq!(
            active.suspend().facts,
            [OwnerFact::Suspended(OwnerSuspended {})]
        );
        assert_eq!(suspended.suspend(), Decision::unchanged(Ok(())));
        assert_eq!(
            suspended.reinstate().facts,
            [OwnerFact::Reinstated(OwnerReinstated {})]
        );
    }

    #[test]
    fn a_change_of_address_or_name_is_told_and_changes_nothing_else() {
        let suspended = Owner {
            admission: Admission::suspended_at(9),
        };
        let (address, name) = (
            OwnerFact::AddressChanged(OwnerAddressChanged {}),
            OwnerFact::Renamed(OwnerRenamed {}),
        );
        for fact in [&address, &name] {
            let after = then(Some(suspended.clone()), 11, fact.clone());
            assert_eq!(after.as_ref(), Some(&suspended));
        }
        assert_eq!(
            suspended.change(true, true).facts,
            [address.clone(), name.clone()]
        );
        assert_eq!(suspended.change(true, false).facts, [address]);
        assert_eq!(suspended.change(false, true).facts, [name]);
        assert_eq!(suspended.change(false, false), Decision::unchanged(Ok(())));
    }

    #[test]
    fn nothing_follows_the_end() {
        for owner in [
            registered(),
            then(registered(), 9, OwnerFact::Suspended(OwnerSuspended {})),
        ] {
            let erase = owner.clone().unwrap().erase();
            let erased = then(owner, 11, erase.facts[0].clone()).unwrap();
            assert!(erased.is_erased() && erased.admission.cuts_off(10));
            assert_eq!(erased.erase(), Decision::unchanged(()));
            for refused in [
                erased.suspend(),
                erased.reinstate(),
                erased.change(true, true),
            ] {
                assert_eq!(refused, Decision::unchanged(Err(RevokedForGood)));
            }
            for fact in [
                OwnerFact::Reinstated(OwnerReinstated {}),
                OwnerFact::Renamed(OwnerRenamed {}),
                OwnerFact::Erased(OwnerErased {}),
            ] {
                assert_eq!(then(Some(erased.clone()), 13, fact), None);
            }
        }
    }

    #[test]
    fn a_registration_comes_first_and_once() {
        assert!(then(registered(), 9, OwnerFact::Registered(OwnerRegistered {})).is_none());
        assert!(then(None, 7, OwnerFact::Suspended(OwnerSuspended {})).is_none());
        assert!(then(None, 7, OwnerFact::Reinstated(OwnerReinstated {})).is_none());
    }
}
