//! The streams of each day: what administrators do to the server itself, and what is done to the log.

use super::{Append, MAX_RETRIES, Store, StoreError, as_u64, on, sql};
use crate::{
    domain::{AdministrationFact, Fact, MaintenanceFact, Metadata, StreamId},
    edge,
};
use jiff::Timestamp;
use sqlx::Row;

impl Store {
    /// Appends a fact to the administration of today, UTC.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn administered(
        &self,
        fact: AdministrationFact,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        self.today(
            StreamId::administration,
            &Fact::Administration(fact),
            metadata,
        )
        .await
    }

    /// Appends a fact to the maintenance of today, UTC.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when nothing was committed.
    pub async fn maintained(
        &self,
        fact: MaintenanceFact,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        self.today(StreamId::maintenance, &Fact::Maintenance(fact), metadata)
            .await
    }

    /// It depends on nothing that was read, so it follows whatever others append meanwhile.
    async fn today(
        &self,
        stream: fn(Timestamp) -> StreamId,
        fact: &Fact,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_RETRIES {
            let stream = stream(self.now().await?);
            let version = self.version(&stream).await?;
            let fact = (edge::new_event_id(), fact.clone());
            let mut append = Append::by(metadata)?;
            append.facts(stream, version, None, [fact])?;
            match self.writer.append(append).await {
                Err(StoreError::Conflict) => {}
                done => return done.map(drop),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The version of a stream's last event; 0 when it has none.
    pub(super) async fn version(&self, stream: &StreamId) -> Result<u64, StoreError> {
        on!(Pool, &self.pool, sql::VERSION, |c, sql| {
            let row = sqlx::query(sql)
                .bind(stream.to_string())
                .fetch_one(c)
                .await?;
            Ok(as_u64(row.try_get("number")?))
        })
    }
}
