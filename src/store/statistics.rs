//! Counts for everybody to see.

use sqlx::Row;

use super::{Store, StoreError, as_u64, on, sql};

/// Counts for everybody to see.
#[derive(Debug, Clone, Copy)]
pub struct Statistics {
    /// Agents registered.
    pub agents: u64,
    /// Clients registered.
    pub clients: u64,
    /// Sign-ins so far.
    pub sign_ins: u64,
}

impl Store {
    /// The counts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn statistics(&self) -> Result<Statistics, StoreError> {
        on!(Pool, &self.pool, sql::STATISTICS, |c, sql| {
            let row = sqlx::query(sql).fetch_one(c).await?;
            Ok(Statistics {
                agents: as_u64(row.try_get("agents")?),
                clients: as_u64(row.try_get("clients")?),
                sign_ins: as_u64(row.try_get("sign_ins")?),
            })
        })
    }
}
