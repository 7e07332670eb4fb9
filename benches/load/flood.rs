//! A bad minute: wrong secrets and pages that nobody waits for, from a great many addresses, while
//! others sign in. `cargo bench --bench load -- flood`.
//!
//! The flood has a fixed rate and costs the generator's share of the machine too, so the undisturbed
//! throughput is measured with the very same flood going to the null server.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{
    client::{Connection, Error, Result},
    drive::{Load, Work, drive},
    flow::link,
    report::Report,
    servers::{Party, Server, calling_from, forwarded, look, register},
};

/// Calls of each kind in a second.
const RATE: u32 = 500;
/// Who sends them.
const FLOODERS: u32 = 16;
/// Agents that sign in meanwhile, few enough for none to come to a limit of its own.
const AGENTS: usize = 64;
/// Websites that they sign in to, for the same reason; one more is flooded.
const WEBSITES: usize = 8;

/// Measures `repetitions` times for `length`, and adds it to the report.
pub(crate) async fn flood(
    folder: &Path,
    repetitions: usize,
    length: Duration,
    report: &mut Report,
) -> Result<()> {
    let server = Server::auth_agent_with(folder, &["--trusted-proxies", "127.0.0.1/32"]).await?;
    let null = Server::null()?;
    let websites = register(&server, &["ES256"; WEBSITES + 1], AGENTS).await?;
    let victim = Arc::clone(&websites[WEBSITES][0]);
    let parties: Vec<Arc<Party>> = (0..AGENTS)
        .map(|n| calling_from(&websites[n % WEBSITES][n], 0x0a00_0000 + n as u32))
        .collect();
    drive(
        &server,
        &parties,
        Work::Flow,
        AGENTS,
        length.min(Duration::from_secs(5)),
    )
    .await?;
    for repetition in 1..=repetitions {
        eprintln!("flood, repetition {repetition} of {repetitions}");
        let (calm, _) = signing_in(&server, &parties, &null, &victim, length).await?;
        let before = server.usage().memory;
        let (stormy, answers) = signing_in(&server, &parties, &server, &victim, length).await?;
        let after = server.usage().memory;
        report.add(FLOWS, CALM, calm.per_second);
        report.add(FLOWS, STORMY, stormy.per_second);
        report.ratio(
            "flows during the flood, to undisturbed",
            (FLOWS, STORMY),
            (FLOWS, CALM),
        );
        report.add(WITHIN, CALM, calm.p99);
        report.add(WITHIN, STORMY, stormy.p99);
        report.add(MEMORY, "before a flood", before);
        report.add(MEMORY, "after it", after);
        for (name, count) in answers.named() {
            report.add(
                "answers to the flood, a second",
                name,
                count / length.as_secs_f64(),
            );
        }
    }
    // The wrong secrets alone, with nobody else about: what the log grows by.
    let before = events(&server).await?;
    let storm = Storm::over(&server, &victim, false);
    tokio::time::sleep(length.min(Duration::from_secs(10))).await;
    let answers = storm.end().await?;
    let guesses = answers.named().iter().map(|(_, count)| count).sum();
    report.add("wrong secrets and the log", "wrong secrets", guesses);
    let grown = events(&server).await? - before;
    report.add(
        "wrong secrets and the log",
        "events that they left",
        grown as f64,
    );
    Ok(())
}

const FLOWS: &str = "flows a second, flood of 500 wrong secrets and 500 pages a second";
const WITHIN: &str = "99 % of flows within, the same, ms";
const MEMORY: &str = "memory of auth-agent, flooded, MiB";
const CALM: &str = "the null server is flooded";
const STORMY: &str = "auth-agent is flooded";

async fn signing_in(
    server: &Server,
    parties: &[Arc<Party>],
    flooded: &Server,
    victim: &Arc<Party>,
    length: Duration,
) -> Result<(Load, Answers)> {
    let storm = Storm::over(flooded, victim, true);
    let load = drive(server, parties, Work::Flow, AGENTS, length).await;
    let answers = storm.end().await?;
    Ok((load?, answers))
}

/// Events in the log, readings of it left out.
async fn events(server: &Server) -> Result<u64> {
    let mut connection = Connection::open(server.address).await?;
    let (mut after, mut count) = ("0".to_owned(), 0);
    loop {
        let page = look(
            &mut connection,
            &format!("audit-log?limit=500&after={after}"),
        )
        .await?;
        let items = page["items"].as_array().ok_or("no items")?;
        count += items
            .iter()
            .filter(|event| event["type"] != "AuditLogRead")
            .count() as u64;
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(count),
        }
    }
}

/// How often the flood was answered how.
#[derive(Default)]
struct Answers([AtomicU64; 4]);

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

    fn named(&self) -> [(&'static str, f64); 4] {
        std::array::from_fn(|n| (Self::NAMES[n], self.0[n].load(Ordering::Relaxed) as f64))
    }
}

/// A flood that goes on until it is ended.
struct Storm {
    stop: Arc<AtomicBool>,
    answers: Arc<Answers>,
    tasks: JoinSet<Result<()>>,
}

impl Storm {
    fn over(server: &Server, victim: &Arc<Party>, pages: bool) -> Self {
        static ADDRESS: AtomicU32 = AtomicU32::new(0x1400_0000);
        let (stop, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Answers::default()),
        );
        let mut tasks = JoinSet::new();
        for _ in 0..FLOODERS {
            let (to, victim) = (server.address, Arc::clone(victim));
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            tasks.spawn(async move {
                let mut connection = Connection::open(to).await?;
                let path = link(&victim.client_id);
                let pause = Duration::from_secs(1) * FLOODERS / RATE;
                let mut next = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    // Two in three from an address never seen before.
                    let from = || {
                        let number = ADDRESS.fetch_add(1, Ordering::Relaxed);
                        forwarded(if number.is_multiple_of(3) {
                            0x1e00_0001
                        } else {
                            number
                        })
                    };
                    let body = json!({
                        "request_id": format!("req_{:032x}", 1), "agent_id": victim.agent.id,
                        "agent_secret": "x".repeat(57), "model": "claude-opus-4",
                    });
                    let guess = connection
                        .post(
                            "/api/agent/authenticate",
                            &from(),
                            "application/json",
                            &body.to_string(),
                        )
                        .await?;
                    answers.count(guess.status);
                    if pages {
                        answers.count(connection.get(&path, &from()).await?.status);
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

    async fn end(mut self) -> Result<Answers> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Arc::into_inner(self.answers).ok_or_else(|| Error::from("the flood goes on"))
    }
}
