//! A day in minutes: mixed use with lifetimes and retention of seconds, so that everything that can
//! pile up would. `cargo bench --bench load -- soak`.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    client::Result,
    drive::{Work, drive},
    mix,
    report::{Bound, Report},
    servers::{Server, program, register},
};

/// Everything lives for seconds, and leaves the log soon after.
const SETTINGS: [&str; 18] = [
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
    "--key-publish-ahead",
    "1",
    "--retain-abandoned",
    "5",
    "--retain-finished",
    "12",
];
/// What is looked at in each part of the run.
const PARTS: usize = 10;
/// The parts that a backup is made in: neither of those that are compared.
const WITH_BACKUP: [usize; 2] = [2, 7];
const MIB: f64 = 1024.0 * 1024.0;
/// What stays in the database of each archived event: see docs/performance.md.
const STUB: f64 = 283.0;
/// Agents at a time, each signing in as fast as it can.
const AGENTS: usize = 4;

const FLOWS: &str = "soak: flows a second";
const WITHIN: &str = "soak: 99 % of flows within, ms";
const MEMORY: &str = "soak: memory, MiB";
const KEPT: &str = "soak: seconds' worth of sign-ins' events that the log keeps";
const EACH: &str = "soak: database without stubs, bytes for each event that is no stub";

/// What must hold at the end, to half-way. A part is short, and its slowest hundredth a matter of luck.
/// How much the log keeps of sign-ins goes by how much happens in a second, so that is what it is measured
/// by; it is looked at once a second what may leave, and the pace of a part is not that of its end.
const SETTLED: [(&str, Bound); 5] = [
    (FLOWS, Bound::AtLeast(0.8)),
    (WITHIN, Bound::AtMost(1.5)),
    (MEMORY, Bound::AtMost(1.15)),
    (KEPT, Bound::AtMost(1.25)),
    (EACH, Bound::AtMost(1.15)),
];

/// Works for `length` and adds what it looked like in each tenth of it; `figures` says whether the bounds
/// are to hold.
pub(crate) async fn soak(
    folder: &Path,
    length: Duration,
    figures: bool,
    report: &mut Report,
) -> Result<()> {
    let server = Server::auth_agent_with(folder, &SETTINGS).await?;
    let parties = register(&server, &["ES256"], AGENTS).await?.remove(0);
    let stop = CancellationToken::new();
    let mut others = mix::begin(server.address, &parties, &stop);
    let data = folder.join("data");
    let (mut before, mut looked) = (Contents::of(&data).await?, Instant::now());
    for part in 1..=PARTS {
        let backup = WITH_BACKUP.contains(&part).then(|| backup(folder));
        let load = drive(&server, &parties, Work::Flow, AGENTS, length / PARTS as u32).await?;
        if let Some(backup) = backup {
            backup.await??;
        }
        let now = Contents::of(&data).await?;
        let a_second = (now.events - before.events) / looked.elapsed().as_secs_f64();
        (before, looked) = (now, Instant::now());
        let part = format!("part {part:>2} of {PARTS}");
        report.add(FLOWS, &part, load.per_second);
        report.add(WITHIN, &part, load.p99);
        report.add(MEMORY, &part, server.usage().memory);
        report.add("soak: events a second", &part, a_second);
        report.add(KEPT, &part, now.kept / a_second);
        report.add(EACH, &part, now.without_stubs() / now.written());
        report.add("soak: archived events", &part, now.archived);
        report.add("soak: database, MiB", &part, now.bytes / MIB);
        let file = size(&data, |name| name.ends_with(".db"))?;
        report.add("soak: its file, MiB", &part, file);
        let waiting = size(&data, |name| name.ends_with("-wal"))?;
        report.add("soak: write-ahead log, MiB", &part, waiting);
        let archive = size(&data.join("archive"), |_| true)?;
        report.add("soak: archive, MiB", &part, archive);
    }
    stop.cancel();
    while let Some(done) = others.join_next().await {
        done??;
    }
    let (last, middle) = (
        format!("part {PARTS} of {PARTS}"),
        format!("part {:>2} of {PARTS}", PARTS / 2),
    );
    for (group, bound) in SETTLED {
        let what = format!("{group}, at the end to half-way");
        let ratio = report.ratio(&what, (group, &last), (group, &middle));
        if figures {
            report.require(&what, ratio, bound);
        }
    }
    Ok(())
}

/// A backup beside the running server, read through as every backup is, and thrown away.
fn backup(folder: &Path) -> JoinHandle<Result<()>> {
    let file = folder.join("backup.db");
    let mut job = program(folder);
    job.arg("backup").arg(&file);
    tokio::task::spawn_blocking(move || {
        let done = job.output()?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into());
        }
        Ok(fs::remove_file(file)?)
    })
}

/// MiB of the files in a folder that have such a name.
fn size(folder: &Path, is: impl Fn(&str) -> bool) -> Result<f64> {
    if !folder.exists() {
        return Ok(0.0);
    }
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        // One may be gone by now.
        if let Ok(about) = file.metadata()
            && about.is_file()
            && is(&file.file_name().to_string_lossy())
        {
            bytes += about.len();
        }
    }
    Ok(bytes as f64 / MIB)
}

/// What the database holds.
#[derive(Clone, Copy)]
struct Contents {
    /// Events, archived or not.
    events: f64,
    /// Those of which a stub is left.
    archived: f64,
    /// Those of sign-ins and pages that are not archived yet. What administration leaves stays for good.
    kept: f64,
    /// Pages in use, the write-ahead log included.
    bytes: f64,
}

impl Contents {
    async fn of(data: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(data.join("auth-agent.db"))
            .read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let row = sqlx::query(
            "select count(*), total(body = ''), total(body <> '' and stream like 'auth_request/%'),
                    (page_count - freelist_count) * page_size * 1.0
             from events, pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(Self {
            events: row.try_get::<i64, _>(0)? as f64,
            archived: row.try_get(1)?,
            kept: row.try_get(2)?,
            bytes: row.try_get(3)?,
        })
    }

    /// Those that are no stubs.
    fn written(&self) -> f64 {
        self.events - self.archived
    }

    fn without_stubs(&self) -> f64 {
        self.bytes - self.archived * STUB
    }
}
