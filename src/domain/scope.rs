//! Scopes (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens, in the order given, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

/// A text that is not a list of scope tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is made of printable ASCII words without quotes or backslashes, separated by single spaces (RFC 6749 section 3.3)"
)]
pub struct InvalidScope;

impl Scope {
    /// Longest accepted text, in bytes.
    pub const MAX_BYTES: usize = 2_048;

    /// Reads a space-separated list; repeated tokens count once.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] when a token is empty, or holds anything outside `%x21 / %x23-5B / %x5D-7E`.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(InvalidScope);
        }
        let mut tokens: Vec<String> = Vec::new();
        for token in text.split(' ') {
            let valid = !token.is_empty()
                && token
                    .bytes()
                    .all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
            if !valid {
                return Err(InvalidScope);
            }
            if !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
        Ok(Self(tokens))
    }

    /// Whether `token` is in the set.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|t| t == token)
    }

    /// Whether every token here is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|t| other.contains(t))
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;
    fn try_from(text: String) -> Result<Self, InvalidScope> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_order_and_count_once() {
        let scope = Scope::parse("openid profile openid").unwrap();
        assert_eq!(scope.to_string(), "openid profile");
        assert!(scope.is_within(&Scope::parse("email profile openid").unwrap()));
        assert!(!scope.is_within(&Scope::parse("openid").unwrap()));
    }

    #[test]
    fn what_rfc_6749_forbids_is_refused() {
        for text in [
            "", " ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "é", "a\0",
        ] {
            assert_eq!(Scope::parse(text), Err(InvalidScope), "{text:?}");
        }
    }
}
