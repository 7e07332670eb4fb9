//! What a sign-in is made of, as each side of it holds it: who takes part, what was asked, what came of it.

use reqwest::header;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{pkce::Pkce, process::arbitrary, reply::Reply};

/// How a client proves who it is at /token, /introspect and /revoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// `none`
    None,
}

/// A registered website.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    /// The first of its redirect URIs.
    pub(crate) redirect_uri: String,
    pub(crate) auth: Auth,
    /// The whole answer of its registration.
    pub(crate) json: Value,
}

/// A registered agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) owner_id: String,
    /// The whole answer of its registration.
    pub(crate) json: Value,
}

/// The parameters of an authorization request, and what the website keeps for later.
#[derive(Debug, Clone)]
pub(crate) struct Authorize {
    pub(crate) params: Vec<(String, String)>,
    pub(crate) pkce: Pkce,
    pub(crate) state: String,
    pub(crate) nonce: String,
}

impl Authorize {
    /// A faultless request for `openid profile email`.
    pub(crate) fn new(client: &Client) -> Self {
        let pkce = Pkce::new();
        let (state, nonce) = (format!("s{:x}", arbitrary()), format!("n{:x}", arbitrary()));
        let params = [
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &client.redirect_uri),
            ("scope", "openid profile email"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &pkce.challenge),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        Self {
            params,
            pkce,
            state,
            nonce,
        }
    }

    /// With another value.
    #[must_use]
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// Without a parameter.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.params.retain(|(n, _)| n != name);
        self
    }

    /// With one more, even if that repeats it.
    #[must_use]
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `application/x-www-form-urlencoded`
    pub(crate) fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.params)
            .finish()
    }
}

/// The waiting page, as the browser that opened it has it.
#[derive(Debug, Clone)]
pub(crate) struct WaitingPage {
    pub(crate) request_id: String,
    /// `name=value`, as a `Cookie` header carries it.
    pub(crate) cookie: String,
    pub(crate) html: String,
    /// What the page tells agents.
    pub(crate) object: Value,
}

impl WaitingPage {
    /// Reads it from a 200 of /authorize.
    #[track_caller]
    pub(crate) fn of(reply: Reply) -> Self {
        let Reply {
            headers,
            text: html,
            ..
        } = reply.expect(200);
        let begin = html
            .find(r#"id="auth-agent-request">"#)
            .expect("the page tells agents");
        let object = &html[begin + r#"id="auth-agent-request">"#.len()..];
        let object = &object[..object.find("</script>").expect("a script ends")];
        let object: Value = serde_json::from_str(object).expect("the page's object is JSON");
        let request_id = object["request_id"].as_str().expect("a text").to_owned();
        let cookie = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .find(|cookie| cookie.contains(&request_id))
            .map(str::to_owned)
            // A reload need not set it again.
            .unwrap_or_default();
        Self {
            request_id,
            cookie,
            html,
            object,
        }
    }
}

/// What the browser brings home.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) url: Url,
}

impl Callback {
    /// A parameter of the callback, or nothing.
    pub(crate) fn get(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(n, _)| n == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// The answer of /token.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) id_token: Option<String>,
    pub(crate) json: Value,
}

impl Tokens {
    /// Reads them from a 200.
    #[track_caller]
    pub(crate) fn of(reply: Reply) -> Self {
        let json = reply.expect(200).json;
        let text = |member: &str| json[member].as_str().map(str::to_owned);
        Self {
            access_token: text("access_token").expect("there is an access token"),
            refresh_token: text("refresh_token"),
            id_token: text("id_token"),
            json,
        }
    }

    /// The refresh token.
    #[track_caller]
    pub(crate) fn refresh(&self) -> &str {
        self.refresh_token
            .as_deref()
            .expect("there is a refresh token")
    }
}

/// A sign-in that is done.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    pub(crate) asked: Authorize,
    pub(crate) page: WaitingPage,
    pub(crate) code: String,
    pub(crate) tokens: Tokens,
}
