//! Checking the log and its projections against each other, and rebuilding the projections.
//!
//! Both walk the log stream by stream, so that only one stream's fold is in memory at a time.

mod walk;

use sqlx::Row;

use super::{
    StoreError, as_i64, as_u64,
    batch::set_projected,
    catch_up::{StoredRow, stored_rows},
    database::{Target, Writable, on},
    follower::Follower,
    lock::FileLock,
    projection::{Rows, Table, row_id},
    sql, sqlite_file,
};
use walk::{Folded, Walk};

/// Differences told in full; the rest are counted.
const MAX_TOLD: usize = 100;

/// What a check found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Report {
    /// The position that was pinned.
    pub position: u64,
    /// Events read.
    pub events: u64,
    /// Streams folded.
    pub streams: u64,
    /// Differences found.
    pub differences: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
}

impl Report {
    fn differs(&mut self, what: String) {
        self.differences += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(what);
        }
    }

    /// Once the whole log has been read: dense positions leave no event out.
    fn is_whole(&mut self) {
        let (events, position) = (self.events, self.position);
        if events != position {
            self.differs(format!(
                "the log ends at position {position} but holds {events} events"
            ));
        }
    }
}

/// Replays the log as it stands at one moment and compares it with the projections, row by row, and
/// every stored copy and hash with the body. Safe beside a running server.
///
/// # Errors
///
/// [`StoreError::Unavailable`] when the database does not answer.
pub async fn check(url: &str) -> Result<Report, StoreError> {
    check_counting(url, |_, _| {}).await
}

/// The same; `counted` hears how many events were read, and of how many.
///
/// # Errors
///
/// As [`check`].
pub async fn check_counting(
    url: &str,
    mut counted: impl FnMut(u64, u64) + Send,
) -> Result<Report, StoreError> {
    let mut connection = existing(url).await?;
    let report = check_on(&mut connection, &mut counted).await;
    connection.close().await;
    report.map_err(|error| error.of(url))
}

