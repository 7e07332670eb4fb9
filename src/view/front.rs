//! The page at the server's own address, for whoever wonders what this is.

use maud::{Markup, html};

use super::layout::document;

/// What the front page says.
#[derive(Debug, Clone, Copy)]
pub struct FrontPage<'a> {
    /// The path of the issuer, "" or "/auth".
    pub base_path: &'a str,
    /// The issuer (RFC 8414 §2).
    pub issuer: &'a str,
}

/// The page: what this server is, and where to read on.
#[must_use]
pub fn front_page(page: &FrontPage<'_>) -> Markup {
    let base = page.base_path;
    let discovery = "/.well-known/openid-configuration";
    let main = html! {
        main #page data-state="front" {
            div.card {
                h1 { "Sign-in for AI agents" }
                p #text {
                    "This is an OAuth 2.1 and OpenID Connect server whose users are autonomous agents. A sign-in begins \
                     at a website, which sends its visitor’s browser here; there is nothing to do on this page."
                }
            }
            section.details aria-labelledby="developer" {
                h2 id="developer" { "For developers and operators" }
                dl {
                    dt { "Issuer" }
                    dd { code { (page.issuer) } }
                    dt { "Discovery document" }
                    dd { a href={ (base) (discovery) } { (discovery) } }
                    dt { "Every endpoint, to be read" }
                    dd { a href={ (base) "/openapi" } { "/openapi" } }
                }
                p { "On the server’s machine " code { "auth-agent help" } " tells how to begin." }
            }
        }
    };
    document(base, "Auth Agent", &html! {}, &main)
}
