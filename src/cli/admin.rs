//! How a job administers: through the running server's API, or, when none runs, on the database
//! itself under the very lock that a server takes. Never beside it.

use std::io;

use http::{Method, StatusCode};
use serde_json::Value;

use super::{
    Failure,
    output::one_line,
    secret,
    server::{ServerChoice, http_client, told},
};
use crate::{config::Config, crypto::Secret, http::LocalApi, store::sqlite_file};

/// A way to administer.
pub(crate) enum Admin {
    /// Over the network, with a key.
    Remote(Remote),
    /// In this process.
    Local(Box<LocalApi>),
}

/// A running server, and a key to it.
pub(crate) struct Remote {
    http: reqwest::Client,
    issuer: String,
    key: Secret,
    /// Where the key was found, for when it is refused.
    key_from: String,
}

/// Who answers at an address.
enum Answers {
    Server,
    SomethingElse,
    Nobody(String),
}

impl Admin {
    /// Looks for the server, and for the key to it.
    pub(crate) async fn open(choice: ServerChoice) -> Result<Self, Failure> {
        let issuer = choice.issuer()?;
        let http = http_client(&issuer)?;
        let mut config = choice.config;
        match who_answers(&http, &issuer).await {
            Answers::Server => {
                config.read_environment()?;
                let (key, key_from) = admin_key(&mut config)?;
                Ok(Self::Remote(Remote {
                    http,
                    issuer,
                    key,
                    key_from,
                }))
            }
            Answers::SomethingElse => Err(Failure::failed(format!(
                "what answers at {issuer} is not Auth Agent: name the server with --server"
            ))),
            Answers::Nobody(why) if choice.server.is_some() => Err(Failure::failed(format!(
                "no server answers at {issuer} ({why})"
            ))),
            Answers::Nobody(_) => Self::open_database(config, &issuer).await,
        }
    }

    async fn open_database(mut config: Config, issuer: &str) -> Result<Self, Failure> {
        let nobody = |what: &str| {
            Failure::failed(format!(
                "no server answers at {issuer}, and {what}: start one with `auth-agent serve`, or \
                 name a running one with --server"
            ))
        };
        let Some(file) = sqlite_file(&config.database_url()) else {
            return Err(nobody("the database is not on this machine alone"));
        };
        if !file.exists() {
            return Err(nobody(&format!(
                "there is no database at {}",
                file.display()
            )));
        }
        config.read_environment()?;
        config.validate()?;
        Ok(Self::Local(Box::new(LocalApi::open(&config).await?)))
    }

    /// Creates something by `POST <path>`, and yields the server's answer.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        match self {
            Self::Remote(remote) => remote.create(path, body).await,
            Self::Local(api) => {
                let (status, answer) = api.call(Method::POST, path, Some(body)).await;
                judged(status, answer)
            }
        }
    }

    /// Finishes what was begun; the database is closed in good order.
    pub(crate) async fn close(self) {
        if let Self::Local(api) = self {
            api.close().await;
        }
    }
}

impl Remote {
    /// A server that is known to run, with a key that is known to be its own.
    pub(crate) fn new(issuer: String, key: Secret) -> Result<Self, Failure> {
        let http = http_client(&issuer)?;
        Ok(Self {
            http,
            issuer,
            key,
            key_from: "its first start".to_owned(),
        })
    }

    /// Creates something by `POST <path>`, and yields the server's answer.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let Self {
            http,
            issuer,
            key,
            key_from,
        } = self;
        let failed = |error: reqwest::Error| Failure::failed(format!("{issuer}: {}", told(&error)));
        let call = http
            .post(format!("{issuer}{path}"))
            .bearer_auth(key.expose())
            .json(body);
        let response = call.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(Failure::failed(format!(
                "{issuer} refused the admin key from {key_from}: set AUTH_AGENT_ADMIN_KEY to a key \
                 of that server"
            )));
        }
        judged(status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// An answer that creates, or a failure in the server's own words.
fn judged(status: StatusCode, answer: Value) -> Result<Value, Failure> {
    if status.is_success() {
        return Ok(answer);
    }
    let words = answer["error_description"]
        .as_str()
        .or_else(|| answer["error"].as_str());
    let message = match words {
        Some(words) => one_line(words),
        None => format!("the server answered {status}"),
    };
    Err(Failure::refused(message, answer))
}

/// Asks before a key is sent: some other program may have the port.
async fn who_answers(http: &reqwest::Client, issuer: &str) -> Answers {
    match http.get(format!("{issuer}/api/health")).send().await {
        Ok(response) => match response.json::<Value>().await {
            Ok(health) if health["status"] == "ok" => Answers::Server,
            _ => Answers::SomethingElse,
        },
        Err(error) if error.is_connect() || error.is_timeout() => Answers::Nobody(told(&error)),
        Err(_) => Answers::SomethingElse,
    }
}

/// The key from the environment, or the one that the first start kept.
fn admin_key(config: &mut Config) -> Result<(Secret, String), Failure> {
    if let Some(key) = config.admin_key.take() {
        return Ok((key, "AUTH_AGENT_ADMIN_KEY".to_owned()));
    }
    let file = config.admin_key_file();
    match file.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::usage(format!(
            "no admin key: set AUTH_AGENT_ADMIN_KEY to the one shown at the first start (there is \
             none in {})",
            file.display()
        ))),
        _ => Ok((secret::from_file(&file)?, file.display().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_server_s_words() {
        let words =
            json!({"error": "invalid_redirect_uri", "error_description": "http://x uses\nhttp"});
        let told = judged(StatusCode::BAD_REQUEST, words).unwrap_err();
        assert_eq!(told.message(), "http://x uses http");
        let told = judged(StatusCode::BAD_GATEWAY, Value::Null).unwrap_err();
        assert_eq!(told.message(), "the server answered 502 Bad Gateway");
        assert!(judged(StatusCode::CREATED, json!({})).is_ok());
    }

    /// An address where nobody listens: bound and let go.
    fn free_address() -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn where_no_server_runs_the_database_is_opened_also_below_an_issuer_s_path() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_address();
        let config = || {
            let mut config = Config::with_defaults(free, &folder.path().join("data")).unwrap();
            config.issuer = Some(format!("http://{free}/auth"));
            config
        };
        LocalApi::open(&config()).await.unwrap().close().await;
        let choice = ServerChoice {
            server: None,
            config: config(),
        };
        let admin = Admin::open(choice).await.unwrap();
        let client = json!({"client_name": "x", "redirect_uris": ["https://a.example/cb"]});
        let made = admin.create("/api/admin/clients", &client).await.unwrap();
        assert!(made["client_id"].as_str().unwrap().starts_with("client_"));
        admin.close().await;
    }

    #[tokio::test]
    async fn with_neither_server_nor_database_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_address();
        let config = Config::with_defaults(free, &folder.path().join("data")).unwrap();
        let opened = Admin::open(ServerChoice {
            server: None,
            config,
        })
        .await;
        let told = opened.err().unwrap();
        assert!(told.message().contains("no server answers"), "{told:?}");
        assert!(told.message().contains("auth-agent serve"), "{told:?}");
        assert!(!folder.path().join("data").exists());
    }
}
