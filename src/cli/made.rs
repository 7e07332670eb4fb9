//! What a server made, with a secret that it shows once.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Failure, Output, output::one_line, secret::SecretFile};

/// The file that a secret is to go into, if one is named: made before anything else is done.
pub(crate) fn secret_file(path: Option<&Path>) -> Result<Option<SecretFile>, Failure> {
    path.map(SecretFile::create).transpose()
}

/// What a server created, with its secret where it belongs.
pub(crate) struct Made {
    /// The answer, without the secret when that went into a file.
    pub(crate) answer: Value,
    secret_field: &'static str,
    secret_file: Option<PathBuf>,
}

impl Made {
    /// Puts the secret into the file, if there is one.
    pub(crate) fn keep(
        mut answer: Value,
        secret_field: &'static str,
        file: Option<SecretFile>,
        path: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        if let (Some(file), Some(path)) = (file, &path) {
            let secret = answer[secret_field].as_str().unwrap_or_default();
            file.write(secret).map_err(|error| {
                let path = path.display();
                Failure::failed(format!(
                    "done, but the new secret is lost: {path}: {error}: make another"
                ))
            })?;
            if let Some(fields) = answer.as_object_mut() {
                fields.remove(secret_field);
                // Whoever reads this JSON later may stand in another folder.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                fields.insert("secret_file".to_owned(), json!(path));
            }
        }
        Ok(Self {
            answer,
            secret_field,
            secret_file: path,
        })
    }

    /// A text of the answer.
    pub(crate) fn text(&self, field: &str) -> String {
        one_line(self.answer[field].as_str().unwrap_or_default())
    }

    /// Shows the secret this once, or says where it is; after the answer was told to programs.
    ///
    /// # Errors
    ///
    /// When nobody was reached: there is no other time.
    pub(crate) fn tell_secret(&self, label: &str, output: Output) -> Result<(), Failure> {
        let is_shown = self.answer[self.secret_field].is_string();
        match (&self.secret_file, self.answer[self.secret_field].as_str()) {
            (Some(path), _) => output.line(format!("  {label} in {}", path.display())),
            (None, Some(secret)) => {
                output.line(format!("  {label} {} (shown this once)", one_line(secret)));
            }
            (None, None) => {}
        }
        match output.untold().filter(|_| is_shown) {
            Some(error) => Err(Failure::failed(format!(
                "done, but the new secret is lost: standard output: {error}: make another"
            ))),
            None => Ok(()),
        }
    }
}
