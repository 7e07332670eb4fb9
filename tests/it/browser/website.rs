//! A website in a few lines: a link to sign in with, and a page that shows what came back.

use axum::{Router, extract::RawQuery, response::Html, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};
use url::form_urlencoded;

/// Running on `localhost`, while the server under test is on `127.0.0.1`: their cookies stay apart.
pub(crate) struct Website {
    port: u16,
    task: JoinHandle<()>,
}

impl Website {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let router = Router::new()
            .route("/callback", get(callback))
            .route("/form", get(form));
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the website serves");
        });
        Self { port, task }
    }

    /// Where the browser comes back to.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://localhost:{}/callback", self.port)
    }

    /// A page of the website with a form that posts these parameters to another site.
    pub(crate) fn form(&self, action: &str, params: &[(String, String)]) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("action", action)
            .extend_pairs(params)
            .finish();
        format!("http://localhost:{}/form?{query}", self.port)
    }
}

impl Drop for Website {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Names what came back; the values stay out of the page, since all here is trusted but they.
async fn callback(RawQuery(query): RawQuery) -> Html<&'static str> {
    let query = query.unwrap_or_default();
    let has = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(n, _)| n == name);
    Html(match (has("code"), has("error")) {
        (true, false) => "<p>Welcome back with a code</p>",
        (false, true) => "<p>Welcome back with an error</p>",
        _ => "<p>Welcome back with neither</p>",
    })
}

/// The first parameter says where to, the others are the form's. The test's own are harmless.
async fn form(RawQuery(query): RawQuery) -> Html<String> {
    let query = query.unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, action) = pairs.next().expect("somewhere to post to");
    let fields: String = pairs
        .map(|(name, value)| format!("<input type=hidden name='{name}' value='{value}'>"))
        .collect();
    Html(format!(
        "<form method=post action='{action}'>{fields}<button id=go>Sign in</button></form>"
    ))
}
