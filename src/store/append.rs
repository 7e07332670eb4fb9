//! What is asked of the writer: events for the log, and the vault's rows that belong to them.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{StoreError, projection::Projected};
use crate::domain::{EventId, Fact, Metadata, Recorded, StreamId, newest_schema};

/// Largest envelope, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 32 * 1024;
/// What the envelope adds around payload and metadata, at most.
const ENVELOPE_BYTES: usize = 1024;

/// A fact on its way into the log, its text already written.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) stream: StreamId,
    pub(crate) stream_text: String,
    pub(crate) id: EventId,
    pub(crate) fact: Fact,
    pub(crate) payload: Box<RawValue>,
}

/// A row of the vault, written in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum VaultTable {
    RequestDetails,
    Credentials,
    People,
    AgentProfiles,
    AddressKeys,
    SigningKeys,
    DerivationKeys,
    AdminKeys,
    Server,
}

impl VaultTable {
    /// Whether its rows are sealed under the master key.
    const fn is_sealed(self) -> bool {
        matches!(
            self,
            Self::AddressKeys | Self::SigningKeys | Self::DerivationKeys
        )
    }
}

/// What is taken out of the vault by its key, in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Removal {
    /// By the request's id.
    RequestDetails,
    /// All of an agent or client, by its id.
    Credentials,
    /// By the owner's id.
    Person,
    /// By the agent's id.
    AgentProfile,
    /// By its scope.
    AddressKey,
    /// By its id.
    AdminKey,
    /// By its `kid`.
    SigningKey,
    /// By its id.
    DerivationKey,
}

/// Removal of what has ended, in the same transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sweep {
    /// What is kept for requests that ended before that moment, details and claims; and secrets that
    /// ended before it.
    Requests(Timestamp),
    /// Daily address keys made before that moment.
    AddressKeys(Timestamp),
}

/// A key that one command alone may hold.
pub(crate) struct Claim {
    pub(crate) key: String,
    /// Noted for whoever comes second.
    pub(crate) value: String,
    /// When the claim has served its purpose; `None`: never.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Claim {
    pub(crate) fn row(&self) -> Value {
        json!({
            "key": self.key, "value": self.value,
            "expires_at": self.expires_at.map(Timestamp::as_microsecond),
        })
    }
}

/// A follower's step: its checkpoint and what it counted on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advance {
    pub(crate) follower: &'static str,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) statistic: Option<(&'static str, i64)>,
}

/// One command's share of a batch. Either all of it is committed or nothing.
#[derive(Default)]
pub(crate) struct Append {
    /// Every stream that the decision read, with the version it saw (0: none yet).
    pub(crate) expected: Vec<(String, u64)>,
    /// The states that the facts are to be folded into, by stream.
    pub(crate) before: Vec<(StreamId, Option<Projected>)>,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) metadata: Option<Arc<RawValue>>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) vault: Vec<(VaultTable, Value)>,
    /// Holders whose credentials make way for a new one, as `{holder, until}`.
    pub(crate) retire: Vec<Value>,
    /// Streams of requests whose events become stubs, and whose rows go; with their versions.
    pub(crate) archive: Vec<(String, u64)>,
    /// What leaves the vault with this, each by its key.
    pub(crate) remove: Vec<(Removal, String)>,
    /// Claims that are given up with this, for others to make.
    pub(crate) release: Vec<String>,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) advance: Option<Advance>,
    /// Writes something that changes nothing, to see whether writing works.
    pub(crate) probe: bool,
}

impl Append {
    pub(crate) fn by(metadata: &Metadata) -> Result<Self, StoreError> {
        let metadata = serde_json::value::to_raw_value(metadata)?;
        Ok(Self {
            metadata: Some(metadata.into()),
            ..Self::default()
        })
    }

    /// Whether it writes what is sealed under the master key that the database has: all but the append
    /// that brings the master key's fingerprint along.
    pub(crate) fn seals(&self) -> bool {
        let has = |of: fn(VaultTable) -> bool| self.vault.iter().any(|(table, _)| of(*table));
        has(VaultTable::is_sealed) && !has(|table| table == VaultTable::Server)
    }

    /// Adds facts to a stream that the decision saw at `version` in state `before`.
    pub(crate) fn facts(
        &mut self,
        stream: StreamId,
        version: u64,
        before: Option<Projected>,
        facts: impl IntoIterator<Item = (EventId, Fact)>,
    ) -> Result<(), StoreError> {
        let stream_text = stream.to_string();
        for (id, fact) in facts {
            let payload = fact.payload()?;
            let metadata = self
                .metadata
                .as_ref()
                .map_or(0, |metadata| metadata.get().len());
            if payload.get().len() + metadata + ENVELOPE_BYTES > MAX_BODY_BYTES {
                return Err(StoreError::TooLarge);
            }
            self.events.push(NewEvent {
                stream: stream.clone(),
                stream_text: stream_text.clone(),
                id,
                fact,
                payload,
            });
        }
        self.expected.push((stream_text, version));
        self.before.push((stream, before));
        Ok(())
    }
}

/// An event of a committed batch.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The stream it went to.
    pub stream: StreamId,
    /// The fact with its place.
    pub recorded: Recorded<Fact>,
}

/// A row for the `events` table.
#[derive(Debug, Serialize)]
pub(crate) struct EventRow<'a> {
    position: u64,
    stream: &'a str,
    version: u64,
    #[serde(rename = "type")]
    type_name: &'static str,
    occurred_at: i64,
    body: String,
    leaf_hash: String,
}

#[derive(Serialize)]
struct Body<'a> {
    position: u64,
    id: EventId,
    stream: &'a str,
    version: u64,
    #[serde(rename = "type")]
    type_name: &'static str,
    schema: u32,
    occurred_at: Timestamp,
    payload: &'a RawValue,
    metadata: &'a RawValue,
}

impl NewEvent {
    /// Writes the whole envelope, once, and hashes it.
    pub(crate) fn row<'a>(
        &'a self,
        position: u64,
        version: u64,
        occurred_at: Timestamp,
        metadata: &'a RawValue,
    ) -> Result<EventRow<'a>, StoreError> {
        let type_name = self.fact.type_name();
        let body = serde_json::to_string(&Body {
            position,
            id: self.id,
            stream: &self.stream_text,
            version,
            type_name,
            schema: newest_schema(self.stream.kind(), type_name),
            occurred_at,
            payload: &self.payload,
            metadata,
        })?;
        let leaf_hash = leaf_hash_of(&body);
        Ok(EventRow {
            position,
            stream: &self.stream_text,
            version,
            type_name,
            occurred_at: occurred_at.as_microsecond(),
            body,
            leaf_hash,
        })
    }
}

/// SHA-256(0x00 ‖ body), in hex: the leaf hash of RFC 9162 §2.1.1.
pub(crate) fn leaf_hash_of(body: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(body.as_bytes());
    hex::encode(context.finish().as_ref())
}
