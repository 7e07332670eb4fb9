//! `client try`: stands in for a client's website, so that a sign-in can be seen before there is one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{OriginalUri, Query, State},
    response::{IntoResponse, Response},
};
use clap::Args;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

use super::KIND;
use crate::{
    cli::{
        Failure, Output,
        admin::Admin,
        doors::{Doors, Serving},
        oidc::{Answer, Pending, Registration, RelyingParty, SignedIn},
        output::{one_line, this_program},
        secret,
        server::ServerChoice,
        signals::StopSignals,
        table,
    },
    config::environment_secret,
    crypto::Secret,
};

const SECRET_VARIABLE: &str = "AUTH_AGENT_CLIENT_SECRET";

/// Which client, and how its website would be.
#[derive(Debug, Args)]
pub(crate) struct TryClient {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// File that holds the client's secret, to redeem the code with [default: the variable
    /// AUTH_AGENT_CLIENT_SECRET, if it is set]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Which of its redirect URIs [default: the first on this machine, else the first]
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    #[command(flatten)]
    server: ServerChoice,
}

impl TryClient {
    fn secret(&self) -> Result<Option<Secret>, Failure> {
        match &self.secret_file {
            Some(file) => secret::from_file(file).map(Some),
            None => Ok(environment_secret(SECRET_VARIABLE)?),
        }
    }
}

/// What came of it.
enum Outcome {
    /// The code was redeemed, and the ID token verified.
    SignedIn(SignedIn),
    /// There is no secret to redeem the code with.
    CodeOnly,
}

/// Begins a sign-in as the client's website would, and shows how it ends where the browser comes back
/// to this machine.
pub(super) async fn run(args: TryClient, output: Output) -> Result<(), Failure> {
    let path = KIND.at(&args.id)?;
    let secret = args.secret()?;
    let issuer = args.server.issuer()?;
    let admin = Admin::open(args.server).await?;
    if admin.is_local() {
        admin.close().await;
        return Err(Failure::usage(
            "no server runs that could be signed in to: start one with `auth-agent serve`",
        ));
    }
    let client = admin.get(&path).await?;
    if client["status"] == "revoked" {
        return Err(Failure::failed(
            "the client is revoked: nobody signs in there",
        ));
    }
    let redirect_uri = redirect_uri(&client, args.redirect_uri)?;
    let here = on_this_machine(&redirect_uri);
    let method = client["token_endpoint_auth_method"].as_str();
    let can_redeem = secret.is_some() || method == Some("none");
    let scopes = scopes(&client)?;
    let relying_party = RelyingParty::discover(Registration {
        issuer: issuer.clone(),
        client_id: args.id.clone(),
        client_secret: secret.filter(|_| method != Some("none")),
        posts_secret: method == Some("client_secret_post"),
        redirect_uri: redirect_uri.clone(),
    })
    .await?;
    let (address, state, pending) = relying_party.begin(&scopes);
    let waits = match &here {
        Some(url) => {
            let expected = Expected {
                path: url.path().to_owned(),
                state,
                relying_party,
                pending: Mutex::new(Some(pending)),
                can_redeem,
            };
            Some(Waiting::begin(url, expected).await?)
        }
        None => None,
    };
    output.json(&json!({
        "authorize_url": address, "redirect_uri": redirect_uri, "waits": waits.is_some(),
    }));
    output.line(format!(
        "A sign-in to {}, as its website would begin it. Open this address in a browser:\n\n  {address}\n",
        table::text(&client["client_name"])
    ));
    output.line(format!(
        "While the page waits, the agent signs in, in another terminal:\n\n  {} sign-in <address of the page> \
         --server {issuer} --agent-id <agent id> --secret-file agent.secret --model <model>\n",
        this_program()
    ));
    let Some(waits) = waits else {
        output.line(format!(
            "The browser goes on to {}, where the website did not begin this and will refuse it. What happened \
             until then is told by `auth-agent audit --client {}`.",
            one_line(&redirect_uri),
            args.id
        ));
        return Ok(());
    };
    output.line(format!(
        "Waiting for the browser at {}. Ctrl-C ends it.",
        one_line(&redirect_uri)
    ));
    let outcome = waits.outcome().await?;
    tell(&outcome, output);
    Ok(())
}

fn tell(outcome: &Outcome, output: Output) {
    match outcome {
        Outcome::SignedIn(who) => {
            output.json(&json!({
                "signed_in": true, "agent_id": who.agent_id, "owner": who.owner, "model": who.model,
                "binding": who.binding, "id_token_alg": who.algorithm,
            }));
            output.line(format!("\nSigned in: {}.", one_line(&who.agent_id)));
            for (label, value) in [
                ("owner   ", &who.owner),
                ("model   ", &who.model),
                ("binding ", &who.binding),
                ("ID token", &format!("verified ({})", who.algorithm)),
            ] {
                output.line(format!("  {label}  {}", table::text(&json!(value))));
            }
        }
        Outcome::CodeOnly => {
            output.json(&json!({ "signed_in": true, "redeemed": false }));
            output.line(format!(
                "\nAn agent signed in, and the browser came back with a code. Redeeming it takes the client's secret: \
                 give --secret-file, or {SECRET_VARIABLE}."
            ));
        }
    }
}

