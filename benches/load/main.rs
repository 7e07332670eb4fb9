//! The load harness: `cargo bench --bench load`.
//!
//! Starts the real server and a server with canned answers, measures what the machine allows, and
//! drives both servers with one generator, interleaved and repeated, so that every figure stands
//! beside its limit in the same run. Prints tables and writes `target/bench/load.json`.
//!
//! `cargo bench --bench load -- flood` and `-- soak` measure a bad minute and a day in minutes instead, and
//! end with a status other than 0 when a figure leaves its bound.
//!
//! `cargo bench --bench load -- --short` takes seconds and shows that it still works, not how fast
//! anything is; so does `cargo test --benches`.

mod admin;
mod client;
mod drive;
mod flood;
mod flow;
mod machine;
mod mix;
mod null;
mod plan;
mod report;
mod servers;
mod soak;
mod storm;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support/watchdog.rs"]
mod watchdog;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use auth_agent::edge::Clock;
use serde_json::json;

use client::Result;
use drive::{Load, Work, drive, push_latency};
use flow::STEPS;
use machine::{Log, Place, durable_writes};
use plan::Plan;
use report::Report;
use servers::{Party, Server, Usage};

/// Signatures of ID tokens; the null server signs nothing.
const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "RS256"];
const NULL: &str = "null server";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // An error means that fewer pages can wait; opening them will tell.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    if arguments
        .first()
        .is_some_and(|first| first == null::ARGUMENT)
    {
        return null::serve().await;
    }
    let (job, arguments) = match arguments.split_first() {
        Some((first, rest)) if ["flood", "soak"].contains(&first.as_str()) => {
            (Some(first.as_str()), rest)
        }
        _ => (None, arguments.as_slice()),
    };
    let plan = Plan::of(arguments)?;
    // On the disk of the build, not in a folder that may be in memory: durability is what costs.
    let folder = tempfile::Builder::new()
        .prefix("load-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    watchdog::remove_at_end(folder.path());

    let began = Clock.now();
    if let Some(job) = job {
        return bad_times(job, folder.path(), &plan).await;
    }
    if plan.is_short() {
        bad_times("flood", &folder.path().join("flood"), &plan).await?;
        bad_times("soak", &folder.path().join("soak"), &plan).await?;
    }
    let mut bench = Bench::start(folder.path(), plan).await?;
    for repetition in 1..=bench.plan.repetitions {
        eprintln!("repetition {repetition} of {}", bench.plan.repetitions);
        bench.machine().await?;
        bench.flows().await?;
        bench.token_endpoints().await?;
        bench.pushes().await?;
    }
    let memory = bench.auth_agent.usage().memory;
    bench
        .report
        .add("memory of auth-agent, MiB", "at the end", memory);
    bench.compare();

    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let about = json!({
        "began": began.to_string(), "cores": cores, "version": env!("CARGO_PKG_VERSION"),
        "release": !cfg!(debug_assertions), "repetitions": bench.plan.repetitions,
        "seconds_each": bench.plan.length.as_secs_f64(), "agents": bench.plan.agents,
        "generator_cpu_seconds": Usage::of("self").cpu,
    });
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("bench")
        .join("load.json");
    bench.report.write(&file, &about)?;
    println!(
        "{}\n{about}\nwritten to {}",
        bench.report.tables(),
        file.display()
    );
    bench.log.close().await;
    Ok(())
}

/// A bad minute, or a day in minutes; fails when a figure leaves its bound.
async fn bad_times(job: &str, folder: &Path, plan: &Plan) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut report = Report::default();
    let figures = !plan.is_short();
    let length = match (job, figures) {
        ("flood", true) => FLOOD,
        (_, true) => SOAK,
        (_, false) => plan.length * 10,
    };
    if job == "flood" {
        flood::flood(folder, length, figures, &mut report).await?;
    } else {
        soak::soak(folder, length, figures, &mut report).await?;
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("bench")
        .join(format!("{job}.json"));
    report.write(&file, &json!({ "release": !cfg!(debug_assertions) }))?;
    println!("{}\nwritten to {}", report.tables(), file.display());
    let broken = report.broken();
    for line in &broken {
        eprintln!("{job}: out of bounds: {line}");
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("{job}: {} out of bounds", broken.len()).into())
    }
}

/// How long auth-agent is flooded without a break.
const FLOOD: Duration = Duration::from_secs(60);
/// How long a day in minutes takes.
const SOAK: Duration = Duration::from_secs(300);

/// Everything that is running, and what came of it.
struct Bench {
    plan: Plan,
    folder: PathBuf,
    log: Log,
    auth_agent: Server,
    null: Server,
    /// For each of [`ALGORITHMS`].
    parties: Vec<Vec<Arc<Party>>>,
    nobody: Vec<Arc<Party>>,
    report: Report,
}

impl Bench {
    async fn start(folder: &Path, plan: Plan) -> Result<Self> {
        let log = Log::open(folder).await?;
        let null = Server::null()?;
        let auth_agent = Server::auth_agent(folder).await?;
        let mut report = Report::default();
        report.add(
            "memory of auth-agent, MiB",
            "idle",
            auth_agent.usage().memory,
        );
        let most = plan.agents.iter().copied().max().unwrap_or(1);
        let parties = servers::register(&auth_agent, &ALGORITHMS, most).await?;
        let nobody = vec![Arc::new(Party::nobody())];
        let folder = folder.to_owned();
        Ok(Self {
            plan,
            folder,
            log,
            auth_agent,
            null,
            parties,
            nobody,
            report,
        })
    }

