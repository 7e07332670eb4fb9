//! Signing keys, and the key set (RFC 7517 §5) that websites verify our tokens with.
//!
//! Keys are prepared once, when they are made or loaded. A key is used with one algorithm only, the
//! one that it was made for, so a token cannot choose how it is verified.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{digest, encoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::domain::TokenAlgorithm;
use crate::edge;

/// A key or key set that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The library could not make a key.
    #[error("no {0} key could be generated")]
    Generate(TokenAlgorithm),
    /// The bytes are no PKCS #8 private key for the algorithm.
    #[error("not a usable PKCS #8 private key for {0}")]
    Malformed(TokenAlgorithm),
    /// A key set needs at least one key.
    #[error("there is no signing key")]
    Empty,
    /// The same key was given twice.
    #[error("the signing key {0} occurs twice")]
    Duplicate(String),
}

/// The signer failed; it has no reason to with a key that was accepted.
#[derive(Debug)]
pub(super) struct Unsigned;

enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A private key with its algorithm. Zeroized when dropped, masked in `Debug`.
pub struct SigningKey {
    algorithm: TokenAlgorithm,
    private: Private,
    pkcs8: Zeroizing<Vec<u8>>,
    public: signature::ParsedPublicKey,
    kid: String,
    jwk: Value,
}

impl SigningKey {
    /// Makes a fresh key: Ed25519, P-256 or RSA with 2048 bits. RSA takes a good part of a second:
    /// not on the async runtime.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generate`] when the library cannot.
    pub fn generate(algorithm: TokenAlgorithm) -> Result<Self, KeyError> {
        let failed = || KeyError::Generate(algorithm);
        match algorithm {
            TokenAlgorithm::EdDSA => {
                let seed = Zeroizing::new(edge::random::<32>());
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                let der = key.to_pkcs8_der().map_err(|_| failed())?;
                Self::from_pkcs8(algorithm, der.as_bytes())
            }
            TokenAlgorithm::ES256 => {
                let key = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| failed())?;
                let der = key.to_pkcs8v1().map_err(|_| failed())?;
                Self::from_pkcs8(algorithm, der.as_ref())
            }
            TokenAlgorithm::RS256 => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed())?;
                let der: encoding::Pkcs8V1Der<'_> = key.as_der().map_err(|_| failed())?;
                Self::from_pkcs8(algorithm, der.as_ref())
            }
        }
    }

    /// Loads a key from PKCS #8 (RFC 5958), as [`SigningKey::to_pkcs8`] writes it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`] when the bytes are none, of another algorithm, or an RSA key of less
    /// than 2048 or more than 8192 bits.
    pub fn from_pkcs8(algorithm: TokenAlgorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed(algorithm);
        let (private, public, members) = match algorithm {
            TokenAlgorithm::EdDSA => {
                let key = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| malformed())?;
                let bytes = key.public_key().as_ref();
                let members = vec![
                    ("crv", "Ed25519".to_owned()),
                    ("kty", "OKP".to_owned()),
                    ("x", b64(bytes)),
                ];
                let public = signature::ParsedPublicKey::new(&signature::ED25519, bytes);
                (Private::Ed25519(key), public, members)
            }
            TokenAlgorithm::ES256 => {
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(|_| malformed())?;
                // SEC 1 §2.3.3: 0x04, then x and y of 32 bytes each.
                let bytes = key.public_key().as_ref();
                let [0x04, point @ ..] = bytes else {
                    return Err(malformed());
                };
                let (x, y) = point.split_at_checked(32).ok_or_else(malformed)?;
                let members = vec![
                    ("crv", "P-256".to_owned()),
                    ("kty", "EC".to_owned()),
                    ("x", b64(x)),
                    ("y", b64(y)),
                ];
                let public =
                    signature::ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, bytes);
                (Private::P256(key), public, members)
            }
            TokenAlgorithm::RS256 => {
                let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| malformed())?;
                let bytes = key.public_key();
                let members = vec![
                    ("e", b64(bytes.exponent().big_endian_without_leading_zero())),
                    ("kty", "RSA".to_owned()),
                    ("n", b64(bytes.modulus().big_endian_without_leading_zero())),
                ];
                let public =
                    signature::ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, bytes);
                (Private::Rsa(Box::new(key)), public, members)
            }
        };
        let kid = thumbprint(&members);
        let mut jwk = json!({ "kid": kid, "alg": algorithm, "use": "sig" });
        for (name, value) in members {
            jwk[name] = Value::String(value);
        }
        Ok(Self {
            algorithm,
            private,
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
            public: public.map_err(|_| malformed())?,
            kid,
            jwk,
        })
    }

    /// The private key in PKCS #8 (RFC 5958), to be sealed and kept.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// The algorithm that this key is for.
    #[must_use]
    pub const fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
    }

    /// The key id: the SHA-256 thumbprint of the public key in base64url, 43 characters (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key (RFC 7517 §4, RFC 8037 §2) with `kid`, `alg` and `use`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// The signature in the form that JWS wants (RFC 7518 §3): for ES256, r and s of 32 bytes each.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        match &self.private {
            Private::Ed25519(key) => key.try_sign(message).map(|made| made.as_ref().to_vec()),
            Private::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .map(|made| made.as_ref().to_vec()),
            Private::Rsa(key) => {
                let mut made = vec![0; key.public_modulus_len()];
                key.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut made,
                )
                .map(|()| made)
            }
        }
        .map_err(|_| Unsigned)
    }

    /// Whether this key made the signature, by this key's own algorithm.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// RFC 7638 §3: the required members in order of name, without white space. Names and values are
/// base64url or plain letters and need no escaping.
fn thumbprint(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!(r#""{name}":"{value}""#))
        .collect();
    let text = format!("{{{}}}", members.join(","));
    b64(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Every key that signs or may still verify a live token.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Arc<SigningKey>>,
    algorithms: Vec<TokenAlgorithm>,
    jwks: Value,
}

impl KeyRing {
    /// Takes the keys: of each algorithm the first key signs, all verify.
    ///
    /// # Errors
    ///
    /// [`KeyError::Empty`] without a key, [`KeyError::Duplicate`] when one comes twice.
    pub fn new(keys: Vec<Arc<SigningKey>>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut algorithms = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].iter().any(|earlier| earlier.kid == key.kid) {
                return Err(KeyError::Duplicate(key.kid.clone()));
            }
            if !algorithms.contains(&key.algorithm) {
                algorithms.push(key.algorithm);
            }
        }
        let jwks = json!({ "keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>() });
        Ok(Self {
            keys,
            algorithms,
            jwks,
        })
    }

    /// The algorithms that can be signed with, each once.
    #[must_use]
    pub fn algorithms(&self) -> &[TokenAlgorithm] {
        &self.algorithms
    }

    /// The public key set, `{"keys": […]}` (RFC 7517 §5).
    #[must_use]
    pub const fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// The key that signs with the algorithm.
    pub(super) fn signer(&self, algorithm: TokenAlgorithm) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.algorithm == algorithm)
    }

    /// The key with this id.
    #[must_use]
    pub fn by_kid(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

#[cfg(test)]
mod tests;
