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
    /// The state's name, the headline and the sentence below: the same words that the waiting page's
    /// script uses.
    pub(super) const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Completed => (
                "completed",
                "Already signed in",
                "This sign-in is done, and the website has been told. You can close this page.",
            ),
            Self::Expired => (
                "expired",
                "Time ran out",
                "No agent signed in before this request expired. Start again from the website.",
            ),
            Self::Denied => (
                "denied",
                "Not signed in",
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

/// The page that a finished sign-in shows from then on. While the website has not been told how it
/// ended, the button tells it. A browser without scripts, which was led here by the waiting page, goes
/// there by itself; whoever came on purpose is not hurried (WCAG 2.2.1).
#[must_use]
pub fn outcome_page(page: &OutcomePage<'_>) -> Markup {
    let (state, headline, text) = page.kind.words();
    let origin = page.redirect_origin;
    let head = html! {
        @if let Some(back) = page.back.and_then(link::followable) {
            noscript { meta http-equiv="refresh" content={ (LEAVE_AFTER) ";url=" (back) }; }
        }
    };
    let main = html! {
        main #page data-state=(state) {
            div.card {
                h1 { "Sign in to " (link::site(origin, page.client_name)) }
                p.state { span.mark aria-hidden="true" {} span #headline { (headline) } }
                p #text { (text) }
                @if page.back.and_then(link::followable).is_some() {
                    noscript { p { "This page goes back to the website in a few seconds." } }
                }
                @if let Some(way) = link::way_on(page.back, page.redirect_origin) {
                    p { (link::return_button(way, &link::site_of(way))) }
                }
            }
        }
    };
    let title = super::title(headline, &link::site_name(origin));
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

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The website's makers: the request is wrong.
    Mend,
    /// Nobody has to: it passes.
    Wait,
    /// The person, by starting again.
    StartAgain,
}

impl Remedy {
    fn of(error: &str) -> Self {
        match error {
            "temporarily_unavailable" | "slow_down" | "server_error" => Self::Wait,
            "forbidden" | "unknown_request" | "not_found" | "access_denied" => Self::StartAgain,
            _ => Self::Mend,
        }
    }

    /// For the person who came here.
    const fn for_the_visitor(self) -> &'static str {
        match self {
            Self::Mend => {
                "The link that led here is not right, which is the website’s mistake and not yours. \
                 Go back to the website; if it happens again, tell its makers what this page says."
            }
            Self::Wait => "Nothing was lost: load this page again later.",
            Self::StartAgain => {
                "Nothing was changed by opening this page. The way to sign in begins at the website."
            }
        }
    }

    /// For whoever wrote the request.
    const fn for_the_developer(self) -> &'static str {
        match self {
            Self::Mend => {
                "Compare the authorization request with the client’s registration on this server. \
                 client_id must be the registered one. redirect_uri must equal a registered one \
                 letter by letter: scheme, host, port, path and a trailing slash all count. Each \
                 parameter may be sent once only."
            }
            Self::Wait => {
                "Nothing is wrong with the website’s request. The answer’s Retry-After header, if it \
                 has one, says after how many seconds to send it again. Whoever runs this server can raise its \
                 limits."
            }
            Self::StartAgain => {
                "Nothing is wrong with the website’s request. A waiting page is shown to the browser \
                 that opened it and to no other: send each visitor to /authorize, never to a page’s \
                 own address, and in a browser that keeps cookies."
            }
        }
    }
}

/// A description as a sentence of its own: codes and their descriptions begin small, and end without
/// a full stop.
fn sentence(description: &str) -> String {
    let mut rest = description.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    let end = if description.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    first.into_iter().chain(rest).chain(end.chars()).collect()
}

/// The error page, for a fault that cannot or must not be sent back to the website.
#[must_use]
pub fn error_page(page: &ErrorPage<'_>) -> Markup {
    let title = visible(page.title);
    let remedy = Remedy::of(page.error);
    let main = html! {
        main #page data-state="error" {
            div.card {
                h1 { bdi { (title) } }
                @if remedy == Remedy::Mend {
                    p #text { (remedy.for_the_visitor()) }
                } @else {
                    p #text { bdi { (sentence(&visible(page.description))) } }
                    p.aside { (remedy.for_the_visitor()) }
                }
            }
            section.details aria-labelledby="developer" {
                h2 id="developer" { "For the website’s developer" }
                dl {
                    @if remedy == Remedy::Mend {
                        dt { "What is wrong" }
                        dd.words { bdi { (visible(page.description)) } }
                    }
                    dt { "Error" }
                    dd { code { (visible(page.error)) } }
                    dt { "HTTP status" }
                    dd { (page.status) }
                }
                p { (remedy.for_the_developer()) }
            }
        }
    };
    document(page.base_path, &title, &html! {}, &main)
}
