//! How a job administers: through the running server's API, or, when none runs, on the database
//! itself under the very lock that a server takes. Never beside it.

use std::{io, ops::ControlFlow, time::Duration};

use http::{Method, StatusCode, header};
use serde_json::Value;

use super::{
    Failure,
    output::one_line,
    secret,
    server::{ServerChoice, http_client, told},
};
use crate::{
    config::Config,
    crypto::Secret,
    http::{LocalApi, StartError, Whereabouts},
    store::{StoreError, sqlite_file},
};

/// Items that one call of a list yields at most.
const MOST_OF_A_PAGE: usize = 500;
/// A stream is ended by one side or the other, not by a clock.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
        let mut issuer = choice.administration()?;
        let mut http = http_client(&issuer)?;
        let mut config = choice.config;
        let mut answers = who_answers(&http, &issuer).await;
        if choice.server.is_none() && !matches!(answers, Answers::Server) {
            // Not where the settings say; it may have said itself where it is.
            if let Some(found) = Whereabouts::of_holder(&config.database_url()) {
                issuer = found.administration;
                http = http_client(&issuer)?;
                answers = who_answers(&http, &issuer).await;
            }
        }
        match answers {
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
        let api = LocalApi::open(&config).await.map_err(|error| match error {
            StartError::Store(StoreError::Locked(name)) => Failure::usage(format!(
                "{name} is in use by another auth-agent process, and no server answers at {issuer}: name the \
                 running server with --server, or try again when the other job is done"
            )),
            error => error.into(),
        })?;
        Ok(Self::Local(Box::new(api)))
    }

    /// Whether no server is asked.
    pub(crate) const fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Reads what stands at `path`, which begins at the issuer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Creates or does something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Changes something.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Ends something.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.call(Method::DELETE, path, None).await.map(drop)
    }

    /// Makes a call, and yields the server's answer when it did what was asked.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        match self {
            Self::Remote(remote) => remote.call(method, path, body).await,
            Self::Local(api) => {
                let (status, answer) = api.call(method, path, body).await;
                judged(status, answer)
            }
        }
    }

    /// The items of a list, page by page until there are `most` or no more of them.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        after: Option<&str>,
        most: Option<usize>,
    ) -> Result<Page, Failure> {
        let mut items = Vec::new();
        let keep = |page| {
            items.extend(page);
            ControlFlow::Continue(())
        };
        let next = self.each_page(path, query, after, most, keep).await?;
        Ok(Page { items, next })
    }

    /// The same, for a list that may be too long to hold: `take` has the items of each page as it comes,
    /// and says whether to go on. Yields where the next page begins, if there is one.
    pub(crate) async fn each_page(
        &self,
        path: &str,
        query: &[(&str, String)],
        after: Option<&str>,
        most: Option<usize>,
        mut take: impl FnMut(Vec<Value>) -> ControlFlow<()>,
    ) -> Result<Option<String>, Failure> {
        let mut taken = 0;
        let mut next = after.map(ToOwned::to_owned);
        loop {
            let missing = most.map_or(MOST_OF_A_PAGE, |most| most - taken);
            let mut asked = form_urlencoded::Serializer::new(String::new());
            asked.extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
            asked.append_pair("limit", &missing.min(MOST_OF_A_PAGE).to_string());
            if let Some(next) = &next {
                asked.append_pair("after", next);
            }
            let mut answer = self.get(&format!("{path}?{}", asked.finish())).await?;
            if let Value::Array(items) = answer["items"].take() {
                taken += items.len();
                if take(items).is_break() {
                    return Ok(None);
                }
            }
            next = answer["next"].as_str().map(ToOwned::to_owned);
            if next.is_none() || most.is_some_and(|most| taken >= most) {
                return Ok(next);
            }
        }
    }

    /// The last items of a list that has an end.
    pub(crate) async fn newest(
        &self,
        path: &str,
        query: &[(&str, String)],
        last: u32,
    ) -> Result<Page, Failure> {
        let mut asked = form_urlencoded::Serializer::new(String::new());
        asked.extend_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        asked.append_pair("last", &last.to_string());
        let mut answer = self.get(&format!("{path}?{}", asked.finish())).await?;
        let items = match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        Ok(Page { items, next: None })
    }

    /// Finishes what was begun; the database is closed in good order.
    pub(crate) async fn close(self) {
        if let Self::Local(api) = self {
            api.close().await;
        }
    }
}

/// A part of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// Where the rest begins, if there is one.
    pub(crate) next: Option<String>,
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
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut call = self.request(method, path);
        if let Some(body) = body {
            call = call.json(body);
        }
        let response = call.send().await.map_err(|error| self.failed(&error))?;
        self.answer(response).await
    }

    /// Opens a stream of server-sent events, which lasts until one side ends it; `seen` is the last
    /// event that came before.
    pub(crate) async fn stream(
        &self,
        path: &str,
        seen: Option<&str>,
    ) -> Result<reqwest::Response, StreamError> {
        let mut call = self
            .request(Method::GET, path)
            .timeout(A_YEAR)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(seen) = seen {
            call = call.header("last-event-id", seen);
        }
        let response = call.send().await;
        let response = response.map_err(|error| StreamError::Cut(self.failed(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refused = match self.answer(response).await {
            Ok(_) => Failure::failed(format!("the server answered {status}")),
            Err(refused) => refused,
        };
        // A server that is starting or stopping, or whose proxy found none.
        Err(if status.is_server_error() {
            StreamError::Cut(refused)
        } else {
            StreamError::Refused(refused)
        })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.issuer))
            .bearer_auth(self.key.expose())
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        Failure::failed(format!("{}: {}", self.issuer, told(error)))
    }

    async fn answer(&self, response: reqwest::Response) -> Result<Value, Failure> {
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.failed(&error))?;
        let answer = serde_json::from_slice(&body).unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            let told = format!(
                "{} refused the admin key from {}: set AUTH_AGENT_ADMIN_KEY to a key of that server",
                self.issuer, self.key_from
            );
            return Err(Failure::refused(told, answer));
        }
        if status == StatusCode::NOT_FOUND && !names_what_is_missing(&answer) {
            return Err(Failure::failed(format!(
                "there is no administration at {}: it may be at another address: --server \
                 http://<admin-listen>",
                self.issuer
            )));
        }
        judged(status, answer)
    }
}

/// Why there is no stream.
pub(crate) enum StreamError {
    /// It may be tried again.
    Cut(Failure),
    /// Trying again would not help.
    Refused(Failure),
}

/// Whether a 404 is administration's own; else the whole path is unknown.
fn names_what_is_missing(answer: &Value) -> bool {
    let words = answer["error_description"].as_str();
    words.is_some_and(|words| !words.starts_with("there is nothing at"))
}

/// An answer that did what was asked, or a failure in the server's own words.
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
mod tests;
