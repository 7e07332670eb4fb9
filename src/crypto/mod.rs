//! Cryptography: what the server signs, derives, seals and hashes.
//!
//! | room | what it keeps |
//! | --- | --- |
//! | [`master_key`] | the one key an operator holds; everything secret at rest is sealed under it |
//! | [`root_key`] | what every keyed hash hangs on; a new master key does not change it |
//! | [`artefact`] | authorization codes and refresh tokens, derived instead of stored |
//! | [`secret`] | the secrets we hand out, each ending in a tag that a guess cannot have |
//! | [`hasher`] | argon2id off the runtime, and the memory of what was proved once |
//! | [`signing`] | signing keys and the key set that websites verify with |
//! | [`token`] | access and ID tokens: minting, and reading our own again |
//!
//! Time never enters here, and random bytes come from [`crate::edge`]; signing with ECDSA and RSA
//! and generating their keys use the generator within the cryptographic library.

pub mod artefact;
pub mod hasher;
pub mod master_key;
mod offload;
pub mod root_key;
pub mod secret;
pub mod signing;
pub mod token;

pub use artefact::{ArtefactKind, DerivationKeys, Presented};
pub use hasher::Hasher;
pub use master_key::{MacKey, MasterKey};
pub use offload::Busy;
pub use root_key::RootKey;
pub use secret::{Secret, SecretKind, SecretTagger};
pub use signing::{KeyRing, SigningKey};
pub use token::{AccessClaims, Actor, SignError, TokenMinter, Verified, at_hash};

/// The S256 transformation of a PKCE verifier (RFC 7636 §4.2).
#[must_use]
pub fn s256(verifier: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, hash)
}
