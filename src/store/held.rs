//! Requests that a browser says it holds.

use sqlx::Row;

use super::{Store, StoreError, on, sql};
use crate::domain::{AuthRequest, RequestId};

/// A request by its id.
pub struct HeldRequest {
    /// Its id.
    pub id: RequestId,
    /// The fold of it.
    pub state: AuthRequest,
    /// Keyed hash of all parameters that it was opened with, until it ends.
    pub parameters_mac: Option<String>,
}

impl Store {
    /// Those requests that there are, in no order, by one statement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn held_requests(&self, ids: &[RequestId]) -> Result<Vec<HeldRequest>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = serde_json::to_string(ids)?;
        on!(Pool, &self.pool, sql::HELD_REQUESTS, |c, sql| {
            let rows = sqlx::query(sql).bind(ids).fetch_all(c).await?;
            rows.iter()
                .map(|row| {
                    let (id, body): (String, String) = (row.try_get("id")?, row.try_get("body")?);
                    Ok(HeldRequest {
                        id: id
                            .parse()
                            .map_err(|error| StoreError::Corrupt(format!("{error}")))?,
                        state: serde_json::from_str(&body)?,
                        parameters_mac: row.try_get("parameters_mac")?,
                    })
                })
                .collect()
        })
    }
}
