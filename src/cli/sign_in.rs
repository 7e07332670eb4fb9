//! `sign-in`: acts as an agent from a shell. The secret goes to the configured server and to no
//! other address, whatever a page says (security.md, threat 2), and is never shown.

use std::path::PathBuf;

use clap::Args;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::{
    Failure, Output,
    output::one_line,
    secret,
    server::{ServerChoice, http_client, told},
};
use crate::{config::environment_secret, crypto::Secret, domain::RequestId};

const SECRET_VARIABLE: &str = "AUTH_AGENT_SECRET";
const COOKIE_VARIABLE: &str = "AUTH_AGENT_REQUEST_COOKIE";

/// A sign-in, and who signs in.
#[derive(Debug, Args)]
pub(crate) struct SignIn {
    /// The waiting page's address, or its request id (req_…)
    #[arg(value_name = "PAGE")]
    page: String,
    /// The agent (agent_…)
    #[arg(long, value_name = "ID")]
    agent_id: String,
    /// File that holds the agent's secret [default: the variable AUTH_AGENT_SECRET]
    #[arg(long, value_name = "FILE", conflicts_with = "secret_stdin")]
    secret_file: Option<PathBuf>,
    /// Read the agent's secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// File that holds the waiting browser's cookie for this request, as `name=value` or the value
    /// alone [default: the variable AUTH_AGENT_REQUEST_COOKIE, if it is set]
    ///
    /// It proves that the agent drives the browser that waits; websites may demand it.
    #[arg(long, value_name = "FILE")]
    cookie_file: Option<PathBuf>,
    /// The model that the agent runs on, in its own words
    #[arg(long)]
    model: String,
    /// The website that the agent means to sign in to; refused when the page is of another
    #[arg(long, value_name = "ORIGIN")]
    expected_origin: Option<String>,
    #[command(flatten)]
    server: ServerChoice,
}

impl SignIn {
    fn secret(&self) -> Result<Secret, Failure> {
        if let Some(file) = &self.secret_file {
            return secret::from_file(file);
        }
        if self.secret_stdin {
            return secret::from_stdin();
        }
        environment_secret(SECRET_VARIABLE)?.ok_or_else(|| {
            Failure::usage(format!(
                "no secret: give --secret-file, --secret-stdin, or the variable {SECRET_VARIABLE}"
            ))
        })
    }

    /// The header that carries the waiting browser's cookie, if it was given.
    fn cookie(&self, issuer: &str, request: &RequestId) -> Result<Option<HeaderValue>, Failure> {
        let given = match &self.cookie_file {
            Some(file) => Some(secret::from_file(file)?),
            None => environment_secret(COOKIE_VARIABLE)?,
        };
        given
            .map(|given| cookie_header(given.expose(), issuer, request))
            .transpose()
    }
}

