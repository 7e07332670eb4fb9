//! What is checked before anything is opened: settings that must fit each other, and folders that must exist.

use std::path::Path;

use super::{Config, ConfigError};
use crate::store::sqlite_file;

/// Fewest characters of an admin key: 128 bits in hex.
const MIN_ADMIN_KEY: usize = 32;

impl Config {
    /// Checks what opening the database depends on: settings that must fit each other, and folders
    /// that must exist. Nothing is made or touched.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting at fault and says what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self
            .admin_key
            .as_ref()
            .is_some_and(|key| key.expose().len() < MIN_ADMIN_KEY)
        {
            return Err(ConfigError(format!(
                "AUTH_AGENT_ADMIN_KEY is shorter than {MIN_ADMIN_KEY} characters and could be \
                 guessed: make one with `openssl rand -hex 32`"
            )));
        }
        if self.issuer.is_none() && !self.listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "--listen {} is not loopback: say with --issuer under which https address the \
                 world reaches this server",
                self.listen
            )));
        }
        if self.listen.port() != 0 && self.admin_listen == Some(self.listen) {
            return Err(ConfigError(
                "--admin-listen must be another address or port than --listen".to_owned(),
            ));
        }
        if self
            .data_dir
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .any(|byte| b"?#".contains(byte))
        {
            // The path becomes part of a URL.
            return Err(ConfigError(
                "--data-dir must hold neither ? nor #".to_owned(),
            ));
        }
        let url = self.database_url();
        if let Some(file) = sqlite_file(&url) {
            if url.contains(['?', '#']) {
                return Err(ConfigError(
                    "--database-url sqlite://<path> takes no parameters: leave out ? and #"
                        .to_owned(),
                ));
            }
            has_parent("--data-dir", &self.data_dir)?;
            // The data folder itself is made on the first start.
            if file.parent() != Some(self.data_dir.as_path()) {
                has_parent("--database-url", &file)?;
            }
        } else if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(ConfigError(
                "--database-url must name a file (sqlite://<path>) or a server (postgres://…)"
                    .to_owned(),
            ));
        } else if self.master_key.is_none() {
            return Err(ConfigError(
                "AUTH_AGENT_MASTER_KEY is required with postgres://, the same on every node: 32 \
                 bytes as base64, for example from `openssl rand -base64 32`"
                    .to_owned(),
            ));
        } else {
            has_parent("--data-dir", &self.data_dir)?;
        }
        Ok(())
    }
}

fn has_parent(flag: &str, path: &Path) -> Result<(), ConfigError> {
    let parent = match path.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    if parent.is_dir() {
        return Ok(());
    }
    let (path, parent) = (path.display(), parent.display());
    Err(ConfigError(format!(
        "{flag} {path}: the folder {parent} does not exist: make it first"
    )))
}
