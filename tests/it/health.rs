//! Whether it runs, whether it can work, and what it has done.

use std::any::Any;

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    sql::url_of,
    support::{
        Api, Authorize, Backend, TestServer, on_both_databases, postgres::Postgres,
        process::eventually,
    },
};

/// The lock that every writer of a cluster takes (`src/store/sql.rs`).
const CLUSTER_LOCK: &str = "select pg_advisory_lock(7022647185613745780)";

/// Somebody else who keeps the database from committing, until this is dropped.
async fn obstacle(server: &TestServer) -> Box<dyn Any + Send> {
    match server.backend() {
        Backend::Sqlite => {
            let file = server.data_dir().join("auth-agent.db");
            let options = SqliteConnectOptions::new().filename(file);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            connection.execute("begin immediate").await.unwrap();
            Box::new(connection)
        }
        Backend::Postgres => {
            let mut connection = PgConnection::connect(&url_of(server)).await.unwrap();
            connection.execute(CLUSTER_LOCK).await.unwrap();
            Box::new(connection)
        }
    }
}

async fn works(api: &Api) {
    let (client, agent) = (
        api.create_client(json!({})).await,
        api.create_agent(json!({})).await,
    );
    let done = api.sign_in(&client, &agent).await;
    assert!(api.is_active(&client, &done.tokens.access_token).await);
}

async fn becomes_ready(api: &Api) {
    eventually("the database to commit again", async || {
        api.is_ready().await.then_some(())
    })
    .await;
}

on_both_databases! {
    async fn health_says_that_the_process_serves(env: Env) {
        let api = env.api().await;
        let reply = api.send(api.get("/api/health")).await.expect(200);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.str("status"), "ok");
        assert_eq!(reply.str("version"), env!("CARGO_PKG_VERSION"));
        reply.str("started_at").parse::<jiff::Timestamp>().expect("RFC 3339");
        let reply = api.send(api.get("/api/ready")).await.expect(200);
        assert_eq!((reply.header("cache-control"), &reply.json), ("no-store", &json!({"status": "ready"})));
    }

    async fn stats_count_agents_clients_and_sign_ins(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let counts = async || api.send(api.get("/api/stats")).await.expect(200).json;
        let told = |agents: u64, clients: u64, sign_ins: u64| json!({
            "total_agents": agents, "total_clients": clients, "total_sign_ins": sign_ins,
        });
        assert_eq!(counts().await, told(0, 0, 0));
        let client = api.create_client(json!({})).await;
        assert_eq!(counts().await, told(0, 1, 0));
        let agents = [api.create_agent(json!({})).await, api.create_agent(json!({})).await];
        assert_eq!(counts().await, told(2, 1, 0));
        api.authorize(&Authorize::new(&client)).await;
        assert_eq!(counts().await, told(2, 1, 0), "a page alone is no sign-in");
        for agent in &agents {
            api.sign_in(&client, agent).await;
        }
        // Sign-ins are counted by a follower, a moment behind the log.
        eventually("both sign-ins to be counted", async || {
            let counted = counts().await;
            assert!(counted["total_sign_ins"].as_u64() <= Some(2), "{counted}");
            (counted == told(2, 1, 2)).then_some(())
        })
        .await;
        api.suspend(&agents[0]).await;
        assert_eq!(counts().await, told(2, 1, 2), "what has been has been");
    }

    async fn it_is_not_ready_while_the_database_cannot_commit(env: Env) {
        let server = env.start(|_| {}).await;
        let api = server.api();
        let client = api.create_client(json!({})).await;
        let obstacle = obstacle(&server).await;
        let reply = api.send(api.get("/api/ready")).await;
        reply.refused(503, "temporarily_unavailable");
        assert!(!reply.header("retry-after").is_empty());
        assert!(!reply.text.contains("lock") && !reply.text.contains("sql"), "{}", reply.text);
        // It serves all the same, and claims nothing that it cannot keep.
        api.send(api.get("/api/health")).await.expect(200);
        let reply = api.open(&Authorize::new(&client), "").await;
        assert_eq!(reply.status, 503, "{}", reply.text);
        let events = crate::log::history(&api, "type=Created").await;
        drop(obstacle);
        becomes_ready(&api).await;
        assert_eq!(crate::log::history(&api, "type=Created").await, events);
        works(&api).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_outlives_the_loss_of_all_its_connections() {
    let server = TestServer::start(Backend::Postgres, |_| {}).await;
    let api = server.api();
    works(&api).await;
    let name = url_of(&server).rsplit('/').next().unwrap().to_owned();
    let other = Postgres::shared().database();
    other.sql(&format!(
        "alter database {name} with allow_connections false"
    ));
    let terminate =
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    other.sql(&terminate);
    let reply = api.send(api.get("/api/ready")).await;
    reply.refused(503, "temporarily_unavailable");
    assert!(!reply.text.contains(&name), "{}", reply.text);
    api.send(api.get("/api/health")).await.expect(200);
    for _ in 0..10 {
        api.send(api.get("/api/stats"))
            .await
            .refused(503, "temporarily_unavailable");
    }
    // One line of what writes, and one of what reads, however many jobs and calls meet with it.
    let errors = |line: &&str| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
    let logs = server.logs();
    let told: Vec<&str> = logs.lines().filter(errors).collect();
    assert!((1..=3).contains(&told.len()), "{told:#?}");
    other.sql(&format!(
        "alter database {name} with allow_connections true"
    ));
    becomes_ready(&api).await;
    works(&api).await;
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
}
