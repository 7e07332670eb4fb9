//! Authorization codes and refresh tokens, derived instead of stored.
//!
//! An artefact is `<type>_<key id>.<request id>.<mac>`. The MAC covers the artefact's type and
//! format, the issuer, the request and the random id of the event that issued it, so any node can
//! recompute it from the log and no table holds it. An artefact of one type is never one of
//! another, and an event that was lost (a restore from a backup) takes its artefacts with it.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize as _;

use super::master_key::MacKey;
use crate::domain::{EventId, RequestId};

/// Characters in a MAC: 32 bytes in base64url.
const MAC_CHARS: usize = 43;
/// The longest key id.
const KEY_ID_MAX: usize = 16;
/// The longest artefact: type and underscore, key id, dot, `req_` and 32 digits, dot, MAC.
const TEXT_MAX: usize = 3 + KEY_ID_MAX + 1 + 36 + 1 + MAC_CHARS;

/// What an artefact is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtefactKind {
    /// An authorization code (RFC 6749 §1.3.1).
    AuthorizationCode,
    /// A refresh token (RFC 6749 §1.5).
    RefreshToken,
}

impl ArtefactKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "ac_",
            Self::RefreshToken => "rt_",
        }
    }

    /// Names type and format. Part of every artefact ever issued: a new format gets a new label.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::AuthorizationCode => b"auth-agent authorization code v1",
            Self::RefreshToken => b"auth-agent refresh token v1",
        }
    }
}

/// Keys that artefacts cannot be derived under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DerivationKeyError {
    /// A key id is not 1 to 16 characters of `[a-z0-9]`, or occurs twice.
    #[error("derivation key id {0:?} is malformed or occurs twice")]
    BadKeyId(String),
    /// There is no key at all.
    #[error("the derivation key that codes and refresh tokens are made with is missing")]
    Empty,
}

/// The keys that artefacts are derived under. Which one a new artefact is under is for the log to say.
pub struct DerivationKeys {
    issuer: String,
    keys: Vec<(String, MacKey)>,
}

impl DerivationKeys {
    /// Prepares `keys`, pairs of key id (`[a-z0-9]{1,16}`) and 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`DerivationKeyError`] when a key id is malformed or repeated, or there is none.
    pub fn new(issuer: &str, keys: Vec<(String, [u8; 32])>) -> Result<Self, DerivationKeyError> {
        let mut prepared: Vec<(String, MacKey)> = Vec::with_capacity(keys.len());
        for (id, mut bytes) in keys {
            let key = MacKey::from_bytes(bytes);
            bytes.zeroize();
            if !is_key_id(&id) || prepared.iter().any(|(known, _)| *known == id) {
                return Err(DerivationKeyError::BadKeyId(id));
            }
            prepared.push((id, key));
        }
        if prepared.is_empty() {
            return Err(DerivationKeyError::Empty);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            keys: prepared,
        })
    }

    /// Whether the key is there.
    #[must_use]
    pub fn knows(&self, key_id: &str) -> bool {
        self.key(key_id).is_some()
    }

    fn key(&self, key_id: &str) -> Option<&MacKey> {
        self.keys
            .iter()
            .find_map(|(id, key)| (id == key_id).then_some(key))
    }

    /// The artefact that the event `event_id` of the request issued under that key; `None` when the
    /// key is not there. The same arguments give the same artefact, at most 100 characters of
    /// `[A-Za-z0-9_.-]`.
    #[must_use]
    pub fn issue(
        &self,
        kind: ArtefactKind,
        key_id: &str,
        request_id: &RequestId,
        event_id: &EventId,
    ) -> Option<String> {
        let mac = self.mac(self.key(key_id)?, kind, request_id, event_id);
        Some(format!(
            "{}{key_id}.{request_id}.{}",
            kind.prefix(),
            URL_SAFE_NO_PAD.encode(mac)
        ))
    }

    /// Whether the event `event_id` issued the presented artefact; compared in constant time. Nothing
    /// matches under a key that is not there.
    #[must_use]
    pub fn matches(&self, presented: &Presented, event_id: &EventId) -> bool {
        self.key(&presented.key_id).is_some_and(|key| {
            let genuine = self.mac(key, presented.kind, &presented.request_id, event_id);
            verify_slices_are_equal(&genuine, &presented.mac).is_ok()
        })
    }

    fn mac(
        &self,
        key: &MacKey,
        kind: ArtefactKind,
        request_id: &RequestId,
        event_id: &EventId,
    ) -> [u8; 32] {
        key.mac(&[
            kind.label(),
            self.issuer.as_bytes(),
            request_id.to_string().as_bytes(),
            event_id.as_bytes(),
        ])
    }
}

impl fmt::Debug for DerivationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivationKeys")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// An artefact that is well formed; not yet proved to be genuine.
pub struct Presented {
    /// The request that it says it belongs to.
    pub request_id: RequestId,
    /// The key that it says it is derived under.
    pub key_id: String,
    kind: ArtefactKind,
    mac: [u8; 32],
}

impl Presented {
    /// Reads an artefact of this kind in its one canonical spelling; `None` for every other text.
    /// Nothing is proved yet: find the request's issuing event, and ask [`DerivationKeys::matches`].
    #[must_use]
    pub fn parse(kind: ArtefactKind, text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let mut fields = text.strip_prefix(kind.prefix())?.split('.');
        let (key_id, request_id, mac) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || mac.len() != MAC_CHARS || !is_key_id(key_id) {
            return None;
        }
        let request_id = RequestId::parse(request_id).ok()?;
        // The decoder refuses set bits beyond the last byte, so one MAC has one spelling.
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        Some(Self {
            request_id,
            key_id: key_id.to_owned(),
            kind,
            mac,
        })
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("kind", &self.kind)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

fn is_key_id(text: &str) -> bool {
    (1..=KEY_ID_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
