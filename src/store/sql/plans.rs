//! How SQLite goes about the statements that calls cause, and those that the writer runs: none may look at
//! every row of a table that grows.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::{audit::*, vault::*, *};

struct Database(SqliteConnection);

impl Database {
    async fn new() -> Self {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("./migrations")
            .run(&mut connection)
            .await
            .unwrap();
        Self(connection)
    }

    /// A line for each step.
    async fn plan(&mut self, text: Text) -> Vec<String> {
        let explained = AssertSqlSafe(format!("explain query plan {}", text.sqlite));
        let rows = sqlx::query(explained).fetch_all(&mut self.0).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    /// The tables of which every row is looked at.
    async fn scanned(&mut self, text: Text) -> Vec<String> {
        const TABLES: [&str; 12] = [
            "events",
            "claims",
            "requests",
            "agents",
            "clients",
            "owners",
            "keys",
            "credentials",
            "people",
            "agent_profiles",
            "request_details",
            "address_keys",
        ];
        // Statements name a table in full, or by its first letter.
        let is_table = |name: &str| {
            TABLES
                .iter()
                .any(|table| name == *table || name == &table[..1])
        };
        let plan = self.plan(text).await;
        let mut scanned = Vec::new();
        for step in plan {
            let Some(of) = step.strip_prefix("SCAN ") else {
                continue;
            };
            // A partial index holds those rows alone that are asked for.
            let whole = !of.contains("USING INDEX keys_in_use")
                && !of.contains("USING COVERING INDEX keys_in_use");
            if whole && of.split(' ').next().is_some_and(is_table) {
                scanned.push(step);
            }
        }
        scanned
    }
}

#[tokio::test]
async fn nothing_that_a_call_causes_looks_at_every_row() {
    let mut database = Database::new().await;
    for text in [
        SITUATION,
        AGENT,
        CLIENT,
        OWNER,
        CREDENTIALS,
        FORMER_CREDENTIAL,
        PERSON,
        OWNER_BY_EMAIL,
        PENDING_OF_CLIENT,
        REDEEMED_AT,
        GRANTED,
        GRANTED_TO_AGENT,
        GRANTED_TO_CLIENT,
        GRANTED_BY_OWNER,
        LOG_BY_STREAM,
        REQUESTS_OF_AGENT,
        REQUESTS_OF_CLIENT,
        REQUESTS_OF_OWNER,
        SWEEP_DETAILS,
        SWEEP_CLAIMS,
        SWEEP_CREDENTIALS,
        SWEEP_ADDRESS_KEYS,
        DELETE_DETAILS,
        DELETE_CREDENTIALS,
    ] {
        let scanned = database.scanned(text).await;
        assert_eq!(scanned, [""; 0], "{}", text.sqlite);
    }
    assert_ne!(database.scanned(KEYS).await, [""; 0], "what scans is seen");
}

#[tokio::test]
async fn grants_are_come_by_through_whose_they_are() {
    let mut database = Database::new().await;
    for (text, index) in [
        (GRANTED_TO_AGENT, "requests_by_agent (agent_id=? AND id>?)"),
        (
            GRANTED_TO_CLIENT,
            "requests_by_client (client_id=? AND id>?)",
        ),
        (GRANTED_BY_OWNER, "requests_by_owner (owner_id=? AND id>?)"),
    ] {
        let plan = database.plan(text).await;
        let step = format!("SEARCH r USING INDEX {index}");
        assert!(plan.contains(&step), "{plan:#?}");
    }
}

#[tokio::test]
async fn an_auditor_s_question_looks_where_its_filter_says() {
    let mut database = Database::new().await;
    let through = |index: &str, of: &str| format!("SEARCH events USING INDEX {index} ({of})");
    let by_position = through("sqlite_autoindex_events_1", "position>?");
    let by_stream = through("sqlite_autoindex_events_2", "stream=?");
    for (audited, events, sorted) in [
        (IN_ORDER, &by_position, false),
        (OF_STREAM, &by_stream, false),
        (OF_AGENT, &by_stream, true),
        (OF_CLIENT, &by_stream, true),
    ] {
        for text in [audited.onward, audited.newest] {
            let plan = database.plan(text).await;
            assert!(plan.contains(events), "{}: {plan:#?}", text.sqlite);
            assert_eq!(database.scanned(text).await, [""; 0]);
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
            assert_eq!(sorts, sorted, "{}: {plan:#?}", text.sqlite);
        }
    }
    assert_eq!(database.plan(REDEEMED_AT).await, [by_stream]);
}
