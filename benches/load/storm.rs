//! Strangers: wrong secrets, and pages that nobody waits for, from a great many addresses at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    client::{Connection, Error, Response, Result},
    flow::link,
    servers::{Party, Server, forwarded},
};

/// Calls of each kind in a second.
pub(crate) const RATE: u32 = 500;
/// Who sends them.
const FLOODERS: u32 = 16;

/// How often a flood was answered how.
#[derive(Default)]
pub(crate) struct Answers([AtomicU64; 4]);

impl Answers {
    const NAMES: [&'static str; 4] = ["200", "401", "429", "others"];

    fn count(&self, status: u16) {
        let n = match status {
            200 => 0,
            401 => 1,
            429 => 2,
            _ => 3,
        };
        self.0[n].fetch_add(1, Ordering::Relaxed);
    }

    /// By status.
    pub(crate) fn named(&self) -> [(&'static str, f64); 4] {
        std::array::from_fn(|n| (Self::NAMES[n], self.0[n].load(Ordering::Relaxed) as f64))
    }

    /// All of them.
    pub(crate) fn total(&self) -> f64 {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

/// A flood that goes on until it is ended.
pub(crate) struct Storm {
    stop: CancellationToken,
    answers: Arc<Answers>,
    tasks: JoinSet<Result<()>>,
}

impl Storm {
    /// Guesses the secret of the victim's agent and, where `pages` says so, opens pages of its website.
    pub(crate) fn over(server: &Server, victim: &Arc<Party>, pages: bool) -> Self {
        let (stop, answers) = (CancellationToken::new(), Arc::new(Answers::default()));
        let mut tasks = JoinSet::new();
        for _ in 0..FLOODERS {
            let (to, victim) = (server.address, Arc::clone(victim));
            let (stop, answers) = (stop.clone(), Arc::clone(&answers));
            tasks.spawn(async move {
                let mut connection = Connection::open(to).await?;
                let path = link(&victim.client_id);
                let pause = Duration::from_secs(1) * FLOODERS / RATE;
                let mut next = Instant::now();
                while !stop.is_cancelled() {
                    let (id, from) = (&victim.agent.id, address());
                    let guess = wrong_secret(&mut connection, id, &from).await?;
                    answers.count(guess.status);
                    if pages {
                        answers.count(connection.get(&path, &address()).await?.status);
                    }
                    next += pause;
                    tokio::time::sleep_until(next).await;
                }
                Ok(())
            });
        }
        Self {
            stop,
            answers,
            tasks,
        }
    }

    /// Ends it; what it was answered.
    pub(crate) async fn end(mut self) -> Result<Answers> {
        self.stop.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Arc::into_inner(self.answers).ok_or_else(|| Error::from("the flood goes on"))
    }
}

/// Where the next call of a flood comes from: two in three from an address never seen before.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0x1400_0000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    forwarded(if number.is_multiple_of(3) {
        0x1e00_0001
    } else {
        number
    })
}

/// Somebody who guesses the secret of an agent; `headers` are whole lines.
pub(crate) async fn wrong_secret(
    connection: &mut Connection,
    agent_id: &str,
    headers: &str,
) -> Result<Response> {
    let body = json!({
        "request_id": format!("req_{:032x}", 1), "agent_id": agent_id,
        "agent_secret": "x".repeat(57), "model": "claude-opus-4",
    });
    let body = body.to_string();
    let path = "/api/agent/authenticate";
    connection
        .post(path, headers, "application/json", &body)
        .await
}
