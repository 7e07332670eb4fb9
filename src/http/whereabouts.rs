//! Where a running server is, for jobs on the same machine: it says so in the lock of its SQLite file,
//! and is believed for as long as it holds that.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{config, store};

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Its issuer.
    pub issuer: String,
    /// Where administration is called on this machine, the issuer's path included.
    pub administration: String,
}

impl Whereabouts {
    pub(super) fn new(issuer: &str, administration: SocketAddr) -> Self {
        Self {
            issuer: issuer.to_owned(),
            administration: config::administration(administration, issuer).1,
        }
    }

    /// Says so. Jobs that do not learn of it have to be told with `--server`, which is no reason not to serve.
    pub(super) fn leave(&self, database_url: &str) {
        let word = serde_json::to_string(self).unwrap_or_default();
        if let Err(error) = store::leave_word(database_url, &word) {
            tracing::warn!(%error, "the lock of the database does not say where this server is");
        }
    }

    /// Where the server is that has the database of that URL, if one has.
    #[must_use]
    pub fn of_holder(database_url: &str) -> Option<Self> {
        let word = store::word_of_holder(database_url)?;
        serde_json::from_str(&word).ok()
    }
}
