//! How long an answer is waited for.

use std::{future::Future, io, time::Duration};

use super::{StoreError, database::Writable, sql};

/// One statement that answers nothing, within the connection's patience.
pub(super) async fn patient(connection: &mut Writable, text: sql::Text) -> Result<(), StoreError> {
    within(connection.patience(), async {
        Ok(connection.run(text, None).await.map(drop)?)
    })
    .await
}

/// A database that does not answer at all is one that cannot be reached: the network may have gone
/// silent, and then no timeout of the database's own is ever heard of.
pub(super) async fn within<T>(
    patience: Duration,
    doing: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(patience, doing)
        .await
        .unwrap_or_else(|_| Err(timed_out().into()))
}

/// What is told of a database that does not answer in time.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}
