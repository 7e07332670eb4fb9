//! The way to the writer, and back.

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use crate::{
    store::{StoreError, append::Append, batch::Answer},
    trace,
};

/// A command, and who waits for its answer.
pub(super) type Job = (Append, oneshot::Sender<Answer>);

/// The way to the writer.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    jobs: mpsc::Sender<Job>,
}

impl WriterHandle {
    pub(super) const fn new(jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs }
    }

    /// Has it all committed, or none of it.
    pub(crate) async fn append(&self, append: Append) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send((append, answer))
            .await
            .map_err(|_| StoreError::Stopped)?;
        let answered = answered.instrument(trace::commit());
        answered.await.map_err(|_| StoreError::Stopped)?
    }

    /// Commands that wait.
    pub(crate) fn queued(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }
}
