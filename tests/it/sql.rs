//! SQL in a server's database, as an attacker or an operator beside the server would run it.

use sqlx::{
    AssertSqlSafe, Connection, Executor, Row, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::support::TestServer;

/// Runs statements; what the last one selects comes back as text, a line for each row.
pub(crate) async fn sql(server: &TestServer, text: &str) -> Vec<String> {
    if let Some(database) = server.postgres() {
        return database.sql(text).lines().map(str::to_owned).collect();
    }
    on_file(&server.data_dir().join("auth-agent.db"), text).await
}

/// The same in a SQLite file.
pub(crate) async fn on_file(file: &std::path::Path, text: &str) -> Vec<String> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(std::time::Duration::from_secs(60));
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .expect("the file opens");
    let rows = connection
        .fetch_all(sqlx::raw_sql(AssertSqlSafe(text.to_owned())))
        .await
        .expect("the statements run");
    connection.close().await.expect("it closes");
    let cell = |row: &sqlx::sqlite::SqliteRow| {
        row.try_get::<String, _>(0)
            .or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string()))
    };
    rows.iter()
        .map(|row| cell(row).expect("a text or a number"))
        .collect()
}

/// The URL that opens a server's database.
pub(crate) fn url_of(server: &TestServer) -> String {
    match server.postgres() {
        Some(database) => database.url(),
        None => format!(
            "sqlite://{}",
            server.data_dir().join("auth-agent.db").display()
        ),
    }
}
