//! What goes on beside the requests, and what ends the server when it does not.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::app::{AFTERLIFE, App};
use crate::store::{Store, StoreError};

/// How often what the vault need not keep is removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How long daily address keys are kept, as long as the events whose hashes they made.
const ADDRESS_KEY_RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Waits for `stop`. A part that ends by a panic would be missed only later, and quietly: the server
/// stops then, and whoever started it starts it again.
pub(super) async fn until_a_part_fails(parts: &mut JoinSet<()>, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = parts.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a part of the server failed: stopping");
                stop.cancel();
            }
        }
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
        let (mut parts, stop) = (JoinSet::new(), CancellationToken::new());
        parts.spawn(async {});
        let until_stopped = stop.clone();
        parts.spawn(async move { until_stopped.cancelled().await });
        {
            let mut waiting = std::pin::pin!(until_a_part_fails(&mut parts, &stop));
            for _ in 0..10 {
                tokio::task::yield_now().await;
                assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            }
        }
        parts.spawn(async { panic!("on purpose") });
        until_a_part_fails(&mut parts, &stop).await;
        assert!(stop.is_cancelled());
    }
}
