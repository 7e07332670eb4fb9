//! One sign-in as a website and an agent really do it: seven requests, redirected by push.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    client::{Connection, Error, Result},
    servers::{Party, REDIRECT_URI, text},
};

const FORM: &str = "application/x-www-form-urlencoded";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The website's link to /authorize.
pub(crate) fn link(client_id: &str) -> String {
    format!(
        "/authorize?response_type=code&client_id={client_id}&redirect_uri={REDIRECT_URI}\
         &scope=openid+profile+email&state=0123456789abcdef&nonce=fedcba9876543210\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

/// The requests of a flow, in order.
pub(crate) const STEPS: [&str; 7] = [
    "GET /authorize",
    "GET …/events, first event",
    "POST /api/agent/authenticate, redirect",
    "POST /token (code)",
    "POST /introspect",
    "POST /token (refresh)",
    "POST /revoke",
];

/// How long each of [`STEPS`] took.
pub(crate) type Steps = [Duration; STEPS.len()];

/// A browser with an agent at its side and the website behind it: one connection for calls, one for
/// the stream.
pub(crate) struct Worker {
    party: Arc<Party>,
    calls: Connection,
    stream: Connection,
}

/// A page that waits, its stream open.
pub(crate) struct Waiting {
    id: String,
    cookie: String,
}

impl Worker {
    /// Connects.
    pub(crate) async fn new(to: SocketAddr, party: Arc<Party>) -> Result<Self> {
        let (calls, stream) = (Connection::open(to).await?, Connection::open(to).await?);
        Ok(Self {
            party,
            calls,
            stream,
        })
    }

    /// Keeps the stream alone.
    pub(crate) fn into_stream(self) -> Connection {
        self.stream
    }

    /// From the link to the revoked grant.
    pub(crate) async fn flow(&mut self) -> Result<Steps> {
        let mut steps = Steps::default();
        let mut last = Instant::now();
        let mut lap = |step: usize| {
            let now = Instant::now();
            steps[step] = now - last;
            last = now;
        };
        let page = self.open_page().await?;
        lap(0);
        self.listen(&page).await?;
        lap(1);
        let (_, redirect_to) = self.authenticate(&page).await?;
        lap(2);
        let tokens = self.redeem(&redirect_to).await?;
        lap(3);
        self.introspect(&text(&tokens, "access_token")?).await?;
        lap(4);
        let refresh_token = self.refresh(&text(&tokens, "refresh_token")?).await?;
        lap(5);
        let form = format!("token={refresh_token}");
        self.calls
            .post("/revoke", &self.party.basic, FORM, &form)
            .await?
            .ok()?;
        lap(6);
        Ok(steps)
    }

    /// Up to the tokens: access token and refresh token.
    pub(crate) async fn sign_in(&mut self) -> Result<(String, String)> {
        let page = self.wait().await?;
        let (_, redirect_to) = self.authenticate(&page).await?;
        let tokens = self.redeem(&redirect_to).await?;
        Ok((
            text(&tokens, "access_token")?,
            text(&tokens, "refresh_token")?,
        ))
    }

    /// Opens a page and its stream.
    pub(crate) async fn wait(&mut self) -> Result<Waiting> {
        let page = self.open_page().await?;
        self.listen(&page).await?;
        Ok(page)
    }

    async fn open_page(&mut self) -> Result<Waiting> {
        let path = link(&self.party.client_id);
        let page = self.calls.get(&path, &self.party.forwarded).await?.ok()?;
        let cookie = page
            .header("set-cookie")
            .and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.ok_or("no cookie")?.to_owned();
        // The cookie is named after the request: `aa_<request id>=<secret>`.
        let name = cookie.split('=').next().unwrap_or_default();
        let id = name
            .find("req_")
            .map(|at| name[at..].to_owned())
            .ok_or("no request id")?;
        if page.body.contains(&id) {
            Ok(Waiting {
                id,
                cookie: format!("cookie: {cookie}\r\n"),
            })
        } else {
            Err(Error::from("the page does not name its request"))
        }
    }

    async fn listen(&mut self, page: &Waiting) -> Result<()> {
        let path = format!("/api/requests/{}/events", page.id);
        self.stream.events(&path, &page.cookie).await?;
        let first = self.stream.event().await?.ok_or("the stream ended")?;
        if first.contains("pending") {
            Ok(())
        } else {
            Err(first.into())
        }
    }

    /// The agent authenticates; yields how long it took until the browser knew, and where it goes.
    pub(crate) async fn authenticate(&mut self, page: &Waiting) -> Result<(Duration, String)> {
        let agent = &self.party.agent;
        let body = json!({
            "request_id": page.id, "agent_id": agent.id, "agent_secret": agent.secret,
            "model": "claude-opus-4",
        });
        let body = body.to_string();
        let Self { calls, stream, .. } = self;
        let start = Instant::now();
        let headers = format!("{}{}", page.cookie, self.party.forwarded);
        let call = calls.post(
            "/api/agent/authenticate",
            &headers,
            "application/json",
            &body,
        );
        let push = async {
            let event = stream.event().await?.ok_or("the stream ended")?;
            let took = start.elapsed();
            while stream.event().await?.is_some() {}
            Ok::<_, Error>((took, event))
        };
        let (answer, pushed) = tokio::join!(call, push);
        answer?.ok()?;
        let (took, event) = pushed?;
        Ok((took, text(&serde_json::from_str(&event)?, "redirect_to")?))
    }

    async fn redeem(&mut self, redirect_to: &str) -> Result<Value> {
        let query = redirect_to.split(['?', '&']);
        let code = query
            .filter_map(|pair| pair.strip_prefix("code="))
            .next()
            .ok_or("no code")?;
        let form = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
        self.token(&form).await
    }

    /// Rotates; yields the next refresh token.
    pub(crate) async fn refresh(&mut self, refresh_token: &str) -> Result<String> {
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        text(&self.token(&form).await?, "refresh_token")
    }

    async fn token(&mut self, form: &str) -> Result<Value> {
        let answer = self
            .calls
            .post("/token", &self.party.basic, FORM, form)
            .await?
            .ok()?;
        let tokens: Value = serde_json::from_str(&answer.body)?;
        text(&tokens, "id_token")?;
        Ok(tokens)
    }

    /// Asks about a token, which must be active.
    pub(crate) async fn introspect(&mut self, access_token: &str) -> Result<()> {
        let form = format!("token={access_token}");
        let answer = self
            .calls
            .post("/introspect", &self.party.basic, FORM, &form)
            .await?
            .ok()?;
        if answer.body.contains(r#""active":true"#) {
            Ok(())
        } else {
            Err(answer.body.into())
        }
    }

    /// The smallest call there is, for the null server alone.
    pub(crate) async fn nothing(&mut self) -> Result<()> {
        self.calls.get("/", "").await?.ok().map(drop)
    }
}
