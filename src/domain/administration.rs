//! What administrators do to the server itself: admin keys made and revoked, reads of the log.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminKeyId, AgentId, ClientId, StreamId, event::facts};

/// What an admin key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminRole {
    /// Everything.
    Admin,
    /// Read everything, change nothing.
    Auditor,
    /// Read the metrics, and nothing else.
    Metrics,
}

impl AdminRole {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Metrics => "metrics",
        }
    }

    /// Whether a call to administration is open to it, whatever it is about.
    #[must_use]
    pub const fn may(self, changes: bool) -> bool {
        match self {
            Self::Admin => true,
            Self::Auditor => !changes,
            Self::Metrics => false,
        }
    }
}

impl fmt::Display for AdminRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a role: admin, auditor or metrics")]
pub struct UnknownRole;

impl std::str::FromStr for AdminRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Admin, Self::Auditor, Self::Metrics]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// An admin key was made; its value is shown once and never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminKeyCreated {
    /// The key's id.
    pub admin_key_id: AdminKeyId,
    /// The key's name, recorded with whatever it does.
    pub name: String,
    /// What it lets its holder do.
    pub role: AdminRole,
}

/// An admin key opens nothing from here on. Another one may bear its name later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminKeyRevoked {
    /// The key's id.
    pub admin_key_id: AdminKeyId,
    /// The name that it acted under.
    pub name: String,
}

/// The log was read: which part of it. Filters are names of ours, never free text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLogRead {
    /// From behind this position on.
    pub after: u64,
    /// At most so many events; absent: followed live, for as long as the reader stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only this stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    /// Only this type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Only what concerns this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Only what concerns this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Only what was recorded at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only what was recorded before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A running server has read its settings again, and goes by these that had changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsReloaded {
    /// Their names; a value may be secret.
    pub settings: Vec<String>,
}

facts! {
    /// What administrators do to the server itself.
    AdministrationFact {
        AdminKeyCreated(AdminKeyCreated),
        AdminKeyRevoked(AdminKeyRevoked),
        AuditLogRead(AuditLogRead),
        SettingsReloaded(SettingsReloaded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_it_is_for() {
        use AdminRole::{Admin, Auditor, Metrics};
        let may = |role: AdminRole| [role.may(false), role.may(true)];
        assert_eq!(may(Admin), [true, true]);
        assert_eq!(may(Auditor), [true, false]);
        assert_eq!(may(Metrics), [false, false]);
        for role in [Admin, Auditor, Metrics] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<AdminRole>(), Err(UnknownRole));
    }
}
