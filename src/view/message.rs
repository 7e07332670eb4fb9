//! Pages on which nothing more happens: how a sign-in ended, and what is wrong with a request.
//! Each says what to do next.

use maud::{Markup, html};

use super::{escape::visible, layout::document, link};

/// How a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// The website has taken the answer.
    Completed,
    /// No agent signed in in time.
    Expired,
    /// The agent or the website was suspended or revoked.
    Denied,
}

impl OutcomeKind {
    /// The state's name, the headline (the website's name follows it) and the sentence below: the
    /// same words that the waiting page's script uses.
    pub(super) const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Completed => (
                "completed",
                "Already signed in to",
                "This sign-in is done, and the website has been told. You can close this page.",
            ),
            Self::Expired => (
                "expired",
                "Time ran out to sign in to",
                "No agent signed in before this request expired. Start again from the website.",
            ),
            Self::Denied => (
                "denied",
                "Not signed in to",
                "The sign-in was refused: the agent or the website is suspended or revoked. Ask \
                 whoever runs this server.",
            ),
        }
    }
}

/// What the page about a finished sign-in says.
#[derive(Debug, Clone, Copy)]
pub struct OutcomePage<'a> {
    /// The path of the issuer, "" or "/auth".
    pub base_path: &'a str,
    /// How it ended.
    pub kind: OutcomeKind,
    /// What the client calls itself, if it is still known.
    pub client_name: Option<&'a str>,
    /// Scheme, host and port of the redirect URI; the bare scheme for a private-use one.
    pub redirect_origin: &'a str,
    /// The redirect URI with what the website is to be told, if it is still waiting for it.
    pub back: Option<&'a str>,
}

/// Seconds to read why before the browser goes back to the website by itself.
const LEAVE_AFTER: u8 = 5;

/// The page that a finished sign-in shows from then on. It goes back to the website by itself, and
/// needs no script for that, while the website has not been told how it ended.
#[must_use]
pub fn outcome_page(page: &OutcomePage<'_>) -> Markup {
    let (state, headline, text) = page.kind.words();
    let origin = page.redirect_origin;
    let head = html! {
        @if let Some(back) = page.back.and_then(link::followable) {
            meta http-equiv="refresh" content={ (LEAVE_AFTER) ";url=" (back) };
        }
    };
    let main = html! {
        main #page data-state=(state) {
            h1 { span #headline { (headline) } " " (link::site(origin, page.client_name)) }
            p #text { (text) }
            @if let Some(way) = link::way_on(page.back, page.redirect_origin) {
                p { a.button #back href=(way) { "Return to " bdi { (link::site_of(way)) } } }
            }
        }
    };
    let title = format!("{headline} {}", link::site_name(origin));
    document(page.base_path, &title, &head, &main)
}

/// What the error page says.
#[derive(Debug, Clone, Copy)]
pub struct ErrorPage<'a> {
    /// The path of the issuer, "" or "/auth".
    pub base_path: &'a str,
    /// The HTTP status of the response.
    pub status: u16,
    /// One line for whoever is looking at it.
    pub title: &'a str,
    /// The error code (RFC 6749 §4.1.2.1 and its relatives).
    pub error: &'a str,
    /// What was wrong, for whoever wrote the request.
    pub description: &'a str,
}

/// What whoever can mend the error should look at.
fn advice(error: &str) -> &'static str {
    match error {
        "invalid_request" | "invalid_client" | "unauthorized_client" => {
            "Compare the authorization request with the client’s registration on this server. \
             client_id must be the registered one. redirect_uri must equal a registered one letter \
             by letter: scheme, host, port, path and a trailing slash all count. Each parameter \
             may be sent once only."
        }
        "temporarily_unavailable" | "slow_down" | "server_error" => {
            "Nothing was lost. Wait a few seconds, then load this page again."
        }
        "forbidden" | "unknown_request" | "not_found" | "access_denied" => {
            "Nothing is wrong with the website’s request. Start the sign-in again from the \
             website, and stay in the same browser, with cookies allowed."
        }
        _ => {
            "Look the error code up in RFC 6749, section 4.1.2.1, or in this server’s \
             documentation, and correct the authorization request that led here."
        }
    }
}

/// The error page, for a fault that cannot or must not be sent back to the website.
#[must_use]
pub fn error_page(page: &ErrorPage<'_>) -> Markup {
    let title = visible(page.title);
    let main = html! {
        main #page data-state="error" {
            h1 { bdi { (title) } }
            p #text { bdi { (visible(page.description)) } }
            p { "Go back to the website that sent you here. If it happens again, tell its makers \
                 what this page says." }
            section.agent aria-labelledby="developer" {
                h2 id="developer" { "For the website’s developer" }
                dl {
                    dt { "Error" }
                    dd { code { (visible(page.error)) } }
                    dt { "HTTP status" }
                    dd { (page.status) }
                }
                p { (advice(page.error)) }
            }
        }
    };
    document(page.base_path, &title, &html! {}, &main)
}
