//! Where time and randomness enter. Everything further in gets them as arguments, so that a
//! decision can be replayed and tested; `clippy.toml` bans the global sources elsewhere.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use uuid::{Builder, Uuid};

use crate::domain::{AdminKeyId, AgentId, ClientId, EventId, OwnerId, RequestId};

/// The wall clock, to the microsecond (the log's resolution).
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl Clock {
    /// The present moment, UTC, truncated to whole microseconds.
    #[expect(clippy::disallowed_methods, reason = "this is the edge")]
    #[must_use]
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// Time that has passed since it was first asked for. It only ever goes forward, so a wall clock that
/// is set opens and closes nothing that is measured by it.
#[must_use]
pub fn elapsed() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// `N` bytes from the operating system's generator.
///
/// # Panics
///
/// Panics when the operating system cannot supply randomness: nothing safe can be done without it.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
#[expect(
    clippy::expect_used,
    reason = "no safe way to go on without randomness"
)]
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system supplies randomness");
    bytes
}

/// 128 random bits that name an event and make its body unguessable.
#[must_use]
pub fn new_event_id() -> EventId {
    EventId::from_bytes(random())
}

/// A fresh request id: time-ordered (UUIDv7, RFC 9562 §5.7), so that indexes grow at their end.
#[must_use]
pub fn new_request_id(now: Timestamp) -> RequestId {
    RequestId::from_uuid(ordered_uuid(now))
}

fn ordered_uuid(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random()).into_uuid()
}

/// A fresh admin key's id: time-ordered too, so that lists are in the order of making.
#[must_use]
pub fn new_admin_key_id(now: Timestamp) -> AdminKeyId {
    AdminKeyId::from_uuid(ordered_uuid(now))
}

fn random_uuid() -> Uuid {
    Builder::from_random_bytes(random()).into_uuid()
}

/// A fresh agent id.
#[must_use]
pub fn new_agent_id() -> AgentId {
    AgentId::from_uuid(random_uuid())
}

/// A fresh client id.
#[must_use]
pub fn new_client_id() -> ClientId {
    ClientId::from_uuid(random_uuid())
}

/// A fresh owner id: random and stable, so that it says nothing about the person.
#[must_use]
pub fn new_owner_id() -> OwnerId {
    OwnerId::from_uuid(random_uuid())
}
