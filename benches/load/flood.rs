//! A bad minute: wrong secrets and pages that nobody waits for, from a great many addresses, while
//! others sign in. `cargo bench --bench load -- flood`.
//!
//! The flood has a fixed rate and costs the generator's share of the machine too, so the undisturbed
//! throughput, before and after, is measured with the very same flood going to the null server.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    admin::Administrator,
    client::Result,
    drive::{Load, Work, drive},
    report::{Bound, Report},
    servers::{Party, Server, calling_from, register},
    storm::{Answers, RATE, Storm},
};

/// Agents that sign in meanwhile, few enough for none to come to a limit of its own.
const AGENTS: usize = 64;
/// Websites that they sign in to, for the same reason; one more is flooded.
const WEBSITES: usize = 8;
/// How often memory is looked at during the flood.
const SAMPLES: u32 = 120;

/// The part of the undisturbed throughput that a flood must leave to others.
const LEAST_SHARE: f64 = 0.8;
/// MiB that a flood may cost: five limits with some 3 MB of counts each, and as much again.
const MOST_GROWTH: f64 = 32.0;
/// The part of its rate that the flood must have had, or it was none.
const LEAST_RATE: f64 = 0.9;

/// Floods for `length`, and adds what came of it to the report; `figures` says whether the bounds of
/// time and memory are to hold.
pub(crate) async fn flood(
    folder: &Path,
    length: Duration,
    figures: bool,
    report: &mut Report,
) -> Result<()> {
    let server = Server::auth_agent_with(folder, &["--trusted-proxies", "127.0.0.1/32"]).await?;
    let null = Server::null()?;
    let websites = register(&server, &["ES256"; WEBSITES + 1], AGENTS + 1).await?;
    // An agent that never signs in, and a website that nobody signs in to.
    let victim = Arc::clone(&websites[WEBSITES][AGENTS]);
    let parties: Vec<Arc<Party>> = (0..AGENTS)
        .map(|n| calling_from(&websites[n % WEBSITES][n], 0x0a00_0000 + n as u32))
        .collect();
    let scene = Scene {
        server: &server,
        parties: &parties,
        victim: &victim,
    };

    eprintln!("wrong secrets alone");
    scene.wrong_secrets(length / 6, report).await?;
    drive(&server, &parties, Work::Flow, AGENTS, length / 12).await?;
    eprintln!("undisturbed");
    let (before, _) = scene.signing_in(&null, length / 3).await?;
    eprintln!("flooded");
    let idle = server.usage().memory;
    let over = CancellationToken::new();
    let flooded = async {
        let done = scene.signing_in(&server, length).await;
        over.cancel();
        done
    };
    let (flooded, memory) = tokio::join!(flooded, samples(&server, length / SAMPLES, &over));
    let (during, answers) = flooded?;
    let end = server.usage().memory;
    eprintln!("undisturbed again");
    let (after, _) = scene.signing_in(&null, length / 3).await?;

    for (name, load) in [
        ("before: the null server is flooded", &before),
        ("during: auth-agent is flooded", &during),
        ("after: the null server is flooded", &after),
    ] {
        report.add(FLOWS, name, load.per_second);
        report.add(WITHIN, name, load.p99);
    }
    report.add(MEMORY, "before the flood", idle);
    for sample in &memory {
        report.add(MEMORY, "during it", *sample);
    }
    report.add(MEMORY, "when it ended", end);
    for (name, count) in answers.named() {
        let per_second = count / length.as_secs_f64();
        report.add("answers to the flood, a second", name, per_second);
    }
    // What names the agent whose secret was guessed: its registration, and nothing since.
    let mut administrator = Administrator::of(server.address).await?;
    let what = format!("audit-log?limit=500&agent_id={}", victim.agent.id);
    let told = administrator.look(&what).await?;
    let told = told["items"].as_array().ok_or("no items")?.len();
    if told == 0 {
        return Err("the log does not tell of the agent's registration".into());
    }
    report.require(
        "events that wrong secrets left, among others",
        (told - 1) as f64,
        Bound::AtMost(0.0),
    );
    if figures {
        let undisturbed = f64::midpoint(before.per_second, after.per_second);
        report.require(
            "flows a second during the flood, to before and after",
            during.per_second / undisturbed,
            Bound::AtLeast(LEAST_SHARE),
        );
        let most = memory.iter().copied().fold(end, f64::max);
        report.require(
            "MiB by which memory grew",
            most - idle,
            Bound::AtMost(MOST_GROWTH),
        );
        report.require(
            "calls of the flood, to its rate",
            answers.total() / length.as_secs_f64() / f64::from(2 * RATE),
            Bound::AtLeast(LEAST_RATE),
        );
    }
    Ok(())
}

const FLOWS: &str = "flows a second, flood of 500 wrong secrets and 500 pages a second";
const WITHIN: &str = "99 % of flows within, the same, ms";
const MEMORY: &str = "memory of auth-agent, flooded, MiB";

/// Who signs in where, and whom the strangers are after.
struct Scene<'a> {
    server: &'a Server,
    parties: &'a [Arc<Party>],
    victim: &'a Arc<Party>,
}

impl Scene<'_> {
    /// The wrong secrets with nobody else about: what the log grows by. No page is open yet that could
    /// run out meanwhile.
    async fn wrong_secrets(&self, length: Duration, report: &mut Report) -> Result<()> {
        let mut administrator = Administrator::of(self.server.address).await?;
        let before = administrator.log_head().await?;
        let storm = Storm::over(self.server, self.victim, false);
        tokio::time::sleep(length).await;
        let answers = storm.end().await?;
        let grown = administrator.log_head().await? - before;
        report.add("wrong secrets alone", "sent", answers.total());
        report.require(
            "positions by which wrong secrets alone moved the log's head",
            grown as f64,
            Bound::AtMost(0.0),
        );
        Ok(())
    }

    /// Sign-ins while somebody is flooded.
    async fn signing_in(&self, flooded: &Server, length: Duration) -> Result<(Load, Answers)> {
        let storm = Storm::over(flooded, self.victim, true);
        let load = drive(self.server, self.parties, Work::Flow, AGENTS, length).await;
        let answers = storm.end().await?;
        Ok((load?, answers))
    }
}

/// The memory of a server in MiB, again and again.
async fn samples(server: &Server, pause: Duration, over: &CancellationToken) -> Vec<f64> {
    let mut samples = vec![server.usage().memory];
    while let Some(()) = over.run_until_cancelled(tokio::time::sleep(pause)).await {
        samples.push(server.usage().memory);
    }
    samples
}
