//! Drives a server: many workers, for a while, each doing one thing over and over.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet};

use super::{
    client::{Error, Result},
    flow::{STEPS, Steps, Worker},
    servers::{Party, Server},
};

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Whole sign-ins.
    Flow,
    /// Asking about one access token.
    Introspect,
    /// Rotating one grant's refresh token.
    Refresh,
    /// The smallest call there is.
    Nothing,
}

/// What came of it.
pub(crate) struct Load {
    /// Units of work done in a second.
    pub(crate) per_second: f64,
    /// The 99th percentile of the time for one, in ms.
    pub(crate) p99: f64,
    /// For whole sign-ins the mean of each step, in µs.
    pub(crate) steps: [f64; STEPS.len()],
    /// Processor time of the server for one, in µs.
    pub(crate) cpu: f64,
}

struct Done {
    times: Vec<Duration>,
    steps: Steps,
    per_second: f64,
}

/// Has `workers` workers do that work for `length`, each as a party of its own as far as there are
/// that many. Every worker does it once before the clock starts.
pub(crate) async fn drive(
    server: &Server,
    parties: &[Arc<Party>],
    work: Work,
    workers: usize,
    length: Duration,
) -> Result<Load> {
    let ready = Arc::new(Barrier::new(workers + 1));
    let mut tasks = JoinSet::new();
    for n in 0..workers {
        let party = Arc::clone(&parties[n % parties.len()]);
        let (to, ready) = (server.address, Arc::clone(&ready));
        tasks.spawn(async move {
            let prepared = prepare(to, party, work).await;
            // Also when that failed: the others wait.
            ready.wait().await;
            repeat(prepared?, work, length).await
        });
    }
    ready.wait().await;
    let before = server.usage().cpu;
    let mut all = Done {
        times: Vec::new(),
        steps: Steps::default(),
        per_second: 0.0,
    };
    while let Some(done) = tasks.join_next().await {
        let done = done??;
        all.times.extend(done.times);
        all.per_second += done.per_second;
        for (sum, step) in all.steps.iter_mut().zip(done.steps) {
            *sum += step;
        }
    }
    let count = all.times.len() as f64;
    Ok(Load {
        per_second: all.per_second,
        p99: percentile(&mut all.times, 0.99).as_secs_f64() * 1e3,
        steps: all.steps.map(|step| step.as_secs_f64() * 1e6 / count),
        cpu: (server.usage().cpu - before) * 1e6 / count,
    })
}

struct Prepared {
    worker: Worker,
    access_token: String,
    refresh_token: String,
}

async fn prepare(to: SocketAddr, party: Arc<Party>, work: Work) -> Result<Prepared> {
    let mut worker = Worker::new(to, party).await?;
    if work == Work::Flow {
        worker.flow().await?;
    }
    let (access_token, refresh_token) = match work {
        Work::Introspect | Work::Refresh => worker.sign_in().await?,
        Work::Flow | Work::Nothing => Default::default(),
    };
    Ok(Prepared {
        worker,
        access_token,
        refresh_token,
    })
}

async fn repeat(prepared: Prepared, work: Work, length: Duration) -> Result<Done> {
    let Prepared {
        mut worker,
        access_token,
        mut refresh_token,
    } = prepared;
    let mut done = Done {
        times: Vec::new(),
        steps: Steps::default(),
        per_second: 0.0,
    };
    let start = Instant::now();
    loop {
        let began = Instant::now();
        match work {
            Work::Flow => {
                let steps = worker.flow().await?;
                for (sum, step) in done.steps.iter_mut().zip(steps) {
                    *sum += step;
                }
            }
            Work::Introspect => worker.introspect(&access_token).await?,
            Work::Refresh => refresh_token = worker.refresh(&refresh_token).await?,
            Work::Nothing => worker.nothing().await?,
        }
        done.times.push(began.elapsed());
        let elapsed = start.elapsed();
        if elapsed >= length {
            done.per_second = done.times.len() as f64 / elapsed.as_secs_f64();
            return Ok(done);
        }
    }
}

/// How soon the browser knows that the agent authenticated, in ms at the median and at the 99th
/// percentile of `samples` sign-ins, one after the other, while `pages` other pages wait.
pub(crate) async fn push_latency(
    server: &Server,
    party: &Arc<Party>,
    pages: usize,
    samples: usize,
) -> Result<(f64, f64)> {
    const AT_ONCE: usize = 16;
    let mut opening = JoinSet::new();
    for n in 0..AT_ONCE.min(pages) {
        let (to, party) = (server.address, Arc::clone(party));
        opening.spawn(async move {
            let mut waiting = Vec::new();
            for _ in (n..pages).step_by(AT_ONCE) {
                let mut worker = Worker::new(to, Arc::clone(&party)).await?;
                worker.wait().await?;
                // Only the stream stays open.
                waiting.push(worker.into_stream());
            }
            Ok::<_, Error>(waiting)
        });
    }
    let mut waiting = Vec::with_capacity(pages);
    while let Some(opened) = opening.join_next().await {
        waiting.extend(opened??);
    }
    let mut worker = Worker::new(server.address, Arc::clone(party)).await?;
    let mut times = Vec::with_capacity(samples);
    for n in 0..=samples {
        let page = worker.wait().await?;
        let (took, _) = worker.authenticate(&page).await?;
        // The first finds a cold secret.
        if n > 0 {
            times.push(took);
        }
    }
    drop(waiting);
    let mut at = |part| percentile(&mut times, part).as_secs_f64() * 1e3;
    Ok((at(0.5), at(0.99)))
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * part).ceil() as usize;
    times
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}
