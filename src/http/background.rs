//! What goes on beside the requests, and what ends the server when it does not.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::app::{AFTERLIFE, App};
use crate::store::{Store, StoreError};

/// How often what the vault need not keep is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long daily address keys are kept, as long as the events whose hashes they made.
const ADDRESS_KEY_RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What a server consists of, each part under the name that the log calls it by.
#[derive(Default)]
pub(super) struct Parts {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Parts {
    /// Lets a part run.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.names.insert(self.running.spawn(part).id(), name);
    }

    /// Waits for `stop`. A part that ends by a panic would be missed only later, and quietly: the
    /// server stops then, and whoever started it starts it again.
    pub(super) async fn until_one_fails(&mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = self.running.join_next() => if let Err(error) = ended {
                    let part = self.names.get(&error.id()).copied();
                    tracing::error!(part, %error, "a part of the server failed: stopping");
                    stop.cancel();
                }
            }
        }
    }

    /// Waits until all have ended, for no longer than this, and ends what is left; whether there was
    /// nothing.
    pub(super) async fn finish(mut self, within: Duration) -> bool {
        let all = async { while self.running.join_next().await.is_some() {} };
        let finished = tokio::time::timeout(within, all).await.is_ok();
        self.running.shutdown().await;
        finished
    }
}

/// A server whose writer has ended can do nothing any more: it stops, and whoever started it starts
/// it again.
pub(super) async fn end_with_the_writer(store: Arc<Store>, stop: CancellationToken) {
    let mut head = store.head();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = head.changed() => if changed.is_err() { break },
        }
    }
    tracing::error!("the writer has ended: stopping");
    stop.cancel();
}

/// Removes what has ended, until `stop`.
pub(super) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        app.limits.sweep();
        app.pending.sweep();
        let swept = async {
            let now = app.store.now().await?;
            app.store
                .sweep(now - AFTERLIFE, now - ADDRESS_KEY_RETENTION)
                .await
        };
        match swept.await {
            Ok(()) | Err(StoreError::Stopped) => {}
            Err(error) if !error.is_news("sweep") => {
                tracing::debug!(%error, "what has ended could not be swept");
            }
            Err(error) => tracing::warn!(%error, "what has ended could not be swept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_stops_the_server_and_one_that_is_done_does_not() {
        let (mut parts, stop) = (Parts::default(), CancellationToken::new());
        parts.spawn("one", async {});
        let until_stopped = stop.clone();
        parts.spawn("two", async move { until_stopped.cancelled().await });
        {
            let mut waiting = std::pin::pin!(parts.until_one_fails(&stop));
            for _ in 0..10 {
                tokio::task::yield_now().await;
                assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            }
        }
        parts.spawn("three", async { panic!("on purpose") });
        parts.until_one_fails(&stop).await;
        assert!(stop.is_cancelled());
        assert!(parts.finish(Duration::from_secs(60)).await);
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_ended() {
        let mut parts = Parts::default();
        parts.spawn("one", std::future::pending());
        assert!(!parts.finish(Duration::from_millis(1)).await);
    }
}
