//! Tokens: minting access and ID tokens, and reading our own access tokens again.
//!
//! JWS in compact form (RFC 7515 §7.1) over keys that are prepared once: libraries that prepare the
//! key at each call take more than twice as long. RSA takes a third of a millisecond of a core and
//! runs off the runtime, behind a bound.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::available_parallelism;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::offload::{Busy, Offload};
use super::signing::{KeyRing, SigningKey, Unsigned};
use crate::domain::TokenAlgorithm;
use crate::domain::{AgentId, RequestId};

/// The longest token that is looked at, in bytes; ours have less than 2 KiB.
const TOKEN_MAX: usize = 16 * 1024;
/// RSA signatures that may wait, for each core: some 90 ms of work.
const RSA_QUEUE: usize = 256;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// So many RSA signatures are waiting that no more may; come again later.
    #[error("too many signatures are waiting")]
    Busy,
    /// No key of this algorithm is in the key ring.
    #[error("there is no signing key for {0}")]
    NoKey(TokenAlgorithm),
    /// The claims are no JSON.
    #[error("the claims cannot be written as JSON")]
    Claims(#[source] serde_json::Error),
    /// The signer failed; it has no reason to with a key that was accepted.
    #[error("the signature failed")]
    Failed,
}

impl From<Busy> for SignError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<Unsigned> for SignError {
    fn from(Unsigned: Unsigned) -> Self {
        Self::Failed
    }
}

/// The claims of an access token (RFC 9068 §2.2, and ours). Times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// This server (RFC 8414 §2).
    pub iss: String,
    /// Whom the token is about: the agent's id, or its owner's for clients that ask for that.
    pub sub: String,
    /// Who may take the token: written as a string when it is one (RFC 7519 §4.1.3).
    #[serde(with = "one_or_many")]
    pub aud: Vec<String>,
    /// The website that the token was issued to (RFC 8693 §4.3).
    pub client_id: String,
    /// Space-separated scopes (RFC 8693 §4.2).
    pub scope: String,
    /// The model that the agent said it is.
    pub model: String,
    /// The agent that signed in.
    pub agent_id: AgentId,
    /// How we know that the agent drove the waiting browser: `browser`, `address` or `none`.
    pub binding: String,
    /// The token's own id (RFC 7519 §4.1.7).
    pub jti: String,
    /// The sign-in that the token comes from.
    pub sid: RequestId,
    /// When it was issued.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// When the agent authenticated.
    pub auth_time: i64,
    /// How it did (RFC 8176): `pwd` or `pop`, and `otp`.
    pub amr: Vec<String>,
    /// The agent as the actor when `sub` is its owner (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

/// Who acts for the subject (RFC 8693 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The actor's id.
    pub sub: String,
}

/// RFC 7519 §4.1.3: `aud` is a string when there is one, else an array.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(many: &[String], to: S) -> Result<S::Ok, S::Error> {
        match many {
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}

/// The protected header that we write (RFC 7515 §4.1).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: TokenAlgorithm,
    kid: &'a str,
}

/// The protected header as it is presented. Other members are ignored: a key or an address of a key
/// in a token (`jwk`, `jku`, `x5u`) is nothing that we would believe.
#[derive(Deserialize)]
struct PresentedHeader {
    typ: String,
    alg: String,
    kid: String,
    /// Extensions that must be understood (RFC 7515 §4.1.11); we know none.
    crit: Option<IgnoredAny>,
}

/// Signs tokens, and knows its own again.
#[derive(Debug)]
pub struct TokenMinter {
    keys: RwLock<Arc<KeyRing>>,
    issuer: String,
    rsa: Offload,
}

/// An access token that one of our keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub claims: AccessClaims,
    /// The key that signed it.
    pub kid: String,
}

