//! Secrets on their way in and out: from a file, standard input or the environment, never from a
//! flag; and into a file for its owner's eyes only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::Failure;
use crate::crypto::Secret;

/// Longest secret that is read, in bytes: ours have 57.
const MAX_BYTES: u64 = 4_096;

/// Reads a secret from a file.
pub(crate) fn from_file(path: &Path) -> Result<Secret, Failure> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    read(file, &name)
}

/// Reads a secret from standard input, to its end.
pub(crate) fn from_stdin() -> Result<Secret, Failure> {
    read(io::stdin().lock(), "standard input")
}

/// The secret in a text, without the newline that editors and `echo` add.
fn read(source: impl Read, name: &str) -> Result<Secret, Failure> {
    let refused = |what: &str| Failure::usage(format!("{name} {what}"));
    // With room for all of it, so that no copy is left behind in memory that was given back.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    let mut source = source.take(MAX_BYTES + 1);
    source
        .read_to_end(&mut text)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let text = text.trim_ascii();
    match std::str::from_utf8(text) {
        Ok("") => Err(refused("is empty: it must hold the secret")),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) && within(text) => {
            Ok(Secret::from(text.to_owned()))
        }
        _ => Err(refused(
            "does not hold a secret: it must be one line of printable characters",
        )),
    }
}

fn within(text: &str) -> bool {
    text.len() < usize::try_from(MAX_BYTES).unwrap_or(usize::MAX)
}

/// A file that is to hold a secret: made before the secret is asked for, so that a secret that is
/// shown once is not lost to a full disk or a wrong path; removed again unless it was written.
#[derive(Debug)]
pub(crate) struct SecretFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl SecretFile {
    /// Makes the file, mode 0600. One that exists is left alone: it may hold another secret.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let file = file.map_err(|error| {
            let path = path.display();
            Failure::usage(match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{path} exists already: name a new file for the secret")
                }
                _ => format!("{path}: {error}"),
            })
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    /// Writes the secret and a newline, to the disk.
    pub(crate) fn write(mut self, secret: &str) -> io::Result<()> {
        let line = Zeroizing::new(format!("{secret}\n"));
        self.file.write_all(line.as_bytes())?;
        self.file.sync_all()?;
        self.written = true;
        Ok(())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.written {
            // An empty file left behind is a nuisance, not a danger.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_one_line_and_the_newline_is_not_part_of_it() {
        let read = |text: &[u8]| read(text, "it").map(|secret| secret.expose().to_owned());
        assert_eq!(read(b"as_abc\r\n").unwrap(), "as_abc");
        for wrong in [
            &b""[..],
            b"\n",
            b"two words",
            b"two\nlines",
            b"\xff",
            &[b'a'; 5_000],
        ] {
            let told = read(wrong).unwrap_err();
            assert!(told.message().starts_with("it "), "{told:?}");
        }
    }

    #[test]
    fn a_secret_file_is_for_its_owner_and_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.secret");
        SecretFile::create(&path).unwrap().write("as_abc").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(from_file(&path).unwrap().expose(), "as_abc");
        assert!(
            SecretFile::create(&path)
                .unwrap_err()
                .message()
                .contains("exists already")
        );
        assert_eq!(from_file(&path).unwrap().expose(), "as_abc");
    }

    #[test]
    fn a_secret_file_that_was_not_needed_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.secret");
        drop(SecretFile::create(&path).unwrap());
        assert!(!path.exists());
    }
}
