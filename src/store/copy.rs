//! Copying a database whole into another, SQLite or PostgreSQL either way: what backups are made of.

use serde_json::Value;
use sqlx::Row;

use super::{
    BackupError, StoreError,
    database::{Target, Writable, on},
    maintenance::{Report, check_in, number},
    sql::{
        self,
        copied::{CLEAR_SEEDS, COPIED, Copied},
    },
};

/// Rows on their way at a time; one event is at most 32 KiB.
const PAGE: i64 = 500;

/// Hears how far a long job has come: what is being done, how much of it is done, and of how much.
pub type Progress<'a> = dyn FnMut(&'static str, u64, u64) + Send + 'a;

/// Copies every table but `left_out` in one transaction, from one moment of `from` into the fresh tables
/// of `to`, and reads the copy through like `projections check` does before it is committed. Yields the
/// number of rows and what was found.
pub(super) async fn copy_all(
    from: &mut Writable,
    (target, to): (&Target, &mut Writable),
    left_out: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<(u64, Report), BackupError> {
    // What cannot be written is of the copy, everything else of the original.
    let of_copy = |error: sqlx::Error| target.told(error.into());
    from.run(sql::BEGIN_READING, None).await?;
    to.begin().await.map_err(of_copy)?;
    let tables = || {
        COPIED
            .iter()
            .filter(|copied| Some(copied.table) != left_out)
    };
    let mut rows = 0;
    for copied in tables() {
        rows += number(from, copied.count).await?;
    }
    for seed in CLEAR_SEEDS {
        to.run(seed, None).await.map_err(of_copy)?;
    }
    let mut done = 0;
    for copied in tables() {
        let mut after = copied.before_all.to_owned();
        loop {
            progress("copying", done, rows);
            let page = page(from, copied, &after).await?;
            let Some(last) = page.last() else { break };
            after = key_of(copied, last)?;
            let written = to.run(copied.insert, Some(&array(&page))).await;
            done += written.map_err(of_copy)?;
        }
    }
    from.run(sql::ROLLBACK, None).await?;
    progress("copying", done, rows);
    let mut counted = |done, events| progress("checking", done, events);
    let checked = check_in(to, &mut counted).await;
    let report = checked.map_err(|error| target.told(error))?;
    if report.differences > 0 {
        to.run(sql::ROLLBACK, None).await.map_err(of_copy)?;
        return Err(BackupError::Differs {
            differences: report.differences,
        });
    }
    to.run(sql::COMMIT, None).await.map_err(of_copy)?;
    Ok((done, report))
}

/// Rows as JSON objects.
async fn page(
    from: &mut Writable,
    copied: &Copied,
    after: &str,
) -> Result<Vec<String>, StoreError> {
    on!(Writable, from, copied.page, |c, sql| {
        let rows = sqlx::query(sql).bind(after).bind(PAGE).fetch_all(c).await?;
        rows.iter()
            .map(|row| Ok(row.try_get("body")?))
            .collect::<Result<_, StoreError>>()
    })
}

fn array(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}

fn key_of(copied: &Copied, row: &str) -> Result<String, StoreError> {
    let row: Value = serde_json::from_str(row)?;
    match &row[copied.key] {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(StoreError::Corrupt(format!(
            "a row of {} has no {}",
            copied.table, copied.key
        ))),
    }
}
