//! What is done to the log itself: old streams moved out of it, a log come back from a backup.

use serde::{Deserialize, Serialize};

use super::event::facts;

/// Which requests have served their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// No agent ever signed in.
    Abandoned,
    /// A sign-in whose last token has ended.
    Finished,
}

impl Ended {
    /// The name as it stands in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Finished => "finished",
        }
    }
}

/// The events of some ended requests were moved into a file; of each a stub stays, with its leaf hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Which requests.
    pub requests: Ended,
    /// They began behind this position of the log …
    pub after: u64,
    /// … and up to this one.
    pub to: u64,
    /// How many they are.
    pub streams: u64,
    /// How many events were moved.
    pub events: u64,
    /// What the file is called: the events' texts in the order of the log, each followed by a line feed.
    pub segment: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

/// The log came back from a backup: what was appended after the backup is not in it, and no sign-in
/// from before lives on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The last position of the backup.
    pub position: u64,
}

facts! {
    /// What can be done to the log itself.
    MaintenanceFact {
        Archived(Archived),
        Restored(Restored),
    }
}