/// The same on a connection.
pub(super) async fn check_on(
    connection: &mut Writable,
    counted: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Report, StoreError> {
    connection.run(sql::BEGIN_READING, None).await?;
    let report = check_in(connection, counted).await?;
    connection.run(sql::ROLLBACK, None).await?;
    Ok(report)
}

/// The same inside the caller's transaction.
pub(super) async fn check_in(
    connection: &mut Writable,
    counted: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Report, StoreError> {
    let mut report = Report {
        position: number(connection, sql::HEAD).await?,
        ..Report::default()
    };
    let mut rows = 0;
    let counted_to = checkpoint(connection, Follower::Statistics.name()).await?;
    let mut walk = Walk::counting_to(counted_to);
    while let Some(folded) = walk.next(connection, &mut report).await? {
        rows += folded.len() as u64;
        counted(report.events, report.position);
        compare(connection, &folded, &mut report).await?;
    }
    report.is_whole();
    let stored = number(connection, sql::COUNT_ROWS).await?;
    if stored != rows {
        report.differs(format!(
            "{stored} rows are stored where the log yields {rows}"
        ));
    }
    let sign_ins = number(connection, sql::STATISTICS_SIGN_INS).await?;
    if sign_ins != walk.sign_ins() {
        report.differs(format!(
            "{sign_ins} sign-ins are counted where the log has {}",
            walk.sign_ins()
        ));
    }
    let projected = number(connection, sql::PROJECTED).await?;
    if projected != report.position {
        report.differs(format!(
            "the read models are said to be of position {projected}, and the log ends at {}",
            report.position
        ));
    }
    Ok(report)
}

/// Replaces the projections by what the log yields, in one transaction, under the server's lock.
/// Nothing is replaced when the log itself cannot be read whole: what is left out of a fold could
/// be the very end of a grant.
///
/// # Errors
///
/// [`StoreError::Locked`] while a server has the file.
pub async fn rebuild(url: &str) -> Result<Report, StoreError> {
    rebuild_counting(url, |_, _| {}).await
}

/// The same; `counted` hears how many events were read, and of how many.
///
/// # Errors
///
/// As [`rebuild`].
pub async fn rebuild_counting(
    url: &str,
    counted: impl FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let connection = existing(url).await?;
    let _lock = sqlite_file(url)
        .map(|file| FileLock::take(&file))
        .transpose()?;
    let rebuilt = rebuild_on(connection, counted).await;
    rebuilt.map_err(|error| error.of(url))
}

async fn rebuild_on(
    mut connection: Writable,
    mut counted: impl FnMut(u64, u64),
) -> Result<Report, StoreError> {
    connection.begin().await?;
    for text in sql::CLEAR_PROJECTIONS {
        connection.run(text, None).await?;
    }
    let mut report = Report {
        position: number(&mut connection, sql::HEAD).await?,
        ..Report::default()
    };
    let mut walk = Walk::counting_to(report.position);
    while let Some(folded) = walk.next(&mut connection, &mut report).await? {
        counted(report.events, report.position);
        let mut rows = Rows::default();
        for one in &folded {
            rows.push(
                one.table,
                one.state.row(row_id(&one.stream), one.version, one.first)?,
            );
        }
        for (text, rows) in rows.statements() {
            connection.run(text, Some(&rows)).await?;
        }
    }
    report.is_whole();
    if report.differences > 0 {
        connection.run(sql::ROLLBACK, None).await?;
        connection.close().await;
        return Ok(report);
    }
    set_projected(&mut connection, report.position).await?;
    let (name, to) = (Follower::Statistics.name(), as_i64(report.position));
    let sign_ins = as_i64(walk.sign_ins());
    on!(Writable, &mut connection, sql::RESET_SIGN_INS, |c, sql| {
        sqlx::query(sql).bind(sign_ins).execute(c).await?;
    });
    on!(
        Writable,
        &mut connection,
        sql::RESET_CHECKPOINT,
        |c, sql| {
            sqlx::query(sql).bind(to).bind(name).execute(c).await?;
        }
    );
    connection.run(sql::COMMIT, None).await?;
    connection.close().await;
    Ok(report)
}

/// Opens a database that is there; none is made.
pub(super) async fn existing(url: &str) -> Result<Writable, StoreError> {
    if let Some(file) = sqlite_file(url).filter(|file| !file.exists()) {
        return Err(StoreError::NoDatabase(file.display().to_string()));
    }
    let (mut connection, has_tables) = Target::parse(url)?.opened().await?;
    if !has_tables {
        return Err(StoreError::NoDatabase("that address".to_owned()));
    }
    connection.is_not_newer().await?;
    Ok(connection)
}

async fn checkpoint(connection: &mut Writable, name: &str) -> Result<u64, StoreError> {
    on!(Writable, connection, sql::CHECKPOINT, |c, sql| {
        let row = sqlx::query(sql).bind(name).fetch_one(c).await?;
        Ok(as_u64(row.try_get("number")?))
    })
}

pub(super) async fn number(connection: &mut Writable, text: sql::Text) -> Result<u64, StoreError> {
    on!(Writable, connection, text, |c, sql| {
        Ok(as_u64(
            sqlx::query(sql).fetch_one(c).await?.try_get("number")?,
        ))
    })
}

async fn compare(
    connection: &mut Writable,
    folded: &[Folded],
    report: &mut Report,
) -> Result<(), StoreError> {
    for table in [
        Table::Requests,
        Table::Agents,
        Table::Clients,
        Table::Owners,
        Table::Keys,
    ] {
        let of_table: Vec<&Folded> = folded.iter().filter(|one| one.table == table).collect();
        if of_table.is_empty() {
            continue;
        }
        let ids: Vec<&str> = of_table.iter().map(|one| row_id(&one.stream)).collect();
        let stored = stored_rows(connection, table, &ids).await?;
        for one in of_table {
            match stored.get(row_id(&one.stream)) {
                None => report.differs(format!("{}: no row is stored", one.stream)),
                Some(row) => {
                    if !agrees(one, row)? {
                        report.differs(format!("{}: the stored row differs", one.stream));
                    }
                }
            }
        }
    }
    Ok(())
}

fn agrees(folded: &Folded, stored: &StoredRow) -> Result<bool, StoreError> {
    let row = folded
        .state
        .row(row_id(&folded.stream), folded.version, folded.first)?;
    // As values: a row that an earlier version of the program wrote may spell the same otherwise.
    let state = folded.table.read(&stored.state);
    let same = |name: &str, value: &Option<String>| match value.as_deref() {
        None | Some("") => row[name].is_null(),
        Some(text) => row[name] == *text,
    };
    Ok(folded.version == stored.version
        && folded.first == stored.position
        && state.is_ok_and(|state| state == folded.state)
        && same("client_id", &stored.client_id)
        && same("agent_id", &stored.agent_id)
        && same("owner_id", &stored.owner_id))
}
