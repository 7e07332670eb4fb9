//! The keys as time goes on: what other nodes do with them, who asks for one, and the steps that are due.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{KeysError, LiveKeys, NotLoaded};
use crate::{domain::DueStep, edge, store::StoreError};

/// How often to look whether another node has changed a key, and whether a step is due.
const PACE: Duration = Duration::from_secs(1);
/// How often to look for due steps where none is known to come.
const SLOW_PACE: Duration = Duration::from_secs(30);
/// How often keys are loaded at most because somebody presented what names an unknown one.
const ASKED_PACE: Duration = Duration::from_millis(250);

/// Steps that are to come, each with the time of this process before which it is not taken. A clock that
/// jumps ahead makes it due, and yet nobody has had the time to fetch a key, nor has a token ended.
#[derive(Default)]
struct Steps(HashMap<(String, DueStep), Duration>);

impl Steps {
    /// Whether what was `left` until a step when it was first heard of has passed by `now`.
    fn have_been_awaited(
        &mut self,
        id: &str,
        step: DueStep,
        left: Duration,
        now: Duration,
    ) -> bool {
        let from = self.0.entry((id.to_owned(), step)).or_insert(now + left);
        now >= *from
    }
}

impl LiveKeys {
    /// Follows what other nodes do, answers those who ask, and takes the steps that are due.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        tokio::join!(self.follow(&stop), self.answer(&stop));
    }

    async fn follow(&self, stop: &CancellationToken) {
        let mut slept = Duration::ZERO;
        let mut steps = Steps::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PACE) => slept += PACE,
            }
            let went_on = async {
                if self.store.is_shared() {
                    self.store.check_seal().await?;
                    let mark = self.loaded.lock().await.mark;
                    if self.store.keys_mark().await? != mark {
                        self.reload().await?;
                    }
                }
                let last = self.loaded.lock().await.clone();
                let may = |id: &str, step, left| {
                    let usable = step != DueStep::Activate || !last.unreadable.contains(id);
                    steps.have_been_awaited(id, step, left, edge::elapsed()) && usable
                };
                if (last.awaits || slept >= SLOW_PACE)
                    && self.store.take_due_steps(&self.schedule, may).await?
                {
                    self.reload().await?;
                }
                Ok::<_, KeysError>(())
            };
            match went_on.await {
                Ok(()) => {}
                Err(KeysError::Store(error @ StoreError::Resealed)) => {
                    tracing::error!(%error, "stopping");
                    stop.cancel();
                }
                Err(KeysError::Store(error)) if !error.is_news("keys") => {
                    tracing::debug!(%error, "the keys could not be followed");
                }
                Err(error) => tracing::warn!(%error, "the keys could not be followed"),
            }
            if slept >= SLOW_PACE {
                slept = Duration::ZERO;
            }
        }
    }

    async fn answer(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
            }
            let loaded = self.reload().await.map_err(|error| {
                match error {
                    KeysError::Store(error) if !error.is_news("asked for keys") => {
                        tracing::debug!(%error, "the keys could not be loaded");
                    }
                    error => tracing::warn!(%error, "the keys could not be loaded"),
                }
                NotLoaded
            });
            self.answered.send_modify(|answer| *answer = loaded);
            tokio::time::sleep(ASKED_PACE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_awaited_by_a_clock_that_does_not_jump() {
        let seconds = Duration::from_secs;
        let mut steps = Steps::default();
        assert!(!steps.have_been_awaited("a", DueStep::Activate, seconds(60), seconds(100)));
        // The clock has jumped: it would be due.
        assert!(!steps.have_been_awaited("a", DueStep::Activate, seconds(0), seconds(101)));
        assert!(!steps.have_been_awaited("a", DueStep::Activate, seconds(0), seconds(159)));
        assert!(steps.have_been_awaited("a", DueStep::Activate, seconds(0), seconds(160)));
        // What is due when it is heard of first, as after a start, was awaited before.
        assert!(steps.have_been_awaited("b", DueStep::Activate, seconds(0), seconds(100)));
        assert!(!steps.have_been_awaited("a", DueStep::Retire, seconds(1), seconds(160)));
    }
}
