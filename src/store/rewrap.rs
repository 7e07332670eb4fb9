//! A new master key: everything that is sealed is sealed anew, in one transaction, while nothing else
//! has the database.

use serde_json::json;
use sqlx::Row;

use super::{
    MASTER_KEY_FINGERPRINT, StoreError,
    batch::sealed_under,
    database::{Writable, on},
    lock::FileLock,
    maintenance::{existing, number},
    sql, sqlite_file,
};

/// Rows sealed anew at a time.
const PAGE: i64 = 500;

/// A database that nobody else has, in a transaction that has begun. Dropped, it leaves everything as it
/// was.
pub struct Rewrap {
    connection: Writable,
    fingerprint: Option<String>,
    _lock: Option<FileLock>,
}

impl Rewrap {
    /// Takes the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoDatabase`] when there is none, [`StoreError::Locked`] and
    /// [`StoreError::Connected`] while a server has it.
    pub async fn begin(url: &str) -> Result<Self, StoreError> {
        let mut connection = existing(url).await?;
        let lock = sqlite_file(url)
            .map(|file| FileLock::take(&file))
            .transpose()?;
        connection.begin().await?;
        if matches!(connection, Writable::Postgres(_)) {
            let others = number(&mut connection, sql::OTHER_CONNECTIONS).await?;
            if others > 0 {
                return Err(StoreError::Connected(others));
            }
        }
        let fingerprint = sealed_under(&mut connection).await?;
        Ok(Self {
            connection,
            fingerprint,
            _lock: lock,
        })
    }

    /// Fingerprint of the master key that everything is sealed under.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Seals everything anew. `reseal` is given what a text is sealed for, and the text. Yields how many
    /// there were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] names what could not be opened; then nothing is changed.
    pub async fn reseal(
        &mut self,
        fingerprint: &str,
        mut reseal: impl FnMut(&str, &str) -> Option<String>,
    ) -> Result<u64, StoreError> {
        let connection = &mut self.connection;
        let mut done = 0;
        for sealed in sql::SEALED {
            let mut after = String::new();
            loop {
                let page: Vec<(String, String)> =
                    on!(Writable, &mut *connection, sealed.page, |c, sql| {
                        let rows = sqlx::query(sql)
                            .bind(&after)
                            .bind(PAGE)
                            .fetch_all(c)
                            .await?;
                        rows.iter()
                            .map(|row| Ok((row.try_get("name")?, row.try_get("sealed")?)))
                            .collect::<Result<_, sqlx::Error>>()?
                    });
                let Some((last, _)) = page.last() else { break };
                after.clone_from(last);
                let mut rows = Vec::with_capacity(page.len());
                for (name, text) in &page {
                    let context = format!("{}/{name}", sealed.kind);
                    let text = reseal(&context, text)
                        .ok_or_else(|| StoreError::Corrupt(format!("{context} does not open")))?;
                    rows.push(json!({ "name": name, "sealed": text }));
                }
                let rows = json!(rows).to_string();
                done += connection.run(sealed.update, Some(&rows)).await?;
            }
        }
        let row = json!([{ "name": MASTER_KEY_FINGERPRINT, "sealed": fingerprint }]).to_string();
        connection
            .run(sql::UPDATE_SERVER_VALUES, Some(&row))
            .await?;
        Ok(done)
    }

    /// Makes it so. The database stays taken until the answer is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the answer did not come: look which master key fits.
    pub async fn commit(mut self) -> Result<impl Send, StoreError> {
        self.connection.run(sql::COMMIT, None).await?;
        self.connection.close().await;
        Ok(self._lock)
    }
}
