//! A small client of the wire contract: administrator, browser, agent and website in one.
//!
//! What is called by its plain name does as a good caller would; every odd case is reached by
//! [`Api::get`], [`Api::post`] or a method that takes the parameters as they are.

use reqwest::{Method, RequestBuilder, header, redirect::Policy};
use serde_json::{Value, json};
use url::Url;

use super::{
    described::{self, Answer, assert_described},
    process::{arbitrary, eventually},
    reply::Reply,
    sign_in::{Agent, Auth, Authorize, Callback, Client, SignIn, Tokens, WaitingPage},
    sse::Sse,
};

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    pub(crate) issuer: String,
    pub(crate) admin_key: String,
}

impl Api {
    /// A client that follows no redirects and keeps no cookies.
    pub(crate) fn new(base: String, issuer: String, admin_key: String) -> Self {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .build();
        Self {
            http: http.expect("a client can be built"),
            base,
            issuer,
            admin_key,
        }
    }

    /// Any call; `path` begins with `/`, or is a whole address.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.base)
        } else {
            path.into()
        };
        self.http.request(method, url)
    }

    /// A GET.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    /// A POST.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.call(Method::POST, path)
    }

    /// Sends a call and reads the answer.
    pub(crate) async fn send(&self, call: RequestBuilder) -> Reply {
        let (http, request) = call.build_split();
        let request = request.expect("the call is whole");
        let method = request.method().to_string();
        let sent = request.body().and_then(|body| body.as_bytes());
        let sent = sent.and_then(|sent| serde_json::from_slice(sent).ok());
        let response = http.execute(request).await.expect("the server answers");
        let path = response.url().path().to_owned();
        let reply = Reply::read(response).await;
        assert_described(&Answer {
            method: &method,
            path: &path,
            sent: sent.as_ref(),
            status: reply.status,
            headers: described::plain(&reply.headers),
            body: Some(&reply.text),
        });
        reply
    }

    /// Whether /api/ready says so.
    pub(crate) async fn is_ready(&self) -> bool {
        self.get("/api/ready")
            .send()
            .await
            .is_ok_and(|response| response.status() == 200)
    }

    // As the administrator

    /// A call below /api/admin, such as `("POST", "/clients", Some(…))`.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut call = self
            .call(method, &format!("/api/admin{path}"))
            .bearer_auth(&self.admin_key);
        if let Some(body) = body {
            call = call.json(&body);
        }
        self.send(call).await
    }

    /// Registers a website; `fields` add to, or replace, a name and one redirect URI.
    pub(crate) async fn create_client(&self, fields: Value) -> Client {
        let mut body = json!({
            "client_name": "Profilio",
            "redirect_uris": ["https://profilio.example/callback"],
        });
        merge(&mut body, fields);
        let json = self
            .admin(Method::POST, "/clients", Some(body.clone()))
            .await
            .expect(201)
            .json;
        let auth = match body["token_endpoint_auth_method"].as_str() {
            None | Some("client_secret_basic") => Auth::Basic,
            Some("client_secret_post") => Auth::Post,
            Some("none") => Auth::None,
            Some(other) => panic!("no such method: {other}"),
        };
        Client {
            id: json["client_id"].as_str().expect("an id").to_owned(),
            secret: json["client_secret"].as_str().map(str::to_owned),
            redirect_uri: body["redirect_uris"][0]
                .as_str()
                .expect("a text")
                .to_owned(),
            auth,
            json,
        }
    }

    /// Registers an agent; `fields` add to, or replace, its name, its owner's name and an address
    /// that no other agent's owner has.
    pub(crate) async fn create_agent(&self, fields: Value) -> Agent {
        let mut body = json!({
            "agent_name": "Errand Runner",
            "user_email": format!("ada.{:x}@people.example", arbitrary()),
            "user_name": "Ada Lovelace",
        });
        merge(&mut body, fields);
        let json = self
            .admin(Method::POST, "/agents", Some(body))
            .await
            .expect(201)
            .json;
        let text = |member: &str| json[member].as_str().expect("a text").to_owned();
        let (id, secret, owner_id) = (text("agent_id"), text("agent_secret"), text("owner_id"));
        Agent {
            id,
            secret,
            owner_id,
            json,
        }
    }

    /// The kill switch for an agent.
    pub(crate) async fn suspend(&self, agent: &Agent) {
        self.admin(Method::POST, &format!("/agents/{}/suspend", agent.id), None)
            .await
            .expect(200);
    }

    /// Undoes [`Self::suspend`].
    pub(crate) async fn reinstate(&self, agent: &Agent) {
        let path = format!("/agents/{}/reinstate", agent.id);
        self.admin(Method::POST, &path, None).await.expect(200);
    }

    /// The events that match, in the order of the log; `query` as in `stream=auth_request/req_…`.
    pub(crate) async fn audit_log(&self, query: &str) -> Vec<Value> {
        let call = self
            .get(&format!("/api/admin/audit-log?{query}"))
            .bearer_auth(&self.admin_key);
        let reply = self
            .send(call.header(header::ACCEPT, "application/x-ndjson"))
            .await;
        let lines = reply.expect(200).text;
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }

    /// The types of a request's events.
    pub(crate) async fn event_types(&self, page: &WaitingPage) -> Vec<String> {
        let query = format!("stream=auth_request/{}", page.request_id);
        let events = self.audit_log(&query).await;
        events
            .iter()
            .map(|event| event["type"].as_str().expect("a text").to_owned())
            .collect()
    }

    /// The events that match as they are appended; `query` may be empty.
    pub(crate) async fn tail(&self, query: &str, last_event_id: Option<&str>) -> Sse {
        let mut call = self
            .get(&format!("/api/admin/audit-log?{query}"))
            .bearer_auth(&self.admin_key)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            call = call.header("last-event-id", id);
        }
        Sse::new(call.send().await.expect("the server answers"))
    }

    // As the browser

    /// GET /authorize with these parameters and cookies (`name=value; …`, or nothing).
    pub(crate) async fn open(&self, asked: &Authorize, cookies: &str) -> Reply {
        let mut call = self.get(&format!("/authorize?{}", asked.query()));
        if !cookies.is_empty() {
            call = call.header(header::COOKIE, cookies);
        }
        self.send(call).await
    }

    /// Opens the waiting page in a browser without cookies.
    pub(crate) async fn authorize(&self, asked: &Authorize) -> WaitingPage {
        WaitingPage::of(self.open(asked, "").await)
    }

    /// /api/check-status with the page's cookie.
    pub(crate) async fn check_status(&self, page: &WaitingPage) -> Reply {
        let call = self.get(&format!("/api/check-status?request_id={}", page.request_id));
        self.send(call.header(header::COOKIE, &page.cookie)).await
    }

    /// The page's stream of events, from the beginning.
    pub(crate) async fn events(&self, page: &WaitingPage) -> Sse {
        self.sse(&page.request_id, Some(&page.cookie), None).await
    }

    /// The stream of any request, with any cookies and `Last-Event-ID`.
    pub(crate) async fn sse(
        &self,
        request_id: &str,
        cookies: Option<&str>,
        last_event_id: Option<&str>,
    ) -> Sse {
        let mut call = self
            .get(&format!("/api/requests/{request_id}/events"))
            .header(header::ACCEPT, "text/event-stream");
        if let Some(cookies) = cookies {
            call = call.header(header::COOKIE, cookies);
        }
        if let Some(id) = last_event_id {
            call = call.header("last-event-id", id);
        }
        Sse::new(call.send().await.expect("the server answers"))
    }

    /// Waits until the browser may go home, and says where to.
    pub(crate) async fn callback(&self, page: &WaitingPage) -> Callback {
        let url = eventually("the redirect", async || {
            let reply = self.check_status(page).await.expect(200);
            reply.json["redirect_to"].as_str().map(str::to_owned)
        })
        .await;
        Callback {
            url: Url::parse(&url).expect("an address"),
        }
    }

    // As the agent

    /// Authenticates for a page, carrying its cookie.
    pub(crate) async fn authenticate(&self, page: &WaitingPage, agent: &Agent) -> Reply {
        self.authenticate_with(&authentication(&page.request_id, agent), &page.cookie)
            .await
    }

    /// POST /api/agent/authenticate with any body and cookies (or nothing).
    pub(crate) async fn authenticate_with(&self, body: &Value, cookies: &str) -> Reply {
        let mut call = self.post("/api/agent/authenticate").json(body);
        if !cookies.is_empty() {
            call = call.header(header::COOKIE, cookies);
        }
        self.send(call).await
    }

    // As the website

    /// POST of a form by a client that proves who it is as it was registered to.
    pub(crate) async fn form(&self, client: &Client, path: &str, form: &[(&str, &str)]) -> Reply {
        let mut form = form.to_vec();
        let secret = client.secret.as_deref().unwrap_or_default();
        let mut call = self.post(path);
        match client.auth {
            // Ids and secrets need no form-encoding (RFC 6749 §2.3.1).
            Auth::Basic => call = call.basic_auth(&client.id, Some(secret)),
            Auth::Post => form.extend([("client_id", &*client.id), ("client_secret", secret)]),
            Auth::None => form.push(("client_id", &client.id)),
        }
        self.send(call.form(&form)).await
    }

    /// POST /token.
    pub(crate) async fn token(&self, client: &Client, form: &[(&str, &str)]) -> Reply {
        self.form(client, "/token", form).await
    }

    /// Exchanges a code, whatever comes of it.
    pub(crate) async fn redeem(&self, client: &Client, code: &str, verifier: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
        ];
        self.token(client, &form).await
    }

    /// Uses a refresh token, whatever comes of it.
    pub(crate) async fn refresh(&self, client: &Client, refresh_token: &str) -> Reply {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.token(client, &form).await
    }

    /// POST /introspect.
    pub(crate) async fn introspect(&self, client: &Client, token: &str) -> Reply {
        self.form(client, "/introspect", &[("token", token)]).await
    }

    /// Whether a token is active, as its client sees it; an inactive one must say nothing else.
    pub(crate) async fn is_active(&self, client: &Client, token: &str) -> bool {
        let reply = self.introspect(client, token).await.expect(200);
        let active = reply.json["active"].as_bool().expect("a truth");
        assert!(
            active || reply.json == json!({"active": false}),
            "{}",
            reply.text
        );
        active
    }

    /// POST /revoke.
    pub(crate) async fn revoke(&self, client: &Client, token: &str) -> Reply {
        self.form(client, "/revoke", &[("token", token)]).await
    }

    /// GET /userinfo.
    pub(crate) async fn userinfo(&self, access_token: &str) -> Reply {
        self.send(self.get("/userinfo").bearer_auth(access_token))
            .await
    }

    /// From the waiting page to the code, which is left unused.
    pub(crate) async fn code(
        &self,
        client: &Client,
        agent: &Agent,
    ) -> (Authorize, WaitingPage, Callback) {
        let asked = Authorize::new(client);
        let page = self.authorize(&asked).await;
        self.authenticate(&page, agent).await.expect(200);
        let callback = self.callback(&page).await;
        (asked, page, callback)
    }

    /// From the waiting page to the tokens.
    pub(crate) async fn sign_in(&self, client: &Client, agent: &Agent) -> SignIn {
        let (asked, page, callback) = self.code(client, agent).await;
        let code = callback.get("code");
        let tokens = Tokens::of(self.redeem(client, &code, &asked.pkce.verifier).await);
        SignIn {
            asked,
            page,
            code,
            tokens,
        }
    }
}

/// The body of an authentication by secret.
pub(crate) fn authentication(request_id: &str, agent: &Agent) -> Value {
    json!({
        "request_id": request_id,
        "agent_id": agent.id,
        "agent_secret": agent.secret,
        "model": "claude-opus-4",
    })
}

fn merge(body: &mut Value, fields: Value) {
    let (Value::Object(body), Value::Object(fields)) = (body, fields) else {
        panic!("fields are an object");
    };
    body.extend(fields);
}
