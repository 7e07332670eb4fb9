//! argon2id in working memory that is kept for the next hash.
//!
//! Taken anew for each hash, now by one thread and now by another, those 19 MiB leave holes of that
//! size in the allocator's heaps: under a flood of wrong secrets the process grew to 320 MiB.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Memory in KiB, passes and lanes of a new hash: what OWASP asks for with 19 MiB
/// (`m=19456, t=2, p=1`). They stand in every hash, so raising them leaves older hashes valid.
const PARAMS: (u32, u32, u32) = (19_456, 2, 1);

/// Hashes, in as many memories of 19 MiB as were ever in use at once.
#[derive(Debug, Default)]
pub(super) struct Argon2id {
    free: Mutex<Vec<Memory>>,
}

type Memory = Vec<Block>;

impl Argon2id {
    /// The PHC string of a new hash.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; no other with a salt of 8 to 48 bytes.
    pub(super) fn hash(&self, secret: &[u8], salt: &[u8]) -> Result<String, Error> {
        let (memory_kib, passes, lanes) = PARAMS;
        let params = Params::new(memory_kib, passes, lanes, None)?;
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let hash = PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(self.output(
                &Argon2::new(algorithm, version, params),
                secret,
                salt,
                Params::DEFAULT_OUTPUT_LEN,
            )?),
        };
        Ok(hash.to_string())
    }

    /// Checks with the parameters that stand in the hash; the comparison takes constant time.
    ///
    /// # Errors
    ///
    /// [`Error::PasswordInvalid`] when it is another secret's hash, [`Error::OutOfMemory`], and others
    /// when the hash is unreadable.
    pub(super) fn matches(&self, presented: &[u8], phc: &str) -> Result<(), Error> {
        let hash = PasswordHash::new(phc).map_err(|_| Error::EncodingInvalid)?;
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return Err(Error::EncodingInvalid);
        };
        let argon2 = Argon2::new(
            Algorithm::try_from(hash.algorithm.as_str())?,
            hash.version
                .map(Version::try_from)
                .transpose()?
                .unwrap_or_default(),
            Params::try_from(&hash)?,
        );
        let output = self.output(&argon2, presented, salt, expected.len())?;
        if output == *expected {
            Ok(())
        } else {
            Err(Error::PasswordInvalid)
        }
    }

    fn output(
        &self,
        argon2: &Argon2<'_>,
        secret: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Output, Error> {
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..length).ok_or(Error::OutputSize)?;
        // What the hash before left in the memory does not matter: the first pass overwrites it all.
        let mut memory = self.take(argon2.params().block_count())?;
        let done = argon2.hash_password_into_with_memory(secret, salt, output, &mut memory);
        self.free().push(memory);
        done?;
        Ok(Output::new(output)?)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Memory>> {
        // Nobody leaves a list half done.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory of at least so many blocks.
    fn take(&self, blocks: usize) -> Result<Memory, Error> {
        let mut memory = self.free().pop().unwrap_or_default();
        let missing = blocks.saturating_sub(memory.len());
        memory
            .try_reserve_exact(missing)
            .map_err(|_| Error::OutOfMemory)?;
        memory.resize(memory.len() + missing, Block::new());
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;

    use super::*;

    const SALT: &[u8] = b"a salt of 16 by.";

    fn kept(argon2id: &Argon2id) -> Vec<usize> {
        let free = argon2id.free.lock().unwrap();
        free.iter().map(Vec::len).collect()
    }

    #[test]
    fn memory_that_was_used_before_yields_the_same_hash() {
        let argon2id = Argon2id::default();
        let first = argon2id.hash(b"right", SALT).unwrap();
        argon2id.hash(b"another", SALT).unwrap();
        assert_eq!(argon2id.hash(b"right", SALT).unwrap(), first);
        assert_eq!(kept(&argon2id), [19_456], "one at a time needs one memory");
    }

    #[test]
    fn a_hash_is_one_that_others_can_check() {
        let phc = Argon2id::default().hash(b"right", SALT).unwrap();
        let others = Argon2::default();
        assert_eq!(others.verify_password(b"right", phc.as_str()), Ok(()));
        assert_eq!(
            others.verify_password(b"wrong", phc.as_str()),
            Err(Error::PasswordInvalid)
        );
    }

    #[test]
    fn hashes_of_other_parameters_are_checked_with_theirs() {
        // From the tests of the reference implementation (RFC 9106's authors).
        let older =
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8";
        let argon2id = Argon2id::default();
        assert_eq!(argon2id.matches(b"password", older), Ok(()));
        let newer = argon2id.hash(b"password", SALT).unwrap();
        assert_eq!(argon2id.matches(b"password", &newer), Ok(()));
        assert_eq!(argon2id.matches(b"password", older), Ok(()));
        assert_eq!(
            argon2id.matches(b"passwort", older),
            Err(Error::PasswordInvalid)
        );
        assert_eq!(kept(&argon2id), [19_456], "the memory grew");
    }
}
