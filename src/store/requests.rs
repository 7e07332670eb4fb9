//! Requests by their ids.

use sqlx::Row;

use super::{Store, StoreError, on, sql};
use crate::domain::{AuthRequest, RequestId};

impl Store {
    /// The folds of those requests that there are, whatever their order, by one statement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn requests(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<(RequestId, AuthRequest)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = serde_json::to_string(ids)?;
        on!(Pool, &self.pool, sql::REQUEST_ROWS, |c, sql| {
            let rows = sqlx::query(sql).bind(ids).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    let id: String = row.try_get("id")?;
                    let state: String = row.try_get("state")?;
                    let id = id
                        .parse()
                        .map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                    Ok((id, serde_json::from_str(&state)?))
                })
                .collect()
        })
    }
}
