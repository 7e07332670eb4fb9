//! The secrets we hand out: to agents, to websites, to administrators.
//!
//! A secret is `<prefix><43 characters of random><11 characters of tag>`. The tag is a MAC over the
//! holder and the random part, so whoever guesses is turned away by one MAC, before anything is
//! looked up or hashed, and alike whether the holder exists or not: only a secret that we issued
//! ever costs an argon2 hash. The tag proves nothing else; the hash decides.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::master_key::MacKey;

const PREFIX_CHARS: usize = 3;
/// 256 random bits in base64url.
const RANDOM_CHARS: usize = 43;
/// Bytes of the MAC that are kept: 64 bits, so a guess passes once in 2^64.
const TAG_LEN: usize = 8;
/// The tag in base64url.
const TAG_CHARS: usize = 11;
const TAG_AT: usize = PREFIX_CHARS + RANDOM_CHARS;
/// Characters in every secret that we issue.
const SECRET_CHARS: usize = TAG_AT + TAG_CHARS;
const LABEL: &[u8] = b"auth-agent secret tag v1";

/// Who holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// An agent: `as_…`.
    Agent,
    /// A website (OAuth client, RFC 6749 §2.3.1): `cs_…`.
    Client,
    /// An administrator: `ak_…`.
    Admin,
}

impl SecretKind {
    /// What every secret of this kind begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "as_",
            Self::Client => "cs_",
            Self::Admin => "ak_",
        }
    }
}

/// A secret in the clear. Zeroized when dropped, masked in `Debug`; it has no `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, for whoever must send, show or hash it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([masked])")
    }
}

/// Makes secrets, and tells ours from guesses.
#[derive(Debug)]
pub struct SecretTagger(MacKey);

impl SecretTagger {
    /// Uses `key` for the tags. Another key makes every secret issued so far look like a guess.
    #[must_use]
    pub const fn new(key: MacKey) -> Self {
        Self(key)
    }

    /// A secret for the holder, of 57 characters of `[A-Za-z0-9_-]`. `random` must be fresh bytes
    /// from [`crate::edge::random`].
    #[must_use]
    pub fn issue(&self, kind: SecretKind, holder_id: &str, mut random: [u8; 32]) -> Secret {
        // Never grows, so no copy is left behind in memory that was given back.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_CHARS));
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(random, &mut text);
        random.zeroize();
        let tag = self.tag(kind, holder_id, &text.as_bytes()[PREFIX_CHARS..]);
        URL_SAFE_NO_PAD.encode_string(tag, &mut text);
        Secret(text)
    }

    /// Whether the tag says that we issued `presented`, as a secret of this kind, to this holder.
    ///
    /// Any text is taken, and every text costs the same MAC and the same comparisons.
    #[must_use]
    pub fn is_ours(&self, kind: SecretKind, holder_id: &str, presented: &str) -> bool {
        // A text of another length is cut or filled up to be worked on all the same.
        let mut padded = Zeroizing::new([0_u8; SECRET_CHARS]);
        let kept = presented.len().min(SECRET_CHARS);
        padded[..kept].copy_from_slice(&presented.as_bytes()[..kept]);

        let mut expected = [0_u8; TAG_CHARS];
        let tag = self.tag(kind, holder_id, &padded[PREFIX_CHARS..TAG_AT]);
        let written = URL_SAFE_NO_PAD.encode_slice(tag, &mut expected);

        let right_length = presented.len().ct_eq(&SECRET_CHARS);
        let right_prefix = padded[..PREFIX_CHARS].ct_eq(kind.prefix().as_bytes());
        let right_tag = padded[TAG_AT..].ct_eq(&expected);
        written.is_ok() && bool::from(right_length & right_prefix & right_tag)
    }

    /// The tag is over the characters, not the bytes that they stand for: so one secret has one
    /// spelling.
    fn tag(&self, kind: SecretKind, holder_id: &str, random: &[u8]) -> [u8; TAG_LEN] {
        let mac = self.0.mac(&[
            LABEL,
            kind.prefix().as_bytes(),
            holder_id.as_bytes(),
            random,
        ]);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac[..TAG_LEN]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SecretKind::{Admin, Agent, Client};
    use super::*;

    fn tagger(byte: u8) -> SecretTagger {
        SecretTagger::new(MacKey::from_bytes([byte; 32]))
    }

    #[test]
    fn a_secret_is_ours_for_its_kind_and_holder_only() {
        let tagger = tagger(1);
        for kind in [Agent, Client, Admin] {
            let secret = tagger.issue(kind, "holder_1", [7; 32]);
            assert_eq!(secret.expose().len(), SECRET_CHARS);
            assert!(secret.expose().starts_with(kind.prefix()));
            assert!(tagger.is_ours(kind, "holder_1", secret.expose()));
            assert!(!tagger.is_ours(kind, "holder_2", secret.expose()));
            for other in [Agent, Client, Admin]
                .into_iter()
                .filter(|other| *other != kind)
            {
                assert!(!tagger.is_ours(other, "holder_1", secret.expose()));
                let renamed = secret.expose().replacen(kind.prefix(), other.prefix(), 1);
                assert!(!tagger.is_ours(other, "holder_1", &renamed));
            }
        }
    }

    #[test]
    fn the_text_has_the_documented_form() {
        // Fixed for ever, and computed by another implementation: a change would turn every secret
        // that was handed out into a guess.
        assert_eq!(
            tagger(1).issue(Agent, "agent_1", [7; 32]).expose(),
            "as_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcJ6ptUHSf6_M"
        );
    }

    #[test]
    fn another_key_disowns_it() {
        let secret = tagger(1).issue(Agent, "agent_1", [7; 32]);
        assert!(!tagger(2).is_ours(Agent, "agent_1", secret.expose()));
    }

    #[test]
    fn lengths_around_the_right_one_are_refused() {
        let tagger = tagger(1);
        let secret = tagger.issue(Agent, "agent_1", [7; 32]);
        let text = secret.expose();
        for other in [
            "",
            "as_",
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}\0"),
            &format!("{text} "),
            &text.repeat(100),
            "ä",
        ] {
            assert!(!tagger.is_ours(Agent, "agent_1", other), "{other}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let tagger = tagger(1);
        let secret = tagger.issue(Client, "client_1", [7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret([masked])");
        assert_eq!(format!("{tagger:?}"), "SecretTagger(MacKey([masked]))");
    }

    proptest! {
        #[test]
        fn every_secret_is_made_of_safe_characters(random: [u8; 32], holder: String) {
            let secret = tagger(1).issue(Client, &holder, random);
            prop_assert!(
                secret.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            );
            prop_assert!(tagger(1).is_ours(Client, &holder, secret.expose()));
        }

        #[test]
        fn one_changed_byte_is_a_guess(
            random: [u8; 32],
            at in 0..SECRET_CHARS,
            with in 1_u8..0x7f,
        ) {
            let secret = tagger(1).issue(Agent, "agent_1", random);
            let mut bytes = secret.expose().as_bytes().to_vec();
            prop_assume!(bytes[at] != with);
            bytes[at] = with;
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(!tagger(1).is_ours(Agent, "agent_1", &text));
        }

        #[test]
        fn any_text_is_taken_without_harm(text in ".{0,80}", holder in ".{0,80}") {
            prop_assert!(!tagger(1).is_ours(Agent, &holder, &text));
        }
    }
}