    /// What the machine and the store allow.
    async fn machine(&mut self) -> Result<()> {
        let Plan {
            length, callers, ..
        } = self.plan;
        for (place, name) in [(Place::Append, APPENDED), (Place::Over, DURABLE)] {
            self.report
                .add(MACHINE, name, durable_writes(&self.folder, place, length)?);
        }
        for &number in callers {
            let (appends, shared) = self.log.appends(number, length).await?;
            self.report
                .add(APPENDS, &format!("{number} at a time"), appends);
            self.report
                .add(SHARED, &format!("{number} at a time"), shared);
        }
        let workers = self.most_agents();
        let axum = drive(&self.null, &self.nobody, Work::Nothing, workers, length).await?;
        self.report.add(MACHINE, AXUM, axum.per_second);
        Ok(())
    }

    /// Whole sign-ins.
    async fn flows(&mut self) -> Result<()> {
        let length = self.plan.length;
        for &agents in self.plan.agents {
            let load = drive(&self.null, &self.nobody, Work::Flow, agents, length).await?;
            self.add_flows(NULL, agents, &load);
            for (n, algorithm) in ALGORITHMS.iter().enumerate() {
                let parties = &self.parties[n];
                let load = drive(&self.auth_agent, parties, Work::Flow, agents, length).await?;
                self.add_flows(algorithm, agents, &load);
            }
        }
        Ok(())
    }

    fn add_flows(&mut self, who: &str, agents: usize, load: &Load) {
        let name = at(who, agents);
        self.report.add(FLOWS, &name, load.per_second);
        self.report.add("99 % of flows within, ms", &name, load.p99);
        self.report.add(
            "processor time of the server for a flow, µs",
            &name,
            load.cpu,
        );
        // One agent alone waits for nobody: what its flow takes is what its requests take.
        if agents == 1 && [NULL, ALGORITHMS[0]].contains(&who) {
            for (step, took) in STEPS.iter().zip(load.steps) {
                self.report
                    .add(&format!("steps of one flow, {who}, µs"), step, took);
            }
        }
    }

    /// Introspection and refresh by themselves.
    async fn token_endpoints(&mut self) -> Result<()> {
        let (length, agents) = (self.plan.length, self.most_agents());
        for (group, work) in [(INTROSPECT, Work::Introspect), (REFRESH, Work::Refresh)] {
            for (server, parties, who) in [
                (&self.null, &self.nobody, NULL),
                (&self.auth_agent, &self.parties[0], ALGORITHMS[0]),
            ] {
                let load = drive(server, parties, work, agents, length).await?;
                self.report.add(group, &at(who, agents), load.per_second);
            }
        }
        Ok(())
    }

    /// From the agent's answer to the browser's knowledge.
    async fn pushes(&mut self) -> Result<()> {
        for &pages in &self.plan.pages {
            for (server, parties, who) in [
                (&self.null, &self.nobody, NULL),
                (&self.auth_agent, &self.parties[0], ALGORITHMS[0]),
            ] {
                let (half, most) =
                    push_latency(server, &parties[0], pages, self.plan.samples).await?;
                self.report
                    .add(PUSH, &format!("{who}, {pages} pages waiting, p50"), half);
                self.report
                    .add(PUSH, &format!("{who}, {pages} pages waiting, p99"), most);
            }
        }
        Ok(())
    }

    fn most_agents(&self) -> usize {
        self.plan.agents.iter().copied().max().unwrap_or(1)
    }

    /// The ratios that the goals speak of.
    fn compare(&mut self) {
        let report = &mut self.report;
        if let (Some(one), Some(most)) = (self.plan.callers.first(), self.plan.callers.last()) {
            let (one, most) = (format!("{one} at a time"), format!("{most} at a time"));
            let what = format!("group commit: appends, {most} to {one}");
            report.ratio(&what, (APPENDS, &most), (APPENDS, &one));
            let what = format!("appends, {most}, to single durable writes");
            report.ratio(&what, (APPENDS, &most), (MACHINE, DURABLE));
            let what = format!("appends, {one}, to single durable writes");
            report.ratio(&what, (APPENDS, &one), (MACHINE, DURABLE));
        }
        for &agents in self.plan.agents {
            let null = at(NULL, agents);
            for algorithm in ALGORITHMS {
                let name = at(algorithm, agents);
                let what = format!("flows, {name}, to the null server");
                report.ratio(&what, (FLOWS, &name), (FLOWS, &null));
            }
        }
        let most = self.plan.agents.iter().copied().max().unwrap_or(1);
        let (name, null) = (at(ALGORITHMS[0], most), at(NULL, most));
        for group in [INTROSPECT, REFRESH] {
            report.ratio(
                &format!("{group} to the null server"),
                (group, &name),
                (group, &null),
            );
        }
        for pages in &self.plan.pages {
            let of = |who| format!("{who}, {pages} pages waiting, p50");
            let what = format!("push, p50, {pages} pages waiting, to the null server");
            report.ratio(&what, (PUSH, &of(ALGORITHMS[0])), (PUSH, &of(NULL)));
        }
    }
}

const MACHINE: &str = "the machine, a second";
const APPENDED: &str = "4 KiB appended and fdatasync, one after the other";
const DURABLE: &str = "4 KiB written over and fdatasync, one after the other";
const AXUM: &str = "bare axum, keep-alive, as many connections as agents";
const APPENDS: &str = "appends a second, through the store";
const SHARED: &str = "appends that shared one commit";
const FLOWS: &str = "flows a second";
const INTROSPECT: &str = "introspections a second";
const REFRESH: &str = "refreshes a second";
const PUSH: &str = "agent answers to browser knows, ms";

fn at(who: &str, agents: usize) -> String {
    format!("{who}, {agents} at a time")
}
