//! Secrets, which come from the environment alone.

use std::env;

use super::{Config, ConfigError};
use crate::crypto::{MasterKey, Secret};

impl Config {
    /// Takes in what may stand in the environment only.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a key is set and cannot be used.
    pub fn read_environment(&mut self) -> Result<(), ConfigError> {
        self.admin_key = environment_secret("AUTH_AGENT_ADMIN_KEY")?;
        if let Some(key) = environment_secret("AUTH_AGENT_MASTER_KEY")? {
            let key = MasterKey::from_base64(key.expose())
                .map_err(|error| ConfigError(format!("AUTH_AGENT_MASTER_KEY {error}")))?;
            self.master_key = Some(key);
        }
        Ok(())
    }
}

/// A secret from the environment. White space around it is forgiven; what is left must be printable
/// ASCII, as every key is, and set to nothing is taken for a mistake.
///
/// # Errors
///
/// [`ConfigError`] names the variable, never its value.
#[expect(clippy::disallowed_methods, reason = "this is where settings come in")]
pub fn environment_secret(name: &str) -> Result<Option<Secret>, ConfigError> {
    let text = match env::var(name) {
        Ok(text) => Secret::from(text),
        Err(env::VarError::NotPresent) => return Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            return Err(ConfigError(format!("{name} is not text")));
        }
    };
    let trimmed = text.expose().trim();
    if trimmed.is_empty() {
        return Err(ConfigError(format!(
            "{name} is set but empty: give it a value or unset it"
        )));
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError(format!(
            "{name} holds white space or an unprintable character"
        )));
    }
    Ok(Some(Secret::from(trimmed.to_owned())))
}