impl TokenMinter {
    /// Signs with the keys of the ring. `issuer` is what `iss` must be in the tokens that
    /// [`TokenMinter::verify_access_token`] takes. RSA uses as many threads as there are cores.
    #[must_use]
    pub fn new(keys: Arc<KeyRing>, issuer: String) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::with_bounds(keys, issuer, cores, cores * RSA_QUEUE)
    }

    fn with_bounds(keys: Arc<KeyRing>, issuer: String, permits: usize, queue: usize) -> Self {
        Self {
            keys: RwLock::new(keys),
            issuer,
            rsa: Offload::new(permits, queue),
        }
    }

    /// The keys that it signs with now.
    #[must_use]
    pub fn keys(&self) -> Arc<KeyRing> {
        // A set of keys is put in its place whole: there is nothing half done.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs and verifies with these keys from here on.
    pub fn replace_keys(&self, keys: Arc<KeyRing>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The key that signs with the algorithm now, by its id.
    #[must_use]
    pub fn signs_with(&self, algorithm: TokenAlgorithm) -> Option<String> {
        let keys = self.keys();
        keys.signer(algorithm).map(|key| key.kid().to_owned())
    }

    /// Whether a signature may be asked for now: to be asked before anything is committed on the
    /// strength of which tokens are due.
    ///
    /// # Errors
    ///
    /// [`SignError::NoKey`] when the ring has no key of the algorithm, [`SignError::Busy`] when too
    /// many RSA signatures are waiting.
    pub fn admits(&self, algorithm: TokenAlgorithm) -> Result<(), SignError> {
        if self.keys().signer(algorithm).is_none() {
            return Err(SignError::NoKey(algorithm));
        }
        if algorithm == TokenAlgorithm::RS256 {
            self.rsa.admit()?;
        }
        Ok(())
    }

    /// A JWT over the claims, however many are waiting: by now the log says that it was issued, and a
    /// website that were refused it could never have it. `typ` is `at+jwt` for an access token (RFC 9068 §2.1) and `JWT` for an
    /// ID token.
    ///
    /// # Errors
    ///
    /// [`SignError::NoKey`] when the ring has no key of the algorithm, [`SignError::Busy`] when the
    /// process is shutting down.
    pub async fn sign<T: Serialize + ?Sized>(
        &self,
        algorithm: TokenAlgorithm,
        typ: &str,
        claims: &T,
    ) -> Result<String, SignError> {
        let keys = self.keys();
        let key = keys.signer(algorithm).ok_or(SignError::NoKey(algorithm))?;
        let message = signing_input(
            &Header {
                typ,
                alg: algorithm,
                kid: key.kid(),
            },
            claims,
        )?;
        if algorithm == TokenAlgorithm::RS256 {
            let turn = self.rsa.admit_in_turn().await?.turn().await?;
            let key = Arc::clone(key);
            Ok(turn.run(move || complete(&key, message)).await??)
        } else {
            Ok(complete(key, message)?)
        }
    }

    /// An access token that this server signed: a JWT of type `at+jwt`, by a key of the ring and that
    /// key's own algorithm, with this server as `iss` (RFC 9068 §4, RFC 8725 §3). `None` for every
    /// other text.
    ///
    /// Says nothing about time or revocation: the caller judges `exp` by its own clock.
    #[must_use]
    pub fn verify_access_token(&self, token: &str) -> Option<Verified> {
        let presented = PresentedToken::read(token)?;
        let keys = self.keys();
        let key = keys.by_kid(&presented.header.kid)?;
        let expected = presented.header.crit.is_none()
            && presented.header.alg == key.algorithm().as_str()
            && is_access_token_type(&presented.header.typ);
        let message = presented.message.as_bytes();
        if !expected || !key.verifies(message, &decode(presented.signature)?) {
            return None;
        }
        let claims: AccessClaims = serde_json::from_slice(&decode(presented.claims)?).ok()?;
        (claims.iss == self.issuer).then(|| Verified {
            claims,
            kid: key.kid().to_owned(),
        })
    }

    /// The key that a text in the form of an access token names, when it is not in the ring.
    #[must_use]
    pub fn unknown_key(&self, token: &str) -> Option<String> {
        let header = PresentedToken::read(token)?.header;
        let unknown =
            is_access_token_type(&header.typ) && self.keys().by_kid(&header.kid).is_none();
        unknown.then_some(header.kid)
    }
}

/// A JWS in compact form (RFC 7515 §7.1), as presented.
struct PresentedToken<'a> {
    header: PresentedHeader,
    claims: &'a str,
    message: &'a str,
    signature: &'a str,
}

impl<'a> PresentedToken<'a> {
    fn read(token: &'a str) -> Option<Self> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = serde_json::from_slice(&decode(header)?).ok()?;
        Some(Self {
            header,
            claims,
            message,
            signature,
        })
    }
}

/// The `at_hash` of an ID token (OpenID Connect Core §3.1.3.6): the left half of the access token's
/// hash, by the hash of the ID token's algorithm (for Ed25519, SHA-512), in base64url.
#[must_use]
pub fn at_hash(algorithm: TokenAlgorithm, access_token: &str) -> String {
    let hash = match algorithm {
        TokenAlgorithm::EdDSA => &digest::SHA512,
        TokenAlgorithm::ES256 | TokenAlgorithm::RS256 => &digest::SHA256,
    };
    let whole = digest::digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
}

/// RFC 7515 §5.1: `BASE64URL(header) || '.' || BASE64URL(payload)`.
fn signing_input<T: Serialize + ?Sized>(
    header: &Header<'_>,
    claims: &T,
) -> Result<String, SignError> {
    let mut text = String::with_capacity(2048);
    let json = serde_json::to_vec(header).map_err(SignError::Claims)?;
    URL_SAFE_NO_PAD.encode_string(json, &mut text);
    text.push('.');
    let json = serde_json::to_vec(claims).map_err(SignError::Claims)?;
    URL_SAFE_NO_PAD.encode_string(json, &mut text);
    Ok(text)
}

fn complete(key: &SigningKey, mut message: String) -> Result<String, Unsigned> {
    let signature = key.sign(message.as_bytes())?;
    message.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut message);
    Ok(message)
}

/// Base64url without padding; a dot or any other spelling is refused.
fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}

/// RFC 9068 §4: `at+jwt` or `application/at+jwt`; media types know no case (RFC 7515 §4.1.9).
fn is_access_token_type(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|known| typ.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
