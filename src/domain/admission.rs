//! Who may still take part: the kill switch, and the end from which there is no way back.

use serde::{Deserialize, Serialize};

use super::Decision;

/// Whether somebody may take part in sign-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionStatus {
    /// Yes.
    #[default]
    Active,
    /// Not until reinstated.
    Suspended,
    /// Never again.
    Revoked,
}

impl AdmissionStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// Whether an agent, owner or client may take part, and since when what came before is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Admission {
    /// As it stands now.
    pub status: AdmissionStatus,
    /// Position of the last suspension or of the revocation: what was authenticated before it is dead
    /// for ever.
    pub cut_off_at: Option<u64>,
}

impl Admission {
    /// Whether it may take part now.
    #[must_use]
    pub fn is_active(self) -> bool {
        self.status == AdmissionStatus::Active
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_revoked(self) -> bool {
        self.status == AdmissionStatus::Revoked
    }

    /// Whether what was authenticated at `position` of the log has been cut off since. Only the
    /// position counts, so that reinstating revives nothing.
    #[must_use]
    pub fn cuts_off(self, position: u64) -> bool {
        self.cut_off_at.is_some_and(|mark| mark > position)
    }

    /// Suspends by that fact; who is suspended stays so.
    pub(super) fn suspend<F>(self, fact: F) -> Decision<Result<(), RevokedForGood>, F> {
        match self.status {
            AdmissionStatus::Active => Decision::with([fact], Ok(())),
            AdmissionStatus::Suspended => Decision::unchanged(Ok(())),
            AdmissionStatus::Revoked => Decision::unchanged(Err(RevokedForGood)),
        }
    }

    /// Reinstates by that fact; who is active stays so.
    pub(super) fn reinstate<F>(self, fact: F) -> Decision<Result<(), RevokedForGood>, F> {
        match self.status {
            AdmissionStatus::Active => Decision::unchanged(Ok(())),
            AdmissionStatus::Suspended => Decision::with([fact], Ok(())),
            AdmissionStatus::Revoked => Decision::unchanged(Err(RevokedForGood)),
        }
    }

    /// After a suspension at that position.
    #[must_use]
    pub(super) const fn suspended_at(position: u64) -> Self {
        Self {
            status: AdmissionStatus::Suspended,
            cut_off_at: Some(position),
        }
    }

    /// After being reinstated: the mark stays.
    #[must_use]
    pub(super) const fn reinstated(self) -> Self {
        Self {
            status: AdmissionStatus::Active,
            ..self
        }
    }

    /// After the end, at that position.
    #[must_use]
    pub(super) const fn revoked_at(position: u64) -> Self {
        Self {
            status: AdmissionStatus::Revoked,
            cut_off_at: Some(position),
        }
    }
}

/// It was revoked, and nothing about it changes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("was revoked, which cannot be undone")]
pub struct RevokedForGood;
