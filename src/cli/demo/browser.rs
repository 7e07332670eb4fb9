//! A browser for the demo that plays by itself: cookies, redirects one at a time, the waiting page.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::{HeaderValue, StatusCode, header};
use reqwest::{
    Client, Response,
    cookie::{CookieStore, Jar},
    redirect::Policy,
};
use serde_json::Value;
use url::Url;

use super::sse::{Event, Parser};
use crate::{
    cli::{Failure, server::told},
    domain::RequestId,
};

/// Largest page that is read, in bytes.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Holds cookies, and does only what it is told.
pub(super) struct Browser {
    http: Client,
    jar: Arc<Jar>,
}

/// An answer.
pub(super) struct Page {
    url: Url,
    status: StatusCode,
    location: Option<String>,
    pub(super) body: String,
}

impl Browser {
    pub(super) fn open() -> Result<Self, Failure> {
        let jar = Arc::new(Jar::default());
        let http = Client::builder()
            .user_agent(concat!(
                "auth-agent-demo-browser/",
                env!("CARGO_PKG_VERSION")
            ))
            .cookie_provider(Arc::clone(&jar))
            .redirect(Policy::none())
            // Everything is on this machine, also where that name is in no hosts file.
            .no_proxy()
            .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .build()
            .map_err(|error| Failure::failed(told(&error)))?;
        Ok(Self { http, jar })
    }

    /// What it would send to that address: HttpOnly cookies too, as whoever drives a browser can
    /// read them from it.
    pub(super) fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        self.jar.cookies(url)
    }

    /// Opens an address.
    pub(super) async fn get(&self, url: &Url) -> Result<Page, Failure> {
        let failed = |error: reqwest::Error| Failure::failed(format!("{url}: {}", told(&error)));
        let mut response = self.http.get(url.clone()).send().await.map_err(failed)?;
        let location = response.headers().get(header::LOCATION);
        let location = location
            .and_then(|to| to.to_str().ok())
            .map(ToOwned::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_PAGE_BYTES {
                return Err(Failure::failed(format!("{url}: the page is too large")));
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Page {
            url: url.clone(),
            status: response.status(),
            location,
            body,
        })
    }

    /// Opens an event stream.
    pub(super) async fn listen(&self, url: &Url) -> Result<EventStream, Failure> {
        let failed = |error: reqwest::Error| Failure::failed(format!("{url}: {}", told(&error)));
        let call = self
            .http
            .get(url.clone())
            .header(header::ACCEPT, "text/event-stream");
        let response = call.send().await.map_err(failed)?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if response.status() != StatusCode::OK || !kind.starts_with("text/event-stream") {
            let status = response.status();
            return Err(Failure::failed(format!(
                "{url}: {status} {kind}, not an event stream"
            )));
        }
        Ok(EventStream {
            response,
            parser: Parser::default(),
            ready: Vec::new().into_iter(),
        })
    }
}

impl Page {
    /// Where it sends the browser.
    pub(super) fn redirect(&self) -> Result<Url, Failure> {
        let to = self
            .location
            .as_deref()
            .filter(|_| self.status.is_redirection());
        to.and_then(|to| self.url.join(to).ok()).ok_or_else(|| {
            Failure::failed(format!(
                "{} answered {} and no redirect",
                self.address(),
                self.status
            ))
        })
    }

    /// That it is a page to look at.
    pub(super) fn shown(self) -> Result<Self, Failure> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        let (address, status) = (self.address(), self.status);
        Err(Failure::failed(format!("{address} answered {status}")))
    }

    /// Without the query: it may hold a code.
    fn address(&self) -> &str {
        self.url
            .as_str()
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
    }
}

/// What a waiting page tells an agent: the request's id.
pub(super) fn request_id(html: &str) -> Option<RequestId> {
    let script = html.split_once("id=\"auth-agent-request\"")?.1;
    let json = script.split_once('>')?.1.split_once("</script>")?.0;
    let request: Value = serde_json::from_str(json).ok()?;
    request["request_id"].as_str()?.parse().ok()
}

/// Events as they come.
pub(super) struct EventStream {
    response: Response,
    parser: Parser,
    ready: std::vec::IntoIter<Event>,
}

impl EventStream {
    /// The next one; an error when the stream ends without.
    pub(super) async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.ready.next() {
                return Ok(event);
            }
            let chunk = self.response.chunk().await;
            let chunk = chunk.map_err(|error| Failure::failed(told(&error)))?;
            let chunk = chunk.ok_or_else(|| Failure::failed("the event stream ended too soon"))?;
            self.ready = self.parser.feed(&chunk)?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_read_off_the_waiting_page() {
        let id = "req_0000000000000000000000001234abcd";
        let page = |json: &str| {
            format!(
                "<meta name=\"auth-agent-request\" content=\"req_x\"><script nonce=\"n\">window.\
                 authRequest = {{}};</script><script type=\"application/json\" \
                 id=\"auth-agent-request\">{json}</script>"
            )
        };
        let whole = format!("{{\"request_id\":\"{id}\",\"client_name\":\"\\u003c/script>\"}}");
        assert_eq!(
            request_id(&page(&whole))
                .map(|id| id.to_string())
                .as_deref(),
            Some(id)
        );
        assert_eq!(request_id(&page("{\"request_id\":\"req_1\"}")), None);
        assert_eq!(request_id(&page("{")), None);
        assert_eq!(request_id("<html></html>"), None);
    }

    #[test]
    fn cookies_of_the_two_loopback_names_stay_apart() {
        let browser = Browser::open().unwrap();
        let server = Url::parse("http://127.0.0.1:3000/authorize").unwrap();
        let website = Url::parse("http://localhost:3001/callback").unwrap();
        browser
            .jar
            .add_cookie_str("aa_req_1=secret; Path=/; HttpOnly; SameSite=Lax", &server);
        assert_eq!(browser.cookies(&server).unwrap(), "aa_req_1=secret");
        assert_eq!(browser.cookies(&website), None);
    }
}
