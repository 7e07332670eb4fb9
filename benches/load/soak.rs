//! A day in minutes: mixed use with lifetimes and retention of seconds, so that everything that can
//! pile up would. `cargo bench --bench load -- soak`.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;

use super::{
    client::Result,
    drive::{Work, drive},
    flow::Worker,
    report::Report,
    servers::{Party, Server, register},
};

/// Everything lives for seconds, and leaves the log soon after.
const SETTINGS: [&str; 16] = [
    "--limits",
    "off",
    "--request-lifetime",
    "3",
    "--code-lifetime",
    "2",
    "--access-token-lifetime",
    "3",
    "--refresh-token-idle-lifetime",
    "4",
    "--refresh-token-lifetime",
    "5",
    "--retain-abandoned",
    "5",
    "--retain-finished",
    "12",
];
/// What is looked at in each part of the run.
const PARTS: usize = 10;
const MIB: f64 = 1024.0 * 1024.0;
/// Agents at a time, each signing in as fast as it can.
const AGENTS: usize = 4;

/// Works for `length` and adds what it looked like in each tenth of it.
pub(crate) async fn soak(folder: &Path, length: Duration, report: &mut Report) -> Result<()> {
    let server = Server::auth_agent_with(folder, &SETTINGS).await?;
    let parties = register(&server, &["ES256"], AGENTS).await?.remove(0);
    let stop = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for (party, task) in [
        (&parties[0], abandon as fn(_, _, _) -> _),
        (&parties[1], keep),
    ] {
        let (to, party, stop) = (server.address, Arc::clone(party), Arc::clone(&stop));
        others.spawn(task(to, party, stop));
    }
    let mut sizes = Vec::new();
    for part in 1..=PARTS {
        let load = drive(&server, &parties, Work::Flow, AGENTS, length / PARTS as u32).await?;
        let part = format!("part {part:>2} of {PARTS}");
        report.add("soak: flows a second", &part, load.per_second);
        report.add("soak: 99 % of flows within, ms", &part, load.p99);
        report.add("soak: memory, MiB", &part, server.usage().memory);
        let data = folder.join("data");
        let (database, archived) = (size(&data, false)?, archived_events(&data).await?);
        report.add("soak: database, MiB", &part, database);
        report.add("soak: archive, MiB", &part, size(&data, true)?);
        report.add("soak: archived events", &part, archived);
        sizes.push((database, archived));
    }
    let ((before, fewer), (after, more)) = (sizes[PARTS / 2 - 1], sizes[PARTS - 1]);
    report.add(
        "soak: what the database grows by for each archived event, bytes",
        "second half",
        (after - before) * MIB / (more - fewer),
    );
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = others.join_next().await {
        done??;
    }
    for group in [
        "flows a second",
        "99 % of flows within, ms",
        "memory, MiB",
        "database, MiB",
    ] {
        let group = format!("soak: {group}");
        let (last, middle) = (
            format!("part {PARTS} of {PARTS}"),
            format!("part {:>2} of {PARTS}", PARTS / 2),
        );
        report.ratio(
            &format!("{group}, at the end to half-way"),
            (&group, &last),
            (&group, &middle),
        );
    }
    Ok(())
}

type Ended = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Opens pages that nobody signs in to.
fn abandon(to: std::net::SocketAddr, party: Arc<Party>, stop: Arc<AtomicBool>) -> Ended {
    Box::pin(async move {
        while !stop.load(Ordering::Relaxed) {
            let mut worker = Worker::new(to, Arc::clone(&party)).await?;
            worker.wait().await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
}

/// Signs in, and lets the grant run out by itself.
fn keep(to: std::net::SocketAddr, party: Arc<Party>, stop: Arc<AtomicBool>) -> Ended {
    Box::pin(async move {
        let mut worker = Worker::new(to, party).await?;
        while !stop.load(Ordering::Relaxed) {
            let (_, mut refresh_token) = worker.sign_in().await?;
            for _ in 0..3 {
                refresh_token = worker.refresh(&refresh_token).await?;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
}

/// MiB of the files in the data folder, or of those in its archive.
fn size(data: &Path, archive: bool) -> Result<f64> {
    let folder = if archive {
        data.join("archive")
    } else {
        data.to_owned()
    };
    if !folder.exists() {
        return Ok(0.0);
    }
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        // One may be gone by now.
        if let Ok(about) = file?.metadata() {
            bytes += if about.is_file() { about.len() } else { 0 };
        }
    }
    Ok(bytes as f64 / MIB)
}

/// Events of which a stub is left.
async fn archived_events(data: &Path) -> Result<f64> {
    let options = SqliteConnectOptions::new()
        .filename(data.join("auth-agent.db"))
        .read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let row = sqlx::query("select count(*) from events where body = ''")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(row.try_get::<i64, _>(0)? as f64)
}
