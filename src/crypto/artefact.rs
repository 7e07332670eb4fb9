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
    /// The active key is not among the keys.
    #[error("the derivation key that codes and refresh tokens are made with is missing")]
    NoActiveKey(String),
}

/// The keys that artefacts are derived under: one active, the others until their last grant ends.
pub struct DerivationKeys {
    issuer: String,
    active: usize,
    keys: Vec<(String, MacKey)>,
}

impl DerivationKeys {
    /// Prepares `keys`, pairs of key id (`[a-z0-9]{1,16}`) and 32 random bytes. New artefacts are
    /// made under `active_key_id`; those of the other keys still match.
    ///
    /// # Errors
    ///
    /// [`DerivationKeyError`] when a key id is malformed or repeated, or the active key is missing.
    pub fn new(
        issuer: &str,
        active_key_id: &str,
        keys: Vec<(String, [u8; 32])>,
    ) -> Result<Self, DerivationKeyError> {
        let mut prepared: Vec<(String, MacKey)> = Vec::with_capacity(keys.len());
        for (id, mut bytes) in keys {
            let key = MacKey::from_bytes(bytes);
            bytes.zeroize();
            if !is_key_id(&id) || prepared.iter().any(|(known, _)| *known == id) {
                return Err(DerivationKeyError::BadKeyId(id));
            }
            prepared.push((id, key));
        }
        let active = prepared
            .iter()
            .position(|(id, _)| id == active_key_id)
            .ok_or_else(|| DerivationKeyError::NoActiveKey(active_key_id.to_owned()))?;
        Ok(Self {
            issuer: issuer.to_owned(),
            active,
            keys: prepared,
        })
    }

    /// The artefact that the event `event_id` of the request issued. The same arguments give the
    /// same artefact, at most 100 characters of `[A-Za-z0-9_.-]`.
    #[must_use]
    pub fn issue(&self, kind: ArtefactKind, request_id: &RequestId, event_id: &EventId) -> String {
        let (key_id, key) = &self.keys[self.active];
        let mac = self.mac(key, kind, request_id, event_id);
        format!(
            "{}{key_id}.{request_id}.{}",
            kind.prefix(),
            URL_SAFE_NO_PAD.encode(mac)
        )
    }

    /// Reads an artefact of this kind in its one canonical spelling, naming a key that we have.
    /// `None` for every other text. Nothing is proved yet: find the request's issuing event, and
    /// ask [`DerivationKeys::matches`].
    #[must_use]
    pub fn parse(&self, kind: ArtefactKind, text: &str) -> Option<Presented> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let mut fields = text.strip_prefix(kind.prefix())?.split('.');
        let (key_id, request_id, mac) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || mac.len() != MAC_CHARS {
            return None;
        }
        let key = self.keys.iter().position(|(id, _)| id == key_id)?;
        let request_id = RequestId::parse(request_id).ok()?;
        // The decoder refuses set bits beyond the last byte, so one MAC has one spelling.
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        Some(Presented {
            request_id,
            kind,
            key,
            mac,
        })
    }

    /// Whether the event `event_id` issued the presented artefact; compared in constant time.
    ///
    /// `presented` must come from [`DerivationKeys::parse`] of these keys; after a rotation it is
    /// to be parsed anew.
    #[must_use]
    pub fn matches(&self, presented: &Presented, event_id: &EventId) -> bool {
        self.keys.get(presented.key).is_some_and(|(_, key)| {
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
            .field("active", &self.keys[self.active].0)
            .finish_non_exhaustive()
    }
}

/// An artefact that is well formed and names a key of ours; not yet proved to be genuine.
pub struct Presented {
    /// The request that it says it belongs to.
    pub request_id: RequestId,
    kind: ArtefactKind,
    key: usize,
    mac: [u8; 32],
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
