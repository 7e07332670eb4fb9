//! No statement that runs while the server serves may read a whole table that grows.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::{super::database::Writable, archived::*, audit::*, *};

/// Statements with their names.
macro_rules! named {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), $name)),*] };
}

/// What need not be looked at, and why.
const EXEMPT: [(&str, &str); 13] = [
    ("BEGIN", "reads nothing"),
    ("BEGIN_READING", "reads nothing"),
    ("COMMIT", "reads nothing"),
    ("ROLLBACK", "reads nothing"),
    ("OTHER_CONNECTIONS", "is for PostgreSQL alone"),
    ("MIGRATIONS", "reads a table of sqlx's, at the start"),
    ("HAS_TABLES", "reads the schema, at the start"),
    ("COUNT_ROWS", "is for a check of the projections"),
    ("KEYS", "wants every key there has been"),
    (
        "STATISTICS",
        "counts agents and clients, few beside the log",
    ),
    ("KEYS_MARK", "wants every key there has been"),
    ("SIGNING_KEYS", "wants every row, those of keys that live"),
    (
        "DERIVATION_KEYS",
        "wants every row, those of keys that live",
    ),
];
/// Tables with a fixed number of rows.
const FIXED: [&str; 3] = ["checkpoints", "statistics", "server"];

fn looked_at() -> Vec<(&'static str, Text)> {
    named![
        ABANDONED_AMONG,
        ADDRESS_KEY,
        ADD_STATISTIC,
        ADMIN_KEY,
        ADMIN_KEYS,
        ADMIN_KEY_BY_MAC,
        ADVANCE_CHECKPOINT,
        AGENT,
        AGENTS_OF_OWNER,
        AGENT_ROWS,
        CHECKPOINT,
        CHECK_FIRST,
        CLIENT,
        CLIENT_ROWS,
        CREDENTIALS,
        DELETE_ADDRESS_KEYS,
        DELETE_ADMIN_KEYS,
        DELETE_CLAIMS,
        DELETE_CREDENTIALS,
        DELETE_DERIVATION_KEYS,
        DELETE_DETAILS,
        DELETE_PEOPLE,
        DELETE_PROFILES,
        DELETE_REQUESTS,
        DELETE_SIGNING_KEYS,
        END_CREDENTIALS,
        EVENTS_AFTER,
        EVENTS_BETWEEN,
        EVENTS_OF_AGENT,
        EVENTS_OF_CLIENT,
        EVENTS_OF_STREAMS,
        EVENTS_TO_ARCHIVE,
        EXPIRE_CREDENTIALS,
        FORMER_CREDENTIAL,
        GRANTED,
        GRANTED_AT_CLIENT,
        GRANTED_BY_AGENT,
        GRANTED_OF_OWNER,
        HEAD,
        HELD_REQUESTS,
        INSERT_ADDRESS_KEYS,
        INSERT_ADMIN_KEYS,
        INSERT_CLAIMS,
        INSERT_CREDENTIALS,
        INSERT_DERIVATION_KEYS,
        INSERT_DETAILS,
        INSERT_EVENTS,
        INSERT_PEOPLE,
        INSERT_PROFILES,
        INSERT_SERVER_VALUES,
        INSERT_SIGNING_KEYS,
        ISSUING_EVENTS,
        KEY_ROWS,
        LEAVE_STUBS,
        LIST_AGENTS,
        LIST_AGENTS_OF_OWNER,
        LIST_CLIENTS,
        LIST_OWNERS,
        LOG_BY_STREAM,
        OWNER,
        OWNER_BY_EMAIL,
        OWNER_ROWS,
        PENDING_OF_CLIENT,
        PERSON,
        PROBE,
        PROFILE,
        PROJECTED,
        REDEEMED_AT,
        REQUESTS_AMONG,
        REQUESTS_OF_AGENT,
        REQUESTS_OF_CLIENT,
        REQUESTS_OF_OWNER,
        REQUEST_ROWS,
        RESET_CHECKPOINT,
        RESET_SIGN_INS,
        SERVER_VALUE,
        SET_PROJECTED,
        SIGN_INS_UNDER,
        SITUATION,
        STATISTICS_SIGN_INS,
        STREAMS_AFTER,
        SWEEP_ADDRESS_KEYS,
        SWEEP_CLAIMS,
        SWEEP_CREDENTIALS,
        SWEEP_DETAILS,
        UPDATE_SERVER_VALUES,
        UPSERT_AGENTS,
        UPSERT_CLIENTS,
        UPSERT_KEYS,
        UPSERT_OWNERS,
        UPSERT_REQUESTS,
        VERSION,
    ]
    .into()
}

