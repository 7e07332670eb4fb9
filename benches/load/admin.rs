//! Who administers the real server.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    client::{Connection, Result},
    servers::{Agent, REDIRECT_URI, text},
};

/// What opens the administration of every server here.
pub(crate) const ADMIN_KEY: &str = "the-key-of-a-benchmark-that-lives-for-minutes";

/// An administrator, with a connection of their own.
pub(crate) struct Administrator {
    connection: Connection,
    key: String,
}

impl Administrator {
    /// Connects.
    pub(crate) async fn of(server: SocketAddr) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(server).await?,
            key: format!("authorization: Bearer {ADMIN_KEY}\r\n"),
        })
    }

    /// What stands below `/api/admin`.
    pub(crate) async fn look(&mut self, what: &str) -> Result<Value> {
        let path = format!("/api/admin/{what}");
        let answer = self.connection.get(&path, &self.key).await?.ok()?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Changes something there; `null` is no body.
    pub(crate) async fn change(&mut self, method: &str, what: &str, body: &Value) -> Result<Value> {
        let path = format!("/api/admin/{what}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let json = "application/json";
        let answer = self.connection.send(method, &path, &self.key, json, &body);
        let answer = answer.await?.ok()?.body;
        Ok(if answer.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&answer)?
        })
    }

    /// Registers an agent, by a number that no other has.
    pub(crate) async fn agent(&mut self, number: usize) -> Result<Agent> {
        let body = json!({
            "agent_name": "Errand Runner", "user_name": "Ada Lovelace",
            "user_email": format!("ada.{number}@people.example"),
        });
        let made = self.change("POST", "agents", &body).await?;
        Ok(Agent {
            id: text(&made, "agent_id")?,
            secret: text(&made, "agent_secret")?,
            owner_id: text(&made, "owner_id")?,
        })
    }

    /// Registers a website; its id and its secret.
    pub(crate) async fn website(&mut self, algorithm: &str) -> Result<(String, String)> {
        let body = json!({
            "client_name": "Profilio", "redirect_uris": [REDIRECT_URI],
            "id_token_signed_response_alg": algorithm,
        });
        let made = self.change("POST", "clients", &body).await?;
        Ok((text(&made, "client_id")?, text(&made, "client_secret")?))
    }

    /// The log's last position; asking leaves nothing in the log.
    pub(crate) async fn log_head(&mut self) -> Result<u64> {
        let metrics = self.connection.get("/metrics", &self.key).await?.ok()?;
        let head = metrics
            .body
            .lines()
            .find_map(|line| line.strip_prefix("auth_agent_log_head "));
        Ok(head.ok_or("no log head in the metrics")?.trim().parse()?)
    }

    /// The live tail of the audit log.
    pub(crate) async fn tail(mut self) -> Result<Connection> {
        self.connection
            .events("/api/admin/audit-log", &self.key)
            .await?;
        Ok(self.connection)
    }
}
