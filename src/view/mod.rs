//! What a browser is shown: the waiting page, the page that says how a sign-in ended, the error
//! page, the front page, the description of the surface, and the files they load. Pure: no HTTP, no clock; the caller adds status and headers.
//!
//! A page holds words of others (a client's name, a description with a parameter in it). Each
//! goes through the escaping of the place it stands in: maud for HTML, [`escape::literal`] for
//! script and JSON, [`escape::visible`] for what is read by eye or by a model, [`link::followable`]
//! for where a link may lead.

pub mod asset;
mod escape;
mod front;
mod layout;
mod link;
mod message;
mod openapi;
mod waiting;

pub use front::{FrontPage, front_page};
pub use message::{ErrorPage, OutcomeKind, OutcomePage, error_page, outcome_page};
pub use openapi::openapi_page;
pub use waiting::{WaitingPage, waiting_page};

/// The Content-Security-Policy of a page (CSP Level 3): nothing but our own style, images and
/// connections; no frame around it, no form, no `base`.
///
/// `nonce` is that of the page's scripts, base64 or base64url; without one no script runs, and one
/// with any other character in it, which could end the directive, counts as none.
#[must_use]
pub fn content_security_policy(nonce: Option<&str>) -> String {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b);
    let script = nonce
        .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(is_base64))
        .map(|nonce| format!("script-src 'nonce-{nonce}'; "))
        .unwrap_or_default();
    format!(
        "default-src 'none'; {script}style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The title of a page about a sign-in: what is going on, and at which website.
fn title(headline: &str, site: &str) -> String {
    format!("{headline} – {site}")
}

#[cfg(test)]
mod tests;