/// Steps of a plan that read every row of something that grows.
fn reading_all(plan: &[String]) -> Vec<&str> {
    // What a statement put together itself has as many rows as it took.
    let made = |step: &String| -> Option<String> {
        let name = step.strip_prefix("CO-ROUTINE ");
        let name = name.or_else(|| step.strip_prefix("MATERIALIZE "));
        name.map(str::to_owned)
    };
    let made: Vec<String> = plan.iter().filter_map(made).collect();
    let scanned = |step: &&str| {
        let Some(rest) = step.strip_prefix("SCAN ") else {
            return false;
        };
        let what = rest.split(' ').next().unwrap_or_default();
        let is_parameter = rest.contains("VIRTUAL TABLE");
        !is_parameter
            && what != "CONSTANT"
            && !FIXED.contains(&what)
            && !made.iter().any(|made| made == what)
    };
    plan.iter().map(String::as_str).filter(scanned).collect()
}

#[test]
fn every_statement_is_looked_at_or_exempt() {
    let sources = [
        include_str!("../sql.rs"),
        include_str!("vault.rs"),
        include_str!("archived.rs"),
        include_str!("audit.rs"),
    ];
    let written: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| {
            line.strip_prefix("pub(crate) const ")?
                .split_once(": Text =")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(written.len() > 90, "{} statements", written.len());
    let looked_at = looked_at();
    let known = looked_at.iter().map(|(name, _)| *name);
    let known: BTreeSet<&str> = known.chain(EXEMPT.map(|(name, _)| name)).collect();
    let forgotten: Vec<_> = written.difference(&known).collect();
    assert!(forgotten.is_empty(), "list here too: {forgotten:?}");
}

async fn database() -> SqliteConnection {
    let connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let mut connection = Writable::Sqlite(connection);
    connection.migrate().await.unwrap();
    match connection {
        Writable::Sqlite(connection) => connection,
        Writable::Postgres(_) => unreachable!("it is SQLite"),
    }
}

/// A line for each step.
async fn plan(connection: &mut SqliteConnection, name: &str, text: Text) -> Vec<String> {
    let explained = AssertSqlSafe(format!("explain query plan {}", text.sqlite));
    let rows = sqlx::raw_sql(explained).fetch_all(connection).await;
    let rows = rows.unwrap_or_else(|error| panic!("{name}: {error}"));
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_that_grows() {
    let mut connection = database().await;
    let mut found = Vec::new();
    for (name, text) in looked_at() {
        let plan = plan(&mut connection, name, text).await;
        for step in reading_all(&plan) {
            found.push(format!("{name}: {step}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn what_an_auditor_asks_for_is_looked_for_where_the_filter_says() {
    let mut connection = database().await;
    let through = |index: &str, of: &str| format!("SEARCH events USING INDEX {index} ({of})");
    let by_position = through("sqlite_autoindex_events_1", "position>?");
    let by_stream = through("sqlite_autoindex_events_2", "stream=?");
    let of_stream = through("sqlite_autoindex_events_2", "stream=? AND version>?");
    for (name, audited, events, is_sorted) in [
        ("IN_ORDER", IN_ORDER, &by_position, false),
        ("OF_STREAM", OF_STREAM, &of_stream, false),
        ("OF_AGENT", OF_AGENT, &by_stream, true),
        ("OF_CLIENT", OF_CLIENT, &by_stream, true),
    ] {
        for text in [audited.onward, audited.newest] {
            let plan = plan(&mut connection, name, text).await;
            assert!(plan.contains(events), "{name}: {plan:#?}");
            assert_eq!(reading_all(&plan), [""; 0], "{name}");
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
            assert_eq!(sorts, is_sorted, "{name}: {plan:#?}");
        }
    }
}