/// The redirect URI that was named, or the one that shows most.
fn redirect_uri(client: &Value, named: Option<String>) -> Result<String, Failure> {
    let registered = client["redirect_uris"].as_array();
    let registered: Vec<&str> = registered
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(named) = named {
        if registered.contains(&&*named) {
            return Ok(named);
        }
        return Err(Failure::usage(format!(
            "{} is not registered for this client: {}",
            one_line(&named),
            one_line(&registered.join(", "))
        )));
    }
    let here = registered.iter().find(|uri| on_this_machine(uri).is_some());
    let first = here.or(registered.first());
    let first = first.ok_or_else(|| Failure::failed("the client has no redirect URI"))?;
    Ok((*first).to_owned())
}

/// The address, if it is one that a browser on this machine reaches this process by.
fn on_this_machine(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    // Only loopback is registered with http.
    (url.scheme() == "http").then_some(url)
}

/// What the client may ask for of what is shown here.
fn scopes(client: &Value) -> Result<Vec<&'static str>, Failure> {
    let allowed = client["scope"].as_str().unwrap_or_default();
    let may = |scope: &str| allowed.split(' ').any(|word| word == scope);
    if !may("openid") {
        return Err(Failure::usage(
            "this client may not ask for the scope openid, and so is told nobody's id: `auth-agent client update \
             --scope` changes that",
        ));
    }
    Ok(["profile"].into_iter().filter(|scope| may(scope)).collect())
}

/// The sign-in that was begun, while the browser is away.
struct Expected {
    path: String,
    state: String,
    relying_party: RelyingParty,
    /// Until the browser has come back.
    pending: Mutex<Option<Pending>>,
    can_redeem: bool,
}

type Told = mpsc::Sender<Result<Outcome, Failure>>;

/// The place where the browser comes back to.
struct Waiting {
    serving: Serving,
    outcome: mpsc::Receiver<Result<Outcome, Failure>>,
    signals: StopSignals,
}

impl Waiting {
    async fn begin(url: &Url, expected: Expected) -> Result<Self, Failure> {
        let port = url.port_or_known_default().unwrap_or(80);
        let doors = Doors::open(Some(port), port, 1).await.map_err(|failure| {
            Failure::usage(format!(
                "{}: stop what has that port while this waits there, maybe the website itself",
                failure.message()
            ))
        })?;
        let signals = StopSignals::catch()
            .map_err(|error| Failure::failed(format!("cannot catch signals: {error}")))?;
        let (told, outcome) = mpsc::channel(1);
        let router = Router::new()
            .fallback(arrived)
            .with_state((Arc::new(expected), told));
        Ok(Self {
            serving: doors.serve(&router),
            outcome,
            signals,
        })
    }

    /// How it ended, once the browser has come back.
    async fn outcome(mut self) -> Result<Outcome, Failure> {
        let outcome = tokio::select! {
            outcome = self.outcome.recv() => outcome,
            () = self.signals.next() => None,
        };
        self.serving.stop().await;
        outcome.unwrap_or_else(|| Err(Failure::failed("stopped before anybody signed in")))
    }
}

/// A browser comes; with the right `state` it ends the sign-in, once.
async fn arrived(
    State((expected, told)): State<(Arc<Expected>, Told)>,
    OriginalUri(uri): OriginalUri,
    Query(answer): Query<Answer>,
) -> Response {
    if uri.path() != expected.path {
        return page(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    let fits = answer.state.as_ref() == Some(&expected.state);
    let pending = fits.then(|| {
        let pending = expected.pending.lock();
        pending.unwrap_or_else(PoisonError::into_inner).take()
    });
    let Some(pending) = pending.flatten() else {
        return page(
            StatusCode::BAD_REQUEST,
            "This is not the sign-in that was begun here, or it has ended.",
        );
    };
    let outcome = ended(&expected, answer, pending).await;
    let (status, words) = match &outcome {
        Ok(_) => (
            StatusCode::OK,
            "Signed in. The terminal tells more.".to_owned(),
        ),
        Err(failure) => (StatusCode::BAD_GATEWAY, failure.message().to_owned()),
    };
    // The job may have been stopped meanwhile.
    let _ = told.send(outcome).await;
    page(status, &format!("{words} You can close this page."))
}

async fn ended(expected: &Expected, answer: Answer, pending: Pending) -> Result<Outcome, Failure> {
    let relying_party = &expected.relying_party;
    if !relying_party.is_from_issuer(answer.iss.as_deref()) {
        return Err(Failure::failed(
            "the answer came from another server than the one that was asked",
        ));
    }
    if let Some(error) = answer.error {
        let words = answer.error_description.unwrap_or_default();
        return Err(Failure::refused(
            format!("not signed in ({error}): {words}"),
            json!({ "error": error, "error_description": words }),
        ));
    }
    let code = answer
        .code
        .ok_or_else(|| Failure::failed("the answer holds neither a code nor an error"))?;
    if !expected.can_redeem {
        return Ok(Outcome::CodeOnly);
    }
    let signed_in = relying_party.finish(code, pending).await;
    signed_in.map(Outcome::SignedIn).map_err(Failure::failed)
}

/// Words for the browser. The address that it stands at has held a code.
fn page(status: StatusCode, words: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, format!("{words}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redirect_uri_that_shows_most_is_taken_unless_one_is_named() {
        let client = json!({"redirect_uris": [
            "https://a.example/cb", "com.example:/cb", "http://localhost:8080/cb",
        ]});
        let chosen = |named: Option<&str>| redirect_uri(&client, named.map(str::to_owned));
        assert_eq!(chosen(None).unwrap(), "http://localhost:8080/cb");
        let named = "https://a.example/cb";
        assert_eq!(chosen(Some(named)).unwrap(), named);
        let told = chosen(Some("https://b.example/cb")).unwrap_err();
        assert!(
            told.message().contains("http://localhost:8080/cb"),
            "{told:?}"
        );
    }
}
