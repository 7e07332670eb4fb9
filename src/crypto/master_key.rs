//! The master key, which seals, and the keyed MACs.
//!
//! Signing and derivation keys, the root key and the vault's private rows are sealed under the master
//! key, so a copied database is worth nothing without it. It does nothing else, and so it can be
//! replaced: whatever was sealed is sealed anew, and every key in there stays what it was.

use std::fmt;

use aws_lc_rs::{aead, constant_time, hmac};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes in a master key and in every key for a MAC.
const KEY_LEN: usize = 32;
/// Bytes in an AES-GCM nonce (NIST SP 800-38D §8.2.2: random, so at most 2^32 seals under a key).
const NONCE_LEN: usize = 12;
/// What every sealed text begins with: the format's version.
const SEALED_PREFIX: &str = "v1.";
/// Keeps our subkeys apart from anything else that may ever be derived from the same key.
const DOMAIN: &[u8] = b"auth-agent master key v1";

/// Standard base64 whose padding may be missing: people lose it when they copy.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be base64 of exactly 32 bytes, for example from `openssl rand -base64 32`")]
pub struct MasterKeyError;

/// A sealed text that cannot be opened: another master key, another context, or damage. Which of
/// them it was cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed under another master key, for another purpose, or damaged")]
pub struct OpenError;

/// The 32 bytes that protect everything secret at rest. Zeroized when dropped, masked in `Debug`.
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    root: MacKey,
    sealing: aead::LessSafeKey,
}

impl Clone for MasterKey {
    fn clone(&self) -> Self {
        Self::from_bytes(*self.bytes)
    }
}

impl MasterKey {
    /// Wraps 32 random bytes.
    ///
    /// # Panics
    ///
    /// Never: AES-256-GCM takes any key of 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let root = MacKey::from_bytes(*bytes);
        let subkey = Zeroizing::new(root.mac(&[DOMAIN, b"seal"]));
        #[expect(
            clippy::expect_used,
            reason = "the key has exactly the length the cipher wants"
        )]
        let unbound = aead::UnboundKey::new(&aead::AES_256_GCM, &*subkey)
            .expect("AES-256-GCM takes any 32 bytes");
        Self {
            bytes,
            root,
            sealing: aead::LessSafeKey::new(unbound),
        }
    }

    /// Reads standard base64 of exactly 32 bytes; surrounding white space and missing padding are
    /// forgiven.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`] for any other text.
    pub fn from_base64(text: &str) -> Result<Self, MasterKeyError> {
        // Room for what the decoder believes 44 characters might need, so nothing is allocated.
        let mut buffer = Zeroizing::new([0_u8; 48]);
        let length = BASE64
            .decode_slice(text.trim(), &mut *buffer)
            .map_err(|_| MasterKeyError)?;
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        if length != KEY_LEN {
            return Err(MasterKeyError);
        }
        bytes.copy_from_slice(&buffer[..KEY_LEN]);
        Ok(Self::from_bytes(*bytes))
    }

    /// The key as [`MasterKey::from_base64`] reads it: 44 characters.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.bytes))
    }

    /// 16 hex digits that tell one master key from another and say nothing about it, to be kept
    /// beside the data so that a wrong key is noticed before anything is touched.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.root.mac(&[DOMAIN, b"fingerprint"])[..8])
    }

    /// Encrypts and authenticates `plaintext` (AES-256-GCM) as URL-safe text.
    ///
    /// `context` says what is sealed and where it belongs (for example table and row id): a sealed
    /// text opens in its own context only. `nonce` must be fresh random bytes from
    /// [`crate::edge::random`].
    ///
    /// # Panics
    ///
    /// Never for a plaintext of less than 64 GiB, the cipher's bound.
    #[must_use]
    pub fn seal(&self, context: &str, plaintext: &[u8], nonce: [u8; NONCE_LEN]) -> String {
        let mut sealed = Vec::with_capacity(NONCE_LEN + plaintext.len() + aead::MAX_TAG_LEN);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        #[expect(
            clippy::expect_used,
            reason = "fails for plaintexts of 64 GiB and more only"
        )]
        let tag = self
            .sealing
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(context.as_bytes()),
                &mut sealed[NONCE_LEN..],
            )
            .expect("the plaintext is shorter than 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        let mut text = String::with_capacity(SEALED_PREFIX.len() + sealed.len().div_ceil(3) * 4);
        text.push_str(SEALED_PREFIX);
        URL_SAFE_NO_PAD.encode_string(&sealed, &mut text);
        text
    }

    /// Opens what [`MasterKey::seal`] made in the same context.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for anything else.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let text = sealed.strip_prefix(SEALED_PREFIX).ok_or(OpenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| OpenError)?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .sealing
            .open_in_place(
                aead::Nonce::assume_unique_for_key(*nonce),
                aead::Aad::from(context.as_bytes()),
                &mut plaintext,
            )
            .map_err(|_| OpenError)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([masked])")
    }
}