/// `name=value` for this request, from that or from the value alone. A cookie of another request is
/// refused here: the server would take it for another browser's.
fn cookie_header(given: &str, issuer: &str, request: &RequestId) -> Result<HeaderValue, Failure> {
    let prefix = if issuer.starts_with("https:") {
        "__Host-aa_"
    } else {
        "aa_"
    };
    let name = format!("{prefix}{request}");
    let value = match given.split_once('=') {
        None => given,
        Some((sent, value)) if sent == name => value,
        Some(_) => {
            return Err(Failure::usage(format!(
                "the cookie is not the one of this request: take the value of {name} from the \
                 waiting browser"
            )));
        }
    };
    let mut header = HeaderValue::try_from(format!("{name}={value}"))
        .map_err(|_| Failure::usage("the cookie holds characters that no cookie has"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Does the job.
pub(crate) async fn run(args: SignIn, output: Output) -> Result<(), Failure> {
    let issuer = args.server.issuer()?;
    let request = request_id(&args.page, &issuer)?;
    let secret = args.secret()?;
    let cookie = args.cookie(&issuer, &request)?;
    let call = Authenticate {
        request_id: request,
        agent_id: &args.agent_id,
        agent_secret: secret.expose(),
        model: &args.model,
        expected_origin: args.expected_origin.as_deref(),
    };
    let answer = authenticate(&http_client(&issuer)?, &issuer, &call, cookie).await?;
    output.json(&answer);
    let binding = one_line(answer["binding"].as_str().unwrap_or("unknown"));
    output.line(format!(
        "Signed in: {request} (binding: {binding}). The browser moves on by itself."
    ));
    Ok(())
}

/// The call (POST /api/agent/authenticate).
#[derive(Serialize)]
pub(crate) struct Authenticate<'a> {
    pub(crate) request_id: RequestId,
    pub(crate) agent_id: &'a str,
    pub(crate) agent_secret: &'a str,
    pub(crate) model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_origin: Option<&'a str>,
}

/// Makes the call, with the waiting browser's cookies if the agent drives that browser, and yields
/// the answer of a sign-in that is done.
pub(crate) async fn authenticate(
    http: &reqwest::Client,
    issuer: &str,
    call: &Authenticate<'_>,
    cookies: Option<HeaderValue>,
) -> Result<Value, Failure> {
    let failed = |error: reqwest::Error| Failure::failed(format!("{issuer}: {}", told(&error)));
    let mut post = http
        .post(format!("{issuer}/api/agent/authenticate"))
        .json(call);
    if let Some(cookies) = cookies {
        post = post.header(header::COOKIE, cookies);
    }
    let response = post.send().await.map_err(failed)?;
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let body = response.bytes().await.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    judged(status, retry_after.as_ref(), answer)
}

fn judged(
    status: StatusCode,
    retry_after: Option<&HeaderValue>,
    answer: Value,
) -> Result<Value, Failure> {
    if status == StatusCode::OK && answer["status"] == "authenticated" {
        return Ok(answer);
    }
    let error = answer["error"].as_str().unwrap_or("unexpected answer");
    let words = answer["error_description"]
        .as_str()
        .unwrap_or("the server gave no reason");
    let mut message = format!("not signed in ({} {error}): {words}", status.as_u16());
    if let Some(seconds) = retry_after.and_then(|value| value.to_str().ok()) {
        message.push_str(&format!("; try again in {seconds} s"));
    }
    Err(Failure::refused(message, answer))
}

/// The request that a page is about. An address of any other server than the configured one is
/// refused: a page that looks right could be anybody's.
fn request_id(page: &str, issuer: &str) -> Result<RequestId, Failure> {
    if let Ok(id) = page.parse() {
        return Ok(id);
    }
    let malformed = || {
        Failure::usage(format!(
            "{} is neither a request id (req_…) nor a waiting page's address",
            one_line(page)
        ))
    };
    let page = Url::parse(page).map_err(|_| malformed())?;
    let server = Url::parse(issuer).map_err(|_| malformed())?;
    if page.origin() != server.origin() || !page.username().is_empty() {
        return Err(Failure::usage(format!(
            "that page is of {}, and this agent signs in through {issuer} only: nothing was sent",
            page.origin().ascii_serialization(),
        )));
    }
    let base = server.path().trim_end_matches('/');
    let below = page
        .path()
        .strip_prefix(base)
        .and_then(|path| path.strip_prefix("/authorize"));
    match below {
        Some("") => Err(Failure::usage(
            "that address starts a sign-in anew: give the request id that the waiting page shows",
        )),
        Some(rest) => {
            let id = rest.strip_prefix('/').and_then(|id| id.parse().ok());
            id.ok_or_else(malformed)
        }
        None => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "req_0000000000000000000000001234abcd";

    fn found(page: &str, issuer: &str) -> Result<String, String> {
        request_id(page, issuer)
            .map(|id| id.to_string())
            .map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn a_request_is_named_by_its_id_or_by_its_page() {
        let issuer = "https://auth.example";
        assert_eq!(found(ID, issuer).as_deref(), Ok(ID));
        assert_eq!(
            found(&format!("{issuer}/authorize/{ID}"), issuer).as_deref(),
            Ok(ID)
        );
        assert_eq!(
            found(&format!("{issuer}:443/authorize/{ID}?x#y"), issuer).as_deref(),
            Ok(ID)
        );
        let below = "http://127.0.0.1:3000/auth";
        assert_eq!(
            found(&format!("{below}/authorize/{ID}"), below).as_deref(),
            Ok(ID)
        );
    }

    #[test]
    fn a_page_of_another_origin_is_refused_before_anything_is_sent() {
        for page in [
            "https://auth.example.evil.example",
            "https://auth.example@evil.example",
            "https://evil.example",
            "http://auth.example",
            "https://auth.example:8443",
            "https://someone@auth.example",
        ] {
            let told = found(&format!("{page}/authorize/{ID}"), "https://auth.example");
            assert!(
                told.as_ref().unwrap_err().contains("nothing was sent"),
                "{page}: {told:?}"
            );
        }
        let told = found(
            &format!("http://localhost:3000/authorize/{ID}"),
            "http://127.0.0.1:3000",
        );
        assert!(told.unwrap_err().contains("nothing was sent"));
    }

    #[test]
    fn what_is_no_waiting_page_is_refused_with_a_hint() {
        let issuer = "https://auth.example/auth";
        for page in [
            "nonsense",
            "req_1",
            "https://auth.example/auth/token",
            "https://auth.example/auth/authorize/req_1",
            "https://auth.example/auth/authorizereq_0000000000000000000000001234abcd",
            "https://auth.example/authorize/req_0000000000000000000000001234abcd",
        ] {
            assert!(
                found(page, issuer).unwrap_err().contains("is neither"),
                "{page}"
            );
        }
        let told = found(
            "https://auth.example/auth/authorize?client_id=client_1",
            issuer,
        );
        assert!(told.unwrap_err().contains("starts a sign-in anew"));
    }

    #[test]
    fn the_waiting_browser_s_cookie_is_sent_for_its_own_request_only() {
        let id: RequestId = ID.parse().unwrap();
        let (http, https) = ("http://127.0.0.1:3000", "https://auth.example");
        let header = |given: &str, issuer| {
            cookie_header(given, issuer, &id).map(|header| header.to_str().unwrap().to_owned())
        };
        assert_eq!(header("beef", http).unwrap(), format!("aa_{ID}=beef"));
        assert_eq!(
            header("beef", https).unwrap(),
            format!("__Host-aa_{ID}=beef")
        );
        let whole = format!("aa_{ID}=beef");
        assert_eq!(header(&whole, http).unwrap(), whole);
        let other = ID.replace('1', "2");
        for foreign in [format!("aa_{other}=beef"), "session=beef".to_owned()] {
            let told = header(&foreign, http).unwrap_err();
            assert!(
                told.message().contains(&format!("aa_{ID}")),
                "{}",
                told.message()
            );
        }
    }

    #[test]
    fn only_an_authenticated_sign_in_counts_as_done() {
        let done = json!({"success": true, "status": "authenticated", "binding": "address"});
        assert!(judged(StatusCode::OK, None, done.clone()).is_ok());
        assert!(judged(StatusCode::FOUND, None, done).is_err());
        assert!(judged(StatusCode::OK, None, Value::Null).is_err());
        let refusal = json!({"error": "slow_down", "error_description": "too many"});
        let after = HeaderValue::from_static("7");
        let told = judged(StatusCode::TOO_MANY_REQUESTS, Some(&after), refusal).unwrap_err();
        assert_eq!(
            told.message(),
            "not signed in (429 slow_down): too many; try again in 7 s"
        );
    }
}
