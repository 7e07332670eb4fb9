//! Identifiers. Each kind is its own type, so that a client id is never taken for an agent id;
//! all are made of `[A-Za-z0-9_]`, so that none ever needs escaping.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0} id")]
pub struct InvalidId(pub &'static str);

fn parse_uuid(text: &str) -> Option<Uuid> {
    // Exactly 32 lower-case hex digits: one identifier has one spelling.
    let canonical = text.len() == 32
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if canonical {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID made at the edge.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Reads the one canonical spelling.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] for any other text.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .and_then(parse_uuid)
                    .map(Self)
                    .ok_or(InvalidId($kind))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(
    /// One sign-in, from the waiting page to the last token; also the `sid` of its tokens.
    RequestId, "req_", "request"
);
identifier!(
    /// A website (OAuth client, RFC 6749 §2.2).
    ClientId, "client_", "client"
);
identifier!(
    /// An autonomous agent that signs in.
    AgentId, "agent_", "agent"
);
identifier!(
    /// The person behind one or more agents.
    OwnerId, "owner_", "owner"
);

identifier!(
    /// A named admin key; ordered by when it was made.
    AdminKeyId, "admin_key_", "admin key"
);

/// 128 random bits: names an event, makes its body unguessable, and is what codes and refresh
/// tokens are derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// Wraps random bytes made at the edge.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bits themselves, for derivation.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        parse_uuid(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(InvalidId("event")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let id = RequestId::from_uuid(Uuid::from_u128(0x1234_abcd));
        assert_eq!(RequestId::parse(&id.to_string()), Ok(id));
        assert!(RequestId::parse(&id.to_string().to_uppercase()).is_err());
        assert!(RequestId::parse("req_").is_err());
        assert!(RequestId::parse("client_0000000000000000000000001234abcd").is_err());
        assert!(RequestId::parse("req_00000000-0000-0000-0000-00001234abcd").is_err());
    }
}
