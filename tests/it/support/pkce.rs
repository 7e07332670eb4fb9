//! PKCE (RFC 7636) as a website does it.

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{ledger, process::arbitrary_text};

/// A verifier and its challenge, method S256.
#[derive(Debug, Clone)]
pub(crate) struct Pkce {
    /// What the website keeps.
    pub(crate) verifier: String,
    /// What goes through the browser.
    pub(crate) challenge: String,
}

impl Pkce {
    /// A fresh pair.
    pub(crate) fn new() -> Self {
        let verifier = arbitrary_text();
        ledger::note("a verifier", &verifier);
        let challenge = Self::challenge(&verifier);
        Self {
            verifier,
            challenge,
        }
    }

    /// BASE64URL(SHA256(verifier)).
    pub(crate) fn challenge(verifier: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
    }
}
