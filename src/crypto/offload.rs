//! Heavy computations off the async runtime, behind two bounds: how many run, and how many wait.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much is being computed that no more may wait; or the process is shutting down. Come again
/// later (429 or 503 with `Retry-After`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many computations are waiting")]
pub struct Busy;

/// At most `permits` computations run and at most `queue` wait; the next is refused at once.
#[derive(Debug)]
pub(super) struct Offload {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    permits: usize,
    queue: usize,
    /// How many found no place.
    refused: AtomicU64,
}

/// How much is being computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Computations that run.
    pub running: usize,
    /// Computations that wait.
    pub waiting: usize,
}

impl Offload {
    /// `permits` of 0 counts as 1.
    pub(super) fn new(permits: usize, queue: usize) -> Self {
        let permits = permits.clamp(1, Semaphore::MAX_PERMITS / 2);
        let queue = queue.min(Semaphore::MAX_PERMITS / 2);
        Self {
            admitted: Arc::new(Semaphore::new(permits + queue)),
            running: Arc::new(Semaphore::new(permits)),
            permits,
            queue,
            refused: AtomicU64::new(0),
        }
    }

    /// How much is being computed.
    pub(super) fn load(&self) -> Load {
        let admitted =
            (self.permits + self.queue).saturating_sub(self.admitted.available_permits());
        let running = self
            .permits
            .saturating_sub(self.running.available_permits());
        Load {
            running,
            waiting: admitted.saturating_sub(running),
        }
    }

    /// How many found no place in the queue.
    pub(super) fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place in the queue, however long that takes: for work that has been promised already.
    pub(super) async fn admit_in_turn(&self) -> Result<Place, Busy> {
        let admitted = Arc::clone(&self.admitted)
            .acquire_owned()
            .await
            .map_err(|_| Busy)?;
        Ok(Place {
            admitted,
            running: Arc::clone(&self.running),
        })
    }

    /// A place in the queue, or the news that there is none.
    pub(super) fn admit(&self) -> Result<Place, Busy> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Busy
            })?;
        Ok(Place {
            admitted,
            running: Arc::clone(&self.running),
        })
    }
}

/// A place in the queue. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Place {
    admitted: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

impl Place {
    /// Waits for its turn.
    pub(super) async fn turn(self) -> Result<Turn, Busy> {
        let running = self.running.acquire_owned().await.map_err(|_| Busy)?;
        Ok(Turn {
            permits: (self.admitted, running),
        })
    }
}

/// The right to compute now.
#[derive(Debug)]
pub(super) struct Turn {
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Turn {
    /// Runs `work` on a thread that may block. The permits travel with the work, so they come back
    /// when it ends, even by a panic, and not before it ends, even if nobody awaits it any more.
    pub(super) async fn run<T, F>(self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permits = self.permits;
        tokio::task::spawn_blocking(move || {
            let _permits = permits;
            work()
        })
        .await
        .map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn over_the_bound_is_busy_at_once() {
        let offload = Offload::new(1, 2);
        let places: Vec<_> = (0..3).map(|_| offload.admit().unwrap()).collect();
        assert_eq!(offload.admit().err(), Some(Busy));
        drop(places);
        assert!(offload.admit().is_ok());
        assert_eq!(offload.refusals(), 1);
    }

    #[tokio::test]
    async fn a_panic_gives_its_permits_back() {
        let offload = Offload::new(1, 0);
        for _ in 0..3 {
            let turn = offload.admit().unwrap().turn().await.unwrap();
            let outcome: Result<(), Busy> = turn.run(|| panic!("on purpose")).await;
            assert_eq!(outcome, Err(Busy));
        }
        let turn = offload.admit().unwrap().turn().await.unwrap();
        assert_eq!(turn.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn permits_stay_with_work_that_nobody_awaits_any_more() {
        let offload = Offload::new(1, 0);
        let turn = offload.admit().unwrap().turn().await.unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(turn.run(move || (begin.send(()), released.recv())));
        begun.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(offload.admit().err(), Some(Busy));
        release.send(()).unwrap();
        while offload.admit().is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_gives_its_place_up() {
        let offload = Offload::new(1, 1);
        let running = offload.admit().unwrap().turn().await.unwrap();
        let waiting = tokio::spawn(offload.admit().unwrap().turn());
        tokio::task::yield_now().await;
        assert_eq!(offload.admit().err(), Some(Busy));
        waiting.abort();
        assert!(waiting.await.is_err());
        assert!(offload.admit().is_ok());
        drop(running);
    }
}
