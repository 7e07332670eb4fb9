//! Browser and agent, played over HTTP: the sign-in from the button to the verified ID token.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;

use super::{
    browser::{self, Browser},
    stage::{MODEL, OWNER, Stage},
};
use crate::cli::{
    Failure,
    output::Output,
    server::http_client,
    sign_in::{Authenticate, authenticate},
};

/// Shows each step with the time that it took.
struct Steps {
    output: Output,
    began: Instant,
    last: Instant,
}

impl Steps {
    fn begin(output: Output) -> Self {
        let now = Instant::now();
        Self {
            output,
            began: now,
            last: now,
        }
    }

    fn done(&mut self, who: &str, what: &str) {
        let took = self.last.elapsed();
        self.last = Instant::now();
        self.output
            .json(&json!({ "step": what, "who": who, "ms": ms(took) }));
        self.output
            .line(format!("{:>9.1} ms  {who:<8} {what}", ms(took)));
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Plays it. `Ok` only if the website holds a verified ID token at the end.
pub(super) async fn play(stage: &Stage, output: Output) -> Result<(), Failure> {
    let issuer = stage.server.issuer();
    let website = stage.website.address();
    let browser = Browser::open()?;
    let mut steps = Steps::begin(output);

    let home = browser.get(&at(website, "/")?).await?.shown()?;
    if !home.body.contains("href=\"/login\"") {
        return Err(Failure::failed("the website's page has no sign-in button"));
    }
    steps.done("browser", "opens the website");

    let authorize = browser.get(&at(website, "/login")?).await?.redirect()?;
    steps.done("website", "sends the browser to /authorize");

    let waiting = browser.get(&authorize).await?.shown()?;
    let request = browser::request_id(&waiting.body)
        .ok_or_else(|| Failure::failed("the waiting page names no request"))?;
    steps.done("server", "shows the waiting page");

    let mut events = browser
        .listen(&at(issuer, &format!("/api/requests/{request}/events"))?)
        .await?;
    let first: Value = status(&events.next().await?.data)?;
    if first["status"] != "pending" {
        return Err(Failure::failed(format!(
            "the page does not wait, it is {}",
            first["status"]
        )));
    }
    steps.done("browser", "waits on the event stream");

    // The agent drives this browser, so it sends the browser's cookie for the request along.
    let agent_http = http_client(issuer)?;
    let call = Authenticate {
        request_id: request,
        agent_id: &stage.agent.id,
        agent_secret: stage.agent.secret.expose(),
        model: MODEL,
        expected_origin: Some(website),
    };
    let cookies = browser.cookies(&stage.issuer_url()?);
    let agent = async {
        let answer = authenticate(&agent_http, issuer, &call, cookies).await?;
        Ok::<_, Failure>((answer, Instant::now()))
    };
    let push = async {
        let event = events.next().await?;
        Ok::<_, Failure>((event, Instant::now()))
    };
    let sent = Instant::now();
    let ((answer, answered), (event, pushed)) = tokio::try_join!(agent, push)?;
    let event: Value = status(&event.data)?;
    let binding = answer["binding"].as_str().unwrap_or_default();
    let (answered, pushed) = (ms(answered - sent), ms(pushed - sent));
    steps.done(
        "agent",
        &format!("authenticates (binding: {binding}), answered after {answered} ms"),
    );
    let redirect_to = event["redirect_to"]
        .as_str()
        .and_then(|to| Url::parse(to).ok());
    let redirect_to = redirect_to.filter(|_| event["status"] == "authenticated");
    let redirect_to =
        redirect_to.ok_or_else(|| Failure::failed("the page was not told where to go"))?;
    steps.done(
        "server",
        &format!("pushes the redirect, {pushed} ms after the agent's call"),
    );

    let inside = browser.get(&redirect_to).await?.redirect()?;
    steps.done("website", "redeems the code and verifies the ID token");

    let inside = browser.get(&inside).await?.shown()?;
    let signed_in = stage.website.signed_in(&stage.agent.id);
    let signed_in = signed_in
        .ok_or_else(|| Failure::failed("the website holds no verified ID token of this agent"))?;
    let shown = [stage.agent.id.as_str(), OWNER, MODEL, binding];
    if let Some(missing) = shown.iter().find(|text| !inside.body.contains(**text)) {
        return Err(Failure::failed(format!(
            "the website's page does not show {missing}"
        )));
    }
    steps.done("browser", "sees who is signed in");

    let total = ms(steps.began.elapsed());
    output.json(&json!({
        "signed_in": true, "agent_id": signed_in.agent_id, "model": signed_in.model,
        "binding": signed_in.binding, "id_token_alg": signed_in.algorithm, "ms": total,
    }));
    output.line(format!(
        "\nSigned in: {OWNER}'s agent {} ({}), ID token verified ({}). All of it took {total} ms.",
        signed_in.agent_id, signed_in.model, signed_in.algorithm
    ));
    Ok(())
}

fn at(origin: &str, path: &str) -> Result<Url, Failure> {
    Url::parse(&format!("{origin}{path}")).map_err(Failure::failed)
}

fn status(data: &str) -> Result<Value, Failure> {
    serde_json::from_str(data)
        .map_err(|error| Failure::failed(format!("an event holds no JSON: {error}")))
}