/// A key for HMAC-SHA-256 (RFC 2104), prepared once. Zeroized when dropped, masked in `Debug`.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// Prepares the key.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; KEY_LEN]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        bytes.zeroize();
        Self(key)
    }

    /// The MAC of a list of parts. Each part goes in after its length, so that no two lists of
    /// parts are ever the same input.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; KEY_LEN] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mac = [0; KEY_LEN];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// Whether `mac` is the MAC of these parts, compared in constant time. Any length is taken;
    /// another than 32 bytes is never right.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.mac(parts), mac).is_ok()
    }

    /// The MAC as 64 lower-case hex digits.
    #[must_use]
    pub fn mac_hex(&self, parts: &[&[u8]]) -> String {
        hex::encode(self.mac(parts))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([masked])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    #[test]
    fn a_master_key_survives_being_written_down() {
        let key = key(7);
        let again = MasterKey::from_base64(&key.to_base64()).unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        let with_newline = format!("{}\n", *key.to_base64());
        assert_eq!(
            MasterKey::from_base64(&with_newline).unwrap().fingerprint(),
            key.fingerprint()
        );
        assert!(MasterKey::from_base64(key.to_base64().trim_end_matches('=')).is_ok());
    }

    #[test]
    fn anything_but_32_bytes_is_refused_in_one_line() {
        for length in [0, 1, 16, 31, 33, 64, 10_000] {
            assert_eq!(
                MasterKey::from_base64(&STANDARD.encode(vec![0; length])).err(),
                Some(MasterKeyError),
                "{length} bytes"
            );
        }
        assert!(MasterKey::from_base64("correct horse battery staple").is_err());
        let message = MasterKeyError.to_string();
        assert!(message.contains("openssl rand -base64 32"));
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn a_fingerprint_tells_keys_apart() {
        let fingerprint = key(1).fingerprint();
        assert_eq!(fingerprint.len(), 16);
        assert!(fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(fingerprint, key(2).fingerprint());
    }

    #[test]
    fn what_was_sealed_opens_under_its_key_and_context_only() {
        let sealed = key(1).seal("signing_key/a", b"private", [9; 12]);
        assert_eq!(
            key(1).open("signing_key/a", &sealed).unwrap().as_slice(),
            b"private"
        );
        assert_eq!(key(2).open("signing_key/a", &sealed).err(), Some(OpenError));
        assert_eq!(key(1).open("signing_key/b", &sealed).err(), Some(OpenError));
        assert_eq!(
            key(1).open("signing_key/a", &sealed[1..]).err(),
            Some(OpenError)
        );
        assert!(!sealed.contains("private"));
        for text in [
            "",
            "v1.",
            "v1.AAAA",
            "v2.AAAA",
            "v1.!",
            "v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(key(1).open("c", text).err(), Some(OpenError), "{text}");
        }
    }

    #[test]
    fn what_is_derived_never_changes() {
        // Another implementation computed these. A change would lose every installation's keys.
        assert_eq!(key(1).fingerprint(), "ce183d2c8eb3360e");
        assert_eq!(
            key(1).seal("signing_key/a", b"private", [9; 12]),
            "v1.CQkJCQkJCQkJCQkJkMV5WRs9gN6AOIJ0dkDGyj87oXZw954"
        );
    }

    #[test]
    fn a_mac_is_hmac_sha_256_over_length_prefixed_parts() {
        // RFC 4231 fixes HMAC itself; here we fix the framing, which must never change.
        let expected = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]),
            b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01c",
        );
        let mac_key = MacKey::from_bytes([3; 32]);
        assert_eq!(mac_key.mac(&[b"ab", b"", b"c"]), expected.as_ref());
        assert_eq!(
            mac_key.mac_hex(&[b"ab", b"", b"c"]),
            hex::encode(expected.as_ref())
        );
        assert_eq!(mac_key.mac_hex(&[]).len(), 64);
    }

    #[test]
    fn a_mac_of_another_length_is_wrong() {
        let mac_key = MacKey::from_bytes([3; 32]);
        let mac = mac_key.mac(&[b"a"]);
        assert!(mac_key.verify(&[b"a"], &mac));
        assert!(!mac_key.verify(&[b"a"], &mac[..31]));
        assert!(!mac_key.verify(&[b"a"], &[]));
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?} {:?}", key(0xab), MacKey::from_bytes([0xab; 32]));
        assert_eq!(text, "MasterKey([masked]) MacKey([masked])");
    }

    proptest! {
        #[test]
        fn any_plaintext_comes_back(plaintext: Vec<u8>, context: String, nonce: [u8; 12]) {
            let sealed = key(1).seal(&context, &plaintext, nonce);
            prop_assert_eq!(&*key(1).open(&context, &sealed).unwrap(), &plaintext);
        }

        #[test]
        fn one_changed_character_does_not_open(at in 0_usize..60, with in "[A-Za-z0-9_.-]") {
            let mut sealed = key(1).seal("context", b"a plaintext here", [1; 12]);
            let at = at % sealed.len();
            prop_assume!(sealed[at..=at] != with);
            sealed.replace_range(at..=at, &with);
            prop_assert_eq!(key(1).open("context", &sealed).err(), Some(OpenError));
        }

        #[test]
        fn parts_cut_differently_have_different_macs(a: Vec<u8>, b: Vec<u8>, cut in 0_usize..64) {
            let mac_key = MacKey::from_bytes([5; 32]);
            let joined = [a.clone(), b.clone()].concat();
            let (left, right) = joined.split_at(cut.min(joined.len()));
            prop_assume!(left != a.as_slice());
            prop_assert_ne!(mac_key.mac(&[&a, &b]), mac_key.mac(&[left, right]));
            prop_assert_ne!(mac_key.mac(&[&a, &b]), mac_key.mac(&[&joined]));
        }
    }
}
