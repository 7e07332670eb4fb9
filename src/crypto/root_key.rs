//! The root key, from which every keyed hash gets a key of its own.
//!
//! It is random, made once with the database, and kept sealed under the master key. So a new master
//! key changes no hash: secrets, admin keys, cookies and addresses stay what they are.

use std::fmt;

use zeroize::Zeroizing;

use super::master_key::{MacKey, MasterKey, OpenError};

/// Bytes in a root key.
const KEY_LEN: usize = 32;
/// What a sealed root key is sealed for.
pub const ROOT_KEY_CONTEXT: &str = "server/root_key";
/// Keeps our subkeys apart from anything else that may ever be derived from the same key.
const DOMAIN: &[u8] = b"auth-agent root key v1";

/// The 32 bytes that every keyed hash hangs on. Zeroized when dropped, masked in `Debug`.
pub struct RootKey(Zeroizing<[u8; KEY_LEN]>);

impl RootKey {
    /// Wraps 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key for storing, sealed. `nonce` must be fresh random bytes.
    #[must_use]
    pub fn seal(&self, master_key: &MasterKey, nonce: [u8; 12]) -> String {
        master_key.seal(ROOT_KEY_CONTEXT, &*self.0, nonce)
    }

    /// Opens what [`RootKey::seal`] made.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for anything else.
    pub fn open(master_key: &MasterKey, sealed: &str) -> Result<Self, OpenError> {
        let opened = master_key.open(ROOT_KEY_CONTEXT, sealed)?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        if opened.len() != KEY_LEN {
            return Err(OpenError);
        }
        bytes.copy_from_slice(&opened);
        Ok(Self(bytes))
    }

    /// The subkey for the job that `label` names. The same label gives the same key for ever.
    #[must_use]
    pub fn derive(&self, label: &str) -> MacKey {
        let root = MacKey::from_bytes(*self.0);
        MacKey::from_bytes(root.mac(&[DOMAIN, b"derive", label.as_bytes()]))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey([masked])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootKey {
        RootKey::from_bytes([byte; 32])
    }

    #[test]
    fn what_is_derived_never_changes() {
        // Another implementation computed it. A change would turn every secret, admin key and cookie of every installation into a guess.
        assert_eq!(
            root(1).derive("label").mac_hex(&[]),
            "fbbf6d90d5053479da4f68494f20b4b63f9483b1f4d4fdb1dfba88597a749805"
        );
    }

    #[test]
    fn subkeys_differ_by_label_and_by_root() {
        let parts: &[&[u8]] = &[b"x"];
        assert_eq!(
            root(1).derive("a").mac(parts),
            root(1).derive("a").mac(parts)
        );
        assert_ne!(
            root(1).derive("a").mac(parts),
            root(1).derive("b").mac(parts)
        );
        assert_ne!(
            root(1).derive("a").mac(parts),
            root(2).derive("a").mac(parts)
        );
    }

    #[test]
    fn another_master_key_seals_the_same_root() {
        let (old, new) = (
            MasterKey::from_bytes([1; 32]),
            MasterKey::from_bytes([2; 32]),
        );
        let opened = RootKey::open(&old, &root(7).seal(&old, [9; 12])).unwrap();
        let sealed = opened.seal(&new, [8; 12]);
        assert!(RootKey::open(&old, &sealed).is_err());
        let again = RootKey::open(&new, &sealed).unwrap();
        assert_eq!(
            again.derive("a").mac_hex(&[]),
            root(7).derive("a").mac_hex(&[])
        );
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", root(0xab)), "RootKey([masked])");
    }
}
