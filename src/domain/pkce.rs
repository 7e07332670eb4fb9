//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A challenge or verifier that RFC 7636 does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636 section 4.1)")]
pub struct InvalidPkce;

fn check(text: &str) -> Result<(), InvalidPkce> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
        Ok(())
    } else {
        Err(InvalidPkce)
    }
}

/// The `code_challenge` of a request (RFC 7636 §4.2): a hash, so it may stand in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Checks length and characters.
    ///
    /// # Errors
    ///
    /// [`InvalidPkce`] when it is not 43 to 128 unreserved characters.
    pub fn parse(text: &str) -> Result<Self, InvalidPkce> {
        check(text).map(|()| Self(text.to_owned()))
    }

    /// Whether `hashed`, the S256 transformation of a verifier made at the edge, is this challenge.
    /// Neither side is secret: the verifier itself is what is proved.
    #[must_use]
    pub fn is_met_by(&self, hashed: &str) -> bool {
        self.0 == hashed
    }
}

/// A `code_verifier` as presented (RFC 7636 §4.5). It has no `Debug` text: it is a secret, and
/// wiped from memory when it is dropped.
#[derive(Clone)]
pub struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    /// Checks length and characters.
    ///
    /// # Errors
    ///
    /// [`InvalidPkce`] when it is not 43 to 128 unreserved characters.
    pub fn parse(text: &str) -> Result<Self, InvalidPkce> {
        check(text).map(|()| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text to hash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_characters_are_bounded() {
        assert!(CodeChallenge::parse(&"a".repeat(43)).is_ok());
        assert!(CodeVerifier::parse(&"~".repeat(128)).is_ok());
        assert!(CodeChallenge::parse(&"a".repeat(42)).is_err());
        assert!(CodeVerifier::parse(&"a".repeat(129)).is_err());
        assert!(CodeChallenge::parse(&format!("{}=", "a".repeat(43))).is_err());
    }
}
