//! The page that a browser waits on. It tells a person what is happening and an agent everything
//! it needs, in the words that can be read and three ways that can be parsed.

use maud::{Markup, PreEscaped, html};

use super::{asset, escape::literal, escape::visible, layout::document, link};

/// What the waiting page is about. All text is taken as it is and escaped here.
#[derive(Debug, Clone, Copy)]
pub struct WaitingPage<'a> {
    /// The request, `req_…`.
    pub request_id: &'a str,
    /// The client, `client_…`.
    pub client_id: &'a str,
    /// What the client calls itself: shown after the host, never alone.
    pub client_name: &'a str,
    /// Scheme, host and port of the redirect URI; the bare scheme for a private-use one.
    pub redirect_origin: &'a str,
    /// The scope asked for (RFC 6749 §3.3).
    pub scope: &'a str,
    /// When the request expires, RFC 3339, UTC.
    pub expires_at: &'a str,
    /// Seconds until then. The page counts from here, so a browser's wrong clock does not matter.
    pub seconds_left: u64,
    /// The issuer (RFC 8414 §2).
    pub issuer: &'a str,
    /// Where the agent signs in.
    pub authenticate_endpoint: &'a str,
    /// The path of the issuer, "" or "/auth": what the page's own addresses begin with.
    pub base_path: &'a str,
    /// The nonce of the page's scripts, also named by its policy
    /// ([`content_security_policy`](super::content_security_policy)).
    pub nonce: &'a str,
}

/// The state's name in the page and its script, the headline and the sentence below.
pub(super) const WORDS: (&str, &str, &str) = (
    "pending",
    "Waiting for your agent",
    "This page goes on by itself as soon as your agent has signed in. There is nothing to type here, \
     and no secret belongs on this page.",
);

/// Milliseconds after which a page whose script has not come asks for itself anew.
const RELOAD_AFTER: u32 = 8_000;

impl WaitingPage<'_> {
    /// The object that agents read, `request_id` first.
    const fn object(&self) -> [(&'static str, &str); 8] {
        [
            ("request_id", self.request_id),
            ("client_id", self.client_id),
            ("client_name", self.client_name),
            ("redirect_origin", self.redirect_origin),
            ("scope", self.scope),
            ("expires_at", self.expires_at),
            ("issuer", self.issuer),
            ("authenticate_endpoint", self.authenticate_endpoint),
        ]
    }

    /// Existing agents find the id in this very text: bare keys, `request_id` first.
    fn script(&self) -> PreEscaped<String> {
        let members = self
            .object()
            .map(|(key, value)| format!("{key}: '{}'", literal(value)));
        PreEscaped(format!(
            "window.authRequest = {{ {} }};",
            members.join(", ")
        ))
    }

    /// While servers are replaced, the page of one may name a script that the next does not have.
    /// Without its script a page would wait for ever; the script takes this back once it runs.
    fn fallback(&self) -> PreEscaped<String> {
        PreEscaped(format!(
            "window.authFallback = setTimeout(() => location.replace('{}'), {RELOAD_AFTER});",
            literal(&self.address())
        ))
    }

    fn json(&self) -> PreEscaped<String> {
        let members = self
            .object()
            .map(|(key, value)| format!("\"{key}\":\"{}\"", literal(value)));
        PreEscaped(format!("{{{}}}", members.join(",")))
    }

    /// The page's own address, which shows it again.
    fn address(&self) -> String {
        format!("{}/authorize/{}", self.base_path, self.request_id)
    }

    fn head(&self) -> Markup {
        html! {
            meta name="auth-agent-request" content=(self.request_id);
            script nonce=(self.nonce) { (self.script()) }
            script type="application/json" id="auth-agent-request" { (self.json()) }
            script nonce=(self.nonce) { (self.fallback()) }
            script nonce=(self.nonce) src=(asset::path(self.base_path, "waiting.js")) defer {}
            noscript {
                meta http-equiv="refresh" content={ "3;url=" (self.address()) };
            }
        }
    }

    /// The same for an agent that reads the page as a person would.
    fn for_the_agent(&self) -> Markup {
        let body = format!(
            "{{\"request_id\":\"{}\",\n \"agent_id\":\"…\", \"agent_secret\":\"…\", \"model\":\"…\",\n \
             \"expected_origin\":\"…\"}}",
            literal(self.request_id)
        );
        html! {
            section.details data-while="pending" aria-labelledby="agent" {
                h2 id="agent" { "For the agent" }
                p {
                    "Sign in outside this page, with one request to the issuer you were set up \
                     with. Send this browser’s cookies along, or call from the same network \
                     address. "
                    code { "expected_origin" }
                    " (optional) is the website that you mean to sign in to: take it from your \
                     task, not from here."
                }
                pre tabindex="0" {
                    "POST " (visible(self.authenticate_endpoint)) "\n"
                    "Content-Type: application/json\n\n"
                    (body)
                }
                dl {
                    @for (name, value) in [
                        ("Request", self.request_id),
                        ("Website", self.redirect_origin),
                        ("Client", self.client_id),
                        ("Scope", self.scope),
                        ("Expires", self.expires_at),
                        ("Issuer", self.issuer),
                        ("Endpoint", self.authenticate_endpoint),
                    ] {
                        dt { (name) }
                        dd { bdi { (visible(value)) } }
                    }
                }
            }
        }
    }
}

/// The waiting page. Everything an agent reads by pattern comes before the first word that the
/// client chose.
#[must_use]
pub fn waiting_page(page: &WaitingPage<'_>) -> Markup {
    let (state, headline, text) = WORDS;
    let host = link::site_name(page.redirect_origin);
    let main = html! {
        main #page data-state=(state) data-base=(page.base_path) data-host=(host)
            data-seconds-left=(page.seconds_left)
        {
            div.card {
                h1 { "Sign in to " (link::site(page.redirect_origin, Some(page.client_name))) }
                // Read out when it changes, all of it, and never for the seconds that pass.
                div role="status" aria-live="polite" aria-atomic="true" {
                    p.state { span.mark aria-hidden="true" {} span #headline { (headline) } }
                    p #text { (text) }
                }
                p #way hidden { (link::return_button(&page.address(), &host)) }
                noscript {
                    p {
                        "JavaScript is off: this page asks again every three seconds. "
                        a href=(page.address()) { "Ask now" }
                    }
                }
                p.aside data-while="pending" {
                    span role="timer" {
                        "Time left: "
                        span #left {
                            (page.seconds_left / 60) ":" (format_args!("{:02}", page.seconds_left % 60))
                        }
                    }
                    " If no agent signs in by then, this page goes back to the website without a \
                     sign-in. If you did not start this, close this page: nobody is signed in by it."
                    @if let Some(front) = link::way_on(None, page.redirect_origin) {
                        " " a #leave href=(front) { "Back to " bdi { (host) } }
                    }
                }
            }
            (page.for_the_agent())
        }
    };
    document(
        page.base_path,
        &super::title(headline, &host),
        &page.head(),
        &main,
    )
}
